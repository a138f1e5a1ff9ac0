"""Two workers on one database: order holds over both, and nothing is sent twice."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import httpx

from app.domain.clock import system_clock
from app.services.record import Recorder
from app.worker.dispatcher import Dispatcher
from tests.integration.world import World, payment

PEOPLE, EACH = 8, 6


class Sink:
    """Takes its time, refuses some, and remembers in which order it took the rest."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self.taken: dict[str, list[int]] = {}
        self.under_way: Counter[str] = Counter()
        self.together = 0
        self.ids: list[str] = []

    async def send(self, request: httpx.Request, **_: Any) -> httpx.Response:
        body = request.read()
        person = body.split(b'"customer_id":"')[1].split(b'"')[0].decode()
        number = int(body.split(b'"payment_id":')[1].split(b",")[0])
        self.under_way[person] += 1
        self.together = max(self.together, self.under_way[person])
        await asyncio.sleep(self._chance.uniform(0, 0.01))
        self.under_way[person] -= 1
        if self._chance.random() < 0.2:
            return httpx.Response(503)
        self.taken.setdefault(person, []).append(number)
        self.ids.append(request.headers["webhook-id"])
        return httpx.Response(200)


def worker(world: World, owner: str) -> Dispatcher:
    world.clock = system_clock  # type: ignore[assignment]  # these workers run by themselves
    recorder = Recorder(
        world.database, world.configuration, world.clock, owner=owner, disable_after=3600
    )
    return Dispatcher(world.another_worker(owner), recorder, world.clock, slots=5)


async def all_taken(sink: Sink) -> None:
    for _ in range(2000):
        if len(sink.ids) >= PEOPLE * EACH:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen in time")


async def test_every_person_is_told_in_order_and_once_by_two_workers(world: World):
    await world.source()
    await world.target(ordered=True, retry={"schedule": [0] * 30})
    for number in range(PEOPLE * EACH):
        person = b'"customer_id":"%d"' % (100 + number % PEOPLE)
        await world.send(payment(1000 + number).replace(b'"customer_id":"2"', person))
    sink = Sink(seed=7)
    world.sender.send = sink.send  # type: ignore[method-assign]  # the door of this test
    workers = [worker(world, owner) for owner in ("one", "two")]
    running = [asyncio.create_task(one.run()) for one in workers]
    await all_taken(sink)
    for one in workers:
        await one.stop(grace=5)
    await asyncio.gather(*running)
    assert sink.together == 1
    assert len(sink.taken) == PEOPLE
    assert {person: sorted(numbers) for person, numbers in sink.taken.items()} == sink.taken
    assert set(Counter(sink.ids).values()) == {1}
    assert {one.status for one in await world.deliveries()} == {"succeeded"}
