"""What a Brevo contact is told: attributes, and the lists it stands in.

Attributes have names in capitals and a type each; one that the account does not have, or whose
value is of another type, is ignored without a word.
So numbers stay numbers, truths stay truths, and moments become days, which is all that a date
attribute keeps (developers.brevo.com, contacts).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from app.connectors.brevo_replies import Found
from app.connectors.contact_fields import (
    Value,
    address_of,
    as_address,
    as_day,
    as_text,
    default_mapping,
    facts_of,
    standard_only,
    written,
)
from app.connectors.contact_markers import MarkerChanges
from app.connectors.lifecycle import (
    Happening,
    happening,
    paid,
    paid_back,
    why_no_refund,
    why_no_sale,
)
from app.connectors.preparing import LIFECYCLE
from app.domain import strict_json
from app.domain.model import Event, Payment

_EMAIL = "EMAIL"
_NAMES = {
    "email": _EMAIL,
    "first_name": "FIRSTNAME",
    "last_name": "LASTNAME",
    "plan": "PLAN",
    "signup_date": "SIGNUP_DATE",
    "membership_status": "MEMBERSHIP_STATUS",
    "churned_at": "CHURNED_AT",
    "last_payment_at": "LAST_PAYMENT_AT",
    "last_payment_failed_at": "LAST_PAYMENT_FAILED_AT",
}
DEFAULT_MAPPING: Mapping[str, str] = default_mapping(_NAMES)

#: Names and types of the attributes of the default mapping that every account lacks at first.
ATTRIBUTES: Mapping[str, str] = {
    _NAMES[fact]: "text" if kind == "text" else "date" for fact, kind in LIFECYCLE.items()
}

ATTRIBUTE = r"^[A-Z0-9_]{1,50}$"
_ATTRIBUTE = re.compile(ATTRIBUTE)
_BLOCKED = (
    "The address was not changed: the contact is blocklisted, and Brevo would lift that with it."
)
_MOST_PIECES = 1_000_000


@dataclass(frozen=True, slots=True)
class Contact:
    """What is to be written; `email` is the address the contact is found by."""

    email: str | None
    attributes: Mapping[str, Any]
    lists: MarkerChanges[int]

    def __bool__(self) -> bool:
        return bool(self.email or self.attributes or self.lists)

    def as_new(self, email: str, lists: Sequence[int]) -> dict[str, Any]:
        """The body that makes the contact, or updates the one that somebody else made."""
        joined = list(dict.fromkeys((*lists, *self.lists.add)))
        more = {"attributes": dict(self.attributes), "listIds": joined}
        known = {"email": email, "updateEnabled": True}
        return known | {name: value for name, value in more.items() if value}

    def unseen(self) -> dict[str, Any]:
        """The body for a contact that was not looked at: nothing that depends on how it stands."""
        return {"attributes": dict(self.attributes)} if self.attributes else {}

    def changes_to(self, found: Found) -> tuple[dict[str, Any], str]:
        """The body for a contact that was looked at, and what the operator should know.

        Whoever left a list is not put back into it.
        """
        attributes, note = dict(self.attributes), ""
        if self.email is not None and not found.has(self.email):
            if found.blocked:
                note = _BLOCKED
            else:
                attributes[_EMAIL] = self.email
        join = [one for one in self.lists.add if one not in found.lists | found.left_lists]
        leave = [one for one in self.lists.remove if one in found.lists]
        more = {"attributes": attributes, "listIds": join, "unlinkListIds": leave}
        return {name: value for name, value in more.items() if value}, note


def contact_of(
    event: Event,
    mapped: Mapping[str, Any] | None,
    lists: MarkerChanges[int],
    names: Mapping[str, str],
) -> Contact:
    """The contact by an operator's mapping, or by what the event says when there is none."""
    values = written(facts_of(event, names) if mapped is None else mapped, as_day)
    email = as_address(values.pop(_EMAIL, None)) or address_of(event)
    return Contact(email, {name: _attribute(value) for name, value in values.items()}, lists)


def attribute_names(first_name: str, last_name: str, *, standard: bool) -> dict[str, str]:
    """The attribute of each fact, in an account that calls the names so."""
    names = {**_NAMES, "first_name": first_name, "last_name": last_name}
    return standard_only(names) if standard else names


def wrong_attributes(fields: Sequence[str]) -> dict[str, str]:
    """The fields that cannot be attributes: field to sentence."""
    return {
        field: "A Brevo attribute is up to 50 capital letters, digits and underscores."
        for field in fields
        if not _ATTRIBUTE.fullmatch(field)
    }


def order_of(event: Event, contact: Mapping[str, Any]) -> dict[str, Any] | None:
    """The order a sale or a refund makes or changes; None for other events.

    Brevo knows an order by its id, so that a payment is one order however often it is announced.
    """
    told, payment = happening(event.type), event.payment
    if payment is None or told not in {Happening.SALE, Happening.REFUND}:
        return None
    sold = told is Happening.SALE
    # Of what is wholly refunded the platform tells a total of nought.
    amount = paid(event) if sold else paid(event) or paid_back(event)
    if amount is None or (why_no_sale(event) if sold else why_no_refund(event)):
        return None
    return {
        "id": f"{event.source}:{payment.id}",
        "createdAt": strict_json.rfc3339(payment.created_at or event.occurred_at),
        "updatedAt": strict_json.rfc3339(event.occurred_at),
        "status": "completed" if sold else "refunded",
        "amount": float(amount.amount),
        "products": _products(event, payment, amount.amount),
        "identifiers": dict(contact),
    }


def _attribute(value: Value) -> Any:
    if isinstance(value, list):
        return [as_text(item) for item in value]
    return as_text(value) if isinstance(value, dict) else value


def _products(event: Event, payment: Payment, amount: Decimal) -> list[dict[str, Any]]:
    lines = [
        _product(line.product_id or line.title, line.quantity, line.unit_price)
        for line in payment.line_items
        if line.unit_price is not None and line.unit_price.is_finite() and line.unit_price >= 0
    ]
    if lines:
        return lines
    plan = event.membership.plan if event.membership else None
    name = (plan.id or plan.name) if plan else payment.product_names
    return [_product(name or "subscription", 1, amount)]


def _product(name: str, quantity: int, price: Decimal) -> dict[str, Any]:
    return {
        "productId": name[:255],
        "quantity": min(max(quantity, 1), _MOST_PIECES),
        "price": float(price),
    }
