"""What became of deliveries: the final word, or when to try again.

Every change is fenced: it counts only while the queue still shows the claim it belongs to.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypedDict

import sqlalchemy as sa

from app.domain import strict_json
from app.domain.record import record
from app.store import bulk, tables
from app.store.database import WriteConnection


class Ending(TypedDict):
    """What became of one claim.

    `status` is the delivery's final one, None where it waits until `due_at`; `single` keeps it out
    of batches from then on.
    `attempt_id` and what follows are the line of the log; it is None where nothing was sent.
    `exchanges` is JSON text: as a part of the batch's own JSON it could hold no escaped null.
    """

    delivery_id: str
    fence: int
    status: str | None
    reason: str
    attempts: int
    external_id: str | None
    first_delivery_id: str | None
    due_at: int | None
    single: bool
    attempt_id: str | None
    number: int
    outcome: str
    started_at: int
    duration_micros: int
    exchanges: str


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
# $1 the endings, $2 the moment, $3 the worker.
# It answers those that did not count: mostly none, where the others would be hundreds.
_WRITE_POSTGRESQL = """
WITH input AS MATERIALIZED (
  SELECT * FROM json_to_recordset($1::json) AS t (
    delivery_id varchar, fence bigint, status varchar, reason text, attempts integer,
    external_id varchar, first_delivery_id varchar, due_at bigint, single boolean,
    attempt_id varchar, number integer, outcome varchar, started_at bigint,
    duration_micros bigint, exchanges text)
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
  UPDATE deliveries d SET status = coalesce(i.status, d.status), reason = nullif(i.reason, ''),
    attempts = i.attempts, external_id = i.external_id,
    first_delivery_id = i.first_delivery_id,
    finished_at = CASE WHEN i.status IS NOT NULL THEN $2::bigint END
  FROM input i JOIN counted c ON c.delivery_id = i.delivery_id WHERE d.id = i.delivery_id
), logged AS (
  INSERT INTO attempts (delivery_id, id, number, outcome, reason, started_at, duration_micros,
    worker, exchanges)
  SELECT i.delivery_id, i.attempt_id, i.number,
    CASE WHEN c.delivery_id IS NULL THEN 'stale' ELSE i.outcome END, i.reason, i.started_at,
    i.duration_micros, $3::varchar, i.exchanges
  FROM input i LEFT JOIN counted c ON c.delivery_id = i.delivery_id
  WHERE i.attempt_id IS NOT NULL
)
SELECT delivery_id FROM input EXCEPT SELECT delivery_id FROM counted
"""
_HELD_SQLITE = (
    "SELECT delivery_id, fence FROM queue WHERE delivery_id IN (SELECT value FROM json_each(?))"
)


def _set(*names: str) -> str:
    return ", ".join(
        f"{name} = json_extract(value, '$[{place}]')" for place, name in enumerate(names, 1)
    )


# A batch is one JSON list of lists, the delivery's id first, so that each change is one step of one
# statement.
_ID_SQLITE = "json_extract(value, '$[0]')"
_LEAVE_SQLITE = f"DELETE FROM queue WHERE delivery_id IN (SELECT {_ID_SQLITE} FROM json_each(?))"  # noqa: S608  names of our own columns
_ENDED = ("status", "reason", "attempts", "external_id", "first_delivery_id")
_END_SQLITE = (
    f"UPDATE deliveries SET {_set(*_ENDED)}, finished_at = ?2 FROM json_each(?1)"  # noqa: S608  names of our own columns
    f" WHERE deliveries.id = {_ID_SQLITE}"
)
_WAIT_SQLITE = (
    f"UPDATE queue SET lease_until = NULL, lease_owner = NULL, {_set('due_at', 'attempts', 'single')}"  # noqa: S608  names of our own columns
    f" FROM json_each(?) WHERE queue.delivery_id = {_ID_SQLITE}"
)
_TELL_SQLITE = (
    f"UPDATE deliveries SET {_set('attempts', 'reason')} FROM json_each(?)"  # noqa: S608  names of our own columns
    f" WHERE deliveries.id = {_ID_SQLITE}"
)
_ATTEMPTS = (
    "delivery_id", "id", "number", "outcome", "reason", "started_at", "duration_micros", "worker",
    "exchanges",
)  # fmt: skip


def write(
    connection: WriteConnection, endings: Sequence[Ending], *, worker: str, now: int
) -> set[str]:
    """Write what became of claims; answers the ids of those whose claim was still theirs.

    The attempts of the others are logged as `stale` and change nothing.
    `worker` is who made them, `now` when the deliveries ended.
    """
    if connection.dialect.name == "postgresql":
        given = (strict_json.write(endings).decode(), now, worker)
        stale = {row[0] for row in connection.exec_driver_sql(_WRITE_POSTGRESQL, given)}
        return {one["delivery_id"] for one in endings if one["delivery_id"] not in stale}
    counted = _still_held(connection, endings)
    ours = [one for one in endings if one["delivery_id"] in counted]
    _settle_sqlite(connection, [one for one in ours if one["status"] is not None], now)
    _postpone_sqlite(connection, [one for one in ours if one["status"] is None])
    _log_sqlite(connection, endings, counted, worker)
    return counted


def _settle_sqlite(connection: WriteConnection, settled: Sequence[Ending], now: int) -> None:
    if not settled:
        return
    listed = strict_json.write([
        (one["delivery_id"], one["status"], one["reason"] or None, one["attempts"],
         one["external_id"], one["first_delivery_id"])
        for one in settled
    ]).decode()  # fmt: skip
    connection.exec_driver_sql(_LEAVE_SQLITE, (listed,))
    connection.exec_driver_sql(_END_SQLITE, (listed, now))


def _postpone_sqlite(connection: WriteConnection, postponed: Sequence[Ending]) -> None:
    if not postponed:
        return
    waits = [
        (one["delivery_id"], one["due_at"], one["attempts"], one["single"]) for one in postponed
    ]
    reasons = [(one["delivery_id"], one["attempts"], one["reason"] or None) for one in postponed]
    connection.exec_driver_sql(_WAIT_SQLITE, (strict_json.write(waits).decode(),))
    connection.exec_driver_sql(_TELL_SQLITE, (strict_json.write(reasons).decode(),))


def _still_held(connection: WriteConnection, endings: Sequence[Ending]) -> set[str]:
    listed = strict_json.write([one["delivery_id"] for one in endings]).decode()
    fences = {row[0]: row[1] for row in connection.exec_driver_sql(_HELD_SQLITE, (listed,))}
    return {one["delivery_id"] for one in endings if fences.get(one["delivery_id"]) == one["fence"]}


def _log_sqlite(
    connection: WriteConnection, endings: Sequence[Ending], counted: set[str], worker: str
) -> None:
    rows = [
        (one["delivery_id"], one["attempt_id"], one["number"],
         one["outcome"] if one["delivery_id"] in counted else "stale", one["reason"],
         one["started_at"], one["duration_micros"], worker, one["exchanges"])
        for one in endings
        if one["attempt_id"] is not None
    ]  # fmt: skip
    bulk.insert(connection, tables.attempts, _ATTEMPTS, rows)


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
