"""Reading the members of one JSON object, field by field, with exact pointers.

What is wrong is collected, not raised at once: a sender who fixes a body wants the whole list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from app.domain import coerce
from app.domain.errors import FieldError, InvalidPayload

#: A list of mistakes longer than this tells a sender nothing more.
MOST_ERRORS = 50
#: A member's name is cut here in a pointer: some senders key objects by ids of their own.
LONGEST_NAME = 64

Coercion = Callable[[Any], Any]
#: Member name to the field it fills, how its value is read, and whether it is that field's own
#: name: another name only fills what the own name leaves empty.
Table = Mapping[str, tuple[str, Coercion, bool]]


class Place:
    """Where an object stands in the document, and the list that its mistakes go to."""

    __slots__ = ("errors", "pointer")

    def __init__(self, pointer: str, errors: list[FieldError]) -> None:
        self.pointer = pointer
        self.errors = errors

    def beneath(self, name: str) -> Place:
        """The place of the object or list under `name`, one of our own names."""
        return Place(f"{self.pointer}/{name}", self.errors)

    def entry(self, name: str, key: str | int) -> Place:
        """The place of one entry of the list or object under `name`; the key is the sender's."""
        return Place(f"{self.pointer}/{name}/{escape(str(key))}", self.errors)

    def refuse(self, name: str, detail: str) -> None:
        """Add a mistake at the member `name`."""
        self.errors.append(FieldError(f"{self.pointer}/{escape(name)}", detail))

    def read(self, members: Mapping[str, Any], name: str, coercion: Coercion) -> Any:
        """One member as `coercion` reads it; None when it says nothing or is refused."""
        try:
            return coercion(members.get(name))
        except coerce.ImpossibleValue as failure:
            self.refuse(name, failure.detail)
            return None

    def text(self, members: Mapping[str, Any], name: str) -> str | None:
        """One member as a text."""
        found: str | None = self.read(members, name, coerce.text)
        return found

    def moment(self, members: Mapping[str, Any], name: str) -> datetime | None:
        """One member as a time."""
        found: datetime | None = self.read(members, name, coerce.moment)
        return found

    def is_true(self, members: Mapping[str, Any], name: str) -> bool:
        """Whether one member says true."""
        return self.read(members, name, coerce.flag) is True


def table(
    fields: Mapping[str, Coercion],
    other_names: Mapping[str, str] | None = None,
) -> Table:
    """The table of an object: field to coercion, and what else some fields are called."""
    entries = {name: (name, coercion, True) for name, coercion in fields.items()}
    for name, field in (other_names or {}).items():
        entries[name] = (field, fields[field], False)
    return entries


def collect(members: Mapping[str, Any], known: Table, place: Place) -> dict[str, Any]:
    """The fields that `members` fill.

    One pass over what is there: a sender's object has other members than ours, and few of ours.
    """
    found: dict[str, Any] = {}
    entry_of = known.get
    for name, value in members.items():
        entry = entry_of(name)
        if entry is None or value is None or value == "":
            continue
        field, coercion, own = entry
        try:
            coerced = coercion(value)
        except coerce.ImpossibleValue as failure:
            place.refuse(name, failure.detail)
            continue
        if coerced is not None and (own or field not in found):
            found[field] = coerced
    return found


def object_at(members: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The object under `name`, an empty one when there is none."""
    value = members.get(name)
    return value if isinstance(value, dict) else {}


def escape(name: str) -> str:
    """A member's name as a part of a JSON Pointer (RFC 6901), without what a database refuses."""
    written = name[:LONGEST_NAME].replace("~", "~0").replace("/", "~1").replace("\0", "")
    return written.encode(errors="replace").decode()


def invalid(errors: list[FieldError]) -> InvalidPayload:
    """The refusal of a body with these mistakes."""
    first = errors[0]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return InvalidPayload(
        f"The body cannot be read: {first.pointer} {first.detail}{more}.",
        errors=errors[:MOST_ERRORS],
    )
