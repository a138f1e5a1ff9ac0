"""What became of deliveries: the final word, or when to try again.

Every change is fenced: it counts only while the queue still shows the claim it belongs to.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from app.store import bulk, tables
from app.store.database import WriteConnection


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Postponed:
    """A delivery that waits until `due_at`; `single` keeps it out of batches from now on."""

    delivery_id: str
    fence: int
    due_at: int
    attempts: int
    reason: str
    single: bool


@dataclass(frozen=True, slots=True, kw_only=True)
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


_SETTLE_POSTGRESQL = (
    "WITH gone AS (DELETE FROM queue q USING unnest($1::varchar[], $2::bigint[], $3::varchar[],"
    " $4::varchar[], $5::integer[], $6::varchar[], $7::varchar[], $8::bigint[])"
    " AS u (id, fence, status, reason, attempts, external_id, first_id, at)"
    " WHERE q.delivery_id = u.id AND q.fence = u.fence RETURNING u.*),"
    " done AS (UPDATE deliveries d SET status = g.status, reason = g.reason,"
    " attempts = g.attempts, external_id = g.external_id, first_delivery_id = g.first_id,"
    " finished_at = g.at FROM gone g WHERE d.id = g.id)"
    " SELECT id FROM gone"
)
_POSTPONE_POSTGRESQL = (
    "WITH back AS (UPDATE queue q SET lease_until = NULL, lease_owner = NULL, due_at = u.due,"
    " attempts = u.attempts, single = u.single FROM unnest($1::varchar[], $2::bigint[],"
    " $3::bigint[], $4::integer[], $5::varchar[], $6::boolean[])"
    " AS u (id, fence, due, attempts, reason, single)"
    " WHERE q.delivery_id = u.id AND q.fence = u.fence RETURNING u.*),"
    " told AS (UPDATE deliveries d SET attempts = b.attempts, reason = b.reason"
    " FROM back b WHERE d.id = b.id) SELECT id FROM back"
)
_HELD_SQLITE = (
    "SELECT delivery_id, fence FROM queue WHERE delivery_id IN (SELECT value FROM json_each(?))"
)
_ATTEMPTS = (
    "delivery_id", "id", "number", "outcome", "reason", "started_at", "duration_micros", "worker",
    "exchanges",
)  # fmt: skip


def settle(connection: WriteConnection, settled: Sequence[Settled]) -> set[str]:
    """End deliveries; answers the ids of those whose claim was still theirs."""
    if not settled:
        return set()
    if connection.dialect.name == "postgresql":
        rows = [
            (s.delivery_id, s.fence, s.status, s.reason, s.attempts, s.external_id,
             s.first_delivery_id, s.finished_at)
            for s in settled
        ]  # fmt: skip
        found = connection.exec_driver_sql(_SETTLE_POSTGRESQL, bulk.transposed(rows))
        return {row[0] for row in found}
    ours = _still_held(connection, [(s.delivery_id, s.fence) for s in settled])
    mine = [s for s in settled if s.delivery_id in ours]
    if mine:
        connection.exec_driver_sql(
            "DELETE FROM queue WHERE delivery_id = ?", [(s.delivery_id,) for s in mine]
        )
        connection.exec_driver_sql(
            "UPDATE deliveries SET status = ?, reason = ?, attempts = ?, external_id = ?,"
            " first_delivery_id = ?, finished_at = ? WHERE id = ?",
            [
                (s.status, s.reason, s.attempts, s.external_id, s.first_delivery_id,
                 s.finished_at, s.delivery_id)
                for s in mine
            ],
        )  # fmt: skip
    return ours


def postpone(connection: WriteConnection, postponed: Sequence[Postponed]) -> set[str]:
    """Put deliveries back until later; answers the ids of those whose claim was still theirs."""
    if not postponed:
        return set()
    if connection.dialect.name == "postgresql":
        rows = [
            (p.delivery_id, p.fence, p.due_at, p.attempts, p.reason, p.single) for p in postponed
        ]
        found = connection.exec_driver_sql(_POSTPONE_POSTGRESQL, bulk.transposed(rows))
        return {row[0] for row in found}
    ours = _still_held(connection, [(p.delivery_id, p.fence) for p in postponed])
    mine = [p for p in postponed if p.delivery_id in ours]
    if mine:
        connection.exec_driver_sql(
            "UPDATE queue SET lease_until = NULL, lease_owner = NULL, due_at = ?, attempts = ?,"
            " single = ? WHERE delivery_id = ?",
            [(p.due_at, p.attempts, p.single, p.delivery_id) for p in mine],
        )
        connection.exec_driver_sql(
            "UPDATE deliveries SET attempts = ?, reason = ? WHERE id = ?",
            [(p.attempts, p.reason, p.delivery_id) for p in mine],
        )
    return ours


def _still_held(connection: WriteConnection, claims: Sequence[tuple[str, int]]) -> set[str]:
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
