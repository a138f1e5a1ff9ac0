"""What connectors to analytics have in common: one event becomes records, records travel in batches.

A connector says what each step of a customer's life is called, makes the vendor's records of an
event, sends them, and reads the reply; what is here decides about skips, sizes and lost answers.
A single delivery is a batch of one.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar, TypeVar

import httpx
from pydantic import BaseModel, Field

from app.connectors.analytics_events import Told, tell
from app.connectors.analytics_steps import Step, effect_name, why_nothing
from app.connectors.base import Assignment, BatchFlow, Connector, Flow, TargetBinding
from app.connectors.batch_sizes import fitting, halved
from app.connectors.mapping import unusable_mapping
from app.connectors.wording import presentable
from app.domain import strict_json
from app.domain.expressions import ExpressionError
from app.domain.model import Event
from app.domain.outcome import (
    Outcome,
    OutcomeKind,
    TransportFailure,
    delivered,
    rejected,
    retry,
    skipped,
)

SettingsT = TypeVar("SettingsT", bound=BaseModel)
Record = dict[str, Any]
#: The name of a step that changes a profile and is no event.
PROFILE_ONLY = ""

SendProfile = Annotated[
    bool,
    Field(
        description="Also tell who people are: e-mail address and names as properties of the"
        " profile, titles and addresses of their sites, and whatever a mapping adds.",
    ),
]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A delivery that can be sent: its records, their bytes, and where it stands in its batch."""

    position: int
    assignment: Assignment
    told: Told
    records: list[Record]
    size: int

    @property
    def now(self) -> datetime:
        """The time of the attempt."""
        return self.assignment.now


class AnalyticsConnector(Connector[SettingsT]):
    """A destination that counts what customers do."""

    kind: ClassVar[str] = "analytics"
    #: What the destination calls each step; those that are missing are not reported.
    names: ClassVar[Mapping[Step, str]]
    #: The most bytes that the records of one event may have.
    event_bytes: ClassVar[int] = 1_000_000
    #: True where the destination may be told who people are.
    named: bool = False

    def __init__(self, target: TargetBinding[SettingsT]) -> None:
        super().__init__(target)
        age = self.limits.max_age_seconds
        self.oldest = None if age is None else timedelta(seconds=age)
        self.headers = {"content-type": "application/json", "user-agent": target.user_agent}

    def skip(self, event: Event) -> str | None:
        """Test events, and what the destination has no name for."""
        if event.test:
            return f"Events from a test button are not sent to {self.facts.title}."
        return why_nothing(event, self.facts.title, self.names)

    def effect(self, event: Event) -> str | None:
        """A sale is counted once, whichever events announce it."""
        return effect_name(event)

    def deliver(self, assignment: Assignment) -> Flow:
        """A batch of one."""
        ended = yield from self.deliver_many([assignment])
        return ended if isinstance(ended, Outcome) else ended[0]

    def deliver_many(self, assignments: Sequence[Assignment]) -> BatchFlow:
        """Send what can be sent, in as few requests as its size allows."""
        outcomes: dict[int, Outcome] = {}
        ready: list[Prepared] = []
        for position, assignment in enumerate(assignments):
            made = self._prepare(position, assignment)
            if isinstance(made, Outcome):
                outcomes[position] = made
            else:
                ready.append(made)
        for part in self._parts(ready):
            ended = yield from halved(part, self._carry)
            if isinstance(ended, Outcome):
                return ended
            outcomes |= {one.position: end for one, end in zip(part, ended, strict=True)}
        return [outcomes[position] for position in range(len(assignments))]

    @abstractmethod
    def _records(self, told: Told, event: Event) -> list[Record]:
        """What the destination is told, in its own form; nothing when it keeps nothing of it."""

    @abstractmethod
    def _send(self, part: Sequence[Prepared]) -> BatchFlow:
        """Send the records of a few deliveries; one outcome each, or one for all of them."""

    def _parts(self, ready: Sequence[Prepared]) -> Iterator[list[Prepared]]:
        """The deliveries that travel together: no more bytes than a request may have."""
        return fitting(ready, lambda one: one.size, self.limits.batch_bytes)

    def _lost(self, one: Prepared, failure: TransportFailure) -> Outcome:
        """The outcome when no answer came; a repeat is recognised by its id."""
        return retry(failure.reason)

    def _prepare(self, position: int, assignment: Assignment) -> Prepared | Outcome:
        event = assignment.event
        nothing = self.skip(event) or self._too_old(assignment)
        if nothing:
            return skipped(nothing)
        try:
            values = self.target.mapping(event)
        except ExpressionError as error:
            return unusable_mapping(error)
        told = tell(assignment, values, named=self.named)
        records = self._records(told, event)
        if not records:
            return skipped(f"The event says nothing that {self.facts.title} is told of a customer.")
        size = len(strict_json.write(records))
        if size > self.event_bytes:
            return rejected(
                f"The event comes to {size} bytes; {self.facts.title} takes {self.event_bytes}."
            )
        return Prepared(position, assignment, told, records, size)

    def _too_old(self, assignment: Assignment) -> str | None:
        if self.oldest is None or assignment.now - assignment.event.occurred_at <= self.oldest:
            return None
        hours = f"{self.oldest.total_seconds() / 3600:g} hours"
        return f"Expired: the event is older than {hours}, and is never shifted in time."

    def _carry(self, part: Sequence[Prepared]) -> BatchFlow:
        """Send one part: an outcome each, or one refusal after which each is sent alone."""
        try:
            ended = yield from self._send(part)
        except TransportFailure as failure:
            return [self._lost(one, failure) for one in part]
        if isinstance(ended, Outcome):
            if ended.kind is OutcomeKind.REJECTED and len(part) > 1:
                return ended
            ended = [ended] * len(part)
        return [_with_note(one, end) for one, end in zip(part, ended, strict=True)]

    def _post(self, url: httpx.URL | str, document: Any) -> httpx.Request:
        body = strict_json.write(document)
        return httpx.Request("POST", url, headers=self.headers, content=body)


def records_of(part: Sequence[Prepared]) -> list[Record]:
    """The records of a part, in order."""
    return [record for one in part for record in one.records]


def _with_note(one: Prepared, ended: Outcome) -> Outcome:
    """What was left out of a mapping is said where the operator looks."""
    if not one.told.withheld or ended.kind is not OutcomeKind.DELIVERED:
        return ended
    names = presentable(", ".join(one.told.withheld))
    note = f"Left out, because it names a person: {names}."
    return delivered(reason=f"{ended.reason} {note}".strip())
