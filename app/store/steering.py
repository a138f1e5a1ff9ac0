"""What an operator does to a single delivery: send it again, send it now, drop it.

A row that a worker holds is never touched: its result would be refused by the fence, and nobody
would know whether the destination got it.
Locks are taken in the order of a claim (the target's state, then the queue), and a queue row that
somebody else has locked counts as held, so that nothing here can wait in a circle.
"""

from __future__ import annotations

import sqlalchemy as sa

from app.store.database import WriteConnection
from app.store.tables import deliveries, events, queue, target_state, targets


def lock_target(connection: WriteConnection, target_id: str) -> bool:
    """Keep the target from being removed until the transaction ends; False when it is gone."""
    statement = (
        sa.select(target_state.c.target_id)
        .where(target_state.c.target_id == target_id)
        .with_for_update(key_share=True)
    )
    return connection.execute(statement).first() is not None


def _lock_waiting(connection: WriteConnection, delivery_id: str) -> bool:
    statement = (
        sa.select(queue.c.delivery_id)
        .where(queue.c.delivery_id == delivery_id, queue.c.lease_until.is_(None))
        .with_for_update(skip_locked=True)
    )
    return connection.execute(statement).first() is not None


def hasten(connection: WriteConnection, delivery_id: str, now: int) -> bool:
    """Make a waiting delivery due now; False when a worker holds it or it is over."""
    if not _lock_waiting(connection, delivery_id):
        return False
    _let_followers_go(connection, delivery_id, now)
    connection.execute(
        sa.update(queue).where(queue.c.delivery_id == delivery_id).values(due_at=now)
    )
    return True


def _let_followers_go(connection: WriteConnection, delivery_id: str, now: int) -> None:
    """What comes after this one of the same subject, and waits as long, waits no longer."""
    first = queue.alias("first")
    connection.execute(
        sa.update(queue)
        .where(
            first.c.delivery_id == delivery_id,
            queue.c.target_id == first.c.target_id,
            queue.c.subject == first.c.subject,
            queue.c.delivery_id > first.c.delivery_id,
            queue.c.due_at == first.c.due_at,
            queue.c.lease_until.is_(None),
            queue.c.due_at > now,
        )
        .values(due_at=now)
    )


def requeue(connection: WriteConnection, delivery_id: str, now: int) -> bool:
    """Put a finished delivery back, due now; False when it is not finished any more.

    The attempts it had are kept, and its fence starts at 0: the fence of a claim is the moment of
    that claim, so that a worker that comes back late from an earlier one is still refused.
    """
    revive = (
        sa.update(deliveries)
        .where(deliveries.c.id == delivery_id, deliveries.c.status != "pending")
        .values(status="pending", reason=None, first_delivery_id=None, finished_at=None)
    )
    if connection.execute(revive).rowcount == 0:
        return False
    row = (
        sa.select(
            deliveries.c.id,
            deliveries.c.target_id,
            deliveries.c.event_id,
            sa.case((targets.c.ordered, events.c.subject), else_=sa.null()),
            sa.literal(now, sa.BigInteger),
            sa.literal(0, sa.BigInteger),
            deliveries.c.attempts,
            sa.false(),
            deliveries.c.repeats_id,
        )
        .join(targets, targets.c.id == deliveries.c.target_id)
        .join(events, events.c.id == deliveries.c.event_id)
        .where(deliveries.c.id == delivery_id)
    )
    names = (
        "delivery_id", "target_id", "event_id", "subject", "due_at", "fence", "attempts", "single",
        "repeats_id",
    )  # fmt: skip
    connection.execute(sa.insert(queue).from_select(names, row))
    return True


def cancel(connection: WriteConnection, delivery_id: str, *, reason: str, now: int) -> bool:
    """End a waiting delivery as cancelled; False when a worker holds it or it is over."""
    if not _lock_waiting(connection, delivery_id):
        return False
    _let_followers_go(connection, delivery_id, now)
    connection.execute(sa.delete(queue).where(queue.c.delivery_id == delivery_id))
    connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.id == delivery_id)
        .values(status="cancelled", reason=reason, finished_at=now)
    )
    return True
