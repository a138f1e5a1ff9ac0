"""A delivery that was claimed anew while an earlier result of it was still waiting to be written."""

from __future__ import annotations

import httpx
import pytest

from app.services.dispatch import Result
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
    recorded = Recording(world.recorder, ended.append)
    recorded.put(results)
    await recorded.drain()
    [delivery] = await world.deliveries()
    assert (delivery.status, delivery.attempt_count) == (status, 2)
    _, attempts = await world.browse.delivery(delivery.id)
    assert [one.outcome for one in attempts].count("stale") == 1
    assert ended == [1, 1]
