"""What a CRM is told of a contact, before each CRM gives it names and formats of its own.

A fact is something an event says of its customer: an address, a plan, the day somebody signed up.
What the sender did not say is left out, never sent as empty: most CRMs read an empty value as
"clear this field".
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeAlias

from app.connectors.lifecycle import Happening, happening, settled_since, types_of
from app.domain import strict_json
from app.domain.model import Customer, Event, Payment

#: A value a JSON field can hold: a text that is not empty, a number, a truth, a list or an object.
Value: TypeAlias = str | int | float | bool | list[Any] | dict[str, Any]
#: How a destination writes a moment into the field of this name.
WriteMoment: TypeAlias = Callable[[str, datetime], str]

#: The facts that every CRM has a field for.
STANDARD = ("email", "first_name", "last_name")

_ADDRESS = re.compile(r"[^@\s\x00-\x1f]{1,200}@[^@\s\x00-\x1f]{1,253}")
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?Z", re.ASCII)


def _when(told: Happening, condition: str = "") -> str:
    """The CEL expression for "when this happened", null for any other event."""
    types = ", ".join(f"'{name}'" for name in types_of(told))
    return f"type in [{types}]{condition} ? occurred_at : null"


#: Each fact in the operator's language.
#: One thing CEL cannot say is done besides: a display name is split at its first space where the
#: sender tells no first and last name.
EXPRESSIONS: Mapping[str, str] = {
    "email": "customer.email",
    "first_name": "customer.first_name",
    "last_name": "customer.last_name",
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


def default_mapping(names: Mapping[str, str]) -> dict[str, str]:
    """A default mapping, from the destination's name of each fact."""
    return {name: EXPRESSIONS[fact] for fact, name in names.items()}


def facts_of(event: Event, names: Mapping[str, str]) -> dict[str, Any]:
    """What the event says, under the destination's names; facts without a name are left out."""
    facts = _facts(event)
    return {name: facts[fact] for fact, name in names.items() if facts[fact] is not None}


def standard_only(names: Mapping[str, str]) -> dict[str, str]:
    """The names of the facts that every CRM has a field for."""
    return {fact: names[fact] for fact in STANDARD}


def written(values: Mapping[str, Any], write_moment: WriteMoment) -> dict[str, Value]:
    """Values as JSON holds them, without the empty ones.

    Moments are datetimes or, from a mapping, RFC 3339 texts; `write_moment` makes texts of both.
    """
    settled = {name: _settled(name, value, write_moment) for name, value in values.items()}
    return {name: value for name, value in settled.items() if value is not None}


def as_text(value: Value, separator: str = ", ") -> str:
    """A value as one text: a list joined by `separator`, a truth as `true` or `false`."""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{Decimal(repr(value)).normalize():f}"
    if isinstance(value, list):
        return separator.join(as_text(item, separator) for item in value)
    return strict_json.write(value).decode()


def as_day(_name: str, moment: datetime) -> str:
    """A moment as `YYYY-MM-DD`, for destinations that keep days only."""
    return moment.date().isoformat()


def as_address(value: Any) -> str | None:
    """`value` without the spaces around it, None when it cannot be an e-mail address."""
    address = value.strip() if isinstance(value, str) else ""
    return address if _ADDRESS.fullmatch(address) else None


def address_of(event: Event) -> str | None:
    """The customer's e-mail address, None when there is none that can be one."""
    return as_address(event.customer.email) if event.customer else None


def same_address(one: Any, other: str) -> bool:
    """True when both are one mailbox to a CRM, which compares addresses without regard to case."""
    return isinstance(one, str) and one.strip().casefold() == other.casefold()


def why_no_contact(event: Event, title: str) -> str | None:
    """Why the CRM called `title` is not told of the event (one sentence), None when it is."""
    if event.test:
        return f"Events from a test button are not sent to {title}."
    if event.type == "customer_post_delete":
        return f"The contact is kept in {title} when the customer is deleted."
    if event.type.startswith("relay."):
        return "The relay's own news are not about a contact."
    return None


def _facts(event: Event) -> dict[str, str | datetime | None]:
    customer, membership = event.customer, event.membership
    plan = membership.plan if membership else None
    told = happening(event.type)
    if told is not None and settled_since(event, told):
        # The day of a later one stands there already.
        told = None
    sold = told is Happening.SALE and _came_in(event.payment)
    first, last = _names(customer) if customer else (None, None)
    return {
        "email": address_of(event),
        "first_name": first,
        "last_name": last,
        "plan": plan.name if plan else None,
        "signup_date": customer.signup_date if customer else None,
        "membership_status": membership.status if membership else None,
        "churned_at": event.occurred_at if told is Happening.CHURN else None,
        "last_payment_at": event.occurred_at if sold else None,
        "last_payment_failed_at": (
            event.occurred_at if told is Happening.PAYMENT_FAILURE else None
        ),
    }


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


def _settled(name: str, value: Any, write_moment: WriteMoment) -> Value | None:
    if isinstance(value, str):
        moment = _moment(value)
        return (value.strip() or None) if moment is None else write_moment(name, moment)
    if isinstance(value, datetime):
        return write_moment(name, value.astimezone(UTC))
    if isinstance(value, bool | int):
        return value
    if isinstance(value, float | Decimal):
        number = float(value)
        return number if math.isfinite(number) else None
    if isinstance(value, list):
        items = [_settled(name, item, write_moment) for item in value]
        return [item for item in items if item is not None] or None
    return dict(value) or None if isinstance(value, Mapping) else None


def _moment(text: str) -> datetime | None:
    """The moment a mapping's text stands for, None when it is an ordinary text."""
    if _MOMENT.fullmatch(text) is None:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
