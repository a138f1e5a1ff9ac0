"""Contacts that are written many at once: which travel together, and whose result is whose.

A request that is refused as a whole is a single Outcome; the engine then drives its deliveries one
by one.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import httpx

from app.connectors.base import Assignment, BatchFlow
from app.connectors.batch_sizes import fitting, halved
from app.domain import strict_json
from app.domain.outcome import Outcome, OutcomeKind

RecordT = TypeVar("RecordT")


@dataclass(frozen=True, slots=True)
class Waiting(Generic[RecordT]):
    """One delivery of a batch that can be sent, and where it stands there.

    `key` is what the destination knows the contact by; no request may name a key twice.
    `size` is the record's bytes.
    """

    position: int
    assignment: Assignment
    key: str
    record: RecordT
    size: int = 0


#: Sends some of a batch in one request.
SendPart = Callable[[Sequence[Waiting[RecordT]]], BatchFlow]
CarriedParts = Generator[httpx.Request, httpx.Response, "dict[int, Outcome] | Outcome"]


def bytes_of(fields: Mapping[str, Any]) -> int:
    """The size of a record's fields in a request."""
    return len(strict_json.write(fields))


def carry_parts(
    waiting: Sequence[Waiting[RecordT]], send: SendPart[RecordT], most_bytes: int
) -> CarriedParts:
    """Send what waits; outcomes by position, or one when a request was refused as a whole.

    No request has more than `most_bytes` of records, but one whose only record is larger.
    """
    ended: dict[int, Outcome] = {}
    for part in _parts(waiting, most_bytes):
        outcomes = yield from halved(part, send)
        if isinstance(outcomes, Outcome):
            if outcomes.kind is OutcomeKind.REJECTED:
                return outcomes
            outcomes = [outcomes] * len(part)
        ended |= {one.position: end for one, end in zip(part, outcomes, strict=True)}
    return ended


def _parts(
    waiting: Sequence[Waiting[RecordT]], most_bytes: int
) -> Iterator[list[Waiting[RecordT]]]:
    for part in _each_key_once(waiting):
        yield from fitting(part, lambda one: one.size, most_bytes)


def _each_key_once(waiting: Sequence[Waiting[RecordT]]) -> Iterator[list[Waiting[RecordT]]]:
    """The first of each key, then the second of each, and so on: in the order of the events."""
    while waiting:
        part: dict[str, Waiting[RecordT]] = {}
        later = []
        for one in waiting:
            if one.key in part:
                later.append(one)
            else:
                part[one.key] = one
        yield list(part.values())
        waiting = later
