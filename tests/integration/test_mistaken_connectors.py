"""Connectors with a mistake: their own deliveries fail in words, and nobody else's."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

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


class Speechless(Connector[_Settings]):
    """Sends, and does not say what came of it."""

    name: ClassVar[str] = "speechless"
    kind: ClassVar[str] = "analytics"
    facts: ClassVar[Facts] = Facts("Speechless", "", "", "", "")
    Settings: ClassVar[type[BaseModel]] = _Settings
    default_events: ClassVar[tuple[str, ...]] = ("*",)
    limits: ClassVar[Limits] = Limits()

    def deliver(self, assignment: Assignment) -> Flow:
        yield httpx.Request("POST", "https://vendor.example/")
        return None  # type: ignore[return-value]  # the mistake


class Miscounting(Speechless):
    """Takes batches, and answers for the first of each only."""

    name: ClassVar[str] = "miscounting"
    limits: ClassVar[Limits] = Limits(batch_size=3)

    def deliver_many(self, _assignments: Sequence[Assignment]) -> BatchFlow:
        yield httpx.Request("POST", "https://vendor.example/")
        return [delivered()]


class Abrupt(Speechless):
    """Raises where it should begin."""

    name: ClassVar[str] = "abrupt"

    def deliver(self, assignment: Assignment) -> Flow:
        raise KeyError("oops")


class Keyless(Miscounting):
    """Cannot say what goes together."""

    name: ClassVar[str] = "keyless"

    def batch_key(self, assignment: Assignment) -> str:
        raise KeyError("no key")


MISTAKEN = (Speechless, Miscounting, Abrupt, Keyless)


@pytest.fixture(autouse=True)
def mistaken(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {**registry.CONNECTORS, **{one.name: one for one in MISTAKEN}}
    monkeypatch.setattr(registry, "CONNECTORS", known)


async def all_over(world: World) -> None:
    """Wait until nothing is pending or under way; the test fails when that does not come."""
    for _ in range(1000):
        if all(one.status == "failed" for one in await world.deliveries()):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen in time")


@pytest.mark.parametrize("connector", [one.name for one in MISTAKEN])
async def test_a_connector_that_does_not_end_well_keeps_no_slot(world: World, connector: str):
    await world.source()
    await world.target("bad", connector=connector, retry={"schedule": [0]})
    for number in range(3):
        await world.send(payment(number))
    worker = Dispatcher(world.dispatch, world.recorder, world.clock, slots=3)
    running = asyncio.create_task(worker.run())
    await all_over(world)
    await worker.stop(grace=5)
    await running
    assert worker.in_flight == 0
    found = await world.deliveries()
    assert {one.status for one in found} == {"failed"}
    assert all(one.reason for one in found)


async def test_what_was_sent_by_a_connector_that_does_not_end_well_stands_in_the_log(world: World):
    await world.source()
    await world.target("bad", connector="speechless")
    await world.send()
    await world.work()
    [delivery] = await world.deliveries()
    _, [attempt] = await world.browse.delivery(delivery.id)
    assert attempt.outcome == "retry"
    assert attempt.exchanges[0]["status"] == 200


async def test_a_connector_that_cannot_say_what_goes_together_stops_nobody(world: World):
    await world.source()
    await world.target("bad", connector="keyless", retry={"schedule": [0]})
    await world.target("good")
    for number in range(3):
        await world.send(payment(number))
    await world.work()
    found = await world.deliveries()
    assert {one.status for one in found if one.target == "good"} == {"succeeded"}
    assert {one.status for one in found if one.target == "bad"} == {"failed"}
