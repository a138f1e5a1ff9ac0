"""Counts for the operator: of the last hour and day, and of what waits at this moment.

The counts over events and finished deliveries read a span of ids, the others read the queue: none
reads the whole history.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from app.store.database import ReadConnection
from app.store.scans import between, computed
from app.store.tables import deliveries, events, queue, targets


@dataclass(frozen=True, slots=True)
class TargetRow:
    """A target's name and status."""

    id: str
    name: str
    status: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """What stands in the queue for one target; `oldest_at` (microseconds) is of the creation."""

    target_id: str
    in_flight: int
    idle: int
    oldest_at: int


def events_by_type(connection: ReadConnection, since: int) -> dict[str, int]:
    """How many events came in since a moment, by type; the commonest first."""
    count = sa.func.count()
    name = computed(events.c.type).label("name")
    statement = (
        sa.select(name, count)
        .where(*between(events.c.id, events.c.received_at, "evt", since, None))
        .group_by(name)
        .order_by(count.desc(), name)
    )
    return {row[0]: row[1] for row in connection.execute(statement)}


def finished_by_target(connection: ReadConnection, since: int) -> dict[tuple[str, str], int]:
    """How many deliveries made since a moment are over, by target and status."""
    target = computed(deliveries.c.target_id).label("target")
    statement = (
        sa.select(target, deliveries.c.status, sa.func.count())
        .where(
            *between(deliveries.c.id, deliveries.c.created_at, "dlv", since, None),
            deliveries.c.status != "pending",
        )
        .group_by(target, deliveries.c.status)
    )
    return {(row[0], row[1]): row[2] for row in connection.execute(statement)}


def waiting_by_target(connection: ReadConnection) -> list[Waiting]:
    """What is not over, by target."""
    grouped = (
        sa.select(
            queue.c.target_id,
            sa.func.count(queue.c.lease_until).label("in_flight"),
            sa.func.count().label("total"),
            sa.func.min(queue.c.delivery_id).label("oldest"),
        )
        .group_by(queue.c.target_id)
        .subquery()
    )
    statement = sa.select(
        grouped.c.target_id, grouped.c.in_flight, grouped.c.total, deliveries.c.created_at
    ).join(deliveries, deliveries.c.id == grouped.c.oldest)
    return [
        Waiting(row[0], in_flight=row[1], idle=row[2] - row[1], oldest_at=row[3])
        for row in connection.execute(statement)
    ]


def all_targets(connection: ReadConnection) -> list[TargetRow]:
    """Every target, by name."""
    statement = sa.select(targets.c.id, targets.c.name, targets.c.status).order_by(targets.c.name)
    return [TargetRow(row[0], row[1], row[2]) for row in connection.execute(statement)]
