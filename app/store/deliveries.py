"""Deliveries, to be looked at: each with what the queue and its target say of it right now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from app.store.database import ReadConnection
from app.store.scans import between, computed
from app.store.tables import attempts, deliveries, events, queue, target_state, targets

ACTIVE = "active"
_WAITING = frozenset({"pending", "in_flight", "held"})


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRecord:
    """One delivery; times are microseconds.

    `event_type` is None when the event is gone, `target` and what follows it when the target is.
    `due_at` is None when the delivery is not in the queue, `lease_until` when nobody holds it.
    `throttled_until` is until when its target is left alone.
    `behind` is the delivery that has to be over first, where the target is ordered.
    """

    id: str
    event_id: str
    event_type: str | None
    target_id: str
    target: str | None
    target_status: str | None
    target_status_reason: str | None
    throttled_until: int | None
    status: str
    reason: str | None
    attempts: int
    external_id: str | None
    first_delivery_id: str | None
    replay_id: str | None
    created_at: int
    finished_at: int | None
    due_at: int | None
    lease_until: int | None
    behind: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFilter:
    """Which deliveries to list; None asks for any.

    `status` is the shown one (`held` and `in_flight` too); `target` is an id or a name.
    `since` (inclusive) and `until` (exclusive) are microseconds of the creation.
    """

    status: str | None = None
    target: str | None = None
    event: str | None = None
    replay: str | None = None
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRecord:
    """One line of a delivery's log."""

    id: str
    number: int
    outcome: str
    reason: str
    started_at: int
    duration_micros: int
    worker: str
    exchanges: Sequence[dict[str, Any]]


_ahead = queue.alias("ahead")
#: The first in the queue of the same subject, if it is another one: what a claim looks for.
_BEHIND = (
    sa.select(_ahead.c.delivery_id)
    .where(
        _ahead.c.target_id == queue.c.target_id,
        _ahead.c.subject == queue.c.subject,
        _ahead.c.delivery_id < queue.c.delivery_id,
    )
    .order_by(_ahead.c.delivery_id)
    .limit(1)
    .correlate(queue)
    .scalar_subquery()
)
_COLUMNS = (
    deliveries.c.id,
    deliveries.c.event_id,
    events.c.type.label("event_type"),
    deliveries.c.target_id,
    targets.c.name.label("target"),
    targets.c.status.label("target_status"),
    targets.c.status_reason.label("target_status_reason"),
    target_state.c.throttled_until,
    deliveries.c.status,
    deliveries.c.reason,
    deliveries.c.attempts,
    deliveries.c.external_id,
    deliveries.c.first_delivery_id,
    deliveries.c.replay_id,
    deliveries.c.created_at,
    deliveries.c.finished_at,
    queue.c.due_at,
    queue.c.lease_until,
    _BEHIND.label("behind"),
)
_ATTEMPT_COLUMNS = (
    attempts.c.id,
    attempts.c.number,
    attempts.c.outcome,
    attempts.c.reason,
    attempts.c.started_at,
    attempts.c.duration_micros,
    attempts.c.worker,
    attempts.c.exchanges,
)


def _statement(*, waiting: bool = False) -> sa.Select[Any]:
    """All columns; `waiting` reads only what stands in the queue, and starts there."""
    in_queue = queue.c.delivery_id == deliveries.c.id
    joined = queue.join(deliveries, in_queue) if waiting else deliveries.outerjoin(queue, in_queue)
    return sa.select(*_COLUMNS).select_from(
        joined.outerjoin(targets, targets.c.id == deliveries.c.target_id)
        .outerjoin(target_state, target_state.c.target_id == deliveries.c.target_id)
        .outerjoin(events, events.c.id == deliveries.c.event_id)
    )


def _record(row: sa.Row[Any]) -> DeliveryRecord:
    return DeliveryRecord(**row._mapping)  # noqa: SLF001  the documented way to a row's names


def page(
    connection: ReadConnection, wanted: DeliveryFilter, *, limit: int, before: str | None
) -> list[DeliveryRecord]:
    """Up to `limit` deliveries, newest first, those older than the id `before`."""
    waiting = wanted.status in _WAITING
    identifier = queue.c.delivery_id if waiting else deliveries.c.id
    span = between(identifier, deliveries.c.created_at, "dlv", wanted.since, wanted.until)
    conditions = [*span, *_status_is(wanted.status)]
    if wanted.target is not None:
        conditions.append(_of_target(deliveries.c.target_id, wanted.target))
    if wanted.event is not None:
        conditions.append(deliveries.c.event_id == wanted.event)
    if wanted.replay is not None:
        conditions.append(deliveries.c.replay_id == wanted.replay)
    if before is not None:
        conditions.append(identifier < before)
    statement = (
        _statement(waiting=waiting).where(*conditions).order_by(identifier.desc()).limit(limit)
    )
    return [_record(row) for row in connection.execute(statement)]


def get(connection: ReadConnection, delivery_id: str) -> DeliveryRecord | None:
    """The delivery with this id."""
    statement = _statement().where(deliveries.c.id == delivery_id)
    row = connection.execute(statement).one_or_none()
    return None if row is None else _record(row)


def of_event(connection: ReadConnection, event_id: str) -> list[DeliveryRecord]:
    """The deliveries of one event, oldest first."""
    statement = _statement().where(deliveries.c.event_id == event_id).order_by(deliveries.c.id)
    return [_record(row) for row in connection.execute(statement)]


def attempts_of(connection: ReadConnection, delivery_id: str) -> list[AttemptRecord]:
    """The log of one delivery, oldest first."""
    statement = (
        sa.select(*_ATTEMPT_COLUMNS)
        .where(attempts.c.delivery_id == delivery_id)
        .order_by(attempts.c.id)
    )
    return [AttemptRecord(**row._mapping) for row in connection.execute(statement)]  # noqa: SLF001  the documented way to a row's names


def _status_is(status: str | None) -> list[sa.ColumnElement[bool]]:
    if status is None:
        return []
    if status == "in_flight":
        return [queue.c.lease_until.is_not(None)]
    if status in _WAITING:
        active = sa.select(targets.c.id).where(targets.c.status == ACTIVE)
        of_active = computed(queue.c.target_id).in_(active)
        return [queue.c.lease_until.is_(None), of_active if status == "pending" else ~of_active]
    # Written out, not bound: only then a partial index (of the failed ones) can be used.
    return [deliveries.c.status == sa.literal(status, literal_execute=True)]


def _of_target(column: sa.Column[str], target: str) -> sa.ColumnElement[bool]:
    by_name = sa.select(targets.c.id).where(targets.c.name == target).scalar_subquery()
    return column == (target if target.startswith("tgt_") else by_name)
