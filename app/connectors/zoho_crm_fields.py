"""What Zoho CRM is told of a contact or lead: field names, lengths, and what it insists on.

A record is made only with a Last_Name, a lead only with a Company besides; where the sender tells
none, something stands in for it in a new record, and is never written over what is there.
Fields that a module does not have are ignored.
Days are `YYYY-MM-DD`, moments ISO 8601 with an offset.
Facts: zoho.com/crm/developer, API v8, Upsert Records.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from app.connectors.api_names import wrong_api_names
from app.connectors.contact_fields import (
    address_of,
    as_address,
    as_day,
    default_mapping,
    facts_of,
    standard_only,
    written,
)
from app.connectors.required_names import NameFields, Record, cut
from app.domain.model import Event

NAMES = {
    "email": "Email",
    "first_name": "First_Name",
    "last_name": "Last_Name",
    "plan": "Plan",
    "signup_date": "Signup_Date",
    "membership_status": "Membership_Status",
    "churned_at": "Churned_At",
    "last_payment_at": "Last_Payment_At",
    "last_payment_failed_at": "Last_Payment_Failed_At",
}
STANDARD_NAMES = standard_only(NAMES)
DEFAULT_MAPPING: Mapping[str, str] = default_mapping(NAMES)

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
_LONGEST = {"Last_Name": 80, "First_Name": 40, "Company": 200}
_LONGEST_EMAIL = 100
_NAME_FIELDS = NameFields("First_Name", "Last_Name", _LONGEST["Last_Name"])
_DAY = re.compile(r".*date", re.IGNORECASE)
_CONSENT = frozenset({"Email_Opt_Out", "SMS_Opt_Out", "Data_Processing_Basis"})
_OWN = frozenset(
    {
        *("id", "Created_Time", "Created_By", "Modified_Time", "Modified_By", "Full_Name"),
        *("Last_Activity_Time", "Record_Image", "Tag"),
    }
)
_NO_COMPANY = "[not provided]"


def record_of(
    event: Event, mapped: Mapping[str, Any] | None, *, module: str, standard: bool
) -> Record:
    """The record an event tells of, for this module (`Contacts` or `Leads`)."""
    if mapped is None:
        mapped = facts_of(event, STANDARD_NAMES if standard else NAMES)
        if module == "Leads" and event.customer is not None:
            mapped["Company"] = event.customer.company
    fields = cut(written(mapped, _write_moment), _LONGEST)
    email = as_address(fields.pop("Email", None)) or address_of(event)
    if email is None or len(email) > _LONGEST_EMAIL:
        return Record(None, _NAME_FIELDS.for_known(fields), None)
    # A mapping may leave the address out; the record could not be found by it again.
    fields = {"Email": email, **fields}
    others = {"Company": _NO_COMPANY} if module == "Leads" else {}
    return Record(
        email, _NAME_FIELDS.for_known(fields), _NAME_FIELDS.for_new(fields, email, others)
    )


def wrong_fields(fields: Sequence[str]) -> dict[str, str]:
    """The fields that cannot be mapped: field to sentence."""
    return wrong_api_names(
        fields,
        title="Zoho",
        name=_NAME,
        form="letters, digits and underscores, and starts with a letter.",
        consent=_CONSENT,
        own={*_OWN, *(field for field in fields if field.startswith("$"))},
    )


def _write_moment(name: str, moment: datetime) -> str:
    if _DAY.fullmatch(name):
        return as_day(name, moment)
    return moment.replace(microsecond=0).isoformat()
