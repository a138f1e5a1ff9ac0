"""A delivery that was claimed anew while an earlier result of it was still waiting to be written."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import httpx
import pytest

from app.domain.errors import StoreUnavailable
from app.services.dispatch import Result
from app.worker import recording
from app.worker.dispatcher import Dispatcher
from app.worker.recording import Recording
from tests.integration.world import World

REFUSED, AWAY, TAKEN = httpx.Response(400), httpx.Response(503), httpx.Response(200)


async def attempted(world: World, reply: httpx.Response) -> Result:
    """Claim the one delivery and carry it out; its lease ends before the result is written."""
    world.sender.script = [reply]
    claimed = await world.dispatch.claim(10)
    [result] = await world.dispatch.carry_out(claimed.groups[0])
    return result


@pytest.mark.parametrize(
    ("late", "fresh", "status"),
    [
        (REFUSED, AWAY, "pending"),
        (REFUSED, TAKEN, "succeeded"),
        (AWAY, TAKEN, "succeeded"),
        (TAKEN, REFUSED, "failed"),
    ],
)
async def test_only_the_result_of_the_newer_claim_counts(
    world: World, late: httpx.Response, fresh: httpx.Response, status: str
):
    await world.source()
    await world.target(retry={"schedule": [0, 300, 300, 300]})
    await world.send()
    results = [await attempted(world, late)]
    world.clock.advance(61)
    await world.upkeep.take_back_expired_leases()
    results.append(await attempted(world, fresh))
    ended: list[int] = []
    recorded = Recording(world.recorder, lambda written: ended.append(len(written)))
    recorded.put(results)
    await recorded.drain()
    [delivery] = await world.deliveries()
    assert (delivery.status, delivery.attempt_count) == (status, 2)
    _, attempts = await world.browse.delivery(delivery.id)
    assert [one.outcome for one in attempts].count("stale") == 1
    assert ended == [1, 1]


async def test_after_a_long_absence_of_the_store_what_is_known_is_written_before_more_is_claimed(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(recording, "_RETRY_SECONDS", 0.2)
    await world.source()
    await world.target()
    await world.send()
    record, away, refused = world.recorder.record, True, asyncio.Event()

    async def sometimes(results: Sequence[Result]) -> None:
        if away:
            refused.set()
            raise StoreUnavailable("away")
        await record(results)

    world.recorder.record = sometimes  # type: ignore[method-assign]  # the store of this test
    worker = Dispatcher(world.dispatch, world.recorder, world.clock, slots=10)
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(10):
        await refused.wait()
    # The store is back: the upkeep comes first, and the lease has ended long ago.
    world.clock.advance(61)
    assert await world.upkeep.take_back_expired_leases() == 1
    away = False
    worker.wake()
    await asyncio.sleep(0.5)
    await worker.stop(grace=5)
    await running
    [delivery] = await world.deliveries()
    assert (delivery.status, len(world.sender.sent)) == ("succeeded", 1)
