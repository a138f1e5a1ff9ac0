"""The jobs loop: a step of every job, then a pause, so that live traffic gets its turn."""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from app.domain.errors import RelayError
from app.services.jobs import JobRunner, Pace
from app.worker.identity import is_gone

_log = structlog.get_logger(__name__)
#: Seconds until the next round.
_PAUSE = {Pace.GOES_ON: 0.05, Pace.WAITS: 0.25, Pace.OVER: 1.0}


class JobsLoop:
    """Runs jobs until cancelled; a store that is away is asked again."""

    def __init__(self, runner: JobRunner) -> None:
        self._runner = runner
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """A job was made."""
        self._wake.set()

    async def run(self) -> None:
        """Go round until cancelled, then give the jobs back: another worker goes on at once."""
        try:
            while True:
                pause = await self._round()
                if pause is Pace.OVER:
                    await self._sleep(_PAUSE[pause])
                else:
                    await asyncio.sleep(_PAUSE[pause])
        finally:
            with contextlib.suppress(RelayError):
                await self._runner.release_all()

    async def _round(self) -> Pace:
        try:
            # What a worker of this host left behind when it died is gone on with at once.
            gone = [owner for owner in await self._runner.lease_owners() if is_gone(owner)]
            await self._runner.take_back_from(gone)
            return await self._runner.round()
        except RelayError as error:
            _log.warning("jobs.store_unavailable", error=error.detail, cause=error.cause)
        except Exception:  # noqa: BLE001  logged; the loop must go on
            _log.exception("jobs.failed")
        return Pace.OVER

    async def _sleep(self, seconds: float) -> None:
        handle = asyncio.get_running_loop().call_later(seconds, self._wake.set)
        await self._wake.wait()
        self._wake.clear()
        handle.cancel()
