"""Events that come late, through the queue into a CRM: what is older never undoes what is newer."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.integration.world import World

CONTACT = "/crm/v3/objects/contacts"


def envelope(kind: str, hour: int, **data: Any) -> bytes:
    """An envelope of the bridge about customer 2, at this hour of the day."""
    return json.dumps(
        {
            "id": f"{kind}-{hour}",
            "type": kind,
            "occurred_at": f"2026-11-23T{hour:02}:00:00Z",
            "data": {"customer": {"id": "2", "email": "ada@example.com"}, **data},
        }
    ).encode()


def on_plan(name: str, status: str = "active") -> dict[str, Any]:
    return {"membership": {"id": "9", "status": status, "plan": {"name": name}}}


def changed(hour: int, plan: str) -> bytes:
    return envelope("membership_plan_changed", hour, **on_plan(plan))


@pytest.fixture
async def crm(world: World) -> World:
    await world.source()
    await world.target("crm", "hubspot", settings={"token": "pat-eu1"})
    world.sender.default = lambda _request: httpx.Response(
        200, json={"id": "51", "properties": {}, "archived": False}
    )
    return world


async def tell(world: World, *bodies: bytes) -> list[dict[str, str]]:
    """Send envelopes one after another; answers what the CRM was told, in order."""
    before = len(world.sender.sent)
    for body in bodies:
        await world.send(body, None)
        await world.work(2)
    await world.work(2)
    return [json.loads(request.content)["properties"] for _, request in world.sender.sent[before:]]


async def test_an_older_plan_that_comes_late_is_told_as_the_plan_of_today(crm: World):
    told = await tell(crm, changed(8, "Basic"), changed(10, "Premium"), changed(9, "Pro"))
    assert [one["plan"] for one in told] == ["Basic", "Premium", "Premium"]


async def test_a_late_loss_does_not_move_the_day_of_a_newer_one(crm: World):
    lost = [
        envelope("membership_status_to_cancelled", hour, **on_plan("Pro", "cancelled"))
        for hour in (10, 8)
    ]
    first, second = await tell(crm, *lost)
    assert first["churned_at"].startswith("2026-11-23T10")
    assert "churned_at" not in second


async def test_what_is_tried_again_after_newer_events_brings_nothing_back(crm: World):
    crm.sender.script.append(httpx.Response(400, json={"category": "VALIDATION_ERROR"}))
    await tell(crm, changed(8, "Basic"))
    (failed,) = await crm.deliveries()
    assert failed.status == "failed"
    await tell(crm, changed(9, "Premium"))
    await crm.steering.retry(failed.id)
    (again,) = await tell(crm)
    assert again["plan"] == "Premium"


async def test_what_a_target_was_not_told_settles_nothing(crm: World):
    crm.sender.script.append(httpx.Response(400, json={"category": "VALIDATION_ERROR"}))
    told = await tell(crm, changed(10, "Premium"), changed(9, "Pro"))
    assert told[-1]["plan"] == "Pro"
