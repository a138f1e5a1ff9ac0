"""One target that is dead or slow is nobody else's trouble."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from app.worker.dispatcher import Dispatcher
from tests.integration.world import World, payment


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
