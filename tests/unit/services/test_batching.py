"""Group commit: what arrives together is flushed together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from app.domain.errors import Conflict, RelayError, StoreUnavailable
from app.services.batching import Batcher


class Store:
    """Remembers its flushes; waits at a gate that the test opens."""

    def __init__(self) -> None:
        self.flushes: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def flush(self, items: Sequence[int]) -> list[int | RelayError]:
        self.flushes.append(list(items))
        await self.gate.wait()
        if 13 in items:
            raise ValueError("one bad item")
        if 99 in items:
            raise StoreUnavailable("away")
        return [Conflict("taken") if item == 7 else item * 10 for item in items]


async def test_a_single_item_is_flushed_at_once():
    store = Store()
    assert await Batcher(store.flush).put(1) == 10


async def test_what_arrives_during_a_flush_shares_the_next_one():
    store = Store()
    store.gate.clear()
    batcher = Batcher(store.flush)
    first = batcher.put(1)
    await asyncio.sleep(0)
    rest = [batcher.put(n) for n in (2, 3, 4)]
    await asyncio.sleep(0)
    store.gate.set()
    assert await asyncio.gather(first, *rest) == [10, 20, 30, 40]
    assert store.flushes == [[1], [2, 3, 4]]


async def test_no_flush_is_larger_than_it_may_be():
    store = Store()
    batcher = Batcher(store.flush, most=2)
    await asyncio.gather(*(batcher.put(n) for n in range(5)))
    assert [len(flush) for flush in store.flushes] == [2, 2, 1]


async def test_an_item_that_is_refused_leaves_the_others_alone():
    batcher = Batcher(Store().flush)
    futures = [batcher.put(n) for n in (1, 7, 2)]
    results = await asyncio.gather(*futures, return_exceptions=True)
    assert (results[0], results[2]) == (10, 20)
    assert isinstance(results[1], Conflict)


async def test_one_bad_item_cannot_take_the_others_with_it():
    batcher = Batcher(Store().flush)
    futures = [batcher.put(n) for n in (1, 13, 2)]
    results = await asyncio.gather(*futures, return_exceptions=True)
    assert (results[0], results[2]) == (10, 20)
    assert isinstance(results[1], ValueError)


async def test_when_the_store_is_away_everybody_is_told_and_nothing_is_tried_again():
    store = Store()
    batcher = Batcher(store.flush)
    futures = [batcher.put(n) for n in (1, 99)]
    results = await asyncio.gather(*futures, return_exceptions=True)
    assert [type(result) for result in results] == [StoreUnavailable, StoreUnavailable]
    assert len(store.flushes) == 1


async def test_a_sender_that_went_away_does_not_disturb_the_rest():
    store = Store()
    store.gate.clear()
    batcher = Batcher(store.flush)
    gone, here = batcher.put(1), batcher.put(2)
    await asyncio.sleep(0)
    gone.cancel()
    store.gate.set()
    assert await here == 20
    with pytest.raises(asyncio.CancelledError):
        await gone


async def test_drain_waits_for_everything_that_was_put():
    store = Store()
    batcher = Batcher(store.flush)
    future = batcher.put(1)
    await batcher.drain()
    assert future.done()
