"""Reading an object whose shape is a vendor's, and may change with the vendor's next version.

A member of another type than expected counts as not sent: the body as received keeps it, and one
odd field must not cost an event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from app.domain import coerce
from app.domain.clock import from_micros
from app.sources.minor_units import from_minor_units

_Value = TypeVar("_Value")

#: The last second of the year 9999.
_LAST_SECOND = 253_402_300_799


class VendorObject:
    """The members of one object; an empty one where there is none."""

    __slots__ = ("members",)

    members: dict[str, Any]

    def __init__(self, value: Any) -> None:
        self.members = value if isinstance(value, dict) else {}

    def __bool__(self) -> bool:
        return bool(self.members)

    def at(self, *names: str) -> VendorObject:
        """The object at the end of the path."""
        found = self
        for name in names:
            found = VendorObject(found.members.get(name))
        return found

    def items(self, name: str) -> list[VendorObject]:
        """The objects of the list under `name`."""
        value = self.members.get(name)
        return [VendorObject(item) for item in value] if isinstance(value, list) else []

    def text(self, *names: str) -> str | None:
        """The first of these members that says something, as a text."""
        return self._first(names, coerce.text)

    def email(self, *names: str) -> str | None:
        """The first of these members that is an e-mail address."""
        return self._first(names, coerce.email)

    def identifier(self, *names: str) -> str | None:
        """The first of these members that is an id, or an object that has one."""
        return self._first(names, _identifier)

    def amount(self, *names: str) -> Decimal | None:
        """The first of these members that is an amount in major units."""
        return self._first(names, coerce.amount)

    def minor_units(self, currency: str | None, *names: str) -> Decimal | None:
        """The first of these members that is an amount in the currency's smallest unit."""
        return self._first(names, lambda value: from_minor_units(value, currency))

    def count(self, name: str) -> int | None:
        """The member as a whole number."""
        return self._first((name,), coerce.count)

    def is_true(self, name: str) -> bool:
        """Whether the member is true."""
        return self.members.get(name) is True

    def moment(self, *names: str) -> datetime | None:
        """The first of these members that is a time."""
        return self._first(names, coerce.moment)

    def unix_time(self, *names: str) -> datetime | None:
        """The first of these members that counts seconds since 1970."""
        return self._first(names, _unix_time)

    def _first(
        self, names: Iterable[str], coercion: Callable[[Any], _Value | None]
    ) -> _Value | None:
        for name in names:
            try:
                found = coercion(self.members.get(name))
            except coerce.ImpossibleValue:
                continue
            if found is not None:
                return found
        return None


def _identifier(value: Any) -> str | None:
    return coerce.identifier(value.get("id") if isinstance(value, dict) else value)


def _unix_time(value: Any) -> datetime | None:
    if type(value) is not int or not 0 < value <= _LAST_SECOND:
        return None
    return from_micros(value * 1_000_000)
