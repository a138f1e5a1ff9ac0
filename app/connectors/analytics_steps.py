"""Which step of a customer's life an event tells, as product analytics count it.

Sales, refunds, sign-ups, losses and failures are what `lifecycle` says they are; on top come the
changes that only those are interested in who watch users over time.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from enum import StrEnum

from app.connectors.lifecycle import (
    Happening,
    effect_of,
    happening,
    types_of,
    why_no_refund,
    why_no_sale,
)
from app.domain.model import Event

_STATUS_PREFIX = "membership_status_to_"


class Step(StrEnum):
    """What a customer did or met."""

    CUSTOMER_CREATED = "customer_created"
    CUSTOMER_UPDATED = "customer_updated"
    PURCHASE = "purchase"
    RENEWAL = "renewal"
    REFUND = "refund"
    PAYMENT_FAILED = "payment_failed"
    CANCELLED = "cancelled"
    STATUS_CHANGED = "status_changed"
    PLAN_CHANGED = "plan_changed"
    SITE_CREATED = "site_created"
    DOMAIN_CREATED = "domain_created"


#: What product analytics call the steps, where a vendor has no names of its own for them.
TITLES: Mapping[Step, str] = {
    Step.CUSTOMER_CREATED: "Customer Created",
    Step.CUSTOMER_UPDATED: "Customer Updated",
    Step.PURCHASE: "Purchase",
    Step.RENEWAL: "Payment Received",
    Step.REFUND: "Payment Refunded",
    Step.PAYMENT_FAILED: "Payment Failed",
    Step.CANCELLED: "Subscription Cancelled",
    Step.STATUS_CHANGED: "Membership Status Changed",
    Step.PLAN_CHANGED: "Membership Plan Changed",
    Step.SITE_CREATED: "Site Created",
    Step.DOMAIN_CREATED: "Domain Created",
}
SALES = frozenset({Step.PURCHASE, Step.RENEWAL})
_BY_HAPPENING = {
    Happening.SIGN_UP: Step.CUSTOMER_CREATED,
    Happening.REFUND: Step.REFUND,
    Happening.PAYMENT_FAILURE: Step.PAYMENT_FAILED,
    Happening.CHURN: Step.CANCELLED,
}
_BY_TYPE = {
    "customer_post_update": Step.CUSTOMER_UPDATED,
    "customer_updated": Step.CUSTOMER_UPDATED,
    "membership_plan_changed": Step.PLAN_CHANGED,
    "site_post_create": Step.SITE_CREATED,
    "site_published": Step.SITE_CREATED,
    "domain_created": Step.DOMAIN_CREATED,
}


def step_of(event: Event) -> Step | None:
    """Which step the event is, None when it is none."""
    told = happening(event.type)
    if told is Happening.SALE:
        return Step.RENEWAL if is_renewal(event) else Step.PURCHASE
    if told is not None:
        return _BY_HAPPENING[told]
    if event.type.startswith(_STATUS_PREFIX):
        return Step.STATUS_CHANGED
    return _BY_TYPE.get(event.type)


def events_of(*steps: Step) -> tuple[str, ...]:
    """The patterns of the event types that can be one of these steps, in a fixed order."""
    happenings = [told for told, step in _BY_HAPPENING.items() if step in steps]
    if SALES & set(steps):
        happenings.append(Happening.SALE)
    others = tuple(name for name, step in _BY_TYPE.items() if step in steps)
    statuses = (f"{_STATUS_PREFIX}*",) if Step.STATUS_CHANGED in steps else ()
    return (*types_of(*happenings), *others, *statuses)


def is_renewal(event: Event) -> bool:
    """True for the payment of a further period; a checkout begins a membership or changes it."""
    billed = event.membership.times_billed if event.membership else None
    return event.type == "membership_renewed" or (
        event.type != "checkout_completed" and (billed or 0) > 1
    )


def why_nothing(event: Event, title: str, steps: Container[Step]) -> str | None:
    """Why a destination that counts `steps` is not told (one sentence), None when it is."""
    step = step_of(event)
    if step is None or step not in steps:
        return f"{title} has no event for {event.type}."
    if step in SALES:
        return why_no_sale(event)
    return why_no_refund(event) if step is Step.REFUND else None


def effect_name(event: Event) -> str | None:
    """The name of what is counted once per target; a new site can be announced twice as well."""
    if step_of(event) is Step.SITE_CREATED and event.site is not None and event.site.id:
        return f"site_created:{event.source}/{event.site.id}"
    return effect_of(event)
