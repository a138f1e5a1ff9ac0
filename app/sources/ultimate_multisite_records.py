"""Records of Ultimate Multisite's REST API, as the objects of a bridge envelope.

What the relay asks for by itself becomes an ordinary envelope (docs/bridge-envelope.md), so that
one reader serves both ways.
The API names fields as the platform's objects do, and its types drift (`"5"` and `5`, `"20.0000"`
and `20`, `"0"` and `false`); here each becomes the envelope's one form: ids and amounts as texts,
times in RFC 3339, what is not known left out.
A field that cannot mean what it stands for is left out as well: the record's other fields are
still worth having, and nobody waits for an answer.
Facts were seen on versions 2.4.10 and 2.4.13.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.domain import coerce, strict_json
from app.domain.model import Customer, Membership, Payment
from app.sources.bridge import SPEC
from app.sources.fields import Place
from app.sources.object_groups import read_customer, read_membership, read_payment

#: One row of the API, as its JSON says it.
Record = Mapping[str, Any]

_ID_PART = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_CENTS = Decimal("0.01")
#: What WordPress calls what the envelope's customer has (`/wp/v2/users`, context `edit`).
_USER_FIELDS = {
    "email": "email",
    "name": "name",
    "first_name": "first_name",
    "last_name": "last_name",
}


def customer_of(record: Record, user: Record | None = None) -> Customer:
    """The customer of a `/customer` record, and of the WordPress user that belongs to it.

    The record itself has neither address nor name: they are the user's.
    """
    told = {
        field: user[name]
        for name, field in _USER_FIELDS.items()
        if user is not None and name in user
    }
    return read_customer({**record, **told}, _nowhere())


def membership_of(record: Record) -> Membership:
    """The membership of a `/membership` record, with its plan."""
    return read_membership(record, _nowhere())


def payment_of(record: Record) -> Payment:
    """The payment of a `/payment` record, with its line items in the record's order."""
    return read_payment(record, _nowhere())


def customer_data(record: Record, user: Record | None = None) -> dict[str, Any]:
    """The envelope's `customer` for a `/customer` record; see `customer_of`."""
    return written(customer_of(record, user))


def membership_data(record: Record) -> dict[str, Any]:
    """The envelope's `membership` for a `/membership` record."""
    return written(membership_of(record))


def payment_data(record: Record) -> dict[str, Any]:
    """The envelope's `payment` for a `/payment` record."""
    return written(payment_of(record))


def written(part: Customer | Membership | Payment) -> dict[str, Any]:
    """An object of the domain in the form that an envelope has it in."""
    found: dict[str, Any] = _written(part)
    return found


def record_moment(record: Record, *names: str) -> datetime | None:
    """The first of these members that is a time, in UTC; the API's times have no zone."""
    for name in names:
        try:
            found = coerce.moment(record.get(name))
        except coerce.ImpossibleValue:
            continue
        if found is not None:
            return found
    return None


def record_id(record: Record, name: str = "id") -> str | None:
    """The id under `name`, None where there is none (0, "0", "", null) or it cannot be one."""
    try:
        return coerce.identifier(record.get(name))
    except coerce.ImpossibleValue:
        return None


def event_id(*parts: str) -> str:
    """An envelope's id that is the same for the same parts; a part of another form is digested."""
    return "-".join(
        part
        if _ID_PART.fullmatch(part)
        else hashlib.sha256(part.encode(errors="replace")).hexdigest()[:32]
        for part in parts
    )


def envelope_body(
    *,
    identifier: str,
    event_type: str,
    occurred_at: datetime,
    data: Mapping[str, Any],
    network_url: str,
) -> bytes:
    """A whole envelope; the same values give the same bytes."""
    return strict_json.write(
        {
            "spec": SPEC,
            "id": identifier,
            "type": event_type,
            "occurred_at": occurred_at,
            "source": {"network_url": network_url},
            "data": data,
        }
    )


def _nowhere() -> Place:
    """A place whose list of mistakes nobody reads."""
    return Place("#", [])


def _written(value: Any) -> Any:
    if is_dataclass(value):
        found = ((field.name, getattr(value, field.name)) for field in fields(value))
        return {name: _written(part) for name, part in found if part is not None and part != ()}
    if isinstance(value, tuple):
        return [_written(part) for part in value]
    if isinstance(value, Decimal):
        return _amount(value)
    return strict_json.rfc3339(value) if isinstance(value, datetime) else value


def _amount(value: Decimal) -> str:
    """Major units with at least two decimals, never with an exponent."""
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and exponent > -2:  # noqa: PLR2004  a cent
        value = value.quantize(_CENTS)
    return f"{value:f}"
