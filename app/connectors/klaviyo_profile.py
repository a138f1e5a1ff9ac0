"""What Klaviyo is told of a person and of what happened: a profile's attributes, and an event.

Some names are Klaviyo's own attributes; every other one is a custom property, made by the first
profile that has it.
Omitted attributes stay as they are, null clears: what the sender did not say is left out.
Facts: developers.klaviyo.com, Profiles API and Events API, revision 2026-07-15.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from app.connectors.analytics_events import dedupe_id_of
from app.connectors.analytics_steps import is_renewal
from app.connectors.base import Assignment
from app.connectors.contact_events import amount_of
from app.connectors.contact_fields import Value, as_day, as_text, default_mapping, written
from app.connectors.lifecycle import Happening, happening, why_no_refund, why_no_sale
from app.domain import strict_json
from app.domain.model import Event

NAMES = {
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
DEFAULT_MAPPING: Mapping[str, str] = default_mapping(NAMES)

#: All announcements of one sale are one metric: Klaviyo tells repeats within a metric only.
METRICS: Mapping[Happening, str] = {
    Happening.SIGN_UP: "Signed Up",
    Happening.SALE: "Purchase",
    Happening.REFUND: "Refund",
    Happening.PAYMENT_FAILURE: "Payment Failed",
    Happening.CHURN: "Membership Cancelled",
}

_ATTRIBUTES = frozenset(
    {
        *("email", "phone_number", "external_id", "first_name", "last_name"),
        *("organization", "title", "locale", "image"),
    }
)
#: What of a profile is Klaviyo's own, or an object a mapping's value cannot be.
_NOT_TO_MAP = frozenset(
    {
        *("id", "created", "updated", "last_event_date", "predictive_analytics"),
        *("location", "properties", "meta"),
    }
)
_CONSENT = frozenset({"subscriptions", "consent"})
_LONGEST_NAME = 255


def attributes(values: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of a profile, custom properties among them; empty values are left out."""
    known: dict[str, Any] = {}
    properties: dict[str, Value] = {}
    for name, value in written(values, _write_moment).items():
        if name in _ATTRIBUTES:
            known[name] = as_text(value)
        else:
            properties[name] = value
    return known | {"properties": properties} if properties else known


def wrong_fields(fields: Sequence[str]) -> dict[str, str]:
    """The fields that cannot be mapped: field to sentence."""
    found = {}
    for field in fields:
        if field in _CONSENT:
            found[field] = "Consent is given by people, not by a mapping."
        elif field in _NOT_TO_MAP:
            found[field] = "Klaviyo sets this itself; it cannot be written."
        elif field.startswith("$"):
            found[field] = "Klaviyo keeps names that start with $ to itself."
        elif not field.strip() or len(field) > _LONGEST_NAME or not field.isprintable():
            found[field] = f"A property's name has 1 to {_LONGEST_NAME} visible characters."
    return found


def metric_of(event: Event) -> str | None:
    """What the event is called in Klaviyo, None when it is no event there."""
    told = happening(event.type)
    if told is None:
        return None
    if told is Happening.SALE and why_no_sale(event) is not None:
        return None
    if told is Happening.REFUND and why_no_refund(event) is not None:
        return None
    return METRICS[told]


def event_document(
    metric: str, assignment: Assignment, profile_id: str | None, email: str | None
) -> dict[str, Any]:
    """The body of an event of the profile with this id or address.

    `unique_id` is the same for every announcement of one sale, so that Klaviyo counts it once.
    """
    event = assignment.event
    profile: dict[str, Any] = {"type": "profile", "attributes": {"email": email} if email else {}}
    if profile_id is not None:
        profile["id"] = profile_id
    told: dict[str, Any] = {
        "properties": _properties(event),
        "time": strict_json.rfc3339(event.occurred_at),
        "unique_id": dedupe_id_of(assignment),
        "metric": {"data": {"type": "metric", "attributes": {"name": metric}}},
        "profile": {"data": profile},
    }
    amount = amount_of(event)
    if amount is not None:
        told |= {"value": float(amount.amount), "value_currency": amount.currency}
    return {"data": {"type": "event", "attributes": told}}


def _properties(event: Event) -> dict[str, Value]:
    membership, payment = event.membership, event.payment
    plan = membership.plan if membership else None
    sold = happening(event.type) is Happening.SALE
    told = {
        "source": event.source,
        "event_type": event.type,
        "plan": plan.name if plan else None,
        "membership_status": membership.status if membership else None,
        "reason": membership.cancellation_reason if membership else None,
        "payment_id": payment.id if payment else None,
        "payment_type": ("renewal" if is_renewal(event) else "first") if sold else None,
        "items": [line.title for line in payment.line_items] if payment else None,
    }
    return written(told, _write_moment)


def _write_moment(name: str, moment: datetime) -> str:
    if name.endswith("_date"):
        return as_day(name, moment)
    return strict_json.rfc3339(moment.replace(microsecond=0))
