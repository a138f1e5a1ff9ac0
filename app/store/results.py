"""What became of deliveries: the final word, or when to try again.

Every change is fenced: it counts only while the queue still shows the claim it belongs to.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import sqlalchemy as sa

from app.domain import strict_json
from app.domain.record import record
from app.store import bulk, tables
from app.store.database import WriteConnection


@record(frozen=True, slots=True, kw_only=True)
class Settled:
    """A delivery that is over."""

    delivery_id: str
    fence: int
    status: str
    reason: str | None
    attempts: int
    external_id: str | None
    first_delivery_id: str | None
    finished_at: int


@record(frozen=True, slots=True, kw_only=True)
class Postponed:
    """A delivery that waits until `due_at`; `single` keeps it out of batches from now on."""

    delivery_id: str
    fence: int
    due_at: int
    attempts: int
    reason: str
    single: bool


@record(frozen=True, slots=True, kw_only=True)
class NewAttempt:
    """One line of a delivery's log; `exchanges` is JSON text."""

    delivery_id: str
    id: str
    number: int
    outcome: str
    reason: str
    started_at: int
    duration_micros: int
    worker: str
    exchanges: str


# One statement for a whole batch: every change is made only where the claim is still this one's.
# $1 what became of each claim, $2 the lines of the log; `status` is null where it waits.
_WRITE_POSTGRESQL = """
WITH input AS (
  SELECT * FROM json_to_recordset($1::json) AS t (
    delivery_id varchar, fence bigint, status varchar, reason text, attempts integer,
    external_id varchar, first_delivery_id varchar, finished_at bigint, due_at bigint,
    single boolean)
), gone AS (
  DELETE FROM queue q USING input i
  WHERE q.delivery_id = i.delivery_id AND q.fence = i.fence AND i.status IS NOT NULL
  RETURNING q.delivery_id
), back AS (
  UPDATE queue q SET lease_until = NULL, lease_owner = NULL, due_at = i.due_at,
    attempts = i.attempts, single = i.single
  FROM input i WHERE q.delivery_id = i.delivery_id AND q.fence = i.fence AND i.status IS NULL
  RETURNING q.delivery_id
), counted AS (
  SELECT delivery_id FROM gone UNION ALL SELECT delivery_id FROM back
), told AS (
  UPDATE deliveries d SET status = coalesce(i.status, d.status), reason = i.reason,
    attempts = i.attempts, external_id = i.external_id,
    first_delivery_id = i.first_delivery_id, finished_at = i.finished_at
  FROM input i JOIN counted c ON c.delivery_id = i.delivery_id WHERE d.id = i.delivery_id
), logged AS (
  INSERT INTO attempts (delivery_id, id, number, outcome, reason, started_at, duration_micros,
    worker, exchanges)
  SELECT a.delivery_id, a.id, a.number,
    CASE WHEN c.delivery_id IS NULL THEN 'stale' ELSE a.outcome END, a.reason, a.started_at,
    a.duration_micros, a.worker, a.exchanges
  FROM json_to_recordset($2::json) AS a (
    delivery_id varchar, id varchar, number integer, outcome varchar, reason text,
    started_at bigint, duration_micros bigint, worker varchar, exchanges text)
  LEFT JOIN counted c ON c.delivery_id = a.delivery_id
)
SELECT delivery_id FROM counted
"""
_HELD_SQLITE = (
    "SELECT delivery_id, fence FROM queue WHERE delivery_id IN (SELECT value FROM json_each(?))"
)


def _field(name: str) -> str:
    return f"json_extract(value, '$.{name}')"


def _set(*names: str) -> str:
    return ", ".join(f"{name} = {_field(name)}" for name in names)


