"""How much travels in one request: as many bytes as a destination takes, and less when it says 413.

The sizes before sending are those of the records without what surrounds them, so that a declared
limit is kept below the vendor's; where the vendor still finds a request too large (413), its
deliveries are sent in halves, and one that is too large alone is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from http import HTTPStatus
from typing import TypeVar

from app.connectors.base import BatchFlow
from app.domain.outcome import Outcome, OutcomeKind, TransportFailure

ItemT = TypeVar("ItemT")


def fitting(
    items: Iterable[ItemT], size_of: Callable[[ItemT], int], most: int
) -> Iterator[list[ItemT]]:
    """The items in order, in parts of at most `most` bytes; one that is larger travels alone."""
    part: list[ItemT] = []
    size = 0
    for item in items:
        one = size_of(item)
        if part and size + one > most:
            yield part
            part, size = [], 0
        part.append(item)
        size += one
    if part:
        yield part


def halved(part: Sequence[ItemT], send: Callable[[Sequence[ItemT]], BatchFlow]) -> BatchFlow:
    """Send a part, and after a 413 its halves: what `send` answers, for all of them.

    The flow that met the 413 is left there: what it sent before is sent again with its half.
    """
    flow = send(part)
    try:
        request = next(flow)
        while True:
            try:
                response = yield request
            except TransportFailure as failure:
                request = flow.throw(failure)
                continue
            if response.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE and len(part) > 1:
                flow.close()
                break
            request = flow.send(response)
    except StopIteration as stop:
        ended: Sequence[Outcome] | Outcome = stop.value
        return ended
    outcomes: list[Outcome] = []
    for half in (part[: len(part) // 2], part[len(part) // 2 :]):
        ended = yield from halved(half, send)
        if isinstance(ended, Outcome):
            if ended.kind is OutcomeKind.REJECTED and len(half) > 1:
                return ended
            ended = [ended] * len(half)
        outcomes += ended
    return outcomes
