"""A target's rate holds on average, is used up, and counts the requests that are really made."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import ClassVar

import httpx
import pytest
from pydantic import BaseModel

from app.connectors import registry
from app.connectors.base import Assignment, BatchFlow, Connector, Facts, Flow, Limits
from app.domain.clock import from_micros
from app.domain.outcome import delivered, rejected
from tests.integration.world import World, payment


class _Settings(BaseModel):
    pass


class Together(Connector[_Settings]):
    """Takes batches of ten."""

    name: ClassVar[str] = "together"
    kind: ClassVar[str] = "analytics"
    facts: ClassVar[Facts] = Facts("Together", "", "", "", "")
    Settings: ClassVar[type[BaseModel]] = _Settings
    default_events: ClassVar[tuple[str, ...]] = ("*",)
    limits: ClassVar[Limits] = Limits(batch_size=10, max_in_flight=100)

    def deliver(self, assignment: Assignment) -> Flow:
        response = yield _request([assignment])
        return delivered() if response.is_success else rejected("bad record")

    def deliver_many(self, assignments: Sequence[Assignment]) -> BatchFlow:
        response = yield _request(assignments)
        return [delivered()] * len(assignments) if response.is_success else rejected("bad batch")


class Apart(Together):
    """Takes batches, of which no two deliveries may be part."""

    name: ClassVar[str] = "apart"

    def batch_key(self, assignment: Assignment) -> str:
        return assignment.message_id


def _request(assignments: Sequence[Assignment]) -> httpx.Request:
    ids = [assignment.message_id for assignment in assignments]
    return httpx.Request("POST", "https://vendor.example/", json=ids)


@pytest.fixture(autouse=True)
def batching(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {**registry.CONNECTORS, "together": Together, "apart": Apart}
    monkeypatch.setattr(registry, "CONNECTORS", known)


async def waiting(world: World, count: int, *, per_second: float, connector: str) -> None:
    await world.source()
    await world.target(connector=connector, rate_limit={"per_second": per_second})
    for number in range(count):
        await world.send(payment(number))


async def requests_within(world: World, seconds: float) -> int:
    """Work whenever there is something to do, as a worker does."""
    before, until = len(world.sender.sent), world.clock().timestamp() + seconds
    while world.clock().timestamp() < until:
        claimed = await world.dispatch.claim(50)
        for group in claimed.groups:
            await world.recorder.record(await world.dispatch.carry_out(group))
        sleep = 1.0
        if claimed.next_due is not None:
            sleep = (from_micros(claimed.next_due) - world.clock()).total_seconds()
        world.clock.advance(min(max(sleep, 0.001), 1.0))
    return len(world.sender.sent) - before


@pytest.mark.parametrize("per_second", [0.7, 1.9, 3.5])
async def test_a_rate_that_is_no_whole_number_is_used_up(world: World, per_second: float):
    await waiting(world, 60, per_second=per_second, connector="webhook")
    made = await requests_within(world, 10)
    assert made == pytest.approx(10 * per_second + max(1, per_second), abs=1.1)


async def test_each_delivery_of_a_refused_batch_is_a_request_of_its_own(world: World):
    world.sender.default = lambda r: httpx.Response(400 if len(json.loads(r.content)) > 1 else 200)
    await waiting(world, 10, per_second=1, connector="together")
    await requests_within(world, 2)
    # One for the batch, ten for its parts: what was not saved up is paid for afterwards.
    assert len(world.sender.sent) == 11
    await world.send(payment(50))
    assert await requests_within(world, 7) == 0
    assert await requests_within(world, 5) == 1


async def test_what_cannot_go_together_is_counted_one_by_one(world: World):
    await waiting(world, 60, per_second=2, connector="apart")
    assert await requests_within(world, 20) <= 20 * 2 + 20
