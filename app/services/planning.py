"""From a request to rows: what event it is, whose, and which targets it is for.

Pure but for the ids it makes: the same request under the same configuration gives the same plan.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog

from app.domain import strict_json
from app.domain.catalogue import CATALOGUE
from app.domain.clock import to_micros
from app.domain.envelope import kept_form
from app.domain.errors import (
    InvalidRequest,
    RelayLoop,
    UnknownEventType,
    UnsupportedEncoding,
    UnsupportedMediaType,
)
from app.domain.expressions import ExpressionError, variables_of
from app.domain.ids import new_id
from app.domain.model import Event, RawRequest, Reading
from app.domain.record import record
from app.domain.routing import RELAY_PREFIX, Route
from app.domain.trace import HEADER as TRACE_HEADER
from app.domain.trace import trace_of
from app.services.configuration import BoundSource, BoundTarget, Configuration
from app.store.intake import ORIGIN_HEADER, NewDelivery, NewEvent

_log = structlog.get_logger(__name__)
MOST_HOPS = 3
_JSON_TYPES = frozenset({"", "application/json"})


@record(frozen=True, slots=True)
class Plan:
    """One event and its deliveries, ready to be stored."""

    event: NewEvent
    deliveries: tuple[NewDelivery, ...]


def _read(source: BoundSource, request: RawRequest) -> tuple[Reading, Any]:
    """What an authenticated request says, and the document it was read from."""
    require_plain(request)
    _require_json(request.headers.get("content-type", ""))
    document = strict_json.read_strict(request.body)
    reading = source.adapter.read(request, document)
    if reading.type.startswith(RELAY_PREFIX):
        raise InvalidRequest("Types that begin with relay. are the relay's own; nobody sends them.")
    if source.strict and reading.type not in CATALOGUE:
        raise UnknownEventType(
            f"The source {source.name!r} is strict and does not know the event type"
            f" {reading.type!r}; see /v1/event-types."
        )
    return reading, document


def require_plain(request: RawRequest) -> None:
    """Refuse a body that is compressed. Raises UnsupportedEncoding."""
    if "content-encoding" not in request.headers:
        return
    encoding = request.headers["content-encoding"].strip().lower()
    if encoding not in {"identity", ""}:
        raise UnsupportedEncoding(
            f"Content-Encoding {encoding[:40]!r} is not undone here; send the body uncompressed."
        )


def _require_json(content_type: str) -> None:
    if content_type == "application/json":
        return
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type not in _JSON_TYPES and not media_type.endswith("+json"):
        raise UnsupportedMediaType(
            f"Content-Type {media_type[:60]!r} cannot be read; send application/json."
        )


def hop_of(request: RawRequest) -> int:
    """How many relays the request has been through. Raises RelayLoop past MOST_HOPS."""
    text = request.headers.get("relay-hop")
    if text is None:
        return 0
    hop = int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 0  # noqa: PLR2004  three digits are plenty
    if hop > MOST_HOPS:
        raise RelayLoop(
            f"The event came through {hop} relays; a target of this relay probably points back at it."
        )
    return hop


def event_of(
    reading: Reading,
    *,
    event_id: str,
    source: str,
    received_at: datetime,
    hop: int,
    trace: str | None = None,
    came_at: datetime | None = None,
) -> Event:
    """The event a reading is, once it has an id and a source.

    One that does not say when it happened happened when it came: at `came_at`, where that was
    before it was received as an event.
    """
    return Event(
        id=event_id,
        type=reading.type,
        source=source,
        occurred_at=reading.occurred_at or came_at or received_at,
        received_at=received_at,
        test=reading.test,
        subject=f"{source}/{reading.subject}" if reading.subject else None,
        data=reading.data,
        customer=reading.customer,
        membership=reading.membership,
        payment=reading.payment,
        site=reading.site,
        domain=reading.domain,
        context=reading.context,
        hop=hop,
        trace=trace,
    )


def plan_request(
    configuration: Configuration,
    source: BoundSource,
    request: RawRequest,
    target: str | None = None,
) -> Plan:
    """The rows of an authenticated request; for `target` alone where there is one.

    Raises Unreadable, InvalidRequest or UnknownEventType.
    """
    reading, document = _read(source, request)
    event = event_of(
        reading,
        event_id=new_id("evt"),
        source=source.name,
        received_at=request.received_at,
        hop=hop_of(request),
        trace=request.trace or trace_of(request.headers),
        came_at=request.kept_since,
    )
    received_at = to_micros(request.received_at)
    key, fingerprint, expires_at = _dedupe(source, reading, document, received_at)
    kept = {
        name: request.headers[name]
        for name in source.adapter.kept_headers
        if name in request.headers
    }
    if event.trace is not None:
        kept[TRACE_HEADER] = event.trace
    deliveries = (
        plan_deliveries(configuration, event)
        if target is None
        else _deliver_anyway(configuration, event, target)
    )
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
        occurred_at=received_at
        if event.occurred_at is request.received_at
        else to_micros(event.occurred_at),
        received_at=received_at,
        content_type=request.headers.get("content-type", "application/json")[:255],
        headers=strict_json.write(kept).decode() if kept else None,
        body=request.body,
        dedupe_key=key,
        fingerprint=fingerprint,
        dedupe_expires_at=expires_at,
        envelope=source.stamp + kept_form(event, data_is_body=reading.data is document)
        if _sent_as_envelope(configuration, deliveries)
        else None,
    )
    return Plan(new, deliveries)


def _sent_as_envelope(configuration: Configuration, deliveries: Iterable[NewDelivery]) -> bool:
    targets = configuration.targets
    for one in deliveries:
        target = targets.get(one.target_id)
        if one.reason is None and target is not None and target.connector.sends_envelope:
            return True
    return False


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


def plan_deliveries(
    configuration: Configuration, event: Event, only: str | None = None
) -> tuple[NewDelivery, ...]:
    """One delivery for every target the event is for, or for the one with the id `only`."""
    created_at = to_micros(event.received_at)
    deliveries = [
        _deliver_to(configuration, route, event, created_at)
        for route in configuration.routes.candidates(event.source, event.type)
        if only is None or route.target_id == only
    ]
    return tuple([delivery for delivery in deliveries if delivery is not None])


def _deliver_anyway(
    configuration: Configuration, event: Event, target_id: str
) -> tuple[NewDelivery, ...]:
    """A delivery for a target that did not ask for this type; its filter has the last word."""
    route = configuration.routes.of_target(target_id)
    if route is None:
        return ()
    delivery = _deliver_to(configuration, route, event, to_micros(event.received_at))
    return () if delivery is None else (delivery,)


def _deliver_to(
    configuration: Configuration, route: Route, event: Event, created_at: int
) -> NewDelivery | None:
    target = configuration.targets.get(route.target_id)
    # Whether one that cannot be used here means anything to it, whoever can use it will say.
    reason = None if target is None else skip_reason(target, event)
    if route.filter is not None:
        try:
            if not route.filter(variables_of(event)):
                return None
        except ExpressionError as error:
            reason = f"The filter could not be evaluated: {error}"
    return NewDelivery(
        id=new_id("dlv"),
        event_id=event.id,
        target_id=route.target_id,
        subject=event.subject if route.ordered else None,
        created_at=created_at,
        reason=reason,
    )


def skip_reason(target: BoundTarget, event: Event) -> str | None:
    """Why an event is not sent to a target it was routed to, None when it is."""
    if event.test and not target.connector.takes_tests:
        return "The event comes from a test button; it is not sent to CRM and analytics targets."
    try:
        return target.connector.skip(event)
    except Exception:  # noqa: BLE001  logged; see the next line
        # A connector's mistake must not cost the other targets their event.
        _log.exception("connector.skip_failed", target=target.name)
        return None
