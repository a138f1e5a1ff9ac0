"""Around a claim: which targets have work, what their rate leaves, and giving back what is held.

On PostgreSQL the targets' state rows are locked first, one worker after another: slots and rates
are counted once over all workers.
On SQLite the transaction holds the write lock from its first statement, which does the same.
What is taken then is app/store/taking.py's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from app.domain import strict_json
from app.domain.record import record
from app.store.candidates import CROWD
from app.store.database import WriteConnection


@record(frozen=True, slots=True)
class ReadyTarget:
    """A target with work that is due, as far as its own limits allow.

    `leased` counts its deliveries in flight over all workers; `tokens` and `refilled_at` are the
    state of its rate bucket; `version` is the routing version.
    It is `failing` while it has done nothing but fail, `crowded` where order counts and many are due.
    """

    id: str
    max_in_flight: int
    leased: int
    per_second: float | None
    tokens: float
    refilled_at: int
    version: int = 0
    failing: bool = False
    crowded: bool = False


class ClaimedDelivery(NamedTuple):
    """A delivery this worker holds until its lease ends, with the event it carries.

    A tuple in the order of the claim's columns, since thousands are made a second.
    `ordered_subject` is set where order counts, `remembered_id` where the destination's id of the
    subject is known; `single` keeps the delivery out of batches.
    `envelope` is what the event's intake wrote for webhook targets, after its source's stamp.
    `repeats_id` is the delivery whose ids a replay shows again, its own where it shows new ones.
    """

    id: str
    target_id: str
    event_id: str
    ordered_subject: str | None
    attempts: int
    single: bool
    fence: int
    source_id: str
    source: str
    kind: str
    type: str
    subject: str | None
    test: bool
    hop: int
    occurred_at: int
    received_at: int
    content_type: str
    headers: str | None
    body: bytes
    remembered_id: str | None
    repeats_id: str | None = None
    envelope: bytes | None = None

    @property
    def size(self) -> int:
        """The bytes of what the event carries."""
        return len(self.body) + len(self.envelope or b"")


_READY = (
    "SELECT s.target_id, t.max_in_flight, t.rate_limit, s.tokens, s.refilled_at,"
    " (SELECT version FROM routing_version WHERE id = 1), s.failing_since IS NOT NULL,"
    " t.ordered AND EXISTS (SELECT 1 FROM queue q WHERE q.target_id = s.target_id"
    " AND q.lease_until IS NULL AND q.due_at <= :now ORDER BY q.due_at LIMIT 1 OFFSET :crowd)"
    " FROM target_state s JOIN targets t ON t.id = s.target_id"
    " WHERE t.status = 'active' AND s.throttled_until <= :now AND EXISTS ("
    "SELECT 1 FROM queue q WHERE q.target_id = s.target_id AND q.lease_until IS NULL"
    " AND q.due_at <= :now) ORDER BY s.target_id"
)
_READY_SQLITE = sa.text(_READY)
_READY_POSTGRESQL = sa.text(_READY + " FOR NO KEY UPDATE OF s")
_LEASED = sa.text(
    "SELECT target_id, count(*) FROM queue WHERE lease_until IS NOT NULL GROUP BY target_id"
)


def ready_targets(connection: WriteConnection, now: int) -> list[ReadyTarget]:
    """The active targets with work that is due, locked until the transaction ends."""
    postgresql = connection.dialect.name == "postgresql"
    rows = connection.execute(
        _READY_POSTGRESQL if postgresql else _READY_SQLITE, {"now": now, "crowd": CROWD}
    ).all()
    if not rows:
        return []
    # Counted after the locks are held: what the last claim took is visible now.
    leased = {row[0]: row[1] for row in connection.execute(_LEASED)}
    return [
        ReadyTarget(
            id=row[0],
            max_in_flight=row[1],
            leased=leased.get(row[0], 0),
            per_second=_per_second(row[2]),
            tokens=row[3],
            refilled_at=row[4],
            version=row[5],
            failing=bool(row[6]),
            crowded=bool(row[7]),
        )
        for row in rows
    ]


def _per_second(text: str | None) -> float | None:
    return None if text is None else float(strict_json.read_trusted(text.encode())["per_second"])


def spend_tokens(connection: WriteConnection, states: Sequence[tuple[str, float, int]]) -> None:
    """Write back the rate buckets: target id, tokens left, moment of the refill."""
    if states:
        connection.execute(
            sa.text(
                "UPDATE target_state SET tokens = :tokens, refilled_at = :at WHERE target_id = :id"
            ),
            [{"id": target, "tokens": tokens, "at": at} for target, tokens, at in states],
        )


def owe_tokens(connection: WriteConnection, requests: Sequence[tuple[str, int]]) -> None:
    """Take more out of rate buckets (target, requests); what they owe is refilled first."""
    connection.execute(
        sa.text("UPDATE target_state SET tokens = tokens - :count WHERE target_id = :id"),
        [{"id": target, "count": count} for target, count in sorted(requests)],
    )


def next_due(connection: WriteConnection, now: int) -> int | None:
    """When the next delivery that nobody holds falls due, None when there is none."""
    found = connection.execute(
        sa.text(
            "SELECT min(q.due) FROM (SELECT (SELECT min(due_at) FROM queue WHERE"
            " target_id = s.target_id AND lease_until IS NULL AND due_at > :now) AS due"
            " FROM target_state s JOIN targets t ON t.id = s.target_id"
            " WHERE t.status = 'active') q"
        ),
        {"now": now},
    ).scalar()
    return None if found is None else int(found)


def held_by(connection: WriteConnection, owner: str) -> set[str]:
    """The ids of what `owner` holds."""
    return set(
        connection.execute(
            sa.text(
                "SELECT delivery_id FROM queue"
                " WHERE lease_owner = :owner AND lease_until IS NOT NULL"
            ),
            {"owner": owner},
        ).scalars()
    )


def release(connection: WriteConnection, owner: str, now: int) -> int:
    """Give back everything `owner` holds, due at once and not counted; answers how many."""
    return connection.execute(
        sa.text(
            "UPDATE queue SET lease_until = NULL, lease_owner = NULL, due_at = :now"
            " WHERE lease_owner = :owner AND lease_until IS NOT NULL"
        ),
        {"owner": owner, "now": now},
    ).rowcount


def put_back(connection: WriteConnection, claims: Sequence[tuple[str, int]]) -> None:
    """Give claims (delivery, fence) back that were never sent: as due as before, not counted."""
    connection.execute(
        sa.text(
            "UPDATE queue SET lease_until = NULL, lease_owner = NULL"
            " WHERE delivery_id = :id AND fence = :fence AND lease_until IS NOT NULL"
        ),
        [{"id": delivery, "fence": fence} for delivery, fence in claims],
    )


def lease_owners(connection: WriteConnection) -> list[str]:
    """Who holds deliveries now."""
    return list(
        connection.execute(
            sa.text("SELECT DISTINCT lease_owner FROM queue WHERE lease_until IS NOT NULL")
        ).scalars()
    )
