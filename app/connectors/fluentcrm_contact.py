"""What a FluentCRM contact is told: columns, custom fields, tags.

Columns are FluentCRM's own fields; every other name is the slug of a custom field.
Dates are `YYYY-MM-DD`, moments `YYYY-MM-DD HH:MM:SS` in UTC, as FluentCRM's date fields take them.
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
from app.connectors.fluentcrm_replies import Found
from app.domain.model import Event

_NAMES = {
    "email": "email",
    "first_name": "first_name",
    "last_name": "last_name",
    "plan": "plan",
    "signup_date": "signup_date",
    "membership_status": "membership_status",
    "churned_at": "churned_at",
    "last_payment_at": "last_payment_at",
    "last_payment_failed_at": "last_payment_failed_at",
}
DEFAULT_MAPPING: Mapping[str, str] = default_mapping(_NAMES)

_COLUMNS = frozenset(
    {"email", "first_name", "last_name", "phone", "country", "source", "contact_type"}
)
_KINDS = frozenset({"lead", "customer"})
_SLUG = re.compile(r"[a-z][a-z0-9_-]{0,99}")
#: Consent is nobody's to map; tags and lists are settings.
_CONSENT = frozenset({"status", "sms_status", "double_optin", "__force_update"})
_GROUPS = frozenset(
    {"tags", "lists", "attach_tags", "detach_tags", "attach_lists", "detach_lists", "companies"}
)
#: Columns of FluentCRM that the relay does not write; a custom field cannot have their names.
_OTHER_COLUMNS = frozenset(
    {
        *("id", "user_id", "hash", "contact_owner", "company_id", "created_at", "updated_at"),
        *("prefix", "full_name", "date_of_birth", "timezone", "avatar", "photo", "last_activity"),
        *("address_line_1", "address_line_2", "postal_code", "city", "state"),
        *("ip", "latitude", "longitude", "total_points", "life_time_value"),
        *("custom_values", "subscriber"),
    }
)


@dataclass(frozen=True, slots=True)
class Contact:
    """What is to be written.

    `email` is the address the contact is found by, None when none is known;
    `columns` holds it as well where it is to be written.
    """

    email: str | None
    columns: Mapping[str, str]
    custom: Mapping[str, Value]
    markers: MarkerChanges[int]

    def __bool__(self) -> bool:
        return bool(self.columns or self.custom or self.markers)

    def as_new(
        self, email: str, status: str, tags: Sequence[int], lists: Sequence[int]
    ) -> dict[str, Any]:
        """The body that makes the contact."""
        body: dict[str, Any] = {
            "contact_type": "customer",
            **self.columns,
            "email": email,
            "status": status,
        }
        every_tag = list(dict.fromkeys((*tags, *self.markers.add)))
        more = {"tags": every_tag, "lists": list(lists), "custom_values": dict(self.custom)}
        return body | {name: value for name, value in more.items() if value}

    def changes_to(self, found: Found) -> dict[str, Any]:
        """The body that changes the contact, empty when it is as it should be.

        Custom values go in full, those of others included: FluentCRM erases what is missing.
        """
        body: dict[str, Any] = {
            name: value
            for name, value in self.columns.items()
            if not (found.has(value) if name == "email" else found.columns.get(name) == value)
        }
        if found.custom_values is not None:
            values = {**found.custom_values, **self.custom}
            if values != found.custom_values:
                body["custom_values"] = values
        tags = found.tags
        attach = [tag for tag in self.markers.add if tags is None or tag not in tags]
        detach = [tag for tag in self.markers.remove if tags is None or tag in tags]
        more = {"attach_tags": attach, "detach_tags": detach}
        return body | {name: value for name, value in more.items() if value}


def contact_of(
    event: Event,
    mapped: Mapping[str, Any] | None,
    markers: MarkerChanges[int],
    *,
    standard: bool,
) -> Contact:
    """The contact by an operator's mapping, or by what the event says when there is none."""
    if mapped is None:
        mapped = facts_of(event, standard_only(_NAMES) if standard else _NAMES)
    values = written(mapped, _write_moment)
    columns = {name: as_text(value) for name, value in values.items() if name in _COLUMNS}
    custom = {name: value for name, value in values.items() if name not in _COLUMNS}
    email = as_address(columns.pop("email", None))
    if email is not None:
        columns["email"] = email
    if columns.get("contact_type", "lead") not in _KINDS:
        del columns["contact_type"]
    return Contact(email or address_of(event), columns, custom, markers)


def wrong_fields(fields: Sequence[str]) -> dict[str, str]:
    """The fields that cannot be written: field to sentence."""
    found = {}
    for field in fields:
        if field in _CONSENT:
            found[field] = "The relay never changes whether a person has agreed to receive mail."
        elif field in _GROUPS:
            found[field] = "Tags and lists are settings of the target, not fields."
        elif field in _OTHER_COLUMNS:
            found[field] = "The relay does not write this FluentCRM field; use a custom field."
        elif not _SLUG.fullmatch(field):
            found[field] = (
                "A FluentCRM field is email, first_name, last_name, phone, country, source,"
                " contact_type, or the slug of a custom field: lower-case letters, digits, hyphens"
                " and underscores."
            )
    return found


def _write_moment(name: str, moment: datetime) -> str:
    if name.endswith("_date"):
        return as_day(name, moment)
    return moment.replace(tzinfo=None).isoformat(" ", "seconds")
