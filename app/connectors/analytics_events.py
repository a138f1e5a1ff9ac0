"""A lifecycle event in the neutral words that all product analytics share.

Who did what, when, with which properties and for how much; a connector adds its vendor's names
and the shape of its requests.
Users are opaque ids (`shop:2`).
What must be counted once carries an id made from its effect, so that a sale that two events
announce is one sale at the vendor as well.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.connectors import analytics_properties
from app.connectors.analytics_properties import hiding
from app.connectors.analytics_steps import SALES, Step, effect_name, step_of
from app.connectors.base import Assignment
from app.connectors.ga4_privacy import opaque, user_id
from app.connectors.lifecycle import Money, paid, paid_back, recurring
from app.domain.model import Event

_NAMESPACE = uuid.UUID("b1a5f2ce-6d0f-5a54-8e55-6c8f0c8d1f3a")
#: The steps after which a profile may be another; the others repeat what is known.
_CHANGES_PROFILE = frozenset(
    {
        Step.CUSTOMER_CREATED,
        Step.CUSTOMER_UPDATED,
        Step.PURCHASE,
        Step.STATUS_CHANGED,
        Step.PLAN_CHANGED,
        Step.CANCELLED,
    }
)
_PAID_FOR = SALES | {Step.REFUND, Step.PAYMENT_FAILED}
_PAID_EACH_PERIOD = frozenset({Step.CANCELLED, Step.STATUS_CHANGED, Step.PLAN_CHANGED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One event in neutral words.

    `amount` is what was paid, paid back, not paid, or is paid each period; it is above zero and
    comes with its `currency`, or neither is known.
    `revenue` is the amount of a sale, and below zero that of a refund.
    `profile` says who the user is now, `profile_once` what never changes; `site` is the group.
    `mapped` are the operator's own properties, `withheld` the names of those that were left out
    because they name a person.
    """

    step: Step
    user: str
    time: datetime
    dedupe_id: str
    properties: dict[str, Any]
    amount: float | None = None
    currency: str | None = None
    revenue: float | None = None
    order_id: str | None = None
    products: list[dict[str, Any]]
    profile: dict[str, Any]
    profile_once: dict[str, Any]
    site: str | None = None
    site_details: dict[str, Any]
    mapped: dict[str, Any]
    withheld: tuple[str, ...] = ()


def tell(assignment: Assignment, values: Mapping[str, Any] | None, *, named: bool) -> Told:
    """The event in neutral words; only for events that are a step and of which nothing is missing.

    `values` are those of the operator's mapping; `named` is true where the destination may be told
    who a person is.

    Raises:
        KeyError: the event is no step.
    """
    event = assignment.event
    step = step_of(event)
    if step is None:
        raise KeyError(event.type)
    known, hides = _money(step, event), hiding(event, named=named)
    mapped, withheld = analytics_properties.mapped_properties(values or {}, hides)
    changes = step in _CHANGES_PROFILE
    return Told(
        step=step,
        user=user_of(event),
        time=event.occurred_at,
        dedupe_id=dedupe_id_of(assignment),
        properties=analytics_properties.event_properties(step, event, hides),
        amount=float(known.amount) if known else None,
        currency=known.currency if known else None,
        revenue=_revenue(step, known),
        order_id=_order_id(step, event),
        products=analytics_properties.products(event, hides) if step in SALES else [],
        profile=analytics_properties.profile(event, hides, named=named) if changes else {},
        profile_once=analytics_properties.profile_once(event) if changes else {},
        site=opaque(event.source, event.site.id) if event.site and event.site.id else None,
        site_details=analytics_properties.site_details(event, hides) if named else {},
        mapped=mapped,
        withheld=withheld,
    )


def user_of(event: Event) -> str:
    """The customer as an opaque id that is unique over all sources.

    Without a customer it stands for the event's subject (a membership, a site), else for the event.
    """
    known = user_id(event)
    if known:
        return known
    subject = (event.subject or "").removeprefix(f"{event.source}/")
    return opaque(event.source, subject.replace("/", ":") or event.id)


def dedupe_id_of(assignment: Assignment) -> str:
    """A UUID: that of the effect where there is one, else the delivery's own.

    The engine lets one delivery carry out an effect.
    Should that one be given up although its request did arrive, the next announcement of the same
    sale still has the same id.
    """
    effect = effect_name(assignment.event)
    return str(uuid.uuid5(_NAMESPACE, effect)) if effect else assignment.dedupe_id


def _money(step: Step, event: Event) -> Money | None:
    if step in SALES or step is Step.PAYMENT_FAILED:
        # The platform's own webhook names neither the payment nor the amount that failed.
        return paid(event)
    if step is Step.REFUND:
        return paid_back(event)
    return recurring(event) if step in _PAID_EACH_PERIOD else None


def _revenue(step: Step, known: Money | None) -> float | None:
    if known is None or (step not in SALES and step is not Step.REFUND):
        return None
    return -float(known.amount) if step is Step.REFUND else float(known.amount)


def _order_id(step: Step, event: Event) -> str | None:
    if step not in _PAID_FOR or event.payment is None or not event.payment.id:
        return None
    return opaque(event.source, event.payment.id)
