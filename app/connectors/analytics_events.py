"""A lifecycle event in the neutral words that all product analytics share.

Who did what, when, with which properties and for how much; a connector adds its vendor's names
and the shape of its requests.
Users are opaque ids (`shop:2`); what names a person is left out of every value unless the operator
opts in.
What must be counted once carries an id made from its effect, so that a sale that two events
announce is one sale at the vendor as well.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from app.connectors.base import Assignment
from app.connectors.ga4_privacy import names_a_person, opaque, user_id
from app.connectors.lifecycle import (
    Happening,
    Money,
    effect_of,
    happening,
    money,
    paid,
    paid_back,
    recurring,
    types_of,
    why_no_refund,
    why_no_sale,
)
from app.domain import strict_json
from app.domain.model import Customer, Event, LineItem, Plan

#: Mixpanel cuts texts here; the others take more, and nothing of ours needs it.
LONGEST_TEXT = 255
MOST_PRODUCTS = 100

_NAMESPACE = uuid.UUID("b1a5f2ce-6d0f-5a54-8e55-6c8f0c8d1f3a")
_STATUS_PREFIX = "membership_status_to_"
_SUBSCRIPTION = "subscription"
_MOST_PIECES = 1_000_000


class Step(StrEnum):
    """What a customer did or met, as product analytics count it."""

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
#: The patterns of every event type that is a step.
EVENTS: tuple[str, ...] = (*types_of(*Happening), *_BY_TYPE, f"{_STATUS_PREFIX}*")

#: The properties every event has where the sender told them, in the operator's language; what a
#: step has besides (order, products, amounts, reasons) is not a single expression.
DEFAULT_MAPPING: Mapping[str, str] = {
    "source": "source",
    "plan": "membership.plan.name",
    "plan_id": "membership.plan.id",
    "membership_status": "membership.status",
    "times_billed": "membership.times_billed",
    "gateway": "payment.gateway",
}
#: The steps after which a profile may be another; the others repeat what is known.
_CHANGES_PROFILE = SALES - {Step.RENEWAL} | {
    Step.CUSTOMER_CREATED,
    Step.CUSTOMER_UPDATED,
    Step.STATUS_CHANGED,
    Step.PLAN_CHANGED,
    Step.CANCELLED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One event in neutral words.

    `amount` is what was paid, paid back, not paid, or is paid each period; it is above zero and
    comes with its `currency`, or neither is known.
    `profile` and `profile_once` say who the user is now, and since when; `site` is the group.
    `mapped` are the operator's own properties, `withheld` the names of those that were left out
    because they name a person.
    """

    step: Step
    user: str
    time: datetime
    dedupe_id: str
    properties: dict[str, Any]
    amount: float | None
    currency: str | None
    order_id: str | None
    products: list[dict[str, Any]]
    profile: dict[str, Any]
    profile_once: dict[str, Any]
    site: str | None
    site_details: dict[str, Any]
    mapped: dict[str, Any]
    withheld: tuple[str, ...]

    @property
    def revenue(self) -> float | None:
        """What came in; below zero for a refund, None for what is no payment."""
        if self.amount is None or self.step in SALES:
            return self.amount if self.step in SALES else None
        return -self.amount if self.step is Step.REFUND else None


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


def is_renewal(event: Event) -> bool:
    """True for the payment of a further period."""
    billed = event.membership.times_billed if event.membership else None
    return event.type == "membership_renewed" or (
        event.type == "payment_received" and (billed or 0) > 1
    )


def why_nothing(event: Event, title: str, steps: Mapping[Step, Any]) -> str | None:
    """Why a destination that counts `steps` is not told (one sentence), None when it is."""
    step = step_of(event)
    if step is None or step not in steps:
        return f"{title} has no event for {event.type}."
    if step in SALES:
        return why_no_sale(event)
    return why_no_refund(event) if step is Step.REFUND else None


def effect_name(event: Event) -> str | None:
    """The name of what is counted once per target; a new site may be announced twice as well."""
    if step_of(event) is Step.SITE_CREATED and event.site is not None and event.site.id:
        return f"site_created:{event.source}/{event.site.id}"
    return effect_of(event)


