"""The chores: give back lost leases, forget what expired, remove what is too old."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from app.domain.clock import Clock, to_micros
from app.services.giving_back import lost_attempt
from app.store import claim, results, upkeep
from app.store.database import Database, WriteConnection
from app.store.upkeep import LostLease

_log = structlog.get_logger(__name__)
_MICROS = 1_000_000
_DAY = 86_400 * _MICROS
_LOST = "The worker that held this delivery did not come back; whether it was received is unknown."


class Upkeep:
    """Each chore is one short transaction; several nodes may do the same one at a time.

    `given_up` is called within the transaction that ends deliveries for good.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        retention_days: int,
        given_up: Callable[[WriteConnection, Sequence[LostLease], int], None],
    ) -> None:
        self._database = database
        self._clock = clock
        self._retention = retention_days * _DAY
        self._given_up = given_up

    async def take_back_expired_leases(self) -> int:
        """Return deliveries whose lease ran out; answers how many."""
        return await self._take_back(None)

    async def lease_owners(self) -> Sequence[str]:
        """The workers that hold deliveries."""
        return await self._database.write(claim.lease_owners, durable=False)

    async def take_back_from(self, owners: Sequence[str]) -> int:
        """Return the deliveries of workers that are known to be gone; answers how many."""
        return await self._take_back(list(owners)) if owners else 0

    async def _take_back(self, owners: list[str] | None) -> int:
        now = to_micros(self._clock())

        def work(connection: WriteConnection) -> list[LostLease]:
            lost = upkeep.take_back(connection, now, owners)
            attempts = [
                lost_attempt(one.delivery_id, one.attempts, one.owner, _LOST, now) for one in lost
            ]
            results.insert_attempts(connection, attempts)
            if over := [one for one in lost if one.over]:
                self._given_up(connection, over, now)
            return lost

        lost = await self._database.write(work)
        if lost:
            _log.warning("leases.taken_back", deliveries=len(lost))
        return len(lost)

    async def forget_expired(self) -> int:
        """Forget dedupe windows and idempotency keys that are over; answers how many."""
        now = to_micros(self._clock())
        return await self._database.write(lambda c: upkeep.forget_expired(c, now))

    async def cancel_orphans(self) -> int:
        """End deliveries whose target is gone; answers how many."""
        now = to_micros(self._clock())
        return await self._database.write(lambda c: upkeep.cancel_orphans(c, now))

    async def remove_old(self) -> int:
        """Remove what is older than the retention; answers how many rows this round."""
        before = to_micros(self._clock()) - self._retention
        return await self._database.write(lambda c: upkeep.remove_old(c, before))
