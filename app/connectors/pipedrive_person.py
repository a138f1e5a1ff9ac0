"""What a Pipedrive person is told: a name, addresses, numbers, custom fields and labels.

A write replaces the whole list of addresses, numbers or labels; so they are merged with what the
person has, and sent only where something is missing.
Custom fields go by keys of 40 hexadecimal digits (GET /personFields lists them); an unknown one
fails the whole request.
Days are `YYYY-MM-DD`, moments RFC 3339 in whole seconds.
Facts: pipedrive.readme.io, API v2, Persons.
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
    facts_of,
    written,
)
from app.connectors.contact_markers import MarkerChanges
from app.connectors.preparing import LIFECYCLE
from app.domain import strict_json
from app.domain.model import Customer, Event

DEFAULT_MAPPING: Mapping[str, str] = {
    "name": (
        "has(customer.name) ? customer.name"
        " : has(customer.first_name) && has(customer.last_name)"
        " ? customer.first_name + ' ' + customer.last_name : null"
    ),
    "email": "customer.email",
}

#: The custom fields that facts are kept in, by the name that prepares and finds them again.
FIELDS: Mapping[str, Mapping[str, str]] = {
    f"Relay: {fact.replace('_', ' ')}": {
        "fact": fact,
        "field_type": "varchar" if kind == "text" else "date",
    }
    for fact, kind in LIFECYCLE.items()
}

_KEY = re.compile(r"[0-9a-f]{40}")
_WHOLE_NUMBER = re.compile(r"[0-9]{1,15}")
#: Written when the person is made; a colleague may have changed them since.
_ONCE = ("owner_id", "org_id", "visible_to")
_FIELDS = frozenset({"name", "email", "phone", "add_time", *_ONCE})
_MARKERS = frozenset({"label", "label_ids", "labels"})


@dataclass(frozen=True, slots=True)
class Person:
    """What is to be written; `email` is also what the person is found by."""

    name: str | None
    email: str | None
    phone: str | None
    custom: Mapping[str, Value]
    once: Mapping[str, Value]
    markers: MarkerChanges[int]

    def __bool__(self) -> bool:
        """True when there is more to say than that the person is there."""
        return bool(self.name or self.email or self.phone or self.custom or self.markers)

    def as_new(self, email: str) -> dict[str, Any]:
        """The body that makes the person."""
        body: dict[str, Any] = {
            **self.once,
            "name": self.name or email,
            "emails": [{"value": email, "primary": True}],
        }
        if self.phone:
            body["phones"] = [{"value": self.phone, "primary": True}]
        if self.markers.add:
            body["label_ids"] = list(self.markers.add)
        return body | self._custom_fields()

    def changes(self) -> dict[str, Any]:
        """The body that changes the person, whatever it holds; empty when there is none."""
        return ({"name": self.name} if self.name else {}) | self._custom_fields()

    def additions(self, known: Mapping[str, Any]) -> dict[str, Any]:
        """The body that adds what the person lacks, beside what it has; empty when there is none.

        A list that the reply does not show is left alone.
        """
        body: dict[str, Any] = {}
        for name, value in (("emails", self.email), ("phones", self.phone)):
            there = known.get(name)
            if value and isinstance(there, list) and not _holds(there, value):
                body[name] = [{"value": value, "primary": True}, *_secondary(there)]
        labels = known.get("label_ids")
        if self.markers and isinstance(labels, list):
            kept = [label for label in labels if label not in self.markers.remove]
            wanted = list(dict.fromkeys((*kept, *self.markers.add)))
            if wanted != labels:
                body["label_ids"] = wanted
        return body

    def _custom_fields(self) -> dict[str, Any]:
        return {"custom_fields": dict(self.custom)} if self.custom else {}


def person_of(
    event: Event,
    mapped: Mapping[str, Any] | None,
    custom_fields: Mapping[str, str],
    markers: MarkerChanges[int],
) -> Person:
    """The person an event tells of; `custom_fields` are the keys of facts, without a mapping."""
    if mapped is None:
        mapped = facts_of(event, custom_fields) | {
            "name": _name(event.customer),
            "email": address_of(event),
        }
    values = written(mapped, _write_moment)
    return Person(
        name=_text(values, "name"),
        email=as_address(values.get("email")) or address_of(event),
        phone=_text(values, "phone"),
        custom={name: _custom(value) for name, value in values.items() if _KEY.fullmatch(name)},
        once=_once(values),
        markers=markers,
    )


def wrong_fields(fields: Sequence[str]) -> dict[str, str]:
    """The fields that cannot be mapped: field to sentence."""
    found = {}
    for field in fields:
        if field == "marketing_status":
            found[field] = "Consent is given by people, not by a mapping."
        elif field in _MARKERS:
            found[field] = "Labels are set by the target's settings, beside those that are there."
        elif field not in _FIELDS and _KEY.fullmatch(field) is None:
            found[field] = (
                f"Use one of {', '.join(sorted(_FIELDS))}, or the key of a custom field: 40"
                " hexadecimal digits, from Pipedrive's personFields."
            )
    return found


def _name(customer: Customer | None) -> str | None:
    if customer is None:
        return None
    if customer.name or not (customer.first_name and customer.last_name):
        return customer.name
    return f"{customer.first_name} {customer.last_name}"


def _custom(value: Value) -> Value:
    """Numbers and texts, and the numbers of a multiple choice; all else as text."""
    if isinstance(value, bool):
        return as_text(value)
    if isinstance(value, list) and all(type(item) is int for item in value):
        return value
    return value if isinstance(value, int | float | str) else as_text(value)


def _text(values: Mapping[str, Value], name: str) -> str | None:
    value = values.get(name)
    return None if value is None else as_text(value)


def _once(values: Mapping[str, Value]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for name in _ONCE:
        text = _text(values, name) or ""
        if _WHOLE_NUMBER.fullmatch(text):
            found[name] = int(text)
    added = values.get("add_time")
    if isinstance(added, str) and added.endswith("Z"):
        found["add_time"] = added
    return found


def _write_moment(name: str, moment: datetime) -> str:
    if name == "add_time":
        return strict_json.rfc3339(moment.replace(microsecond=0))
    return as_day(name, moment)


def _holds(entries: Sequence[Any], value: str) -> bool:
    return any(
        isinstance(entry, Mapping) and str(entry.get("value", "")).casefold() == value.casefold()
        for entry in entries
    )


def _secondary(entries: Sequence[Any]) -> list[dict[str, Any]]:
    """The entries as they may be sent back, none of them the primary one."""
    return [
        {"value": entry["value"], "primary": False}
        | ({"label": entry["label"]} if isinstance(entry.get("label"), str) else {})
        for entry in entries
        if isinstance(entry, Mapping) and isinstance(entry.get("value"), str) and entry["value"]
    ]
