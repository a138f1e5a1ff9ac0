"""What a HubSpot contact is told: property names and values made from an event.

HubSpot takes every value as a string, and reads an empty one as "clear this property": what the
sender did not say is therefore left out.
Dates are `YYYY-MM-DD`, moments are ISO 8601 (developers.hubspot.com, properties API).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from app.connectors.contact_fields import (
    as_day,
    as_text,
    default_mapping,
    facts_of,
    standard_only,
    written,
)
from app.connectors.preparing import LIFECYCLE, label_of
from app.domain import strict_json
from app.domain.model import Event

_NAMES = {
    "email": "email",
    "first_name": "firstname",
    "last_name": "lastname",
    **{fact: fact for fact in LIFECYCLE},
}
_STANDARD = standard_only(_NAMES)
DEFAULT_MAPPING: Mapping[str, str] = default_mapping(_NAMES)

_NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")
#: Set by HubSpot itself; a request that names one is refused as a whole.
_READ_ONLY = frozenset({"id", "createdate", "lastmodifieddate", "hs_object_id"})

#: What the fields of a mapping begin with that are for the deal of a payment.
DEAL = "deal."
#: The unique property that a payment's deal is found by.
PAYMENT_ID = "relay_payment_id"

_TYPES = {"text": "string", "day": "date", "moment": "datetime"}
#: The properties of the default mapping that every account lacks at first.
PROPERTIES: tuple[Mapping[str, str], ...] = tuple(
    {
        "name": _NAMES[fact],
        "label": label_of(fact),
        "type": _TYPES[kind],
        "fieldType": "text" if kind == "text" else "date",
        "groupName": "contactinformation",
    }
    for fact, kind in LIFECYCLE.items()
)


def standard_properties(event: Event) -> dict[str, str]:
    """The properties that every HubSpot account has."""
    return mapped_properties(facts_of(event, _STANDARD))


def all_properties(event: Event) -> dict[str, str]:
    """Besides those that are made once: plan, dates, and how the membership stands."""
    return mapped_properties(facts_of(event, _NAMES))


def mapped_properties(values: Mapping[str, Any]) -> dict[str, str]:
    """Values as HubSpot wants them; empty ones are left out."""
    texts = {name: as_text(value, ";") for name, value in written(values, _write_moment).items()}
    return {name: text for name, text in texts.items() if text}


def wrong_names(fields: Sequence[str]) -> dict[str, str]:
    """The fields that cannot be properties: field to sentence."""
    found = {}
    for field in fields:
        name = field.removeprefix(DEAL)
        if not _NAME.fullmatch(name):
            found[field] = (
                "A HubSpot property's internal name is lower-case letters, digits and"
                " underscores, and starts with a letter."
            )
        elif name in _READ_ONLY:
            found[field] = "HubSpot sets this property itself; it cannot be written."
        elif field == DEAL + PAYMENT_ID:
            found[field] = "The relay finds a payment's deal by this property; it sets it itself."
    return found


def _write_moment(name: str, moment: datetime) -> str:
    """A day where the property's name ends in `_date`."""
    if name.endswith("_date"):
        return as_day(name, moment)
    return strict_json.rfc3339(moment.replace(microsecond=0))
