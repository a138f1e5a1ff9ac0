"""Group commit: what arrives together shares one transaction.

There is no timer: an idle batcher flushes a single item at once, and while a flush is under way
the next batch gathers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from app.domain.errors import RelayError

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class Batcher(Generic[ItemT, ResultT]):
    """Collects items and hands them to `flush`, which answers one result (or error) an item.

    When a flush of several items fails for a reason of its own (not because the store is away),
    each is flushed alone, so that one bad item cannot take the others with it.
    """

    def __init__(
        self,
        flush: Callable[[Sequence[ItemT]], Awaitable[Sequence[ResultT | RelayError]]],
        *,
        most: int = 500,
    ) -> None:
        self._flush = flush
        self._most = most
        self._waiting: list[tuple[ItemT, asyncio.Future[ResultT]]] = []
        self._task: asyncio.Task[None] | None = None

    def put(self, item: ItemT) -> asyncio.Future[ResultT]:
        """Add an item; the future ends with its result."""
        future: asyncio.Future[ResultT] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return future

    async def drain(self) -> None:
        """Wait until everything that was put is flushed."""
        while self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                await self._settle(batch)
        finally:
            self._task = None

    async def _settle(self, batch: list[tuple[ItemT, asyncio.Future[ResultT]]]) -> None:
        try:
            results = await self._flush([item for item, _ in batch])
        except RelayError as error:
            for _, future in batch:
                _fail(future, error)
        except Exception as error:  # noqa: BLE001  whatever it is belongs to those who wait
            if len(batch) == 1:
                _fail(batch[0][1], error)
                return
            for one in batch:
                await self._settle([one])
        else:
            for (_, future), result in zip(batch, results, strict=True):
                if isinstance(result, RelayError):
                    _fail(future, result)
                elif not future.done():
                    future.set_result(result)


def _fail(future: asyncio.Future[ResultT], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
        # A sender that went away no longer asks: that is not a forgotten error.
        future.exception()
