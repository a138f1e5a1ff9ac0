"""One target that is dead or slow is nobody else's trouble."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, ClassVar

import httpx
import pytest
from pydantic import BaseModel

from app.connectors import registry
from app.connectors.base import Assignment, BatchFlow, Connector, Facts, Flow, Limits
from app.domain import outcome
from app.services import claiming, holdings
from app.services.record import Recorder
from app.worker.dispatcher import Dispatcher
from tests.integration.world import World, payment


class _Settings(BaseModel):
    pass


class Batching(Connector[_Settings]):
    """Takes batches of ten, fifty deliveries at a time."""

    name: ClassVar[str] = "batching"
    kind: ClassVar[str] = "analytics"
    facts: ClassVar[Facts] = Facts("Batching", "", "", "", "")
    Settings: ClassVar[type[BaseModel]] = _Settings
    default_events: ClassVar[tuple[str, ...]] = ("payment_received",)
    limits: ClassVar[Limits] = Limits(batch_size=10, max_in_flight=50)

    def deliver(self, assignment: Assignment) -> Flow:
        yield httpx.Request("POST", "https://vendor.example/")
        return outcome.delivered()

    def deliver_many(self, assignments: Sequence[Assignment]) -> BatchFlow:
        yield httpx.Request("POST", "https://vendor.example/")
        return [outcome.delivered()] * len(assignments)


class HangingDoor:
    """One target never answers; the others do at once."""

    def __init__(self, hanging: str) -> None:
        self._hanging = hanging
        self.hang = 0
        self.answered = 0
        self.changed = asyncio.Event()

    async def send(self, _request: httpx.Request, *, target: str, **_: Any) -> httpx.Response:
        self.changed.set()
        if target == self._hanging:
            self.hang += 1
            await asyncio.Event().wait()
        self.answered += 1
        return httpx.Response(200)

    async def until(self, *, hang: int, answered: int) -> None:
        async with asyncio.timeout(5):
            while self.hang < hang or self.answered < answered:
                self.changed.clear()
                await self.changed.wait()


async def test_few_free_slots_are_used_while_a_slow_target_holds_the_others(world: World):
    await world.source()
    slow = await world.target("slow", events=["payment_received"], max_in_flight=9)
    await world.target("quick", events=["checkout_completed"])
    for number in range(9):
        await world.send(payment(number))
    door = HangingDoor(slow)
    world.sender.send = door.send  # type: ignore[method-assign]  # the door of this test
    worker = Dispatcher(world.dispatch, world.recorder, world.clock, slots=10)
    running = asyncio.create_task(worker.run())
    await door.until(hang=9, answered=0)
    for number in range(3):
        await world.send(payment(number), "checkout_completed")
    worker.wake()
    await door.until(hang=9, answered=3)
    await worker.stop(grace=0)
    await running
    assert {one.status for one in await world.deliveries(target="quick")} == {"succeeded"}


async def test_a_batch_takes_the_slot_of_one_request(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(registry, "CONNECTORS", {**registry.CONNECTORS, "batching": Batching})
    await world.source()
    slow = await world.target("slow", connector="batching")
    await world.target("quick", events=["checkout_completed"])
    for number in range(60):
        await world.send(payment(number))
    door = HangingDoor(slow)
    world.sender.send = door.send  # type: ignore[method-assign]  # the door of this test
    worker = Dispatcher(world.dispatch, world.recorder, world.clock, slots=10)
    running = asyncio.create_task(worker.run())
    await door.until(hang=5, answered=0)
    assert worker.in_flight == 50
    for number in range(3):
        await world.send(payment(number), "checkout_completed")
    worker.wake()
    await door.until(hang=5, answered=3)
    await worker.stop(grace=0)
    await running
    assert {one.status for one in await world.deliveries(target="quick")} == {"succeeded"}
    assert {one.status for one in await world.deliveries(target="slow")} == {"pending"}


async def test_the_slots_of_batches_are_free_again(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(registry, "CONNECTORS", {**registry.CONNECTORS, "batching": Batching})
    await world.source()
    await world.target("batches", connector="batching")
    for number in range(75):
        await world.send(payment(number))
    worker = Dispatcher(world.dispatch, world.recorder, world.clock, slots=2)
    running = asyncio.create_task(worker.run())
    for _ in range(1000):
        if {one.status for one in await world.deliveries()} == {"succeeded"}:
            break
        await asyncio.sleep(0.01)
    await worker.stop(grace=5)
    await running
    assert {one.status for one in await world.deliveries()} == {"succeeded"}
    assert worker.in_flight == 0
    assert len(world.sender.sent) == 8


DEAD, QUICK = ["payment_received"], ["checkout_completed"]


async def delivered(world: World, target: str) -> None:
    """Wait until everything of a target is delivered."""
    for _ in range(1000):
        if {one.status for one in await world.deliveries(target=target)} == {"succeeded"}:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(target)


async def held(worker: Dispatcher, least: int) -> None:
    """Wait until a worker holds so many, and for what it would claim beside them."""
    for _ in range(1000):
        if worker.in_flight >= least:
            await asyncio.sleep(0.2)
            return
        await asyncio.sleep(0.01)
    raise AssertionError(worker.in_flight)


async def test_slow_targets_together_leave_a_slot_for_one_that_comes_late(world: World):
    await world.source()
    slow = [await world.target(f"slow-{n}", events=DEAD, max_in_flight=10) for n in range(3)]
    await world.target("quick", events=QUICK)
    for number in range(12):
        await world.send(payment(number))

    async def send(_request: httpx.Request, *, target: str, **_: Any) -> httpx.Response:
        if target in slow:
            await asyncio.Event().wait()
        return httpx.Response(200)

    world.sender.send = send  # type: ignore[method-assign]  # the door of this test
    worker = Dispatcher(world.dispatch, world.recorder, world.clock, slots=20)
    running = asyncio.create_task(worker.run())
    await held(worker, 18)
    assert worker.in_flight < 20
    await world.send(payment(99), "checkout_completed")
    worker.wake()
    await delivered(world, "quick")
    await worker.stop(grace=0)
    await running


async def test_a_target_that_fails_is_tried_with_a_few_until_one_succeeds(world: World):
    await world.source()
    target = await world.target(max_in_flight=50, retry={"schedule": [0, 1, 1, 1, 1, 1]})
    world.sender.default = lambda _request: httpx.Response(503)
    await world.send(payment(0))
    assert len(await world.work()) == 1
    for number in range(1, 21):
        await world.send(payment(number))
    assert len(await world.work()) == 4
    world.sender.default = lambda _request: httpx.Response(200)
    assert len(await world.work()) == 4
    # The five that failed wait for their next attempt.
    assert len(await world.work()) == 12
    assert {name for name, _ in world.sender.sent} == {target}


async def test_the_success_of_one_worker_ends_the_trial_that_anothers_failure_began(world: World):
    await world.source()
    await world.target(max_in_flight=50, retry={"schedule": [0, 100]})
    await world.send(payment(0))
    await world.work()
    # The other one does not know of this worker's successes, nor this one of its failures.
    other = Recorder(
        world.database, world.configuration, world.clock, owner="other", disable_after=3600
    )
    await world.send(payment(1))
    world.sender.script = [httpx.Response(503)]
    claimed = await world.dispatch.claim(50)
    await other.record(await world.dispatch.carry_out(claimed.groups[0]))
    for number in range(2, 22):
        await world.send(payment(number))
    assert len(await world.work()) == 4
    assert len(await world.work()) == 16


async def test_a_worker_holds_no_more_bodies_than_its_memory_allows(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(holdings, "MOST_BYTES", 400_000)
    await world.source()
    await world.target("slow", events=DEAD)
    await world.target("quick", events=QUICK)
    for number in range(20):
        await world.send(large(number, 40_000))
    go_on = asyncio.Event()

    async def send(request: httpx.Request, **_: Any) -> httpx.Response:
        if len(request.content) > 40_000:
            await go_on.wait()
        return httpx.Response(200)

    world.sender.send = send  # type: ignore[method-assign]  # the door of this test
    worker = Dispatcher(world.dispatch, world.recorder, world.clock, slots=100)
    running = asyncio.create_task(worker.run())
    await held(worker, 3)
    # One target's bodies take half of it, and those of others are sent meanwhile.
    assert worker.in_flight <= 7
    await world.send(payment(99), "checkout_completed")
    worker.wake()
    await delivered(world, "quick")
    go_on.set()
    await delivered(world, "slow")
    await worker.stop(grace=5)
    await running
    assert worker.in_flight == 0


def large(number: int, size: int) -> bytes:
    """The captured payment with so many bytes more."""
    return payment(number).replace(b"{", b'{"note":"' + b"x" * size + b'",', 1)


async def test_large_bodies_are_claimed_by_their_bytes_and_the_next_claim_is_as_narrow(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(claiming, "CLAIM_BYTES", 100_000)
    await world.source()
    await world.target()
    for number in range(12):
        await world.send(large(number, 40_000))
    first = await world.dispatch.claim(50)
    second = await world.dispatch.claim(50)
    assert (first.more, second.more) == (True, True)
    assert 1 <= first.count <= 3
    assert 1 <= second.count <= 3
    assert len(await world.deliveries(status="in_flight")) == first.count + second.count
