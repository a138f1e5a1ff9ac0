"""Stored events that are to be sent again: which they are, and what became of them before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa

from app.store import bulk
from app.store.claim import ClaimedDelivery
from app.store.database import ReadConnection, WriteConnection
from app.store.events import EventFilter, conditions
from app.store.intake import NewDelivery
from app.store.scans import computed
from app.store.tables import deliveries, event_bodies, events, queue

_DELIVERIES = (
    "id", "event_id", "target_id", "status", "reason", "attempts", "created_at", "finished_at",
    "replay_id", "repeats_id",
)  # fmt: skip
_QUEUE = (
    "delivery_id", "target_id", "event_id", "subject", "due_at", "fence", "attempts", "single",
    "repeats_id",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which events: a filter, those received up to `latest`, and one alone when `event` is set.

    `status` is that of the last delivery to `target`.
    """

    wanted: EventFilter
    latest: int
    event: str | None = None
    target: str | None = None
    status: str | None = None


class Candidate(NamedTuple):
    """What routing needs of an event before it is read."""

    id: str
    source: str
    type: str


class Earlier(NamedTuple):
    """What came before: the delivery whose ids count, and whether one is still on its way."""

    repeats_id: str
    pending: bool


@dataclass(frozen=True, slots=True)
class Repeat:
    """A delivery to store, and the delivery whose ids it shows; None for its own."""

    delivery: NewDelivery
    repeats_id: str | None


def scan(
    connection: ReadConnection, selection: Selection, *, after: str | None, limit: int
) -> list[Candidate]:
    """Up to `limit` events in the order they came, those behind the id `after`."""
    statement = (
        sa.select(events.c.id, events.c.source, events.c.type)
        .where(*_selected(selection))
        .order_by(events.c.id)
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(events.c.id > after)
    return [Candidate._make(row) for row in connection.execute(statement)]


def count(connection: ReadConnection, selection: Selection) -> list[tuple[str, str, int]]:
    """How many events of each source and type."""
    statement = (
        sa.select(events.c.source, events.c.type, sa.func.count())
        .where(*_selected(selection))
        .group_by(events.c.source, events.c.type)
    )
    return [(row[0], row[1], row[2]) for row in connection.execute(statement)]


def _selected(selection: Selection) -> list[sa.ColumnElement[bool]]:
    found = [*conditions(selection.wanted), events.c.received_at <= selection.latest]
    if selection.event is not None:
        found.append(events.c.id == selection.event)
    if selection.status is not None:
        # By the event's few deliveries and not through all of the target, whose index is in order.
        last = (
            sa.select(deliveries.c.status)
            .where(
                deliveries.c.event_id == events.c.id,
                computed(deliveries.c.target_id) == selection.target,
            )
            .order_by(computed(deliveries.c.id).desc())
            .limit(1)
            .scalar_subquery()
        )
        found.append(last == selection.status)
    return found


def load(connection: ReadConnection, ids: Sequence[str]) -> dict[str, ClaimedDelivery]:
    """The events with these ids and their bodies, as a delivery that nobody made yet."""
    statement = (
        sa.select(
            events,
            event_bodies.c.content_type,
            # As text: a claim hands the headers over as they stand in the column.
            sa.type_coerce(event_bodies.c.headers, sa.Text).label("headers"),
            event_bodies.c.body,
        )
        .join(event_bodies, event_bodies.c.event_id == events.c.id)
        .where(events.c.id.in_(ids))
    )
    return {row.id: _unsent(row) for row in connection.execute(statement)}


def _unsent(row: sa.Row[Any]) -> ClaimedDelivery:
    return ClaimedDelivery(
        id="",
        target_id="",
        event_id=row.id,
        ordered_subject=None,
        attempts=0,
        single=False,
        fence=0,
        source_id=row.source_id,
        source=row.source,
        kind=row.kind,
        type=row.type,
        subject=row.subject,
        test=row.test,
        hop=row.hop,
        occurred_at=row.occurred_at,
        received_at=row.received_at,
        content_type=row.content_type,
        headers=row.headers,
        body=bytes(row.body),
        remembered_id=None,
    )


def earlier(connection: ReadConnection, ids: Sequence[str]) -> Mapping[tuple[str, str], Earlier]:
    """By event and target, what was delivered of these events before."""
    statement = (
        sa.select(
            deliveries.c.event_id,
            deliveries.c.target_id,
            sa.func.coalesce(deliveries.c.repeats_id, deliveries.c.id),
            deliveries.c.status,
        )
        .where(deliveries.c.event_id.in_(ids))
        .order_by(deliveries.c.id)
    )
    found: dict[tuple[str, str], Earlier] = {}
    for event_id, target_id, repeats_id, status in connection.execute(statement):
        key = (event_id, target_id)
        first = found.get(key, Earlier(repeats_id, pending=False))
        found[key] = first._replace(pending=first.pending or status == "pending")
    return found


def queued(connection: ReadConnection, target_id: str, most: int) -> int:
    """How many deliveries wait for a target, counted up to `most`."""
    waiting = (
        sa.select(queue.c.delivery_id)
        .where(queue.c.target_id == target_id, queue.c.lease_until.is_(None))
        .limit(most)
        .subquery()
    )
    return connection.execute(sa.select(sa.func.count()).select_from(waiting)).scalar_one()


def insert(connection: WriteConnection, replay_id: str, repeats: Sequence[Repeat]) -> None:
    """Store the deliveries of a replay; those without a reason are queued."""
    made = [(one.delivery, one.repeats_id) for one in repeats]
    bulk.insert(
        connection,
        deliveries,
        _DELIVERIES,
        [
            (
                d.id, d.event_id, d.target_id, "pending" if d.reason is None else "skipped",
                d.reason, 0, d.created_at, None if d.reason is None else d.created_at,
                replay_id, repeats_id,
            )
            for d, repeats_id in made
        ],
    )  # fmt: skip
    bulk.insert(
        connection,
        queue,
        _QUEUE,
        [
            (d.id, d.target_id, d.event_id, d.subject, d.created_at, 0, 0, False, repeats_id)
            for d, repeats_id in made
            if d.reason is None
        ],
    )
