"""What an event means to somebody who keeps customers and counts sales.

Event types keep the platform's names; connectors ask here what happened, so that all of them
agree on what a sale is and on the name of what must happen once.
On a first payment `checkout_completed`, `payment_received` and `payment_status_to_completed` can
all be sent: they are one sale, known by its payment id, which is unique within one source only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from app.domain.model import Event


class Happening(StrEnum):
    """What happened, in the words of a business."""

    SIGN_UP = "sign_up"
    SALE = "sale"
    REFUND = "refund"
    PAYMENT_FAILURE = "payment_failure"
    CHURN = "churn"


#: Two names stand for one thing where the platform's own webhook and its hooks differ.
_HAPPENINGS = {
    "customer_post_create": Happening.SIGN_UP,
    "customer_created": Happening.SIGN_UP,
    "checkout_completed": Happening.SALE,
    "payment_received": Happening.SALE,
    "payment_status_to_completed": Happening.SALE,
    "membership_renewed": Happening.SALE,
    "payment_status_to_refunded": Happening.REFUND,
    "payment_failed": Happening.PAYMENT_FAILURE,
    "payment_status_to_failed": Happening.PAYMENT_FAILURE,
    "membership_status_to_cancelled": Happening.CHURN,
    "membership_status_to_expired": Happening.CHURN,
    "membership_expired": Happening.CHURN,
}
_CURRENCY = re.compile(r"[A-Z]{3}")
#: Above this an amount is a mistake, and a float no longer holds its cents.
_LARGEST_AMOUNT = Decimal(10) ** 12


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in major units, above zero, and its ISO 4217 code."""

    amount: Decimal
    currency: str


def happening(event_type: str) -> Happening | None:
    """What an event of this type tells, None when it is none of the happenings above."""
    return _HAPPENINGS.get(event_type)


def settled_since(event: Event, *happenings: Happening) -> bool:
    """True when the destination knows of one of these that happened after the event."""
    return any(happening(name) in happenings for name in event.since)


def types_of(*happenings: Happening) -> tuple[str, ...]:
    """The event types that tell one of these, in a fixed order."""
    return tuple(name for name, told in _HAPPENINGS.items() if told in happenings)


def money(amount: Decimal | None, *currencies: str | None) -> Money | None:
    """The amount in the first usable currency; None when it is not above zero or has none."""
    if amount is None or not amount.is_finite() or not 0 < amount < _LARGEST_AMOUNT:
        return None
    for currency in currencies:
        code = (currency or "").strip().upper()
        if _CURRENCY.fullmatch(code):
            return Money(amount, code)
    return None


def paid(event: Event) -> Money | None:
    """What the event's payment came to."""
    if event.payment is None:
        return None
    return money(event.payment.total, event.payment.currency, _membership_currency(event))


def recurring(event: Event) -> Money | None:
    """What the event's membership costs each period."""
    if event.membership is None:
        return None
    paid_in = event.payment.currency if event.payment else None
    return money(event.membership.amount, event.membership.currency, paid_in)


def paid_back(event: Event) -> Money | None:
    """What was refunded: the refund's total where it is known, else the payment's."""
    payment = event.payment
    if payment is None:
        return None
    refund = payment.refund_total.copy_abs() if payment.refund_total else None
    currencies = (payment.currency, _membership_currency(event))
    return money(refund, *currencies) or money(payment.total, *currencies)


def customer_id(event: Event) -> str | None:
    """The customer's id, from whichever part of the event names it."""
    for part, attribute in (
        (event.customer, "id"),
        (event.membership, "customer_id"),
        (event.payment, "customer_id"),
    ):
        found = getattr(part, attribute, None)
        if found:
            return str(found)
    return None


def why_no_sale(event: Event) -> str | None:
    """Why an event about a payment is not a sale (one sentence), None when it is one."""
    payment = event.payment
    if payment is None or not payment.id:
        return "The event names no payment, so the sale could be counted twice."
    if payment.status != "completed":
        status = "not known" if payment.status is None else f"{payment.status[:40]!r}"
        return f"The payment's status is {status}; a sale is a completed payment."
    if payment.total is None or not payment.total.is_finite():
        return "The payment's total is not known."
    if payment.total <= 0:
        return "The payment's total is zero (a trial or something free), so nothing was sold."
    if paid(event) is None:
        return "The payment's currency or total cannot be used."
    return None


def why_no_refund(event: Event) -> str | None:
    """Why an event about a payment is not a refund (one sentence), None when it is one."""
    if event.payment is None or not event.payment.id:
        return "The event names no payment, so the refund cannot be told from another."
    if paid_back(event) is None:
        return "The refunded amount or its currency is not known."
    return None


def effect_of(event: Event) -> str | None:
    """The name of what must happen once, whichever events announce it; None when repeats are real.

    A sale and a refund are known by their payment, a sign-up by the customer, a churn by the
    membership and the period that was paid for (a membership can be renewed and lost again).
    A failed payment has no such name: each failure counts.
    """
    told = happening(event.type)
    payment, membership = event.payment, event.membership
    if told is Happening.SALE and why_no_sale(event) is None and payment is not None:
        return f"purchase:{event.source}/{payment.id}"
    if told is Happening.REFUND and why_no_refund(event) is None and payment is not None:
        return f"refund:{event.source}/{payment.id}"
    if told is Happening.SIGN_UP and event.customer is not None and event.customer.id:
        return f"sign_up:{event.source}/{event.customer.id}"
    if told is Happening.CHURN and membership is not None and membership.id:
        until = membership.expires_at.date().isoformat() if membership.expires_at else "lifetime"
        return f"churn:{event.source}/{membership.id}/{until}"
    return None


def _membership_currency(event: Event) -> str | None:
    return event.membership.currency if event.membership else None
