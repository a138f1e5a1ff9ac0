"""Deliveries that wait for another one to carry out the same effect."""

from __future__ import annotations

import httpx

from tests.integration.world import World, payment

GA4 = {"measurement_id": "G-TEST12345", "api_secret": "s3cret-value"}
HOUR = 3600


async def announced_three_times(world: World, *replies: int) -> None:
    """Three events of one payment, and a destination that answers in this way, then with 200."""
    await world.source()
    await world.target(connector="ga4", settings=GA4, retry={"schedule": [0, HOUR]})
    for event_type in ("payment_received", "checkout_completed", "payment_status_to_completed"):
        await world.send(payment(7), event_type)
    world.sender.script = [httpx.Response(status) for status in replies]


async def claimed_within(world: World, seconds: int) -> int:
    claimed = 0
    for _ in range(0, seconds, 60):
        claimed += len(await world.work())
        world.clock.advance(60)
    return claimed


async def test_they_are_not_looked_at_while_the_other_one_waits_for_its_next_attempt(world: World):
    await announced_three_times(world, 503)
    # While it is sent for the first time nobody knows how long it will take.
    assert await claimed_within(world, 120) == 3 + 2
    assert await claimed_within(world, HOUR - 120) == 0
    assert await claimed_within(world, 600) == 3
    found = await world.deliveries()
    assert sorted(one.status for one in found) == ["skipped", "skipped", "succeeded"]
    assert len(world.sender.sent) == 2


async def test_one_of_them_takes_over_when_the_other_one_has_failed_for_good(world: World):
    await announced_three_times(world, 503, 503)
    await claimed_within(world, 2 * HOUR)
    found = await world.deliveries()
    assert sorted(one.status for one in found) == ["failed", "skipped", "succeeded"]
    assert len(world.sender.sent) == 3
