"""The destinations an operator has registered, and what is remembered about each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from app.store.database import ReadConnection, WriteConnection
from app.store.tables import (
    deliveries,
    effects,
    links,
    queue,
    target_grants,
    target_state,
    targets,
)

_CANCELLED_AT_ONCE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRecord:
    """One row of `targets`: times in microseconds, secrets sealed.

    `settings` has no secret in it; `settings_sealed` is a sealed JSON object of those.
    `status` is `active`, `paused` or `disabled`.
    """

    id: str
    name: str
    connector: str
    settings: Mapping[str, Any]
    settings_sealed: str | None = None
    events: Sequence[str]
    sources: Sequence[str] | None = None
    filter: str | None = None
    mapping: Mapping[str, str] | None = None
    ordered: bool
    retry: Mapping[str, Any] | None = None
    rate_limit: Mapping[str, Any] | None = None
    max_in_flight: int
    status: str = "active"
    status_reason: str | None = None
    signing_secret_sealed: str | None = None
    previous_signing_secret_sealed: str | None = None
    previous_expires_at: int | None = None
    created_at: int
    updated_at: int


def _record(row: sa.Row[Any]) -> TargetRecord:
    return TargetRecord(**row._mapping)  # noqa: SLF001  the documented way to a row's names


def list_all(connection: ReadConnection | WriteConnection) -> list[TargetRecord]:
    """Every target, oldest first."""
    return [_record(row) for row in connection.execute(sa.select(targets).order_by(targets.c.id))]


def page(connection: ReadConnection, *, limit: int, before: str | None) -> list[TargetRecord]:
    """Up to `limit` targets, newest first, those older than the id `before`."""
    statement = sa.select(targets).order_by(targets.c.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(targets.c.id < before)
    return [_record(row) for row in connection.execute(statement)]


def get(connection: ReadConnection | WriteConnection, target_id: str) -> TargetRecord | None:
    """The target with this id."""
    row = connection.execute(sa.select(targets).where(targets.c.id == target_id)).one_or_none()
    return None if row is None else _record(row)


def get_by_name(connection: ReadConnection | WriteConnection, name: str) -> TargetRecord | None:
    """The target with this name."""
    row = connection.execute(sa.select(targets).where(targets.c.name == name)).one_or_none()
    return None if row is None else _record(row)


def insert(connection: WriteConnection, record: TargetRecord) -> None:
    """Store a new target and its state: a full bucket (refilled since ever), nothing throttled."""
    connection.execute(sa.insert(targets).values(asdict(record)))
    state = {
        "target_id": record.id,
        "tokens": 0.0,
        "refilled_at": 0,
        "throttled_until": 0,
    }
    connection.execute(sa.insert(target_state).values(state))


def update(connection: WriteConnection, record: TargetRecord) -> None:
    """Store every column of a target that exists."""
    values = asdict(record)
    connection.execute(sa.update(targets).where(targets.c.id == values.pop("id")).values(values))


def release_held(connection: WriteConnection, target_id: str, now: int) -> None:
    """Forget what slowed a target down and make everything that waits for it due at once."""
    # The queue first, as where results are recorded, so that the two do not wait for each other.
    waiting = sa.update(queue).where(
        queue.c.target_id == target_id, queue.c.lease_until.is_(None), queue.c.due_at > now
    )
    connection.execute(waiting.values(due_at=now))
    state = sa.update(target_state).where(target_state.c.target_id == target_id)
    connection.execute(state.values(throttled_until=0, failing_since=None))


def delete(connection: WriteConnection, target_id: str, *, reason: str, now: int) -> bool:
    """Remove a target with its state, links, effects and grant; false when there was none.

    What is queued for it ends as cancelled, with `reason`; finished deliveries stay.
    A worker that is delivering at this moment finds its queue row gone, as after a lost lease.
    """
    # The order in which results are recorded, so that the two do not wait for each other.
    _cancel_queued(connection, target_id, reason, now)
    for table in (effects, links, target_state):
        connection.execute(sa.delete(table).where(table.c.target_id == target_id))
    # Nothing can be claimed or sent again any more; what was queued meanwhile goes the same way.
    _cancel_queued(connection, target_id, reason, now)
    deleted = connection.execute(sa.delete(targets).where(targets.c.id == target_id)).rowcount > 0
    # After its target, as they are locked where a grant is stored.
    connection.execute(sa.delete(target_grants).where(target_grants.c.target_id == target_id))
    return deleted


def _cancel_queued(connection: WriteConnection, target_id: str, reason: str, now: int) -> None:
    """Cancel what a target has in the queue.

    The deliveries are named one by one: between two statements that only name the target, another
    transaction could queue one more, which would leave the queue without being cancelled.
    """
    queued = (
        sa.select(queue.c.delivery_id)
        .where(queue.c.target_id == target_id)
        .order_by(queue.c.delivery_id)
        .limit(_CANCELLED_AT_ONCE)
        .with_for_update()
    )
    while ids := connection.execute(queued).scalars().all():
        connection.execute(sa.delete(queue).where(queue.c.delivery_id.in_(ids)))
        cancelled = sa.update(deliveries).where(deliveries.c.id.in_(ids))
        connection.execute(cancelled.values(status="cancelled", reason=reason, finished_at=now))
