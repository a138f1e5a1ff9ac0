"""`/v1/stats`: how the relay is doing, in one look."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.integration.edge import Edge, edge

NOTHING = dict.fromkeys(
    ("pending", "in_flight", "succeeded", "failed", "skipped", "held", "cancelled"), 0
)


@pytest.fixture
async def node(database, sealer, clock) -> AsyncIterator[Edge]:
    async with edge(database, sealer, clock) as made:
        yield made


@pytest.fixture
async def api(node) -> AsyncIterator[httpx.AsyncClient]:
    async with node.client() as client:
        yield client


async def stats(api: httpx.AsyncClient) -> dict:
    answer = await api.get("/v1/stats")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_an_empty_relay_has_nothing_to_count(api):
    nothing = {"total": 0, "by_type": {}}
    assert await stats(api) == {
        "events": {"last_hour": nothing, "last_day": nothing},
        "targets": [],
        "oldest_waiting_seconds": None,
        "quarantine_open": 0,
    }


async def test_events_are_counted_by_type_over_an_hour_and_a_day(node, api):
    for age in (0, 3_599, 3_601, 86_399, 86_401):
        await node.past_event(age)
    await node.past_event(10, type="site_published")
    events = (await stats(api))["events"]
    assert events["last_hour"] == {
        "total": 3,
        "by_type": {"payment_received": 2, "site_published": 1},
    }
    assert events["last_day"] == {
        "total": 5,
        "by_type": {"payment_received": 4, "site_published": 1},
    }
    assert list(events["last_day"]["by_type"]) == ["payment_received", "site_published"]


async def test_what_waits_is_counted_by_target_whatever_its_age(node, api):
    busy, paused = await node.world.target("busy"), await node.world.target("paused")
    await node.past_event(172_800, to=(busy, paused))
    await node.past_event(60, to=(busy,))
    await node.world.targets.pause(paused)
    found = await stats(api)
    assert found["targets"] == [
        {
            "id": busy,
            "name": "busy",
            "status": "active",
            "deliveries": NOTHING | {"pending": 2},
            "oldest_waiting_seconds": 172_800,
        },
        {
            "id": paused,
            "name": "paused",
            "status": "paused",
            "deliveries": NOTHING | {"held": 1},
            "oldest_waiting_seconds": 172_800,
        },
    ]
    assert found["oldest_waiting_seconds"] == 172_800


async def test_what_is_held_is_not_late(node, api):
    paused = await node.world.target("paused")
    await node.past_event(500, to=(paused,))
    await node.world.targets.pause(paused)
    assert (await stats(api))["oldest_waiting_seconds"] is None


async def test_what_is_over_is_counted_for_a_day(node, api):
    target = await node.world.target()
    await node.past_event(90_000, to=(target,))
    await node.past_event(60, to=(target,))
    await node.past_event(50, to=(target,))
    newest, *older = await node.world.deliveries()
    for delivery in older:
        await node.world.steering.cancel(delivery.id)
    (counted,) = (await stats(api))["targets"]
    assert counted["deliveries"] == NOTHING | {"pending": 1, "cancelled": 1}
    await node.world.steering.cancel(newest.id)
    (counted,) = (await stats(api))["targets"]
    assert counted["deliveries"] == NOTHING | {"cancelled": 2}


async def test_a_delivery_in_flight_is_counted_as_such(node, api):
    target = await node.world.target()
    await node.past_event(5, to=(target,))
    await node.world.configuration.refresh()
    await node.world.dispatch.claim(10)
    (counted,) = (await stats(api))["targets"]
    assert counted["deliveries"] == NOTHING | {"in_flight": 1}


async def test_open_quarantine_entries_are_counted(node, api):
    await node.world.source()
    with pytest.raises(Exception, match="not valid JSON") as refused:
        await node.world.send(b"{")
    assert (await stats(api))["quarantine_open"] == 1
    await node.world.quarantine.discard(refused.value.extra["quarantine_id"])
    assert (await stats(api))["quarantine_open"] == 0


async def test_statistics_need_a_key(node):
    async with node.client(None) as stranger:
        assert (await stranger.get("/v1/stats")).status_code == 401
