"""What a HubSpot contact is told: property names and values made from an event.

HubSpot takes every value as a string, and reads an empty one as "clear this property": what the
sender did not say is therefore left out.
Dates are `YYYY-MM-DD`, moments are ISO 8601 (developers.hubspot.com, properties API).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.connectors.lifecycle import Happening, happening, types_of
from app.domain import strict_json
from app.domain.model import Customer, Event, Payment

_NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")
_ADDRESS = re.compile(r"[^@\s\x00-\x1f]{1,200}@[^@\s\x00-\x1f]{1,253}")
_MOMENT = re.compile(r"(?P<day>\d{4}-\d{2}-\d{2})T(?P<time>\d{2}:\d{2}:\d{2})(?:\.\d+)?Z", re.ASCII)
#: Set by HubSpot itself; a request that names one is refused as a whole.
_READ_ONLY = frozenset({"id", "createdate", "lastmodifieddate", "hs_object_id"})

#: The properties of the default mapping that every account lacks at first.
PROPERTIES: tuple[Mapping[str, str], ...] = tuple(
    {
        "name": name,
        "label": name.replace("_", " ").capitalize(),
        "type": kind,
        "fieldType": "text" if kind == "string" else "date",
        "groupName": "contactinformation",
    }
    for name, kind in (
        ("plan", "string"),
        ("signup_date", "date"),
        ("membership_status", "string"),
        ("churned_at", "datetime"),
        ("last_payment_at", "datetime"),
        ("last_payment_failed_at", "datetime"),
    )
)


def _when(told: Happening, condition: str = "") -> str:
    """The CEL expression for "when this happened", null for any other event."""
    types = ", ".join(f"'{name}'" for name in types_of(told))
    return f"type in [{types}]{condition} ? occurred_at : null"


#: What is sent without an operator's mapping, said in the operator's language.
#: One thing CEL cannot say is done besides: a display name is split at its first space where the
#: sender tells no first and last name.
DEFAULT_MAPPING: Mapping[str, str] = {
    "email": "customer.email",
    "firstname": "customer.first_name",
    "lastname": "customer.last_name",
    "plan": "membership.plan.name",
    "signup_date": "customer.signup_date",
    "membership_status": "membership.status",
    "churned_at": _when(Happening.CHURN),
    "last_payment_at": _when(
        Happening.SALE,
        " && has(payment.status) && payment.status == 'completed'"
        " && has(payment.total) && payment.total > 0.0",
    ),
    "last_payment_failed_at": _when(Happening.PAYMENT_FAILURE),
}


def address_of(event: Event) -> str | None:
    """The customer's e-mail address, None when there is none that can be one."""
    return as_address(event.customer.email) if event.customer else None


def as_address(text: str | None) -> str | None:
    """`text` without the spaces around it, None when it cannot be an e-mail address."""
    address = (text or "").strip()
    return address if _ADDRESS.fullmatch(address) else None


def standard_properties(event: Event) -> dict[str, str]:
    """The properties that every HubSpot account has."""
    customer = event.customer
    if customer is None:
        return {}
    first, last = _names(customer)
    return _told({"email": address_of(event), "firstname": first, "lastname": last})


def lifecycle_properties(event: Event) -> dict[str, str]:
    """The properties an operator creates once: plan, dates, and how the membership stands."""
    customer, membership = event.customer, event.membership
    plan = membership.plan if membership else None
    told = happening(event.type)
    now = strict_json.rfc3339(event.occurred_at)
    return mapped_properties(
        {
            "plan": plan.name if plan else None,
            "signup_date": customer.signup_date if customer else None,
            "membership_status": membership.status if membership else None,
            "churned_at": now if told is Happening.CHURN else None,
            "last_payment_at": now if told is Happening.SALE and _came_in(event.payment) else None,
            "last_payment_failed_at": now if told is Happening.PAYMENT_FAILURE else None,
        }
    )


def mapped_properties(values: Mapping[str, Any]) -> dict[str, str]:
    """The values of an operator's mapping as HubSpot wants them; empty ones are left out."""
    return _told({name: _text(name, value) for name, value in values.items()})


def wrong_names(fields: Sequence[str]) -> dict[str, str]:
    """The fields that cannot be properties: field to sentence."""
    found = {}
    for field in fields:
        if not _NAME.fullmatch(field):
            found[field] = (
                "A HubSpot property's internal name is lower-case letters, digits and"
                " underscores, and starts with a letter."
            )
        elif field in _READ_ONLY:
            found[field] = "HubSpot sets this property itself; it cannot be written."
    return found


def _names(customer: Customer) -> tuple[str | None, str | None]:
    """First and last name; a display name is split at its first space."""
    if customer.first_name or customer.last_name:
        return customer.first_name, customer.last_name
    first, _, last = (customer.name or "").strip().partition(" ")
    return first, last


def _came_in(payment: Payment | None) -> bool:
    if payment is None or payment.status != "completed" or payment.total is None:
        return False
    return payment.total.is_finite() and payment.total > 0


def _text(name: str, value: Any) -> str | None:
    """One value as text; a moment becomes a day where the property's name ends in `_date`."""
    if isinstance(value, datetime):
        value = strict_json.rfc3339(value)
    if isinstance(value, str):
        moment = _MOMENT.fullmatch(value)
        if moment is None:
            return value
        return moment["day"] if name.endswith("_date") else f"{moment['day']}T{moment['time']}Z"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float | Decimal):
        number = Decimal(repr(value)) if isinstance(value, float) else value
        return f"{number.normalize():f}" if number.is_finite() else None
    if isinstance(value, list):
        return ";".join(filter(None, (_text(name, item) for item in value)))
    return None if value is None else strict_json.write(value).decode()


def _told(properties: Mapping[str, str | None]) -> dict[str, str]:
    told = {name: (value or "").strip() for name, value in properties.items()}
    return {name: value for name, value in told.items() if value}
