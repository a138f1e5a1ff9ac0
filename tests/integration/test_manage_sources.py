"""What an operator does to sources, as the senders notice it; on both databases."""

from __future__ import annotations

import asyncio

import pytest

from app.domain.errors import Unauthorized
from app.services import bootstrap
from app.services.source_definition import SourceDraft
from app.store import routing, sources
from tests.integration.world import World


@pytest.fixture
def world(database, sealer, clock) -> World:
    return World(database, sealer, clock)


async def version(world: World) -> int:
    return await world.database.read(routing.current)


async def test_every_change_moves_the_routing_version(world):
    versions = [await version(world)]
    source_id = await world.source()
    versions.append(await version(world))
    await world.sources.update(source_id, strict=True)
    versions.append(await version(world))
    await world.sources.rotate(source_id)
    versions.append(await version(world))
    await world.sources.delete(source_id)
    versions.append(await version(world))
    assert versions == sorted(set(versions))


async def test_of_those_who_want_a_name_at_once_one_gets_it(world):
    draft = SourceDraft(name="wanted", kind="standard_webhooks", settings={})
    results = await asyncio.gather(
        *(world.sources.create(draft) for _ in range(5)), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == [
        *["Conflict"] * 4,
        "SourceWithCredentials",
    ]


async def test_a_new_token_opens_the_door_at_once(world):
    await world.source()
    assert (await world.send()).duplicate is False


async def test_an_old_token_is_valid_while_the_overlap_lasts(world, clock):
    source_id = await world.source()
    old = world.tokens["shop"]
    world.tokens["shop"] = (await world.sources.rotate(source_id)).token
    await world.send()
    world.tokens["shop"] = old
    clock.advance(3599)
    await world.send()
    clock.advance(1)
    with pytest.raises(Unauthorized):
        await world.send()


async def test_after_two_rotations_the_oldest_token_is_gone(world):
    source_id = await world.source()
    oldest = world.tokens["shop"]
    await world.sources.rotate(source_id)
    await world.sources.rotate(source_id)
    world.tokens["shop"] = oldest
    with pytest.raises(Unauthorized):
        await world.send()


async def test_without_an_overlap_the_old_token_is_gone_at_once(world):
    source_id = await world.source()
    world.sources._overlap = 0
    await world.sources.rotate(source_id)
    with pytest.raises(Unauthorized):
        await world.send()


async def test_both_signing_secrets_are_known_while_the_overlap_lasts(world, clock):
    source_id = await world.source(kind="standard_webhooks")
    await world.sources.rotate(source_id)
    configuration = await world.configuration.refresh()
    assert len(configuration.sources["shop"].credentials.signing_secrets) == 2
    clock.advance(3600)
    configuration = await world.configuration.refresh()
    assert len(configuration.sources["shop"].credentials.signing_secrets) == 1


@pytest.mark.parametrize("only", ["token", "signing_secret"])
async def test_one_credential_can_be_rotated_while_the_other_stays(world, clock, only):
    source_id = await world.source()
    await world.sources.rotate(source_id)
    clock.advance(3600)
    before = await world.database.read(lambda c: sources.get(c, source_id))
    made = await world.sources.rotate(source_id, only=only)
    after = await world.database.read(lambda c: sources.get(c, source_id))
    assert (made.token is None, made.signing_secret is None) == (only != "token", only == "token")
    assert (after.token_digest == before.token_digest) is (only != "token")
    kept = "signing_secret_sealed" if only == "token" else "token_digest"
    assert getattr(after, kept) == getattr(before, kept)
    # What an earlier rotation had retired does not come back.
    credentials = (await world.configuration.refresh()).sources["shop"].credentials
    counts = (len(credentials.token_hashes), len(credentials.signing_secrets))
    assert counts == ((2, 1) if only == "token" else (1, 2))


async def test_a_first_source_is_made_when_there_is_none(world):
    made = await bootstrap.ensure_first_source(world.sources)
    assert made is not None
    assert (made.source.name, made.source.kind) == ("my-network", "ultimate_multisite")
    assert made.token
    assert await bootstrap.ensure_first_source(world.sources) is None


async def test_a_first_source_is_not_made_beside_others(world):
    await world.source()
    assert await bootstrap.ensure_first_source(world.sources) is None


async def test_whoever_is_second_to_make_the_first_source_leaves_it_alone(world, monkeypatch):
    class Empty:
        items = ()

    async def none_yet(**_: object) -> Empty:
        return Empty()

    draft = SourceDraft(name=bootstrap.FIRST_SOURCE, kind="ultimate_multisite", settings={})
    await world.sources.create(draft)
    monkeypatch.setattr(world.sources, "page", none_yet)
    assert await bootstrap.ensure_first_source(world.sources) is None
