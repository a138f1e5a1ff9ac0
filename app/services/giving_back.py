"""What a worker that stops still holds goes back to the queue."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from app.domain.clock import to_micros
from app.domain.ids import new_id
from app.store import claim, results
from app.store.claim import ClaimedDelivery
from app.store.database import WriteConnection
from app.store.results import NewAttempt

_CUT = "The worker was stopped while it was sending; whether it was received is unknown."


def give_back(
    connection: WriteConnection, owner: str, cut: Sequence[ClaimedDelivery], moment: datetime
) -> int:
    """Give back everything `owner` holds, due at once and not counted; answers how many.

    Those of `cut` were being sent, and what became of them was not written: that stands in their
    log.
    """
    now = to_micros(moment)
    held = claim.held_by(connection, owner)
    unsaid = [lost_attempt(one.id, one.attempts, owner, _CUT, now) for one in cut if one.id in held]
    results.insert_attempts(connection, unsaid)
    return claim.release(connection, owner, now)


def lost_attempt(delivery_id: str, attempts: int, worker: str, reason: str, now: int) -> NewAttempt:
    """The line of the log for an attempt whose end nobody saw; `attempts` were counted before it."""
    return NewAttempt(
        delivery_id=delivery_id,
        id=new_id("att"),
        number=attempts + 1,
        outcome="lost",
        reason=reason,
        started_at=now,
        duration_micros=0,
        worker=worker,
        exchanges="[]",
    )
