"""What Salesforce is told of a contact or lead: field names, lengths, and what it insists on.

A record is made only with a LastName, a lead only with a Company besides.
Where the sender tells none, something stands in for it in a new record, and is never written over
what is there.
Facts: developer.salesforce.com, REST API and Object Reference.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from app.connectors.api_names import wrong_api_names
from app.connectors.contact_fields import (
    Value,
    address_of,
    as_address,
    as_day,
    default_mapping,
    facts_of,
    standard_only,
    written,
)
from app.connectors.ga4_privacy import user_id
from app.connectors.required_names import NameFields, Record, cut
from app.domain import strict_json
from app.domain.model import Event

NAMES = {
    "email": "Email",
    "first_name": "FirstName",
    "last_name": "LastName",
    "plan": "Plan__c",
    "signup_date": "Signup_Date__c",
    "membership_status": "Membership_Status__c",
    "churned_at": "Churned_At__c",
    "last_payment_at": "Last_Payment_At__c",
    "last_payment_failed_at": "Last_Payment_Failed_At__c",
}
STANDARD_NAMES = standard_only(NAMES)
DEFAULT_MAPPING: Mapping[str, str] = default_mapping(STANDARD_NAMES)

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,79}")
_LONGEST = {"LastName": 80, "FirstName": 40, "Company": 255}
_LONGEST_EMAIL = 80
_NAME_FIELDS = NameFields("FirstName", "LastName", _LONGEST["LastName"])
_DAY = re.compile(r".*date(__c)?", re.IGNORECASE)
_CONSENT = frozenset({"HasOptedOutOfEmail", "HasOptedOutOfFax", "DoNotCall"})
_OWN = frozenset(
    {
        *("Id", "Name", "IsDeleted", "MasterRecordId", "SystemModstamp", "attributes"),
        *("CreatedDate", "CreatedById", "LastModifiedDate", "LastModifiedById"),
    }
)
_NO_COMPANY = "[not provided]"


def record_of(
    event: Event,
    mapped: Mapping[str, Any] | None,
    *,
    kind: str,
    standard: bool,
    key_field: str,
) -> Record:
    """The record an event tells of, for an object of this kind (`Contact` or `Lead`)."""
    if mapped is None:
        mapped = facts_of(event, STANDARD_NAMES if standard else NAMES)
        if kind == "Lead" and event.customer is not None:
            mapped["Company"] = event.customer.company
    fields = cut(written(mapped, _write_moment), _LONGEST)
    # It stands in the address of the request, and must not be in its body.
    fields.pop(key_field, None)
    fields = {name: value for name, value in fields.items() if name != "Email" or _fits(value)}
    email = as_address(fields.get("Email")) or address_of(event)
    others = {"Company": _NO_COMPANY} if kind == "Lead" else {}
    return Record(
        user_id(event), _NAME_FIELDS.for_known(fields), _NAME_FIELDS.for_new(fields, email, others)
    )


def wrong_fields(fields: Sequence[str]) -> dict[str, str]:
    """The fields that cannot be mapped: field to sentence."""
    return wrong_api_names(
        fields,
        title="Salesforce",
        name=_NAME,
        form="letters, digits and underscores, and starts with a letter; custom ones end in __c.",
        consent=_CONSENT,
        own=_OWN,
    )


def _fits(value: Value) -> bool:
    address = as_address(value)
    return address is not None and len(address) <= _LONGEST_EMAIL


def _write_moment(name: str, moment: datetime) -> str:
    if _DAY.fullmatch(name):
        return as_day(name, moment)
    return strict_json.rfc3339(moment.replace(microsecond=0))
