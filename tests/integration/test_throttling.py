"""A destination that says "too fast" without saying how long: once for all that was under way."""

from __future__ import annotations

import httpx
import pytest
import sqlalchemy as sa

from app.domain.errors import StoreUnavailable
from app.services.dispatch import Result
from app.store.tables import target_state
from tests.integration.world import World, payment


async def rest(world: World) -> float:
    """Seconds that the one target is left alone for."""
    column = target_state.c.throttled_until
    until = await world.database.read(lambda c: c.execute(sa.select(column)).scalar_one())
    return until / 1_000_000 - world.clock().timestamp()


async def throttled(world: World, count: int) -> list[Result]:
    """Attempts that were under way together, all of them throttled."""
    world.sender.default = lambda _: httpx.Response(429)
    for _ in range(count):
        await world.send(payment(len(world.sender.sent) + len(await world.events())))
    claimed = await world.dispatch.claim(50)
    return [r for group in claimed.groups for r in await world.dispatch.carry_out(group)]


async def arranged(world: World) -> None:
    await world.source()
    await world.target()


async def test_what_was_under_way_together_is_throttled_once(world: World):
    await arranged(world)
    results = await throttled(world, 8)
    await world.recorder.record(results[:3])
    world.clock.advance(0.5)
    await world.recorder.record(results[3:])
    assert await rest(world) == pytest.approx(2)


async def test_each_time_it_is_still_too_fast_doubles_the_rest(world: World):
    await arranged(world)
    rests: list[float] = []
    for count in (3, 1, 1):
        await world.recorder.record(await throttled(world, count))
        rests.append(await rest(world))
        world.clock.advance(rests[-1] + 1)
    assert rests == pytest.approx([2, 4, 8])


async def test_what_the_destination_took_starts_anew(world: World):
    await arranged(world)
    await world.recorder.record(await throttled(world, 2))
    world.clock.advance(5)
    world.sender.script = [httpx.Response(200), httpx.Response(200)]
    await world.work()
    world.clock.advance(60)
    await world.recorder.record(await throttled(world, 1))
    assert await rest(world) == pytest.approx(2)


async def test_a_store_that_is_away_makes_no_rest_longer(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    await arranged(world)
    results = await throttled(world, 1)

    async def away(*_: object) -> None:
        raise StoreUnavailable("away")

    monkeypatch.setattr(world.database, "write", away)
    for _ in range(5):
        with pytest.raises(StoreUnavailable):
            await world.recorder.record(results)
        world.clock.advance(0.5)
    monkeypatch.undo()
    await world.recorder.record(results)
    assert await rest(world) == pytest.approx(2)
