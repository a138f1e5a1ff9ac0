"""The properties of events, products and people, in neutral words and fit to be sent.

What is missing or empty is left out; so is every text that names a person, unless the operator lets
the destination know who people are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

from app.connectors.analytics_steps import Step, is_renewal
from app.connectors.ga4_privacy import names_a_person
from app.connectors.lifecycle import money, paid
from app.domain import strict_json
from app.domain.model import Event, LineItem, Plan

#: Mixpanel cuts texts here; the others take more, and nothing of the relay's own needs it.
LONGEST_TEXT = 255
MOST_PRODUCTS = 100

_SUBSCRIPTION = "subscription"
_MOST_PIECES = 1_000_000

#: True for a text that must not be sent.
Hides = Callable[[str], bool]

#: The properties of every event for which the sender told them, in the operator's language.
#: What one kind of event has besides (order, products, amount, reason) is no single expression.
DEFAULT_MAPPING: Mapping[str, str] = {
    "source": "source",
    "plan": "membership.plan.name",
    "plan_id": "membership.plan.id",
    "membership_status": "membership.status",
    "times_billed": "membership.times_billed",
    "gateway": "payment.gateway",
}


def hiding(event: Event, *, named: bool) -> Hides:
    """What hides the people of an event, or nothing where the destination may know them."""
    return _hides_nothing if named else partial(names_a_person, customer=event.customer)


def event_properties(step: Step, event: Event, hides: Hides) -> dict[str, Any]:
    """What DEFAULT_MAPPING says, without the cost of asking CEL, and what belongs to the step."""
    membership, payment = event.membership, event.payment
    plan = (membership.plan if membership else None) or Plan()
    known = {
        "source": event.source,
        "plan": plan.name,
        "plan_id": plan.id,
        "membership_status": membership.status if membership else None,
        "times_billed": membership.times_billed if membership else None,
        "gateway": payment.gateway if payment else None,
    }
    make = _DETAILS.get(step)
    return kept(known | make(event) if make else known, hides)


def products(event: Event, hides: Hides) -> list[dict[str, Any]]:
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
    return [kept(product, hides) for product in found]


def profile(event: Event, hides: Hides, *, named: bool) -> dict[str, Any]:
    """Who the user is now; an e-mail address and names only where people may be named."""
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
    return kept(known, hides)


def profile_once(event: Event) -> dict[str, Any]:
    """What about a user never changes."""
    since = event.customer.signup_date if event.customer else None
    return {"signup_date": strict_json.rfc3339(since)} if since else {}


def site_details(event: Event, hides: Hides) -> dict[str, Any]:
    """What is known of the event's site; addresses and titles often are their owners' names."""
    site, domain = event.site, event.domain
    known = {
        "title": site.title if site else None,
        "url": site.url if site else None,
        "domain": domain.name if domain else None,
    }
    return kept(known, hides)


def mapped_properties(
    values: Mapping[str, Any], hides: Hides
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The values of an operator's mapping, and the names of those that must not be sent."""
    told = {name: value for name, value in values.items() if value is not None}
    withheld = tuple(name for name, value in told.items() if _is_hidden(value, hides))
    return {name: value for name, value in told.items() if name not in withheld}, withheld


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


def kept(values: Mapping[str, Any], hides: Hides) -> dict[str, Any]:
    """The values that can be sent: numbers, and texts that are neither empty nor hidden."""
    fitted = {name: _scalar(value, hides) for name, value in values.items()}
    return {name: value for name, value in fitted.items() if value is not None}


def _scalar(value: Any, hides: Hides) -> str | float | None:
    if isinstance(value, str):
        text = value.strip()[:LONGEST_TEXT]
        return text if text and not hides(text) else None
    if isinstance(value, Decimal):
        number = float(value)
        return number if math.isfinite(number) else None
    return value if isinstance(value, int) else None


def _hides_nothing(_text: str) -> bool:
    return False


def _is_hidden(value: Any, hides: Hides) -> bool:
    if isinstance(value, str):
        return hides(value)
    if isinstance(value, Mapping):
        return any(_is_hidden(held, hides) for pair in value.items() for held in pair)
    return isinstance(value, list) and any(_is_hidden(held, hides) for held in value)


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
