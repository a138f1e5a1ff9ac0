"""What comes in: events with their bodies and deliveries, and the memory of what came before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.store import bulk, tables
from app.store.database import WriteConnection


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """One event to store.

    `dedupe_key` and `fingerprint` are SHA-256 digests: of what makes the event the same one, and
    of its content; both None when the event needs no protection from repeats (the relay's own).
    `dedupe_expires_at` is None for a memory without end.
    Times are microseconds.
    """

    id: str
    source_id: str
    source: str
    kind: str
    type: str
    subject: str | None
    test: bool
    external_id: str | None
    hop: int
    occurred_at: int
    received_at: int
    content_type: str
    headers: str | None
    body: bytes
    dedupe_key: bytes | None = None
    fingerprint: bytes | None = None
    dedupe_expires_at: int | None = None


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """One delivery to store; `reason` is set when it is skipped from the start.

    `subject` is set where order counts.
    """

    id: str
    event_id: str
    target_id: str
    subject: str | None
    created_at: int
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """The event that already stands under a dedupe key."""

    event_id: str
    fingerprint: bytes


_DEDUPE = ("source_id", "key", "fingerprint", "event_id", "expires_at")
_EVENTS = (
    "id", "source_id", "source", "kind", "type", "subject", "test", "external_id", "hop",
    "occurred_at", "received_at",
)  # fmt: skip
_BODIES = ("event_id", "content_type", "headers", "body")
_DELIVERIES = ("id", "event_id", "target_id", "status", "reason", "attempts", "created_at", "finished_at")  # fmt: skip
_QUEUE = ("delivery_id", "target_id", "event_id", "subject", "due_at", "fence", "attempts", "single")  # fmt: skip

_REMEMBER = (
    "INSERT INTO dedupe (source_id, key, fingerprint, event_id, expires_at)"  # noqa: S608  names of our own tables
    f" SELECT * FROM {bulk.arrays(tables.dedupe, _DEDUPE)} ORDER BY 1, 2"
    " ON CONFLICT (source_id, key) DO UPDATE SET fingerprint = excluded.fingerprint,"
    " event_id = excluded.event_id, expires_at = excluded.expires_at"
    " WHERE dedupe.expires_at <= $6 RETURNING source_id, key"
)
_FIND = (
    "SELECT d.source_id, d.key, d.event_id, d.fingerprint FROM dedupe d"
    " JOIN unnest($1::varchar[], $2::bytea[]) AS k (source_id, key)"
    " ON d.source_id = k.source_id AND d.key = k.key"
)


def remember(
    connection: WriteConnection, events: Sequence[NewEvent], now: int
) -> dict[tuple[str, bytes], Known]:
    """Write down the dedupe keys of `events`; answers those that were known already.

    No two events may have the same key.
    """
    rows: list[bulk.Row] = [
        (event.source_id, event.dedupe_key, event.fingerprint, event.id, event.dedupe_expires_at)
        for event in events
        if event.dedupe_key is not None
    ]
    if not rows:
        return {}
    if connection.dialect.name == "postgresql":
        return _remember_postgresql(connection, rows, now)
    return _remember_sqlite(connection, rows, now)


def _remember_postgresql(
    connection: WriteConnection, rows: list[bulk.Row], now: int
) -> dict[tuple[str, bytes], Known]:
    fresh = connection.exec_driver_sql(_REMEMBER, (*bulk.transposed(rows), now)).all()
    if len(fresh) == len(rows):
        return {}
    new = {(row[0], row[1]) for row in fresh}
    old = [row for row in rows if (row[0], row[1]) not in new]
    found = connection.exec_driver_sql(_FIND, ([row[0] for row in old], [row[1] for row in old]))
    return {(row[0], row[1]): Known(row[2], row[3]) for row in found}


def _remember_sqlite(
    connection: WriteConnection, rows: list[bulk.Row], now: int
) -> dict[tuple[str, bytes], Known]:
    # The write lock is held: nobody can come between the look and the insert.
    marks = ", ".join(["(?, ?)"] * len(rows))
    statement = (
        "SELECT source_id, key, event_id, fingerprint FROM dedupe"  # noqa: S608  question marks only
        f" WHERE (source_id, key) IN (VALUES {marks})"
        " AND (expires_at IS NULL OR expires_at > ?)"
    )
    values = [value for row in rows for value in row[:2]]
    found = connection.exec_driver_sql(statement, (*values, now)).all()
    known = {(row[0], row[1]): Known(row[2], row[3]) for row in found}
    fresh = [tuple(row) for row in rows if (row[0], row[1]) not in known]
    if fresh:
        connection.exec_driver_sql("INSERT OR REPLACE INTO dedupe VALUES (?, ?, ?, ?, ?)", fresh)
    return known


def insert(
    connection: WriteConnection, events: Sequence[NewEvent], deliveries: Sequence[NewDelivery]
) -> None:
    """Store events and their deliveries; those without a reason are queued, due at once."""
    bulk.insert(
        connection,
        tables.events,
        _EVENTS,
        [
            (
                e.id, e.source_id, e.source, e.kind, e.type, e.subject, e.test, e.external_id,
                e.hop, e.occurred_at, e.received_at,
            )
            for e in events
        ],
    )  # fmt: skip
    bulk.insert(
        connection,
        tables.event_bodies,
        _BODIES,
        [(e.id, e.content_type, e.headers, e.body) for e in events],
    )
    insert_deliveries(connection, deliveries)


def insert_deliveries(connection: WriteConnection, deliveries: Sequence[NewDelivery]) -> None:
    """Store deliveries of events that are stored; those without a reason are queued."""
    bulk.insert(
        connection,
        tables.deliveries,
        _DELIVERIES,
        [
            (d.id, d.event_id, d.target_id, "pending", None, 0, d.created_at, None)
            if d.reason is None
            else (d.id, d.event_id, d.target_id, "skipped", d.reason, 0, d.created_at, d.created_at)
            for d in deliveries
        ],
    )
    bulk.insert(
        connection,
        tables.queue,
        _QUEUE,
        [
            (d.id, d.target_id, d.event_id, d.subject, d.created_at, 0, 0, False)
            for d in deliveries
            if d.reason is None
        ],
    )
