"""A target is switched off in a transaction of its own, which can fail after the results are written."""

from __future__ import annotations

from typing import Any

import httpx

from app.domain.errors import StoreUnavailable
from tests.integration.world import World, payment


async def test_results_are_written_once_although_their_target_cannot_be_switched_off(world: World):
    await world.source()
    target = await world.target()
    await world.send(payment(1))
    world.sender.script = [httpx.Response(410)]
    claimed = await world.dispatch.claim(10)
    [gone] = await world.dispatch.carry_out(claimed.groups[0])
    write, writes = world.database.write, 0

    async def written_once(*arguments: Any, **options: Any) -> Any:
        nonlocal writes
        writes += 1
        if writes > 1:
            raise StoreUnavailable("away")
        return await write(*arguments, **options)

    world.database.write = written_once  # type: ignore[method-assign]  # the store of this test
    await world.recorder.record([gone])
    world.database.write = write  # type: ignore[method-assign]  # it is back
    [delivery] = await world.deliveries()
    _, attempts = await world.browse.delivery(delivery.id)
    assert [one.outcome for one in attempts] == ["gone"]
    assert (await world.targets.get(target)).status == "active"
    # The next refusal does what was left undone.
    world.sender.default = lambda _: httpx.Response(410)
    world.clock.advance(11)
    await world.send(payment(2))
    await world.work()
    assert (await world.targets.get(target)).status == "disabled"
