"""A worker that stops, and one whose database is away: nothing is sent twice, nothing goes unsaid."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from app.domain.errors import StoreUnavailable
from app.worker import dispatcher as dispatcher_module
from app.worker import recording
from app.worker.dispatcher import Dispatcher
from tests.integration.world import World, payment


def dispatcher(world: World) -> Dispatcher:
    return Dispatcher(world.dispatch, world.recorder, world.clock, slots=10)


async def arranged(world: World, count: int) -> None:
    await world.source()
    await world.target()
    for number in range(count):
        await world.send(payment(number))


async def test_what_is_claimed_while_a_worker_stops_is_given_back_unsent(world: World):
    await arranged(world, 3)
    worker = dispatcher(world)
    claim, claimed, go_on = world.dispatch.claim, asyncio.Event(), asyncio.Event()

    async def slow_claim(*room: Any) -> Any:
        found = await claim(*room)
        claimed.set()
        await go_on.wait()
        return found

    world.dispatch.claim = slow_claim
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(10):
        await claimed.wait()
        stopping = asyncio.create_task(worker.stop(grace=5))
        await asyncio.sleep(0.05)
        go_on.set()
        await stopping
        await running
    assert world.sender.sent == []
    # The next worker takes them at once: no lease has to end first.
    world.dispatch.claim = claim
    await world.work()
    assert len(world.sender.sent) == 3
    assert {d.status for d in await world.deliveries()} == {"succeeded"}


async def test_what_was_claimed_and_not_started_when_a_worker_stops_is_given_back_unsent(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(dispatcher_module, "_BURST", 1)
    await arranged(world, 8)
    worker = dispatcher(world)
    stopping: list[asyncio.Task[None]] = []

    async def send(_request: httpx.Request, **_: Any) -> httpx.Response:
        if not stopping:
            stopping.append(asyncio.create_task(worker.stop(grace=5)))
        return httpx.Response(200)

    world.sender.send = send
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(10):
        await running
        await stopping[0]
    found = await world.deliveries()
    sent = [d for d in found if d.status == "succeeded"]
    unsent = [d for d in found if d.status == "pending"]
    assert 1 <= len(sent) < 8
    assert len(sent) + len(unsent) == 8
    # Nothing was lost under way: they were never on it.
    assert [list((await world.browse.delivery(d.id))[1]) for d in unsent] == [[]] * len(unsent)


async def test_an_attempt_that_was_cut_off_by_a_stop_stands_in_the_log(world: World):
    await arranged(world, 1)
    started = asyncio.Event()

    async def send(_request: httpx.Request, **_: Any) -> httpx.Response:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError

    world.sender.send = send
    worker = dispatcher(world)
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(10):
        await started.wait()
        await worker.stop(grace=0.1)
        await running
    [delivery] = await world.deliveries()
    assert (delivery.status, delivery.attempt_count) == ("pending", 0)
    _, [attempt] = await world.browse.delivery(delivery.id)
    assert attempt.outcome == "lost"
    assert "whether it was received is unknown" in attempt.reason


async def test_a_result_outlives_a_database_that_is_away_for_minutes(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(recording, "_RETRY_SECONDS", 0)
    await arranged(world, 1)
    record, refusals, written = world.recorder.record, 0, asyncio.Event()

    async def away(results: Any) -> None:
        nonlocal refusals
        if refusals < 400:
            refusals += 1
            raise StoreUnavailable("away")
        await record(results)
        written.set()

    world.recorder.record = away
    worker = dispatcher(world)
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(20):
        await written.wait()
    await worker.stop(grace=1)
    await running
    assert [d.status for d in await world.deliveries()] == ["succeeded"]
    assert len(world.sender.sent) == 1


async def test_a_store_that_hangs_does_not_hold_up_a_worker_that_stops(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(dispatcher_module, "_LAST_STEP", 0.1)
    await arranged(world, 1)
    asked, forever = asyncio.Event(), asyncio.Event()

    async def hang(*_: Any, **__: Any) -> Any:
        asked.set()
        await forever.wait()

    world.recorder.record = hang
    world.dispatch.release_all = hang
    worker = dispatcher(world)
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(10):
        await asked.wait()
    async with asyncio.timeout(2):
        await worker.stop(grace=0.2)
        await running
    # The end of the lease brings it back.
    world.clock.advance(61)
    assert await world.upkeep.take_back_expired_leases() == 1
