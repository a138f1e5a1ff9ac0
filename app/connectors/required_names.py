"""Names, for CRMs that make no record without a last name.

People of the platform may have one name, or none.
A name that had to be found is good enough for a new record, and is never written over one that is
there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.connectors.contact_fields import Value, as_text


@dataclass(frozen=True, slots=True)
class Record:
    """What is to be written.

    `key` is what the destination finds the record by, None when the event does not tell it;
    `fields` may be written to a record that is there;
    `new` is what a record is made of, None when not enough is known for one.
    """

    key: str | None
    fields: Mapping[str, Value]
    new: Mapping[str, Value] | None

    @property
    def complete(self) -> bool:
        """True when it may be written whether the record is there or not."""
        return self.new == self.fields


@dataclass(frozen=True, slots=True)
class NameFields:
    """What a destination calls the parts of a name, and how long a last name may be."""

    first: str
    last: str
    longest: int

    def for_known(self, fields: Mapping[str, Value]) -> dict[str, Value]:
        """What may be written to a record that is there.

        The only name somebody has is left out: it became the last name when the record was made.
        """
        if self.last in fields:
            return dict(fields)
        return {name: value for name, value in fields.items() if name != self.first}

    def for_new(
        self, fields: Mapping[str, Value], email: str | None, others: Mapping[str, Value]
    ) -> dict[str, Value] | None:
        """What a record is made of; `others` stand in for fields besides the name.

        A last name is looked for in the first name, then in the address; None when there is none.
        """
        first, last = _text(fields, self.first), _text(fields, self.last)
        if last is None and first is not None:
            *before, last = first.split()
            first = " ".join(before) or None
        if last is None and email is not None:
            last = email.partition("@")[0][: self.longest] or None
        if last is None:
            return None
        names = {self.first: first, self.last: last}
        kept = {name: value for name, value in fields.items() if name not in names}
        return {**others, **kept, **{name: value for name, value in names.items() if value}}


def cut(fields: Mapping[str, Value], longest: Mapping[str, int]) -> dict[str, Value]:
    """The fields, texts no longer than the destination takes them."""
    cut_off = dict(fields)
    for name in longest.keys() & fields.keys():
        cut_off[name] = as_text(fields[name])[: longest[name]].strip()
    return cut_off


def _text(fields: Mapping[str, Value], name: str) -> str | None:
    value = fields.get(name)
    return value if isinstance(value, str) and value.strip() else None