# A batch is one JSON list, so that each change is one step of one statement.
_LEAVE_SQLITE = (
    f"DELETE FROM queue WHERE delivery_id IN (SELECT {_field('delivery_id')} FROM json_each(?))"  # noqa: S608  names of our own columns
)
_END_SQLITE = (
    f"UPDATE deliveries SET {_set('status', 'reason', 'attempts', 'external_id')},"  # noqa: S608  names of our own columns
    f" {_set('first_delivery_id', 'finished_at')} FROM json_each(?)"
    f" WHERE deliveries.id = {_field('delivery_id')}"
)
_WAIT_SQLITE = (
    f"UPDATE queue SET lease_until = NULL, lease_owner = NULL, {_set('due_at', 'attempts')},"  # noqa: S608  names of our own columns
    f" {_set('single')} FROM json_each(?) WHERE queue.delivery_id = {_field('delivery_id')}"
)
_TELL_SQLITE = (
    f"UPDATE deliveries SET {_set('attempts', 'reason')} FROM json_each(?)"  # noqa: S608  names of our own columns
    f" WHERE deliveries.id = {_field('delivery_id')}"
)
_ATTEMPTS = (
    "delivery_id", "id", "number", "outcome", "reason", "started_at", "duration_micros", "worker",
    "exchanges",
)  # fmt: skip


def write(
    connection: WriteConnection,
    settled: Sequence[Settled],
    postponed: Sequence[Postponed],
    attempts: Sequence[NewAttempt],
) -> set[str]:
    """Write what became of claims; answers the ids of those whose claim was still theirs.

    The attempts of the others are logged as `stale` and change nothing.
    """
    if connection.dialect.name == "postgresql":
        claims = strict_json.write([*settled, *postponed]).decode()
        log = strict_json.write(attempts).decode()
        found = connection.exec_driver_sql(_WRITE_POSTGRESQL, (claims, log))
        return {row[0] for row in found}
    claims_made = [(one.delivery_id, one.fence) for one in settled]
    claims_made += [(one.delivery_id, one.fence) for one in postponed]
    counted = _still_held(connection, claims_made)
    _settle_sqlite(connection, [one for one in settled if one.delivery_id in counted])
    _postpone_sqlite(connection, [one for one in postponed if one.delivery_id in counted])
    insert_attempts(
        connection,
        [one if one.delivery_id in counted else replace(one, outcome="stale") for one in attempts],
    )
    return counted


def _settle_sqlite(connection: WriteConnection, settled: Sequence[Settled]) -> None:
    if not settled:
        return
    listed = strict_json.write(settled).decode()
    connection.exec_driver_sql(_LEAVE_SQLITE, (listed,))
    connection.exec_driver_sql(_END_SQLITE, (listed,))


def _postpone_sqlite(connection: WriteConnection, postponed: Sequence[Postponed]) -> None:
    if not postponed:
        return
    listed = strict_json.write(postponed).decode()
    connection.exec_driver_sql(_WAIT_SQLITE, (listed,))
    connection.exec_driver_sql(_TELL_SQLITE, (listed,))


def _still_held(connection: WriteConnection, claims: Sequence[tuple[str, int]]) -> set[str]:
    if not claims:
        return set()
    listed = '["' + '","'.join(delivery for delivery, _ in claims) + '"]'
    fences = {row[0]: row[1] for row in connection.exec_driver_sql(_HELD_SQLITE, (listed,))}
    return {delivery for delivery, fence in claims if fences.get(delivery) == fence}


def hold_back_followers(connection: WriteConnection, waits: Iterable[tuple[str, str, int]]) -> None:
    """Let the later deliveries of a subject wait as long as its first: target, subject, due."""
    rows = [{"target": t, "subject": s, "due": due} for t, s, due in waits]
    if rows:
        connection.execute(
            sa.text(
                "UPDATE queue SET due_at = :due WHERE target_id = :target AND subject = :subject"
                " AND lease_until IS NULL AND due_at < :due"
            ),
            rows,
        )


def insert_attempts(connection: WriteConnection, attempts: Sequence[NewAttempt]) -> None:
    """Add to the attempt log."""
    bulk.insert(
        connection,
        tables.attempts,
        _ATTEMPTS,
        [
            (a.delivery_id, a.id, a.number, a.outcome, a.reason, a.started_at, a.duration_micros,
             a.worker, a.exchanges)
            for a in attempts
        ],
    )  # fmt: skip
