"""An event of the platform as an event of Google Analytics 4: a name and its parameters.

Limits and names: developers.google.com/analytics, Measurement Protocol reference.
A null, an array or an object (but `items`) makes GA4 drop the whole event without a word, so only
texts, numbers and booleans pass here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from app.connectors import analytics_steps
from app.connectors.analytics_steps import SALES, Step, is_renewal, step_of
from app.connectors.ga4_privacy import names_a_person, opaque
from app.connectors.lifecycle import Money, money, paid, paid_back, recurring
from app.domain.model import Customer, Event, LineItem

MOST_PARAMS = 25
MOST_ITEMS = 200
LONGEST_TEXT = 100
LONGEST_PROPERTY = 36

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
_RESERVED_PREFIXES = ("google_", "ga_", "firebase_", "gtag.")
_CURRENCY = re.compile(r"[A-Z]{3}")
#: Parameters the relay alone may set: they carry the identity of the sale.
_OWN_PARAMS = frozenset({"transaction_id", "items"})
_NUMBERS = frozenset({"value", "tax", "shipping"})
_PERSONAL = re.compile(
    r"(?:.*_)?(?:e_?mail|phone|mobile|(?:first|last|full|user|customer|display)_?name|address|ip)(?:_.*)?",
    re.IGNORECASE,
)
_SUBSCRIPTION = "subscription"
_MOST_PIECES = 1_000_000


@dataclass(frozen=True, slots=True)
class Measured:
    """One event in GA4's words; `params` hold texts, numbers and booleans, and `items`."""

    name: str
    params: dict[str, Any]


def why_nothing(event: Event) -> str | None:
    """Why GA4 is not told of the event (one sentence), None when it is."""
    return analytics_steps.why_nothing(event, "GA4", STEPS)


def is_sale(event: Event) -> bool:
    """True for what becomes a purchase."""
    return step_of(event) in SALES


def measured(event: Event) -> Measured:
    """The event in GA4's words; only for events of which `why_nothing` says nothing.

    Raises:
        KeyError: the event's type means nothing to GA4.
    """
    step = step_of(event)
    if step is None:
        raise KeyError(event.type)
    name, make = _MAKERS[step]
    return Measured(name, _fit(make(event), event.customer))


def with_mapped(known: Measured, values: Mapping[str, Any], customer: Customer | None) -> Measured:
    """The event with the parameters of an operator's mapping, which go before the relay's own.

    A value that GA4 would not take leaves the relay's own in place.
    """
    mapped = {}
    for name, value in values.items():
        fitting = _scalar(value, customer)
        if fitting is not None and _usable(name, fitting) and not wrong_params([name]):
            mapped[name] = fitting
    return Measured(known.name, _fit({**known.params, **mapped}, customer))


def wrong_params(fields: Sequence[str]) -> dict[str, str]:
    """The fields that cannot be event parameters: field to sentence."""
    found = {}
    for field in fields:
        if not _NAME.fullmatch(field):
            found[field] = "A GA4 parameter is up to 40 letters, digits and underscores."
        elif field.lower().startswith(_RESERVED_PREFIXES):
            found[field] = "GA4 keeps names that start with google_, ga_ and firebase_ to itself."
        elif field in _OWN_PARAMS:
            found[field] = "The relay sets this parameter itself, so that a sale is counted once."
        elif _PERSONAL.fullmatch(field):
            found[field] = "GA4 must not be sent what names a person."
    return found


def plan_of(event: Event) -> str | None:
    """What the membership buys, by name."""
    plan = event.membership.plan if event.membership else None
    return (plan.name or plan.slug or plan.id) if plan else None


def _amount(known: Money | None) -> dict[str, Any]:
    """Value and currency, both or neither: GA4 wants them together."""
    return {"value": float(known.amount), "currency": known.currency} if known else {}


def _purchase(event: Event) -> dict[str, Any]:
    payment = event.payment
    tax = money(payment.tax_total, "XXX") if payment else None
    return {
        **_transaction(event),
        **_amount(paid(event)),
        "items": _items(event),
        "tax": tax.amount if tax else None,
        "payment_type": "renewal" if is_renewal(event) else None,
    }


def _refund(event: Event) -> dict[str, Any]:
    return {**_transaction(event), **_amount(paid_back(event))}


def _sign_up(event: Event) -> dict[str, Any]:
    return {"method": event.source}


def _cancelled(event: Event) -> dict[str, Any]:
    membership = event.membership
    return {
        "plan": plan_of(event),
        "status": membership.status if membership else None,
        "reason": membership.cancellation_reason if membership else None,
        **_amount(recurring(event)),
    }


