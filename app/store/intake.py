"""What comes in: events with their bodies and deliveries, and the memory of what came before."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from app.domain import strict_json
from app.domain.record import record
from app.store import bulk, tables
from app.store.database import WriteConnection
from app.store.sqlite import raw

#: Among the headers of an event that the relay made by itself; its value says on what occasion.
ORIGIN_HEADER = "relay-origin"


@record(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """One event to store.

    `dedupe_key` and `fingerprint` are SHA-256 digests: of what makes the event the same one, and
    of its content; both None when the event needs no protection from repeats (the relay's own).
    `dedupe_expires_at` is None for a memory without end.
    Times are microseconds.
    `envelope` is what webhook targets are sent, after the stamp of the source that was read so.
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
    envelope: bytes | None = None


@record(frozen=True, slots=True)
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


@record(frozen=True, slots=True)
class Known:
    """The event that already stands under a dedupe key."""

    event_id: str
    fingerprint: bytes


_VERSION = "SELECT version FROM routing_version WHERE id = 1"
Key = tuple[str, bytes]
_EVENTS = (
    "id", "source_id", "source", "kind", "type", "subject", "test", "external_id", "hop",
    "occurred_at", "received_at",
)  # fmt: skip
_BODIES = ("event_id", "content_type", "headers", "body", "envelope")
_DELIVERIES = ("id", "event_id", "target_id", "status", "reason", "attempts", "created_at", "finished_at")  # fmt: skip
_QUEUE = ("delivery_id", "target_id", "event_id", "subject", "due_at", "fence", "attempts", "single")  # fmt: skip

# One statement, one round trip, one commit: it does nothing when the routes have moved ($1), and
# stores an event only where its dedupe key is new. $2 events, $3 their bodies and envelopes one
# after the other (an array of them would have to be joined), $4 key and fingerprint of each (64
# bytes), $5 deliveries, $6 now.
_STORE_POSTGRESQL = """
WITH input AS (
  SELECT * FROM json_to_recordset($2::json) AS t (
    id varchar, source_id varchar, source varchar, kind varchar, type varchar, subject varchar,
    test boolean, external_id varchar, hop smallint, occurred_at bigint, received_at bigint,
    content_type varchar, headers text, dedupe_expires_at bigint, keyed boolean, n integer,
    start integer, middle integer, stop integer)
  WHERE (SELECT version FROM routing_version WHERE id = 1) = $1::bigint
), remembered AS (
  INSERT INTO dedupe (source_id, key, fingerprint, event_id, expires_at)
  SELECT source_id, substr($4::bytea, 64 * n + 1, 32), substr($4::bytea, 64 * n + 33, 32), id,
    dedupe_expires_at FROM input WHERE keyed ORDER BY 1, 2
  ON CONFLICT (source_id, key) DO UPDATE SET fingerprint = excluded.fingerprint,
    event_id = excluded.event_id, expires_at = excluded.expires_at
    WHERE dedupe.expires_at <= $6::bigint
  RETURNING event_id
), fresh AS (
  SELECT event_id FROM remembered UNION ALL SELECT id FROM input WHERE NOT keyed
), stored AS (
  INSERT INTO events (id, source_id, source, kind, type, subject, test, external_id, hop,
    occurred_at, received_at)
  SELECT id, source_id, source, kind, type, subject, test, external_id, hop, occurred_at,
    received_at FROM input JOIN fresh ON fresh.event_id = input.id
), bodies AS (
  INSERT INTO event_bodies (event_id, content_type, headers, body, envelope)
  SELECT id, content_type, headers, substr($3::bytea, start, middle - start),
    CASE WHEN stop > middle THEN substr($3::bytea, middle, stop - middle) END
  FROM input JOIN fresh ON fresh.event_id = input.id
), wanted AS (
  SELECT d.* FROM json_to_recordset($5::json) AS d (
    id varchar, event_id varchar, target_id varchar, subject varchar, created_at bigint,
    reason text)
  JOIN fresh ON fresh.event_id = d.event_id
), delivered AS (
  INSERT INTO deliveries (id, event_id, target_id, status, reason, attempts, created_at,
    finished_at)
  SELECT id, event_id, target_id, CASE WHEN reason IS NULL THEN 'pending' ELSE 'skipped' END,
    reason, 0, created_at, CASE WHEN reason IS NULL THEN NULL ELSE created_at END FROM wanted
), queued AS (
  INSERT INTO queue (delivery_id, target_id, event_id, subject, due_at, fence, attempts, single)
  SELECT id, target_id, event_id, subject, created_at, 0, 0, false FROM wanted
  WHERE reason IS NULL RETURNING 1
)
SELECT (SELECT version FROM routing_version WHERE id = 1),
  (SELECT array_agg(event_id) FROM fresh),
  (SELECT pg_notify('relay_deliveries', '') FROM queued LIMIT 1)
"""
_FIND = (
    "SELECT d.source_id, d.key, d.event_id, d.fingerprint FROM dedupe d"
    " JOIN unnest($1::varchar[], $2::bytea[]) AS k (source_id, key)"
    " ON d.source_id = k.source_id AND d.key = k.key"
)
# The row changes only when the key is new or was forgotten.
_REMEMBER_SQLITE = (
    "INSERT INTO dedupe (source_id, key, fingerprint, event_id, expires_at) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (source_id, key) DO UPDATE SET fingerprint = excluded.fingerprint,"
    " event_id = excluded.event_id, expires_at = excluded.expires_at WHERE dedupe.expires_at <= ?"
)
_FIND_SQLITE = (
    "SELECT key, event_id, fingerprint FROM dedupe WHERE source_id = ? AND key IN ({marks})"
)
_NO_KEY = bytes(64)


def store(
    connection: WriteConnection,
    events: Sequence[NewEvent],
    deliveries: Sequence[NewDelivery],
    *,
    version: int,
    now: int,
) -> dict[Key, Known] | None:
    """Store what is new of `events`, with their deliveries; answers what was known already.

    Answers None, and stores nothing, when the routing version is not `version` any more: the
    deliveries were planned for other routes.
    No two events may have the same dedupe key.
    """
    if connection.dialect.name == "postgresql":
        return _store_postgresql(connection, events, deliveries, version, now)
    if raw(connection).execute(_VERSION).fetchone() != (version,):
        return None
    known = _remember_sqlite(connection, [event for event in events if event.dedupe_key], now)
    if known:
        old = {event.id for event in events if (event.source_id, event.dedupe_key) in known}
        events = [event for event in events if event.id not in old]
        deliveries = [delivery for delivery in deliveries if delivery.event_id not in old]
    insert(connection, events, deliveries)
    return known


def _store_postgresql(
    connection: WriteConnection,
    events: Sequence[NewEvent],
    deliveries: Sequence[NewDelivery],
    version: int,
    now: int,
) -> dict[Key, Known] | None:
    rows: list[dict[str, Any]] = []
    pieces: list[bytes] = []
    start = 1
    for event in events:
        envelope = event.envelope or b""
        middle = start + len(event.body)
        stop = middle + len(envelope)
        rows.append(_as_json(event, len(rows), start, middle, stop))
        pieces += event.body, envelope
        start = stop
    keys = b"".join(
        [
            (e.dedupe_key + e.fingerprint) if e.dedupe_key and e.fingerprint else _NO_KEY
            for e in events
        ]
    )
    values = (
        version,
        strict_json.write(rows).decode(),
        b"".join(pieces),
        keys,
        strict_json.write(deliveries).decode(),
        now,
    )
    seen, fresh, _ = connection.exec_driver_sql(_STORE_POSTGRESQL, values).one()
    if seen != version:
        return None
    if fresh is not None and len(fresh) == len(events):
        return {}
    new = set(fresh or ())
    old = [event for event in events if event.id not in new]
    found = connection.exec_driver_sql(
        _FIND, ([event.source_id for event in old], [event.dedupe_key for event in old])
    )
    return {(row[0], row[1]): Known(row[2], row[3]) for row in found}


def _as_json(event: NewEvent, n: int, start: int, middle: int, stop: int) -> dict[str, Any]:
    """What goes to PostgreSQL as JSON; body, envelope and keys go beside it, at these places."""
    return {
        "id": event.id,
        "source_id": event.source_id,
        "source": event.source,
        "kind": event.kind,
        "type": event.type,
        "subject": event.subject,
        "test": event.test,
        "external_id": event.external_id,
        "hop": event.hop,
        "occurred_at": event.occurred_at,
        "received_at": event.received_at,
        "content_type": event.content_type,
        "headers": event.headers,
        "dedupe_expires_at": event.dedupe_expires_at,
        "keyed": event.dedupe_key is not None,
        "n": n,
        "start": start,
        "middle": middle,
        "stop": stop,
    }


def _remember_sqlite(
    connection: WriteConnection, events: Sequence[NewEvent], now: int
) -> dict[Key, Known]:
    """Remember the keys of `events`; answers those that were known already."""
    driver = raw(connection)
    rows = [
        (e.source_id, e.dedupe_key, e.fingerprint, e.id, e.dedupe_expires_at, now) for e in events
    ]
    # In the order of the table: neighbours share a page.
    rows.sort(key=itemgetter(0, 1))
    if driver.executemany(_REMEMBER_SQLITE, rows).rowcount == len(rows):
        return {}
    known: dict[Key, Known] = {}
    ours = {event.id for event in events}
    by_source: dict[str, list[bytes | None]] = {}
    for event in events:
        by_source.setdefault(event.source_id, []).append(event.dedupe_key)
    for source_id, keys in by_source.items():
        # One source at a time: SQLite searches its index for a list of keys, not for one of pairs.
        statement = _FIND_SQLITE.format(marks=", ".join("?" * len(keys)))
        for key, event_id, fingerprint in driver.execute(statement, (source_id, *keys)):
            if event_id not in ours:
                known[source_id, key] = Known(event_id, fingerprint)
    return known


def insert(
    connection: WriteConnection, events: Sequence[NewEvent], deliveries: Sequence[NewDelivery]
) -> None:
    """Store events that are new for certain, and their deliveries; see `store` for the others."""
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
        [(e.id, e.content_type, e.headers, e.body, e.envelope) for e in events],
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
