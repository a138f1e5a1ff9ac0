"""Deliveries where they are traced: a client span for each attempt, from the claim to its outcome.

Attempts are children of the span under which their event was accepted, in whatever process they
are made.
A replay, and an attempt at an event that is older than a day, begins a trace that links to the
event's: there is no end to how many there may be, nor to when, and a trace must have one.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from app.domain.clock import to_micros
from app.domain.model import Event
from app.domain.outcome import OutcomeKind
from app.domain.record import record
from app.domain.trace import Span, Tracer
from app.services.dispatch import Claim, Dispatch, Result
from app.services.holdings import Holdings
from app.services.task import Task
from app.services.traced_ingest import SYSTEM
from app.store.claim import ClaimedDelivery

_LONGEST_TRACE = 86_400_000_000
_FIRST_REFUSAL = 400
_FINE = frozenset({OutcomeKind.DELIVERED, OutcomeKind.DROPPED, OutcomeKind.SKIPPED})
#: What the log of attempts calls an attempt whose end nobody saw.
_LOST = "lost"
#: The spans of a group, with what is said of each.
_Traced = Sequence[tuple[Span, dict[str, str | int | bool]]]


@record(frozen=True, slots=True, kw_only=True)
class TracedTask(Task):
    """A task with the span of its attempt, which began with the claim."""

    span: Span


class TracedDispatch(Dispatch):
    """Carries deliveries out, and tells `tracer` of every attempt."""

    def __init__(self, *parts: Any, tracer: Tracer, **options: Any) -> None:
        super().__init__(*parts, **options)
        self._tracer = tracer

    async def claim(self, free: int, held: Holdings | None = None) -> Claim:
        """Lease due deliveries, as `Dispatch.claim` does; their spans begin."""
        claimed = await super().claim(free, held)
        for result in claimed.results:
            # What could not be prepared counts as an attempt.
            if result.attempted:
                span = self._begin(result.claimed, result.event)
                _end(span, self._attributes(result.claimed), result)
        groups = [[self._traced(task) for task in group] for group in claimed.groups]
        return replace(claimed, groups=groups)

    def carry_out(self, group: Sequence[Task]) -> Coroutine[Any, Any, list[Result]]:
        """Send one group, as `Dispatch.carry_out` does; its spans end."""
        together = {"messaging.batch.message_count": len(group)} if len(group) > 1 else {}
        traced = [
            (task.span, {**self._attributes(task.claimed), **together})
            for task in group
            if isinstance(task, TracedTask)
        ]
        try:
            work = super().carry_out(group)
        except BaseException:
            _lose(traced)
            raise
        return _told(traced, work)

    def _traced(self, task: Task) -> TracedTask:
        span = self._begin(task.claimed, task.event)
        return TracedTask(
            claimed=task.claimed,
            target=task.target,
            event=task.event,
            effect=task.effect,
            trace=span.traceparent,
            span=span,
        )

    def _begin(self, claimed: ClaimedDelivery, event: Event | None) -> Span:
        trace = None if event is None else event.trace
        name = f"deliver {self._target(claimed)[0]}"
        age = to_micros(self._clock()) - claimed.received_at
        if claimed.repeats_id is not None or age > _LONGEST_TRACE:
            return self._tracer.client(name, None, link=trace)
        return self._tracer.client(name, trace)

    def _target(self, claimed: ClaimedDelivery) -> tuple[str, str]:
        """The names of the target and its connector."""
        target = self._configuration.current.targets.get(claimed.target_id)
        return (claimed.target_id, "") if target is None else (target.name, target.connector.name)

    def _attributes(self, claimed: ClaimedDelivery) -> dict[str, str | int | bool]:
        target, connector = self._target(claimed)
        return {
            "messaging.system": SYSTEM,
            "messaging.operation.name": "deliver",
            "messaging.operation.type": "send",
            "messaging.destination.name": target,
            "messaging.message.id": claimed.event_id,
            "relay.source": claimed.source,
            "relay.event.type": claimed.type,
            "relay.target": target,
            "relay.connector": connector,
            "relay.delivery.id": claimed.id,
            "relay.attempt.number": claimed.attempts + 1,
        }


async def _told(traced: _Traced, work: Coroutine[Any, Any, list[Result]]) -> list[Result]:
    try:
        results = await work
    except BaseException:
        # Cut off: the worker stops.
        _lose(traced)
        raise
    for (span, attributes), result in zip(traced, results, strict=True):
        _end(span, attributes, result)
    return results


def _lose(traced: _Traced) -> None:
    for span, attributes in traced:
        span.end({**attributes, "relay.outcome": _LOST}, error=_LOST)


def _end(span: Span, attributes: dict[str, str | int | bool], result: Result) -> None:
    """Say how it ended; the last request is the one that decided."""
    last = result.exchanges[-1] if result.exchanges else {}
    attributes |= _request(last)
    attributes["relay.outcome"] = result.outcome.kind.value
    attributes["relay.attempt.requests"] = len(result.exchanges)
    span.end(attributes, error=_error(result, last))


def _request(exchange: Mapping[str, Any]) -> dict[str, str | int | bool]:
    """Method, host and status of a request in the attempt's log; of its URL nothing else."""
    found: dict[str, str | int | bool] = {}
    if not exchange:
        return found
    found["http.request.method"] = exchange["method"]
    if exchange["status"] is not None:
        found["http.response.status_code"] = exchange["status"]
    try:
        url = urlsplit(exchange["url"])
        host, port = url.hostname, url.port
    except ValueError:
        # Something in it was masked.
        return found
    if host is not None:
        found["server.address"] = host
        found["server.port"] = port or (443 if url.scheme == "https" else 80)
    return found


def _error(result: Result, last: Mapping[str, Any]) -> str | None:
    """What `error.type` is: the failure on the way, the status, or else the outcome."""
    if result.outcome.kind in _FINE:
        return None
    status = last.get("status")
    if status is not None and status >= _FIRST_REFUSAL:
        return str(status)
    return str(last.get("error") or result.outcome.kind.value)
