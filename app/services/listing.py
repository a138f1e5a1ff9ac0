"""One page of a list, as the services answer it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")
RowT = TypeVar("RowT")


@dataclass(frozen=True, slots=True)
class Listing(Generic[ItemT]):
    """Some items, and where the next page begins: the key of the last one, None at the end."""

    items: tuple[ItemT, ...]
    last: str | None


def listing(
    rows: Sequence[RowT], limit: int, key: Callable[[RowT], str], item: Callable[[RowT], ItemT]
) -> Listing[ItemT]:
    """The page that `rows` make: one row more than `limit` was read when there is a next page."""
    shown = rows[:limit]
    last = key(shown[-1]) if len(rows) > limit else None
    return Listing(tuple(item(row) for row in shown), last)
