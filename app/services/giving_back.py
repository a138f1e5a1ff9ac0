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
    unsaid = [_cut_attempt(one, owner, now) for one in cut if one.id in held]
    results.insert_attempts(connection, unsaid)
    return claim.release(connection, owner, now)


def _cut_attempt(cut: ClaimedDelivery, owner: str, now: int) -> NewAttempt:
    return NewAttempt(
        delivery_id=cut.id,
        id=new_id("att"),
        number=cut.attempts + 1,
        outcome="lost",
        reason=_CUT,
        started_at=now,
        duration_micros=0,
        worker=owner,
        exchanges="[]",
    )
