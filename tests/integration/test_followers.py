"""Where order counts, the later deliveries of a person wait as long as the first one, and no longer."""

from __future__ import annotations

import httpx
import pytest

from tests.integration.world import World, payment

HOURS = 5 * 3600


async def waiting_for_hours(world: World) -> list[str]:
    """Three deliveries of one person, the first of which failed; answers their ids, oldest first."""
    await world.source()
    await world.target(ordered=True, retry={"schedule": [0, HOURS, HOURS]})
    for number in range(3):
        await world.send(payment(number))
    world.sender.script = [httpx.Response(503)]
    await world.work()
    assert await world.work() == []
    return sorted(one.id for one in await world.deliveries())


async def test_when_the_first_is_sent_at_once_by_hand_the_others_follow(world: World):
    ids = await waiting_for_hours(world)
    world.clock.advance(10)
    await world.steering.retry(ids[0])
    done = await world.work(3)
    assert [one.claimed.id for one in done] == ids
    assert {one.status for one in await world.deliveries()} == {"succeeded"}


async def test_when_the_first_is_cancelled_the_others_follow(world: World):
    ids = await waiting_for_hours(world)
    world.clock.advance(10)
    await world.steering.cancel(ids[0])
    done = await world.work(2)
    assert [one.claimed.id for one in done] == ids[1:]


async def test_when_the_first_fails_again_the_others_wait_with_it_again(world: World):
    ids = await waiting_for_hours(world)
    world.clock.advance(10)
    world.sender.script = [httpx.Response(503)]
    await world.steering.retry(ids[0])
    assert [one.claimed.id for one in await world.work(3)] == ids[:1]


@pytest.mark.parametrize("step", ["retry", "cancel"])
async def test_the_wait_of_another_person_and_of_a_later_failure_stays(world: World, step: str):
    ids = await waiting_for_hours(world)
    other = payment(9).replace(b'"customer_id":"2"', b'"customer_id":"99"')
    world.sender.script = [httpx.Response(503)]
    await world.send(other)
    await world.work()
    world.clock.advance(10)
    await getattr(world.steering, step)(ids[1])
    assert await world.work() == []