def _failed(event: Event) -> dict[str, Any]:
    # The platform's own webhook names neither the payment nor the amount that failed.
    return {"plan": plan_of(event), **_amount(paid(event))}


def _status(event: Event) -> dict[str, Any]:
    membership = event.membership
    return {
        "plan": plan_of(event),
        "status": membership.status if membership else None,
        "previous_status": membership.previous_status if membership else None,
    }


def _site(event: Event) -> dict[str, Any]:
    # Addresses and titles of sites often are their owners' names.
    return {"plan": plan_of(event)}


_MAKERS: Mapping[Step, tuple[str, Callable[[Event], dict[str, Any]]]] = {
    Step.PURCHASE: ("purchase", _purchase),
    Step.RENEWAL: ("purchase", _purchase),
    Step.REFUND: ("refund", _refund),
    Step.CUSTOMER_CREATED: ("sign_up", _sign_up),
    Step.CANCELLED: ("membership_cancelled", _cancelled),
    Step.PAYMENT_FAILED: ("payment_failed", _failed),
    Step.STATUS_CHANGED: ("membership_status", _status),
    Step.SITE_CREATED: ("site_created", _site),
    Step.DOMAIN_CREATED: ("domain_created", _site),
}
#: What GA4 is told of.
STEPS = tuple(_MAKERS)


def _transaction(event: Event) -> dict[str, Any]:
    identifier = event.payment.id if event.payment else None
    return {"transaction_id": opaque(event.source, identifier or event.id)}


def _items(event: Event) -> list[dict[str, Any]]:
    """What was bought: the payment's lines, else the plan, else what the payment calls it."""
    payment, membership = event.payment, event.membership
    lines = [_line(line, event.customer) for line in (payment.line_items if payment else ())]
    found = [line for line in lines if line is not None][:MOST_ITEMS]
    if found:
        return found
    plan = membership.plan if membership else None
    sold = paid(event)
    price = plan.price if plan and plan.price is not None else (sold.amount if sold else None)
    name = plan_of(event) or (payment.product_names if payment else None)
    return [_item(plan.id if plan else None, name, _SUBSCRIPTION, price, 1, event.customer)]


def _line(line: LineItem, customer: Customer | None) -> dict[str, Any] | None:
    """A line of a payment; None for what takes away from it, such as a discount."""
    price = line.unit_price if line.unit_price is not None else line.total
    if price is not None and not (price.is_finite() and price >= 0):
        return None
    bought = line.kind in {None, "", "product"}
    category = _SUBSCRIPTION if bought else line.kind
    return _item(
        line.product_id,
        line.title,
        category,
        price,
        min(max(line.quantity, 1), _MOST_PIECES),
        customer,
    )


def _item(
    identifier: str | None,
    name: str | None,
    category: str | None,
    price: Decimal | None,
    quantity: int,
    customer: Customer | None,
) -> dict[str, Any]:
    item = {
        "item_id": _scalar(identifier, customer),
        "item_name": _scalar(name, customer),
        "item_category": _scalar(category, customer),
        "price": _scalar(price, customer),
        "quantity": quantity,
    }
    kept = {key: value for key, value in item.items() if value is not None}
    return (
        kept if "item_id" in kept or "item_name" in kept else {**kept, "item_name": _SUBSCRIPTION}
    )


def _fit(params: Mapping[str, Any], customer: Customer | None) -> dict[str, Any]:
    """The parameters within GA4's limits; what cannot be sent is left out."""
    fitted = {
        name: value if name == "items" else _scalar(value, customer)
        for name, value in params.items()
    }
    kept = [(name, value) for name, value in fitted.items() if value is not None]
    return dict(kept[:MOST_PARAMS])


def _scalar(value: Any, customer: Customer | None) -> str | float | bool | None:
    """A value GA4 takes; None for what it would not take, or must not get."""
    if isinstance(value, str):
        text = value.strip()
        return text[:LONGEST_TEXT] if text and not names_a_person(text, customer) else None
    if isinstance(value, bool | int):
        return value
    if isinstance(value, Decimal | float):
        number = float(value)
        return number if math.isfinite(number) else None
    return None


def _usable(name: str, value: str | float) -> bool:
    if name == "currency":
        return isinstance(value, str) and _CURRENCY.fullmatch(value) is not None
    if name in _NUMBERS:
        return not isinstance(value, str | bool)
    return name != "coupon" or isinstance(value, str)
