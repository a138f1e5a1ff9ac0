"""From requests to rows: what events they are, whose, and which targets they are for.

Pure but for the ids it makes: the same request under the same configuration gives the same plan.

Requests that come together are planned together, stage by stage: each stage is done for all of
them before the next one begins, so that the processor keeps the stage's code at hand.
That makes a plan a third cheaper than one request after another (docs/adr/0019).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from app.domain import strict_json
from app.domain.clock import to_micros
from app.domain.envelope import kept_form
from app.domain.errors import RelayError
from app.domain.ids import new_id
from app.domain.model import Event, RawRequest, Reading
from app.domain.record import record
from app.domain.trace import HEADER as TRACE_HEADER
from app.domain.trace import trace_of
from app.services.configuration import BoundSource, Configuration
from app.services.reading import document_of, event_of, hop_of, reading_of
from app.services.routing_events import deliver_anyway, plan_deliveries, sent_as_envelope
from app.store.intake import ORIGIN_HEADER, NewDelivery, NewEvent

#: How many requests are planned together, and how many bytes their bodies may come to: what was
#: read of them, up to twenty-four times as much, is in memory at once.
_SLICE = 32
_SLICE_BYTES = 262_144
_Asked = tuple[BoundSource, RawRequest]


@record(frozen=True, slots=True)
class Plan:
    """One event and its deliveries, ready to be stored."""

    event: NewEvent
    deliveries: tuple[NewDelivery, ...]


class _Draft:
    """A request on its way to a plan; each stage adds what the next ones need, or the failure."""

    __slots__ = (
        "deliveries", "document", "event", "failure", "identity", "plan", "reading",
        "received_at", "request", "source",
    )  # fmt: skip

    document: Any
    reading: Reading
    event: Event
    #: The dedupe key, the fingerprint, and when the key is forgotten.
    identity: tuple[bytes | None, bytes, int | None]
    deliveries: tuple[NewDelivery, ...]
    plan: Plan

    def __init__(self, source: BoundSource, request: RawRequest) -> None:
        self.source = source
        self.request = request
        self.received_at = to_micros(request.received_at)
        self.failure: Exception | None = None


def plan_together(
    configuration: Configuration,
    asked: Sequence[_Asked],
    target: str | None = None,
) -> list[Plan | Exception]:
    """The rows of each authenticated request; for `target` alone where there is one.

    What is wrong with a request stands in the place of its plan: Unreadable, InvalidRequest,
    UnknownEventType, or a fault of the relay.
    """
    stages = (
        _parse,
        _read,
        _recognise,
        _fingerprint,
        partial(_route, configuration, target),
        partial(_write_down, configuration),
    )
    plans: list[Plan | Exception] = []
    for some in _slices(asked):
        drafts = [_Draft(source, request) for source, request in some]
        for stage in stages:
            _do(stage, drafts)
        plans += [draft.failure or draft.plan for draft in drafts]
    return plans


def _slices(asked: Sequence[_Asked]) -> Iterator[Sequence[_Asked]]:
    """The requests in their order, as many together as are small enough."""
    first = size = 0
    for position, (_, request) in enumerate(asked):
        size += len(request.body)
        if position > first and (size > _SLICE_BYTES or position - first >= _SLICE):
            yield asked[first:position]
            first, size = position, len(request.body)
    if first < len(asked):
        yield asked[first:]


def plan_request(
    configuration: Configuration,
    source: BoundSource,
    request: RawRequest,
    target: str | None = None,
) -> Plan:
    """The rows of one authenticated request, as `plan_together` makes them.

    Raises Unreadable, InvalidRequest or UnknownEventType.
    """
    (plan,) = plan_together(configuration, [(source, request)], target)
    if isinstance(plan, Plan):
        return plan
    try:
        raise plan
    finally:
        # Its traceback holds what this function holds.
        del plan


def _do(stage: Callable[[_Draft], None], drafts: Sequence[_Draft]) -> None:
    for draft in drafts:
        if draft.failure is None:
            try:
                stage(draft)
            except RelayError as failure:
                draft.failure = _bare(failure)
            except Exception as fault:  # noqa: BLE001  it is logged, with where it was met
                draft.failure = fault


def _bare(failure: RelayError) -> RelayError:
    """The failure without the frames it went through.

    They hold the request, what was read of it, and in the end the failure: all of it would stay in
    memory until the collector comes.
    """
    failure.__context__ = None
    return failure.with_traceback(None)


def _parse(draft: _Draft) -> None:
    draft.document = document_of(draft.request)


def _read(draft: _Draft) -> None:
    draft.reading = reading_of(draft.source, draft.request, draft.document)


def _recognise(draft: _Draft) -> None:
    request = draft.request
    draft.event = event_of(
        draft.reading,
        event_id=new_id("evt"),
        source=draft.source.name,
        received_at=request.received_at,
        hop=hop_of(request),
        trace=request.trace or trace_of(request.headers),
        came_at=request.kept_since,
    )


def _fingerprint(draft: _Draft) -> None:
    draft.identity = _dedupe(draft.source, draft.reading, draft.document, draft.received_at)


def _route(configuration: Configuration, target: str | None, draft: _Draft) -> None:
    draft.deliveries = (
        plan_deliveries(configuration, draft.event)
        if target is None
        else deliver_anyway(configuration, draft.event, target)
    )


def _write_down(configuration: Configuration, draft: _Draft) -> None:
    source, request, reading, event = draft.source, draft.request, draft.reading, draft.event
    key, fingerprint, expires_at = draft.identity
    kept = {
        name: request.headers[name]
        for name in source.adapter.kept_headers
        if name in request.headers
    }
    if event.trace is not None:
        kept[TRACE_HEADER] = event.trace
    new = NewEvent(
        id=event.id,
        source_id=source.id,
        source=source.name,
        kind=source.kind,
        type=event.type,
        subject=event.subject,
        test=event.test,
        external_id=reading.dedupe_id,
        hop=event.hop,
        occurred_at=draft.received_at
        if event.occurred_at is request.received_at
        else to_micros(event.occurred_at),
        received_at=draft.received_at,
        content_type=request.headers.get("content-type", "application/json")[:255],
        headers=strict_json.write(kept).decode() if kept else None,
        body=request.body,
        dedupe_key=key,
        fingerprint=fingerprint,
        dedupe_expires_at=expires_at,
        envelope=source.stamp + kept_form(event, data_is_body=reading.data is draft.document)
        if sent_as_envelope(configuration, draft.deliveries)
        else None,
    )
    draft.plan = Plan(new, draft.deliveries)


def _dedupe(
    source: BoundSource, reading: Reading, document: Any, received_at: int
) -> tuple[bytes | None, bytes, int | None]:
    said = document if source.adapter.repeats_whole else reading.data
    content = reading.type.encode() + b"\0" + strict_json.canonical(said)
    fingerprint = hashlib.sha256(content).digest()
    if reading.dedupe_id is not None:
        key = hashlib.sha256(b"id\0" + reading.dedupe_id.encode()).digest()
        return key, fingerprint, None
    if source.dedupe_window == 0:
        return None, fingerprint, None
    key = hashlib.sha256(b"content\0" + fingerprint).digest()
    return key, fingerprint, received_at + source.dedupe_window * 1_000_000


def plan_own(
    configuration: Configuration,
    source: BoundSource,
    body: bytes,
    *,
    received_at: datetime,
    origin: str,
    target: str | None = None,
) -> Plan:
    """The rows of an event that the relay made of what it asked a sender for.

    `body` is what the sender would have sent; `origin` says on what occasion it was asked.
    The event is for `target` alone where there is one, whatever types that target listens to.
    Raises Unreadable, InvalidRequest or UnknownEventType.
    """
    request = RawRequest(
        headers={"content-type": "application/json"}, body=body, received_at=received_at
    )
    plan = plan_request(configuration, source, request, target)
    headers = strict_json.write({ORIGIN_HEADER: origin}).decode()
    return replace(plan, event=replace(plan.event, headers=headers))
