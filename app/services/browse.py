"""Looking at what came in and what became of it; changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.domain.clock import Clock, from_micros, to_micros
from app.domain.errors import NotFound
from app.domain.ids import is_id
from app.services.delivery_view import (
    AttemptView,
    DeliveryStatus,
    DeliveryView,
    attempt_view,
    view,
)
from app.services.listing import Listing, listing
from app.store import deliveries, events, quarantine, statistics
from app.store.database import Database, ReadConnection
from app.store.deliveries import ACTIVE, DeliveryFilter
from app.store.events import EventBody, EventFilter, EventRecord

_LIVE = "live"
_HOUR = 3_600_000_000
_DAY = 24 * _HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class EventView:
    """The metadata of one event; what stood in it is its body's to say.

    `origin` is `live` for what a sender sent, else on what occasion the relay made it.
    """

    id: str
    type: str
    source: str
    subject: str | None
    test: bool
    occurred_at: datetime
    received_at: datetime
    external_id: str | None
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventQuery:
    """Which events to list; None asks for any.

    `type` may hold `*`, `source` is a name or an id.
    `since` is inclusive, `until` exclusive, both of the receipt.
    """

    type: str | None = None
    source: str | None = None
    subject: str | None = None
    test: bool | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryQuery:
    """Which deliveries to list; None asks for any.

    `target` is an id or a name; `since` is inclusive, `until` exclusive, both of the creation.
    """

    status: DeliveryStatus | None = None
    target: str | None = None
    event: str | None = None
    replay: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetStatistics:
    """One target: what waits now, and what of the last day is over, by shown status."""

    target_id: str
    target: str
    status: str
    deliveries: Mapping[DeliveryStatus, int]
    oldest_waiting_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """How the relay is doing. `oldest_waiting_seconds` is over the active targets."""

    events_last_hour: Mapping[str, int]
    events_last_day: Mapping[str, int]
    targets: Sequence[TargetStatistics]
    oldest_waiting_seconds: float | None
    quarantine_open: int


class Browse:
    """What an operator can look at."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def events(
        self, query: EventQuery, *, limit: int, before: str | None = None
    ) -> Listing[EventView]:
        """Events, newest first, those older than the id `before`."""
        wanted = EventFilter(
            type=query.type,
            source=query.source,
            subject=query.subject,
            test=query.test,
            since=_micros(query.since),
            until=_micros(query.until),
        )
        rows = await self._database.read(
            lambda c: events.page(c, wanted, limit=limit + 1, before=before)
        )
        return listing(rows, limit, lambda row: row.id, _event_view)

    async def event(self, event_id: str) -> tuple[EventView, tuple[DeliveryView, ...]]:
        """One event and its deliveries, oldest first. Raises NotFound."""

        def work(connection: ReadConnection) -> tuple[EventView, tuple[DeliveryView, ...]]:
            record = events.get(connection, event_id) if is_id(event_id, "evt") else None
            if record is None:
                raise NotFound("There is no event with this id.")
            found = deliveries.of_event(connection, event_id)
            return _event_view(record), tuple(view(one) for one in found)

        return await self._database.read(work)

    async def event_body(self, event_id: str) -> EventBody:
        """The body of an event, byte for byte as received. Raises NotFound."""
        found = None
        if is_id(event_id, "evt"):
            found = await self._database.read(lambda c: events.body(c, event_id))
        if found is None:
            raise NotFound("There is no event with this id, or its body is no longer kept.")
        return found

    async def deliveries(
        self, query: DeliveryQuery, *, limit: int, before: str | None = None
    ) -> Listing[DeliveryView]:
        """Deliveries, newest first, those older than the id `before`."""
        wanted = DeliveryFilter(
            status=query.status,
            target=query.target,
            event=query.event,
            replay=query.replay,
            since=_micros(query.since),
            until=_micros(query.until),
        )
        rows = await self._database.read(
            lambda c: deliveries.page(c, wanted, limit=limit + 1, before=before)
        )
        return listing(rows, limit, lambda row: row.id, view)

    async def delivery(self, delivery_id: str) -> tuple[DeliveryView, tuple[AttemptView, ...]]:
        """One delivery and its attempts, oldest first. Raises NotFound."""

        def work(connection: ReadConnection) -> tuple[DeliveryView, tuple[AttemptView, ...]]:
            record = deliveries.get(connection, delivery_id) if is_id(delivery_id, "dlv") else None
            if record is None:
                raise NotFound("There is no delivery with this id.")
            log = deliveries.attempts_of(connection, delivery_id)
            return view(record), tuple(attempt_view(one) for one in log)

        return await self._database.read(work)

    async def statistics(self) -> Statistics:
        """Counts of the last hour and day, and of what waits."""
        now = to_micros(self._clock())
        return await self._database.read(lambda c: _statistics(c, now))


def _micros(moment: datetime | None) -> int | None:
    return None if moment is None else to_micros(moment)


def _event_view(record: EventRecord) -> EventView:
    return EventView(
        id=record.id,
        type=record.type,
        source=record.source,
        subject=record.subject,
        test=record.test,
        occurred_at=from_micros(record.occurred_at),
        received_at=from_micros(record.received_at),
        external_id=record.external_id,
        origin=record.origin or _LIVE,
    )


def _statistics(connection: ReadConnection, now: int) -> Statistics:
    finished = statistics.finished_by_target(connection, now - _DAY)
    waiting = {one.target_id: one for one in statistics.waiting_by_target(connection)}
    targets = [
        _target_statistics(row, finished, waiting.get(row.id), now)
        for row in statistics.all_targets(connection)
    ]
    ages = [
        one.oldest_waiting_seconds
        for one in targets
        if one.status == ACTIVE and one.oldest_waiting_seconds is not None
    ]
    return Statistics(
        events_last_hour=statistics.events_by_type(connection, now - _HOUR),
        events_last_day=statistics.events_by_type(connection, now - _DAY),
        targets=targets,
        oldest_waiting_seconds=max(ages, default=None),
        quarantine_open=quarantine.count_open(connection),
    )


def _target_statistics(
    row: statistics.TargetRow,
    finished: Mapping[tuple[str, str], int],
    waiting: statistics.Waiting | None,
    now: int,
) -> TargetStatistics:
    counts = {status: finished.get((row.id, status.value), 0) for status in DeliveryStatus}
    age = None
    if waiting is not None:
        idle = DeliveryStatus.PENDING if row.status == ACTIVE else DeliveryStatus.HELD
        counts[DeliveryStatus.IN_FLIGHT] = waiting.in_flight
        counts[idle] = waiting.idle
        age = max(0, now - waiting.oldest_at) / 1_000_000
    return TargetStatistics(
        target_id=row.id,
        target=row.name,
        status=row.status,
        deliveries=counts,
        oldest_waiting_seconds=age,
    )