def dedupe_id_of(assignment: Assignment) -> str:
    """A UUID: that of the effect where there is one, else the delivery's own.

    The engine lets one delivery carry out an effect; should that one be given up after its
    request did arrive, the next announcement of the same sale still has the same id.
    """
    effect = effect_name(assignment.event)
    return str(uuid.uuid5(_NAMESPACE, effect)) if effect else assignment.dedupe_id


def tell(assignment: Assignment, values: Mapping[str, Any] | None, *, named: bool) -> Told:
    """The event in neutral words; only for events of which `why_nothing` says nothing.

    `values` are those of the operator's mapping; `named` is true where the destination may be told
    who a person is.

    Raises:
        KeyError: the event is no step.
    """
    event = assignment.event
    step = step_of(event)
    if step is None:
        raise KeyError(event.type)
    known = _money(step, event)
    whom = None if named else event.customer
    mapped, withheld = _mapped(values or {}, event.customer, named=named)
    changes = step in _CHANGES_PROFILE
    return Told(
        step=step,
        user=user_of(event),
        time=event.occurred_at,
        dedupe_id=dedupe_id_of(assignment),
        properties=_kept(_common(event) | _details(step, event), whom, named=named),
        amount=float(known.amount) if known else None,
        currency=known.currency if known else None,
        order_id=_order_id(step, event),
        products=_products(event, named=named) if step in SALES else [],
        profile=_kept(_profile(event, named=named), whom, named=named) if changes else {},
        profile_once=_profile_once(event) if changes else {},
        site=opaque(event.source, event.site.id) if event.site and event.site.id else None,
        site_details=_kept(_site_details(event), whom, named=named) if named else {},
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
    return opaque(event.source, subject.replace("/", ":")) if subject else event.id


def wrong_properties(
    fields: Sequence[str], title: str, own: frozenset[str], reserved: tuple[str, ...] = ("$",)
) -> dict[str, str]:
    """The fields that cannot be properties of an event: field to sentence."""
    found = {}
    for field in fields:
        if not field.strip() or len(field) > LONGEST_TEXT or not field.isprintable():
            found[field] = f"A property's name has 1 to {LONGEST_TEXT} visible characters."
        elif field.startswith(reserved):
            found[field] = f"{title} keeps names that start with {' or '.join(reserved)} to itself."
        elif field in own:
            found[field] = "The relay sets this itself, so that everything is counted once."
    return found


def _common(event: Event) -> dict[str, Any]:
    """What DEFAULT_MAPPING says, without the cost of asking CEL."""
    membership, payment = event.membership, event.payment
    plan = (membership.plan if membership else None) or Plan()
    return {
        "source": event.source,
        "plan": plan.name,
        "plan_id": plan.id,
        "membership_status": membership.status if membership else None,
        "times_billed": membership.times_billed if membership else None,
        "gateway": payment.gateway if payment else None,
    }


def _sold(event: Event) -> dict[str, Any]:
    payment = event.payment
    tax = money(payment.tax_total, "XXX") if payment else None
    return {
        "tax": tax.amount if tax else None,
        "payment_type": "renewal" if is_renewal(event) else None,
    }


def _lost(event: Event) -> dict[str, Any]:
    return {"reason": event.membership.cancellation_reason if event.membership else None}


def _changed(event: Event) -> dict[str, Any]:
    membership = event.membership
    before = membership.previous_plan if membership else None
    return {
        "previous_status": membership.previous_status if membership else None,
        "previous_plan": before.name if before else None,
    }


_DETAILS: Mapping[Step, Callable[[Event], dict[str, Any]]] = {
    Step.PURCHASE: _sold,
    Step.RENEWAL: _sold,
    Step.CANCELLED: _lost,
    Step.STATUS_CHANGED: _changed,
    Step.PLAN_CHANGED: _changed,
}


def _details(step: Step, event: Event) -> dict[str, Any]:
    make = _DETAILS.get(step)
    return make(event) if make else {}


def _money(step: Step, event: Event) -> Money | None:
    if step in SALES or step is Step.PAYMENT_FAILED:
        # The platform's own webhook names neither the payment nor the amount that failed.
        return paid(event)
    return paid_back(event) if step is Step.REFUND else recurring(event)


def _order_id(step: Step, event: Event) -> str | None:
    if event.payment is None or not event.payment.id:
        return None
    paid_for = step in SALES or step in {Step.REFUND, Step.PAYMENT_FAILED}
    return opaque(event.source, event.payment.id) if paid_for else None


def _products(event: Event, *, named: bool) -> list[dict[str, Any]]:
    """What was bought: the payment's lines, else the plan, else what the payment calls it."""
    payment, membership = event.payment, event.membership
    lines = [_line(line) for line in (payment.line_items if payment else ())]
    found = [line for line in lines if line is not None][:MOST_PRODUCTS]
    if not found:
        plan = (membership.plan if membership else None) or Plan()
        sold = paid(event)
        name = plan.name or plan.slug or (payment.product_names if payment else None)
        price = plan.price if plan.price is not None else (sold.amount if sold else None)
        found = [_product(plan.id, name or _SUBSCRIPTION, _SUBSCRIPTION, price, 1)]
    return [_kept(product, event.customer, named=named) for product in found]


def _line(line: LineItem) -> dict[str, Any] | None:
    """A line of a payment; None for what takes away from it, such as a discount."""
    price = line.unit_price if line.unit_price is not None else line.total
    if price is not None and not (price.is_finite() and price >= 0):
        return None
    category = _SUBSCRIPTION if line.kind in {None, "", "product"} else line.kind
    pieces = min(max(line.quantity, 1), _MOST_PIECES)
    return _product(line.product_id, line.title, category, price, pieces)


def _product(
    identifier: str | None,
    name: str | None,
    category: str | None,
    price: Decimal | None,
    quantity: int,
) -> dict[str, Any]:
    return {
        "product_id": identifier,
        "name": name,
        "category": category,
        "price": price,
        "quantity": quantity,
    }


def _profile(event: Event, *, named: bool) -> dict[str, Any]:
    customer, membership = event.customer, event.membership
    known: dict[str, Any] = {}
    if membership is not None:
        known["plan"] = membership.plan.name if membership.plan else None
        known["membership_status"] = membership.status
    if named and customer is not None:
        known["email"] = customer.email
        known["name"] = customer.name
        known["first_name"] = customer.first_name
        known["last_name"] = customer.last_name
    return known


def _profile_once(event: Event) -> dict[str, Any]:
    since = event.customer.signup_date if event.customer else None
    return {"signup_date": strict_json.rfc3339(since)} if since else {}


def _site_details(event: Event) -> dict[str, Any]:
    site, domain = event.site, event.domain
    return {
        "title": site.title if site else None,
        "url": site.url if site else None,
        "domain": domain.name if domain else None,
    }


def _mapped(
    values: Mapping[str, Any], customer: Customer | None, *, named: bool
) -> tuple[dict[str, Any], tuple[str, ...]]:
    told = {name: value for name, value in values.items() if value is not None}
    if named:
        return told, ()
    withheld = tuple(name for name, value in told.items() if _speaks_of(value, customer))
    return {name: value for name, value in told.items() if name not in withheld}, withheld


def _speaks_of(value: Any, customer: Customer | None) -> bool:
    if isinstance(value, str):
        return names_a_person(value, customer)
    if isinstance(value, Mapping):
        return any(_speaks_of(held, customer) for pair in value.items() for held in pair)
    return isinstance(value, list) and any(_speaks_of(held, customer) for held in value)


def _kept(values: Mapping[str, Any], customer: Customer | None, *, named: bool) -> dict[str, Any]:
    """The values that can be sent: what is missing, empty or names somebody is left out."""
    fitted = {name: _scalar(value, customer, named=named) for name, value in values.items()}
    return {name: value for name, value in fitted.items() if value is not None}


def _scalar(value: Any, customer: Customer | None, *, named: bool) -> Any:
    if isinstance(value, str):
        text = value.strip()[:LONGEST_TEXT]
        return text if text and (named or not names_a_person(text, customer)) else None
    if isinstance(value, Decimal):
        number = float(value)
        return number if math.isfinite(number) else None
    return value
