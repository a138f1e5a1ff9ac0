"""The upkeep loop: leases every few seconds, expiry every minute, retention every ten.

What is due to be reconciled is looked for once a minute as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

import structlog

from app.domain.errors import RelayError
from app.services.reconcile import Reconciliations, patience
from app.services.upkeep import Upkeep
from app.worker.identity import is_gone

_log = structlog.get_logger(__name__)
_TICK_SECONDS = 5.0
_FORGET_EVERY = 12
_REMOVE_EVERY = 120


class UpkeepLoop:
    """Runs the chores until cancelled; a chore that fails is tried again at its next turn."""

    def __init__(
        self,
        upkeep: Upkeep,
        wake: Callable[[], None],
        *,
        reconciliations: Reconciliations,
        reconcile_every: timedelta,
    ) -> None:
        self._upkeep = upkeep
        self._wake = wake
        self._reconciliations = reconciliations
        self._reconcile_every = reconcile_every

    async def start_up(self) -> None:
        """Take over at once what a worker of this host left behind when it died."""
        gone = [owner for owner in await self._upkeep.lease_owners() if is_gone(owner)]
        await self._upkeep.take_back_from(gone)

    async def run(self) -> None:
        """Tick for ever."""
        tick = 0
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            tick += 1
            try:
                await self._tick(tick)
            except RelayError as error:
                _log.warning("upkeep.store_unavailable", error=error.detail, cause=error.cause)
            except Exception:  # noqa: BLE001  logged; the loop must go on
                _log.exception("upkeep.failed")

    async def _tick(self, tick: int) -> None:
        gone = [owner for owner in await self._upkeep.lease_owners() if is_gone(owner)]
        returned = await self._upkeep.take_back_from(gone)
        returned += await self._upkeep.take_back_expired_leases()
        if returned:
            self._wake()
        if tick % _FORGET_EVERY == 0:
            await self._upkeep.forget_expired()
            await self._upkeep.cancel_orphans()
            await self._reconcile(tick)
        if tick % _REMOVE_EVERY == 0:
            await self._remove_old()

    async def _reconcile(self, tick: int) -> None:
        every = self._reconcile_every
        if every and tick * _TICK_SECONDS >= patience(every).total_seconds():
            await self._reconciliations.start_due(every)

    async def _remove_old(self) -> None:
        # In small steps, so that live traffic gets its turn between them.
        for _ in range(1000):
            if not await self._upkeep.remove_old():
                return
            await asyncio.sleep(0.05)
