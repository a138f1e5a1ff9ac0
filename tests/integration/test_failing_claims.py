"""A claim that fails half-way, and leases that do not last: nothing is sent, counted or called lost."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.errors import StoreUnavailable
from tests.integration.world import World

GA4 = {"measurement_id": "G-TEST12345", "api_secret": "s3cret-value"}


async def half_claimed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lease the deliveries, and lose the store before their effects are reserved."""
    write = world.database.write

    async def away(*_: Any, **__: Any) -> None:
        raise StoreUnavailable("away")

    monkeypatch.setattr(world.database, "write_briefly", write)
    monkeypatch.setattr(world.database, "write", away)
    with pytest.raises(StoreUnavailable):
        await world.dispatch.claim(10)
    monkeypatch.undo()


async def test_what_a_claim_leased_before_it_failed_is_claimed_at_once_and_not_called_lost(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    await world.source()
    await world.target(connector="ga4", settings=GA4)
    await world.send()
    await half_claimed(world, monkeypatch)
    await world.work()
    [delivery] = await world.deliveries()
    assert (delivery.status, delivery.attempt_count) == ("succeeded", 1)
    _, attempts = await world.browse.delivery(delivery.id)
    assert [one.outcome for one in attempts] == ["delivered"]


async def test_what_another_worker_claimed_meanwhile_is_not_put_back(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    await world.source()
    await world.target(connector="ga4", settings=GA4)
    await world.send()
    await half_claimed(world, monkeypatch)
    world.clock.advance(61)
    await world.upkeep.take_back_expired_leases()
    other = world.another_worker("other")
    assert (await other.claim(10)).count == 1
    assert (await world.dispatch.claim(10)).count == 0
    [delivery] = await world.deliveries()
    assert delivery.status == "in_flight"


async def test_what_a_frozen_worker_held_beyond_its_lease_is_not_sent(world: World):
    await world.source()
    await world.target()
    await world.send()
    held = await world.dispatch.claim(10)
    world.clock.advance(61)
    await world.upkeep.take_back_expired_leases()
    assert len(await world.work()) == 1
    [result] = await world.dispatch.carry_out(held.groups[0])
    await world.recorder.record([result])
    assert len(world.sender.sent) == 1
    [delivery] = await world.deliveries()
    assert delivery.status == "succeeded"
    _, attempts = await world.browse.delivery(delivery.id)
    assert [one.outcome for one in attempts] == ["lost", "delivered"]


async def test_an_attempt_that_could_outlast_its_lease_does_not_begin(world: World):
    await world.source()
    await world.target()
    await world.send()
    held = await world.dispatch.claim(10)
    # The lease is of 60 seconds, an attempt may take 20.
    world.clock.advance(41)
    [result] = await world.dispatch.carry_out(held.groups[0])
    await world.recorder.record([result])
    assert world.sender.sent == []
    assert len(await world.work()) == 1
    [delivery] = await world.deliveries()
    assert (delivery.status, delivery.attempt_count) == ("succeeded", 1)
    _, attempts = await world.browse.delivery(delivery.id)
    assert [one.outcome for one in attempts] == ["delivered"]


async def test_an_attempt_that_just_fits_into_its_lease_begins(world: World):
    await world.source()
    await world.target()
    await world.send()
    held = await world.dispatch.claim(10)
    world.clock.advance(40)
    await world.dispatch.carry_out(held.groups[0])
    assert len(world.sender.sent) == 1
