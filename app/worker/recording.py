"""Results on their way into the store: gathered, written together, kept while the store is away.

A send ends when its answer is there; what it held is free when its result is written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

import structlog

from app.domain.errors import StoreUnavailable
from app.services.dispatch import Result
from app.services.record import Recorder
from app.store.claim import ClaimedDelivery

_log = structlog.get_logger(__name__)
_MOST = 500
_RETRY_SECONDS = 0.5
#: Ten minutes: a database that is restarted or moved meanwhile must not cost a second sending.
_TRIES = 1200


class Recording:
    """Writes one batch at a time; what is put meanwhile makes up the next.

    `ended` is told which results are no longer waiting, written or not.
    """

    def __init__(self, recorder: Recorder, ended: Callable[[Sequence[Result]], None]) -> None:
        self._recorder = recorder
        self._ended = ended
        self._waiting: list[Result] = []
        self._writing: Sequence[Result] = ()
        self._lost: list[ClaimedDelivery] = []
        self._task: asyncio.Task[None] | None = None
        self._stopped = asyncio.Event()
        #: True while results are kept because the store was away when they were to be written.
        self.held_up = False

    def put(self, results: Sequence[Result]) -> None:
        """Have results written."""
        self._waiting += results
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def drain(self) -> None:
        """Wait until nothing is waiting."""
        while self._task is not None:
            await asyncio.wait([self._task])

    async def stop(self, within: float) -> Sequence[ClaimedDelivery]:
        """Try once more what could not be written, for so many seconds; answers whose results are lost.

        What a store that hangs has not written by then counts as lost; it may still be.
        """
        self._stopped.set()
        task = self._task
        if task is not None:
            _, late = await asyncio.wait([task], timeout=within)
            if late:
                self._give_up(task)
        return self._lost

    def _give_up(self, task: asyncio.Task[None]) -> None:
        task.cancel()
        left = [*self._writing, *self._waiting]
        _log.error("dispatcher.results_unwritten", deliveries=[one.claimed.id for one in left])
        self._lose(left)

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch = _without_repeats(self._waiting[:_MOST])
                self._waiting = self._waiting[len(batch) :]
                self._writing = batch
                await self._write(batch)
                self._writing = ()
                self._ended(batch)
        finally:
            self._task = None
            self.held_up = False

    async def _write(self, batch: Sequence[Result]) -> None:
        try:
            await self._insist(batch)
        except Exception as error:  # noqa: BLE001  logged; whatever it is belongs to one of them
            if len(batch) > 1:
                for one in batch:
                    await self._write([one])
                return
            _log.exception("dispatcher.unrecorded", delivery=batch[0].claimed.id, exc_info=error)
            self._lose(batch)

    async def _insist(self, batch: Sequence[Result]) -> None:
        """Write; a store that is away is asked again, as long as nobody stops the worker."""
        for left in reversed(range(_TRIES)):
            last = not left or self._stopped.is_set()
            try:
                await self._recorder.record(batch)
            except StoreUnavailable:
                self.held_up = True
                if last:
                    break
                await self._pause()
            else:
                return
        _log.error("dispatcher.results_lost", deliveries=[one.claimed.id for one in batch])
        self._lose(batch)

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_RETRY_SECONDS):
                await self._stopped.wait()

    def _lose(self, batch: Sequence[Result]) -> None:
        """The lease brings these deliveries back, or the end of this worker."""
        if self._stopped.is_set():
            self._lost += [one.claimed for one in batch]


def _without_repeats(results: list[Result]) -> list[Result]:
    """Up to the first delivery that stands there twice, since it was claimed anew in between.

    Only one of its results counts, and which one is told by what the other left in the store.
    """
    if len({one.claimed.id for one in results}) == len(results):
        return results
    known: set[str] = set()
    for position, one in enumerate(results):
        if one.claimed.id in known:
            return results[:position]
        known.add(one.claimed.id)
    return results
