"""A target whose address is its secret: sealed, masked in answers and in the log."""

from __future__ import annotations

from typing import Any

import httpx
import sqlalchemy as sa

from app.store import tables
from tests.integration.world import World, payment

URL = "https://hooks.slack.com/services/T000/B000/canary-part"


async def everything(world: World) -> str:
    """What the targets, deliveries and attempts hold."""

    def work(connection: Any) -> str:
        kept = (tables.targets, tables.deliveries, tables.attempts)
        return repr([tuple(row) for table in kept for row in connection.execute(sa.select(table))])

    return await world.database.read(work)


async def test_an_address_that_is_a_secret_stands_nowhere_in_the_open(world: World):
    await world.source()
    target_id = await world.target("channel", "slack", settings={"url": URL})
    world.sender.default = lambda request: httpx.Response(404, html=f"no hook at {request.url}")
    await world.send(payment(1))
    await world.work()
    (_, request), *_ = world.sender.sent
    assert str(request.url) == URL
    assert "canary-part" not in await everything(world)
    found = await world.targets.get(target_id)
    assert found.settings == {"url": "********"}
    assert found.status == "disabled"


async def test_an_address_that_is_a_secret_is_kept_when_its_mask_comes_back(world: World):
    await world.source()
    target_id = await world.target("channel", "slack", settings={"url": URL})
    settings = {"url": "********", "flavour": "discord"}
    await world.targets.update(target_id, {"settings": settings})
    await world.configuration.refresh()
    world.sender.default = lambda _: httpx.Response(204)
    await world.send(payment(1))
    await world.work()
    (_, request), *_ = world.sender.sent
    assert str(request.url) == URL
    assert b'"content"' in request.content
