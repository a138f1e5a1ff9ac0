"""The dispatcher loop: claim, send, record, until told to stop.

It sleeps until somebody wakes it (an event came in, a slot became free), until the next delivery
falls due, or for a second at most: wake-ups are hints, and losing one costs latency only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any

import structlog

from app.domain.clock import Clock, to_micros
from app.domain.errors import RelayError, StoreUnavailable
from app.services.dispatch import Claim, Dispatch, Result, Task
from app.services.record import Recorder
from app.store.claim import ClaimedDelivery

_log = structlog.get_logger(__name__)
_LONGEST_SLEEP = 1.0
_MICROS = 1_000_000
_RECORD_RETRY_SECONDS = 0.5
#: Ten minutes: a database that is restarted or moved meanwhile must not cost a second sending.
_RECORD_TRIES = 1200


class Dispatcher:
    """Keeps up to `slots` deliveries in flight; one per worker process."""

    def __init__(self, dispatch: Dispatch, recorder: Recorder, clock: Clock, *, slots: int) -> None:
        self._dispatch = dispatch
        self._recorder = recorder
        self._clock = clock
        self._slots = slots
        self._in_flight = 0
        # What each task holds.
        self._running: dict[asyncio.Task[None], Sequence[ClaimedDelivery]] = {}
        self._claiming = asyncio.Lock()
        self._wake = asyncio.Event()
        self._stopping = False

    @property
    def in_flight(self) -> int:
        """How many deliveries this worker holds."""
        return self._in_flight

    def wake(self) -> None:
        """Something may be due."""
        self._wake.set()

    async def run(self) -> None:
        """Claim and send until `stop` is called."""
        while not self._stopping:
            self._wake.clear()
            try:
                async with self._claiming:
                    pause = await self._round()
            except RelayError as error:
                _log.warning("dispatcher.store_unavailable", error=error.detail, cause=error.cause)
                pause = _LONGEST_SLEEP
            except Exception:  # noqa: BLE001  logged; the loop must go on
                _log.exception("dispatcher.failed")
                pause = _LONGEST_SLEEP
            if pause > 0:
                await self._sleep(pause)

    async def stop(self, grace: float) -> None:
        """Claim nothing more, let what runs finish within `grace` seconds, give back the rest."""
        self._stopping = True
        self._wake.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace):
                # A claim under way is given back below, unsent.
                async with self._claiming:
                    pass
                while self._running:
                    await asyncio.wait(self._running)
        late = dict(self._running)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=1)
        await self._recorder.drain()
        cut = [claimed for held in late.values() for claimed in held]
        released = await self._dispatch.release_all(cut)
        if released:
            _log.info("dispatcher.released", deliveries=released)

    async def _round(self) -> float:
        """Claim once; answers how long to sleep, 0 when there may be more at once."""
        free = self._slots - self._in_flight
        # A few free slots are not worth a transaction while others are busy.
        if free < max(1, self._slots // 4):
            return _LONGEST_SLEEP
        claimed = await self._dispatch.claim(free)
        if self._stopping:
            return 0.0
        self._start(claimed)
        if claimed.count >= free:
            return 0.0
        if claimed.count > 0:
            # What is left waits for a slot of its target or for a predecessor: both wake us.
            return _LONGEST_SLEEP
        return self._until(claimed.next_due)

    def _until(self, next_due: int | None) -> float:
        if next_due is None:
            return _LONGEST_SLEEP
        wait = (next_due - to_micros(self._clock())) / _MICROS
        return min(_LONGEST_SLEEP, max(0.001, wait))

    async def _sleep(self, seconds: float) -> None:
        handle = asyncio.get_running_loop().call_later(seconds, self._wake.set)
        await self._wake.wait()
        handle.cancel()

    def _start(self, claimed: Claim) -> None:
        self._in_flight += claimed.count
        for group in claimed.groups:
            self._spawn(self._carry_out(group), [task.claimed for task in group])
        if claimed.results:
            self._spawn(self._record(claimed.results), [r.claimed for r in claimed.results])

    def _spawn(self, work: Coroutine[Any, Any, None], held: Sequence[ClaimedDelivery]) -> None:
        task = asyncio.create_task(work)
        self._running[task] = held

        def done(finished: asyncio.Task[None]) -> None:
            del self._running[finished]
            self._in_flight -= len(held)
            self._wake.set()

        task.add_done_callback(done)

    async def _carry_out(self, group: Sequence[Task]) -> None:
        await self._record(await self._dispatch.carry_out(group))

    async def _record(self, results: Sequence[Result]) -> None:
        """Write results; a store that is away is asked again until the lease runs out."""
        for _ in range(_RECORD_TRIES):
            try:
                for recorded in [self._recorder.record(result) for result in results]:
                    await recorded
            except StoreUnavailable:
                await asyncio.sleep(_RECORD_RETRY_SECONDS)
            except Exception:  # noqa: BLE001  logged; the lease brings the delivery back
                _log.exception("dispatcher.unrecorded", deliveries=[r.claimed.id for r in results])
                return
            else:
                return
        _log.error("dispatcher.results_lost", deliveries=[r.claimed.id for r in results])
