"""The dispatcher loop: claim, send, record, until told to stop.

It sleeps until somebody wakes it (an event came in, a slot became free), until the next delivery
falls due, or for a second at most: wake-ups are hints, and losing one costs latency only.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from app.domain.clock import Clock, to_micros
from app.domain.errors import RelayError
from app.services.dispatch import Claim, Dispatch, Result
from app.services.holdings import Holdings
from app.services.record import Recorder
from app.services.task import Task
from app.worker.recording import Recording

_log = structlog.get_logger(__name__)
_LONGEST_SLEEP = 1.0
_MICROS = 1_000_000
#: Seconds that a few free slots wait for others.
_GATHER = 0.05
#: Seconds that each of the last steps of a stop may take beyond the grace: what was cut off ends,
#: results are written once more, the rest is given back. A store that hangs takes no longer.
_LAST_STEP = 1.5
#: How many deliveries are started before the answers to others are looked at. All of a claim at
#: once would make one turn of the event loop of it, during which nothing is recorded or claimed.
_BURST = 16


@dataclass(slots=True, eq=False)
class _Sending:
    """A group whose request is under way."""

    group: Sequence[Task]
    task: asyncio.Task[None] | None = None


class Dispatcher:
    """Keeps up to `slots` requests in flight; one per worker process."""

    def __init__(self, dispatch: Dispatch, recorder: Recorder, clock: Clock, *, slots: int) -> None:
        self._dispatch = dispatch
        self._clock = clock
        self._slots = slots
        self._in_flight = 0
        # What is under way in batches beyond the first of each: a request takes one slot.
        self._batched = 0
        self._held = Holdings()
        self._few_since: float | None = None
        self._recording = Recording(recorder, self._ended)
        # Claimed, and not started yet.
        self._ahead: deque[Sequence[Task]] = deque()
        self._running: set[_Sending] = set()
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
        # What was not started, and a claim under way, are given back below, unsent.
        self._ahead.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace):
                async with self._claiming:
                    pass
                while self._running:
                    await asyncio.wait(_tasks(self._running))
                await self._recording.drain()
        late = set(self._running)
        for task in _tasks(late):
            task.cancel()
        if late:
            await asyncio.wait(_tasks(late), timeout=_LAST_STEP)
        cut = [task.claimed for sending in late for task in sending.group]
        cut += await self._recording.stop(_LAST_STEP)
        try:
            async with asyncio.timeout(_LAST_STEP):
                released = await self._dispatch.release_all(cut)
        except TimeoutError:
            # The end of their leases brings them back.
            _log.warning("dispatcher.not_released", deliveries=self._in_flight)
            return
        if released:
            _log.info("dispatcher.released", deliveries=released)

    async def _round(self) -> float:
        """Claim once; answers how long to sleep, 0 when there may be more at once."""
        free = self._slots - self._in_flight + self._batched
        if free <= 0 or self._held.free_bytes <= 0 or self._recording.held_up:
            # All end with a result that is written. What is known of deliveries comes before a
            # claim: their leases may have ended while the store was away.
            return _LONGEST_SLEEP
        pause = self._until_enough(free)
        if pause > 0:
            return pause
        claimed = await self._dispatch.claim(free, self._held)
        if self._stopping:
            return 0.0
        self._start(claimed)
        if claimed.more or claimed.count >= free:
            return 0.0
        # What is left waits for a slot of its target or a predecessor, which wake us, or for its rate.
        return self._until(claimed.next_due)

    def _until_enough(self, free: int) -> float:
        """Seconds to wait for more free slots: a few are not worth a transaction, if others follow.

        They do not where slow targets hold the rest.
        """
        now = asyncio.get_running_loop().time()
        if free >= self._slots // 3:
            self._few_since = None
            return 0.0
        if self._few_since is None:
            self._few_since = now
        left = self._few_since + _GATHER - now
        if left <= 0:
            self._few_since = None
        return max(0.0, left)

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
        self._batched += sum(len(group) - 1 for group in claimed.groups)
        for group in claimed.groups:
            self._held.begin(group[0].target.id)
            self._held.keep(task.claimed for task in group)
        if claimed.results:
            self._held.keep(result.claimed for result in claimed.results)
            self._recording.put(claimed.results)
        starting = bool(self._ahead)
        self._ahead.extend(claimed.groups)
        if not starting:
            self._start_some()

    def _start_some(self) -> None:
        """Start a few, and the next once the event loop has looked at what came in meanwhile."""
        some = [self._ahead.popleft() for _ in range(min(_BURST, len(self._ahead)))]
        # All are composed before the first is sent: each is cheaper for it.
        begun = [(group, self._begun(group)) for group in some]
        for group, work in begun:
            sending = _Sending(group)
            sending.task = asyncio.create_task(self._carry_out(sending, work))
            self._running.add(sending)
        if self._ahead:
            asyncio.get_running_loop().call_soon(self._start_some)

    def _begun(self, group: Sequence[Task]) -> Awaitable[list[Result]]:
        try:
            return self._dispatch.carry_out(group)
        except Exception as error:  # noqa: BLE001  its slots must be free again, whatever it was
            return self._unsent(group, error)

    async def _unsent(self, group: Sequence[Task], error: Exception) -> list[Result]:
        return self._dispatch.unsent(group, error)

    async def _carry_out(self, sending: _Sending, work: Awaitable[list[Result]]) -> None:
        try:
            results = await work
        except Exception as error:  # noqa: BLE001  its slots must be free again, whatever it was
            results = self._dispatch.unsent(sending.group, error)
        self._running.discard(sending)
        self._batched -= len(sending.group) - 1
        self._held.end(sending.group[0].target.id)
        self._recording.put(results)

    def _ended(self, results: Sequence[Result]) -> None:
        self._in_flight -= len(results)
        self._held.drop(result.claimed for result in results)
        self._wake.set()


def _tasks(running: Iterable[_Sending]) -> list[asyncio.Task[None]]:
    return [sending.task for sending in running if sending.task is not None]
