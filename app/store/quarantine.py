"""Bodies of authenticated senders that could not be understood: kept until somebody decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from app.store.database import ReadConnection, WriteConnection
from app.store.tables import quarantine

OPEN = "open"
RELEASED = "released"
DISCARDED = "discarded"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineRecord:
    """One row of `quarantine`.

    `state` is `open`, `released` (`event_id` names what came of it) or `discarded`.
    `problem` is the slug of the error, `detail` its text; times are microseconds.
    `headers` are those the source's adapter needs to read the body again.
    """

    id: str
    source_id: str
    source: str
    event_type: str | None
    state: str
    problem: str
    detail: str
    content_type: str
    headers: Mapping[str, str] | None
    body: bytes
    event_id: str | None
    received_at: int
    settled_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineSummary:
    """One row without its headers and body; `size` is the body's length in bytes."""

    id: str
    source: str
    event_type: str | None
    state: str
    problem: str
    detail: str
    content_type: str
    size: int
    event_id: str | None
    received_at: int
    settled_at: int | None


_SUMMARY = (
    quarantine.c.id,
    quarantine.c.source,
    quarantine.c.event_type,
    quarantine.c.state,
    quarantine.c.problem,
    quarantine.c.detail,
    quarantine.c.content_type,
    sa.func.length(quarantine.c.body).label("size"),
    quarantine.c.event_id,
    quarantine.c.received_at,
    quarantine.c.settled_at,
)


def insert(connection: WriteConnection, record: QuarantineRecord) -> None:
    """Keep a body."""
    connection.execute(sa.insert(quarantine).values(asdict(record)))


def get(connection: ReadConnection, quarantine_id: str) -> QuarantineRecord | None:
    """The entry with this id, body included."""
    row = connection.execute(
        sa.select(quarantine).where(quarantine.c.id == quarantine_id)
    ).one_or_none()
    return None if row is None else _record(row)


def _record(row: sa.Row[Any]) -> QuarantineRecord:
    return QuarantineRecord(**row._mapping)  # noqa: SLF001  the documented way to a row's names


def page(
    connection: ReadConnection, *, limit: int, before: str | None, state: str | None = None
) -> list[QuarantineSummary]:
    """Up to `limit` entries, newest first, those older than the id `before`."""
    statement = sa.select(*_SUMMARY).order_by(quarantine.c.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(quarantine.c.id < before)
    if state is not None:
        statement = statement.where(quarantine.c.state == state)
    return [
        QuarantineSummary(**row._mapping)  # noqa: SLF001  the documented way to a row's names
        for row in connection.execute(statement)
    ]


def settle(
    connection: WriteConnection,
    quarantine_id: str,
    *,
    state: str,
    event_id: str | None,
    now: int,
) -> bool:
    """End an open entry; False when it is not open any more."""
    statement = (
        sa.update(quarantine)
        .where(quarantine.c.id == quarantine_id, quarantine.c.state == OPEN)
        .values(state=state, event_id=event_id, settled_at=now)
    )
    return connection.execute(statement).rowcount > 0


def count_open(connection: ReadConnection) -> int:
    """How many entries wait for a decision."""
    statement = sa.select(sa.func.count()).where(quarantine.c.state == OPEN)
    found: int = connection.execute(statement.select_from(quarantine)).scalar_one()
    return found
