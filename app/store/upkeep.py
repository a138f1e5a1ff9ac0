"""What time does to stored things: leases run out, memories and bodies expire."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from app.domain.ids import boundary
from app.store import idempotency
from app.store.database import WriteConnection

_EXPIRED_DELIVERIES = (
    "SELECT d.id FROM deliveries d LEFT JOIN queue q ON q.delivery_id = d.id"
    " WHERE d.id < :bound AND q.delivery_id IS NULL ORDER BY d.id LIMIT :most"
)
_FORGET_DEDUPE = sa.text(
    "DELETE FROM dedupe WHERE (source_id, key) IN"
    " (SELECT source_id, key FROM dedupe WHERE expires_at <= :now LIMIT :most)"
)
_ORPHANS = sa.text(
    "SELECT delivery_id FROM queue WHERE target_id NOT IN (SELECT id FROM targets) LIMIT 1000"
)


#: A delivery that takes its worker with it this often, the longest schedule there is, is over.
MOST_LOST = 30
#: Why such a delivery has failed.
GIVEN_UP = "No worker came back from sending it."


@dataclass(frozen=True, slots=True)
class LostLease:
    """A delivery whose worker did not come back; `over` when it did not too often."""

    delivery_id: str
    attempts: int
    owner: str
    target_id: str
    event_id: str

    @property
    def over(self) -> bool:
        """Whether it is not tried again."""
        return self.attempts >= MOST_LOST


def take_back(
    connection: WriteConnection, now: int, gone: list[str] | None = None
) -> list[LostLease]:
    """Return deliveries whose lease ran out, or whose owner is in `gone`, to the queue, due now.

    The attempt counts: nobody knows whether it reached the destination.
    """
    condition = "lease_until IS NOT NULL AND lease_until <= :now"
    values: dict[str, object] = {"now": now}
    if gone is not None:
        condition = "lease_until IS NOT NULL AND lease_owner = :owner"
        found: list[LostLease] = []
        for owner in gone:
            found += _take_back(connection, condition, {"now": now, "owner": owner})
        return found
    return _take_back(connection, condition, values)


def _take_back(
    connection: WriteConnection, condition: str, values: dict[str, object]
) -> list[LostLease]:
    lock = " FOR UPDATE SKIP LOCKED" if connection.dialect.name == "postgresql" else ""
    found = connection.execute(
        sa.text(
            "SELECT delivery_id, attempts, lease_owner, target_id, event_id FROM queue"  # noqa: S608  one of two conditions above
            f" WHERE {condition}{lock}"
        ),
        {k: v for k, v in values.items() if f":{k}" in condition},
    ).all()
    lost = [LostLease(*row) for row in found]
    again = [one for one in lost if not one.over]
    _give_up(connection, [one for one in lost if one.over], values["now"])
    if again:
        connection.execute(
            sa.text(
                "UPDATE queue SET lease_until = NULL, lease_owner = NULL, due_at = :now,"
                " attempts = attempts + 1 WHERE delivery_id = :id"
            ),
            [{"now": values["now"], "id": one.delivery_id} for one in again],
        )
        connection.execute(
            sa.text("UPDATE deliveries SET attempts = attempts + 1 WHERE id = :id"),
            [{"id": one.delivery_id} for one in again],
        )
    return lost


def _give_up(connection: WriteConnection, lost: list[LostLease], now: object) -> None:
    rows = [{"id": one.delivery_id, "now": now, "reason": GIVEN_UP} for one in lost]
    if rows:
        ids = [{"id": one.delivery_id} for one in lost]
        connection.execute(sa.text("DELETE FROM queue WHERE delivery_id = :id"), ids)
        connection.execute(
            sa.text(
                "UPDATE deliveries SET status = 'failed', finished_at = :now,"
                " attempts = attempts + 1, reason = :reason WHERE id = :id"
            ),
            rows,
        )


def forget_expired(connection: WriteConnection, now: int, most: int = 5000) -> int:
    """Delete dedupe and idempotency memories that have expired; answers how many."""
    values = {"now": now, "most": most}
    removed = connection.execute(_FORGET_DEDUPE, values).rowcount
    return removed + idempotency.expire(connection, now)


def cancel_orphans(connection: WriteConnection, now: int) -> int:
    """End deliveries that were queued while their target was being removed; answers how many."""
    rows = [{"id": row[0], "now": now} for row in connection.execute(_ORPHANS)]
    if rows:
        connection.execute(sa.text("DELETE FROM queue WHERE delivery_id = :id"), rows)
        connection.execute(
            sa.text(
                "UPDATE deliveries SET status = 'cancelled', finished_at = :now,"
                " reason = 'The target was removed.' WHERE id = :id"
            ),
            rows,
        )
    return len(rows)


def remove_old(connection: WriteConnection, before: int, most: int = 1000) -> int:
    """Delete settled deliveries, their attempts and events without open ones; answers how many.

    Events that still wait somewhere stay, whatever their age.
    """
    found = connection.execute(
        sa.text(_EXPIRED_DELIVERIES), {"bound": boundary("dlv", before // 1000), "most": most}
    ).scalars()
    ids = [{"id": delivery_id} for delivery_id in found]
    if ids:
        connection.execute(sa.text("DELETE FROM attempts WHERE delivery_id = :id"), ids)
        connection.execute(sa.text("DELETE FROM deliveries WHERE id = :id"), ids)
    events = connection.execute(
        sa.text(
            "SELECT e.id FROM events e WHERE e.id < :bound AND NOT EXISTS ("
            "SELECT 1 FROM deliveries d WHERE d.event_id = e.id) ORDER BY e.id LIMIT :most"
        ),
        {"bound": boundary("evt", before // 1000), "most": most},
    ).scalars()
    event_ids = [{"id": event_id} for event_id in events]
    if event_ids:
        connection.execute(sa.text("DELETE FROM event_bodies WHERE event_id = :id"), event_ids)
        connection.execute(sa.text("DELETE FROM events WHERE id = :id"), event_ids)
    connection.execute(sa.text("DELETE FROM jobs WHERE finished_at < :before"), {"before": before})
    connection.execute(
        sa.text("DELETE FROM quarantine WHERE state <> 'open' AND settled_at < :before"),
        {"before": before},
    )
    return len(ids) + len(event_ids)
