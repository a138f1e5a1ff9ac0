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
from app.domain.outcome import delivered
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
        return delivered()

    def deliver_many(self, assignments: Sequence[Assignment]) -> BatchFlow:
        yield httpx.Request("POST", "https://vendor.example/")
        return [delivered()] * len(assignments)


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
