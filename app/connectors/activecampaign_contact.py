"""What an ActiveCampaign contact is told: its own fields, and custom ones by number.

A custom field is known by its number; a mapping may also name it by its personalisation tag
(`PLAN`, written `%PLAN%` in a message), which is looked up.
Values are texts; several choices stand between double bars; date fields take `YYYY-MM-DD`, date
and time fields ISO 8601 (developers.activecampaign.com, contacts and custom fields).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.connectors.contact_fields import (
    Value,
    address_of,
    as_address,
    as_day,
    as_text,
    default_mapping,
    facts_of,
    standard_only,
    written,
)
from app.connectors.contact_markers import MarkerChanges
from app.connectors.preparing import LIFECYCLE, label_of
from app.domain.model import Event

_NAMES = {
    "email": "email",
    "first_name": "firstName",
    "last_name": "lastName",
    "plan": "PLAN",
    "signup_date": "SIGNUP_DATE",
    "membership_status": "MEMBERSHIP_STATUS",
    "churned_at": "CHURNED_AT",
    "last_payment_at": "LAST_PAYMENT_AT",
    "last_payment_failed_at": "LAST_PAYMENT_FAILED_AT",
}
DEFAULT_MAPPING: Mapping[str, str] = default_mapping(_NAMES)

_TYPES = {"text": "text", "day": "date", "moment": "datetime"}
#: The custom fields of the default mapping that every account lacks at first.
FIELDS: Mapping[str, Mapping[str, Any]] = {
    _NAMES[fact]: {
        "type": _TYPES[kind],
        "title": label_of(fact),
        "perstag": _NAMES[fact],
        "visible": 1,
    }
    for fact, kind in LIFECYCLE.items()
}

_OWN = frozenset({"email", "firstName", "lastName", "phone"})
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_TAG = re.compile(r"[A-Z][A-Z0-9_]{0,99}")


@dataclass(frozen=True, slots=True)
class Contact:
    """What is to be written.

    `email` is the address the contact is found by; `own` are ActiveCampaign's own fields,
    `numbered` and `named` custom ones.
    """

    email: str | None
    own: Mapping[str, str]
    numbered: Mapping[str, str]
    named: Mapping[str, str]
    tags: MarkerChanges[int]

    def __bool__(self) -> bool:
        return bool(self.email or self.own or self.numbered or self.named or self.tags)

    def unknown(self, numbers: Mapping[str, int]) -> list[str]:
        """The personalisation tags whose field's number is not among `numbers`."""
        return [name for name in self.named if name not in numbers]

    def document(self, numbers: Mapping[str, int]) -> dict[str, Any]:
        """The contact as ActiveCampaign takes it, without the fields whose number is unknown."""
        by_number = {str(numbers[n]): value for n, value in self.named.items() if n in numbers}
        values = [
            {"field": field, "value": value}
            for field, value in {**by_number, **self.numbered}.items()
        ]
        body: dict[str, Any] = dict(self.own)
        if self.email is not None:
            body["email"] = self.email
        return body | {"fieldValues": values} if values else body


def contact_of(
    event: Event, mapped: Mapping[str, Any] | None, tags: MarkerChanges[int], *, standard: bool
) -> Contact:
    """The contact by an operator's mapping, or by what the event says when there is none."""
    if mapped is None:
        mapped = facts_of(event, standard_only(_NAMES) if standard else _NAMES)
    values = {name: _text(value) for name, value in written(mapped, _write_moment).items()}
    own = {name: value for name, value in values.items() if name in _OWN}
    email = as_address(own.pop("email", None)) or address_of(event)
    return Contact(
        email,
        own,
        {name: value for name, value in values.items() if _NUMBER.fullmatch(name)},
        {name: value for name, value in values.items() if _TAG.fullmatch(name)},
        tags,
    )


def wrong_fields(fields: Sequence[str]) -> dict[str, str]:
    """The fields that cannot be written: field to sentence."""
    return {
        field: "An ActiveCampaign field is email, firstName, lastName, phone, the number of a"
        " custom field, or its personalisation tag in capitals without percent signs."
        for field in fields
        if not (field in _OWN or _NUMBER.fullmatch(field) or _TAG.fullmatch(field))
    }


def _text(value: Value) -> str:
    if isinstance(value, list):
        return "||" + "||".join(as_text(item) for item in value) + "||"
    return as_text(value)


def _write_moment(name: str, moment: datetime) -> str:
    return as_day(name, moment) if name.endswith("_DATE") else moment.isoformat(timespec="seconds")
