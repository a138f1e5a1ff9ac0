"""Sources and targets by what an operator types: a name or an id."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from app.domain.errors import Conflict, NotFound
from app.services.bootstrap import FIRST_SOURCE
from app.services.listing import Listing

_PAGE = 200


class Named(Protocol):
    """Something with an id and a name that is used once."""

    @property
    def id(self) -> str:
        """The prefixed id."""
        ...

    @property
    def name(self) -> str:
        """The name."""
        ...


class Sender(Named, Protocol):
    """A source, in whatever form."""

    @property
    def kind(self) -> str:
        """What kind of sender it is."""
        ...


ItemT = TypeVar("ItemT")
NamedT = TypeVar("NamedT", bound=Named)
SenderT = TypeVar("SenderT", bound=Sender)


async def everything(pages: Callable[..., Awaitable[Listing[ItemT]]]) -> list[ItemT]:
    """All items of a short list, oldest first."""
    items: list[ItemT] = []
    before: str | None = None
    while True:
        listing = await pages(limit=_PAGE, before=before)
        items += listing.items
        before = listing.last
        if before is None:
            return items[::-1]


def pick(items: Sequence[NamedT], text: str, what: str) -> NamedT:
    """The item whose id or name is `text`.

    Raises NotFound, which lists the names, and Conflict when several have this name.
    """
    found = [item for item in items if item.id == text] or [i for i in items if i.name == text]
    if len(found) > 1:
        ids = ", ".join(item.id for item in found)
        raise Conflict(f"Several have the name {text!r}; say which by its id: {ids}.")
    if found:
        return found[0]
    names = ", ".join(item.name for item in items) or "none"
    raise NotFound(f"There is no {what} {text!r}; there are: {names}.")


async def require(
    pages: Callable[..., Awaitable[Listing[NamedT]]], text: str | None, what: str
) -> None:
    """Raise NotFound when `text` is no name or id of these; None names nothing.

    For a list that turned out empty: "none failed" must not be said of a name that was misspelt.
    """
    if text is not None:
        pick(await everything(pages), text, what)


def ready_source(sources: Sequence[SenderT]) -> SenderT:
    """The source that examples are sent to when none is named. Raises NotFound."""
    ready = [source for source in sources if source.kind == "ultimate_multisite"] or sources
    for source in (*(s for s in ready if s.name == FIRST_SOURCE), *ready):
        return source
    raise NotFound("There is no source; make one with: relay sources add NAME")
