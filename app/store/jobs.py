"""Long work as rows: what is to be done, how far it is, and who is at it.

A step reads without a lock, then takes the job's row, makes sure that nobody was there meanwhile,
and moves the cursor in the transaction that did the work: a step is done once or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from app.store.database import ReadConnection, WriteConnection
from app.store.tables import jobs


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """One job; times are microseconds.

    `cursor` is where the next step begins, None for the beginning.
    `reason` says why it failed, or what the last failure within it was.
    """

    id: str
    kind: str
    state: str
    total: int
    parameters: dict[str, Any]
    force: bool
    created_at: int
    updated_at: int
    reason: str | None = None
    done: int = 0
    failed: int = 0
    cursor: str | None = None
    finished_at: int | None = None
    lease_until: int | None = None
    lease_owner: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a step changes; `state` is the final one when `finished`."""

    state: str
    cursor: str | None
    total: int
    done: int
    failed: int
    reason: str | None
    finished: bool


_COLUMNS = tuple(jobs.c)


def _record(row: sa.Row[Any]) -> JobRecord:
    return JobRecord(**row._mapping)  # noqa: SLF001  the documented way to a row's names


def insert(connection: WriteConnection, record: JobRecord) -> None:
    """Store a new job."""
    values = {name: getattr(record, name) for name in JobRecord.__slots__}
    connection.execute(sa.insert(jobs).values(values))


def get(connection: ReadConnection, job_id: str, kind: str | None = None) -> JobRecord | None:
    """The job with this id, where it is of this kind."""
    statement = sa.select(*_COLUMNS).where(jobs.c.id == job_id, *_kind_is(kind))
    row = connection.execute(statement).one_or_none()
    return None if row is None else _record(row)


def page(
    connection: ReadConnection, kind: str | None, *, limit: int, before: str | None
) -> list[JobRecord]:
    """Up to `limit` jobs, newest first, those older than the id `before`."""
    made = _made(jobs.c.id)
    statement = sa.select(*_COLUMNS).where(*_kind_is(kind)).order_by(made.desc()).limit(limit)
    if before is not None:
        statement = statement.where(made < _made(sa.literal(before)))
    return [_record(row) for row in connection.execute(statement)]


def _made(identifier: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    """What of an id sorts by time, whatever the kind of job its prefix names."""
    return sa.func.substr(identifier, len("rpl_") + 1)


def since(connection: ReadConnection | WriteConnection, kind: str, moment: int) -> list[JobRecord]:
    """The jobs of a kind that were made at that time or later, or are not over."""
    statement = sa.select(*_COLUMNS).where(
        jobs.c.kind == kind, sa.or_(jobs.c.created_at >= moment, jobs.c.finished_at.is_(None))
    )
    return [_record(row) for row in connection.execute(statement)]


def _kind_is(kind: str | None) -> list[sa.ColumnElement[bool]]:
    return [] if kind is None else [jobs.c.kind == kind]


def waiting_for(connection: ReadConnection, owner: str, now: int) -> list[JobRecord]:
    """The unfinished jobs that `owner` may go on with, oldest first."""
    statement = (
        sa.select(*_COLUMNS)
        .where(jobs.c.finished_at.is_(None), _free_for(owner, now))
        .order_by(jobs.c.id)
    )
    return [_record(row) for row in connection.execute(statement)]


def _free_for(owner: str, now: int) -> sa.ColumnElement[bool]:
    return sa.or_(
        jobs.c.lease_owner.is_(None), jobs.c.lease_owner == owner, jobs.c.lease_until <= now
    )


def hold(
    connection: WriteConnection, seen: JobRecord, *, owner: str, now: int, lease_until: int
) -> bool:
    """Keep the job for `owner`, its row locked until the transaction ends.

    False when it went on, ended, or got another owner since it was `seen`.
    """
    statement = (
        sa.update(jobs)
        .where(
            jobs.c.id == seen.id,
            jobs.c.finished_at.is_(None),
            jobs.c.cursor.is_not_distinct_from(seen.cursor),
            _free_for(owner, now),
        )
        .values(state="running", lease_owner=owner, lease_until=lease_until, updated_at=now)
    )
    return connection.execute(statement).rowcount == 1


def advance(connection: WriteConnection, job_id: str, progress: Progress, now: int) -> None:
    """Write down a step of a job that is held."""
    values: dict[str, Any] = {
        "state": progress.state,
        "cursor": progress.cursor,
        "total": progress.total,
        "done": progress.done,
        "failed": progress.failed,
        "reason": progress.reason,
        "updated_at": now,
    }
    if progress.finished:
        values |= {"finished_at": now, "lease_owner": None, "lease_until": None}
    connection.execute(sa.update(jobs).where(jobs.c.id == job_id).values(values))


def end(connection: WriteConnection, job_id: str, state: str, reason: str, now: int) -> bool:
    """End a job before its time; False when it is over already."""
    statement = (
        sa.update(jobs)
        .where(jobs.c.id == job_id, jobs.c.finished_at.is_(None))
        .values(
            state=state,
            reason=reason,
            updated_at=now,
            finished_at=now,
            lease_owner=None,
            lease_until=None,
        )
    )
    return connection.execute(statement).rowcount == 1


def lease_owners(connection: ReadConnection) -> list[str]:
    """Who is at unfinished jobs now."""
    statement = (
        sa.select(jobs.c.lease_owner)
        .where(jobs.c.finished_at.is_(None), jobs.c.lease_owner.is_not(None))
        .distinct()
    )
    return [str(owner) for owner in connection.execute(statement).scalars()]


def release(connection: WriteConnection, owners: list[str]) -> int:
    """Give back the jobs of `owners`; answers how many."""
    statement = (
        sa.update(jobs)
        .where(jobs.c.finished_at.is_(None), jobs.c.lease_owner.in_(owners))
        .values(lease_owner=None, lease_until=None)
    )
    return connection.execute(statement).rowcount
