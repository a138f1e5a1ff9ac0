"""What a Mailchimp member is told: merge fields, and the hash a member goes by.

Merge tags are up to ten capitals, digits and underscores.
Mailchimp keeps days, not moments; a text is up to 255 characters; an address is an object that
needs its street, city, state and postal code together (mailchimp.com/developer, merge fields).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeGuard

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

_EMAIL = "EMAIL"
_NAMES = {
    "email": _EMAIL,
    "first_name": "FNAME",
    "last_name": "LNAME",
    "plan": "PLAN",
    "signup_date": "SIGNUP",
    "membership_status": "MSTATUS",
    "churned_at": "CHURNED",
    "last_payment_at": "LASTPAID",
    "last_payment_failed_at": "PAYFAILED",
}
DEFAULT_MAPPING: Mapping[str, str] = default_mapping(_NAMES)

#: The merge fields of the default mapping that every audience lacks at first.
MERGE_FIELDS: Mapping[str, Mapping[str, Any]] = {
    _NAMES[fact]: {
        "tag": _NAMES[fact],
        "name": label_of(fact),
        "type": "text" if kind == "text" else "date",
        "required": False,
        "public": False,
    }
    for fact, kind in LIFECYCLE.items()
}

_TAG = re.compile(r"[A-Z0-9_]{1,10}")
_HASH = re.compile(r"[0-9a-f]{32}")
_POSTAL_PARTS = ("addr1", "city", "state", "zip")
_LONGEST_TEXT = 255


@dataclass(slots=True)
class Member:
    """What is still to be written, and which fields Mailchimp did not take."""

    email: str | None
    merge_fields: dict[str, Any]
    markers: MarkerChanges[str]
    refused: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.email or self.merge_fields or self.markers)

    def leave_out(self, names: Sequence[str]) -> None:
        """Write the rest without these fields."""
        for name in names:
            del self.merge_fields[name]
            self.refused.append(name)

    def fields(self) -> dict[str, Any]:
        """The part of a body that both a new and a known member take."""
        return {"merge_fields": self.merge_fields} if self.merge_fields else {}


def member_of(
    event: Event,
    mapped: Mapping[str, Any] | None,
    markers: MarkerChanges[str],
    *,
    standard: bool,
) -> Member:
    """The member by an operator's mapping, or by what the event says when there is none."""
    if mapped is None:
        mapped = facts_of(event, standard_only(_NAMES) if standard else _NAMES)
    values = written(mapped, as_day)
    email = as_address(values.pop(_EMAIL, None)) or address_of(event)
    merge_fields = {name: _merge_value(value) for name, value in values.items()}
    usable = {name: value for name, value in merge_fields.items() if value is not None}
    return Member(email, usable, markers)


def hash_of(email: str) -> str:
    """The id of the member with this address: the MD5 of it in lower case."""
    return hashlib.md5(email.lower().encode(), usedforsecurity=False).hexdigest()


def is_hash(text: str | None) -> TypeGuard[str]:
    """True when `text` can stand in a path as a member's id."""
    return text is not None and _HASH.fullmatch(text) is not None


def wrong_tags(fields: Sequence[str]) -> dict[str, str]:
    """The fields that cannot be merge tags: field to sentence."""
    return {
        field: "A merge tag is up to 10 capital letters, digits and underscores."
        for field in fields
        if not _TAG.fullmatch(field)
    }


def _merge_value(value: Value) -> str | int | float | dict[str, Any] | None:
    if isinstance(value, dict):
        whole = all(isinstance(value.get(part), str) and value[part] for part in _POSTAL_PARTS)
        return value if whole else None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    return as_text(value)[:_LONGEST_TEXT].strip() or None
