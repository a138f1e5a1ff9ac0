"""What an operator does to targets, as deliveries notice it; on both databases."""

from __future__ import annotations

import httpx
import pytest
import sqlalchemy as sa

from app.domain.errors import ValidationFailed
from app.domain.signing import decode_secret
from app.services.target_definition import TargetDraft
from app.store import effects, routing, tables, target_state
from app.store.sealing import Sealer
from tests.databases import count
from tests.integration.world import World, payment

HOUR = 3_600_000_000


@pytest.fixture
async def world(database, sealer, clock) -> World:
    world = World(database, sealer, clock)
    await world.source()
    return world


async def version(world: World) -> int:
    return await world.database.read(routing.current)


async def test_every_change_moves_the_routing_version(world):
    versions = [await version(world)]
    target_id = await world.target()
    versions.append(await version(world))
    for step in (
        lambda: world.targets.update(target_id, {"events": ["payment_*"]}),
        lambda: world.targets.rotate_secret(target_id),
        lambda: world.targets.pause(target_id),
        lambda: world.targets.resume(target_id),
        lambda: world.targets.delete(target_id),
    ):
        await step()
        versions.append(await version(world))
    assert versions == sorted(set(versions))


async def test_what_changes_nothing_leaves_the_version_alone(world):
    target_id = await world.target()
    await world.targets.pause(target_id)
    before = await version(world)
    await world.targets.pause(target_id)
    assert await version(world) == before


async def test_a_new_target_gets_the_next_event(world):
    await world.target()
    await world.send()
    await world.work()
    assert [delivery.status for delivery in await world.deliveries()] == ["succeeded"]


async def test_a_paused_target_holds_its_deliveries_until_it_is_resumed(world):
    target_id = await world.target()
    await world.targets.pause(target_id)
    await world.send()
    await world.work()
    assert [delivery.status for delivery in await world.deliveries()] == ["held"]
    await world.targets.resume(target_id)
    await world.work()
    assert [delivery.status for delivery in await world.deliveries()] == ["succeeded"]


async def test_resuming_makes_what_waits_due_at_once(world):
    target_id = await world.target()
    world.sender.default = lambda _request: httpx.Response(500)
    await world.send()
    await world.work(rounds=2)
    await world.targets.pause(target_id)
    world.sender.default = lambda _request: httpx.Response(200)
    await world.targets.resume(target_id)
    await world.work()
    assert [delivery.status for delivery in await world.deliveries()] == ["succeeded"]


async def test_resuming_forgets_what_slowed_the_target_down(world):
    target_id = await world.target()
    now = 1_795_435_200_000_000
    await world.database.write(lambda c: target_state.throttle(c, target_id, now + HOUR))
    await world.database.write(lambda c: target_state.failed(c, target_id, now))
    await world.database.write(lambda c: target_state.disable(c, target_id, "It failed.", now))
    assert (await world.targets.get(target_id)).status_reason == "It failed."
    resumed = await world.targets.resume(target_id)
    assert (resumed.status, resumed.status_reason) == ("active", None)
    state = await world.database.read(
        lambda c: c.execute(sa.select(tables.target_state)).mappings().one()
    )
    assert (state["throttled_until"], state["failing_since"]) == (0, None)


async def test_pausing_a_disabled_target_keeps_the_reason_in_sight(world):
    target_id = await world.target()
    await world.database.write(lambda c: target_state.disable(c, target_id, "It is gone.", 1))
    paused = await world.targets.pause(target_id)
    assert paused.status == "paused"
    assert "It is gone." in paused.status_reason


async def test_deleting_cancels_what_is_queued_and_keeps_what_is_over(world):
    target_id = await world.target()
    await world.send(payment(1))
    await world.work()
    await world.send(payment(2))
    await world.send(payment(3))
    await world.targets.delete(target_id)
    found = [(delivery.status, delivery.reason) for delivery in await world.deliveries()]
    cancelled = ("cancelled", "The target 'sink' was deleted.")
    assert found == [cancelled, cancelled, ("succeeded", None)]
    assert await world.database.read(lambda c: count(c, tables.queue)) == 0
    assert await world.work() == []


async def test_deleting_a_target_does_not_touch_another(world):
    first = await world.target("first")
    await world.target("second")
    await world.send()
    await world.targets.delete(first)
    await world.work()
    statuses = {delivery.target: delivery.status for delivery in await world.deliveries()}
    assert sorted(statuses.values()) == ["cancelled", "succeeded"]


async def test_deleting_removes_all_that_was_remembered(world):
    target_id = await world.target()
    await world.database.write(
        lambda c: target_state.remember_link(c, target_id, "shop/customer/2", "401", 1)
    )
    await world.database.write(
        lambda c: effects.reserve(c, [(target_id, "purchase:shop/3", "dlv_a")], 1)
    )
    await world.targets.delete(target_id)
    for table in (tables.targets, tables.target_state, tables.links, tables.effects):
        assert await world.database.read(lambda c, t=table: count(c, t)) == 0


async def test_many_queued_deliveries_are_all_cancelled(world, monkeypatch):
    monkeypatch.setattr("app.store.targets._CANCELLED_AT_ONCE", 2)
    target_id = await world.target()
    for number in range(5):
        await world.send(payment(number + 10))
    await world.targets.delete(target_id)
    assert {delivery.status for delivery in await world.deliveries()} == {"cancelled"}


async def test_a_result_that_comes_after_the_deletion_changes_nothing(world):
    target_id = await world.target()
    await world.send()
    claimed = await world.dispatch.claim(5)
    await world.targets.delete(target_id)
    for group in claimed.groups:
        for result in await world.dispatch.carry_out(group):
            await world.recorder.record([result])
    assert [delivery.status for delivery in await world.deliveries()] == ["cancelled"]


async def test_a_rotation_signs_with_both_secrets_while_the_overlap_lasts(world, clock):
    made = await world.targets.create(
        TargetDraft(name="sink", connector="webhook", settings={"url": "http://127.0.0.1:9999/"})
    )
    rotated = await world.targets.rotate_secret(made.target.id)
    await world.send(payment(1))
    await world.work()
    clock.advance(3600)
    await world.send(payment(2))
    await world.work()
    signatures = [request.headers["webhook-signature"] for _, request in world.sender.sent]
    assert [len(header.split()) for header in signatures] == [2, 1]
    keys = [decode_secret(one.signing_secret or "") for one in (rotated, made)]
    bound = (await world.configuration.refresh()).targets[made.target.id]
    assert bound.connector.target.signing_keys == (keys[0],)


async def test_a_secret_that_comes_back_masked_is_kept(world):
    target_id = await world.target("crm", "hubspot", settings={"token": "first-secret"})
    shown = await world.targets.get(target_id)
    await world.targets.update(target_id, {"settings": {**shown.settings, "properties": "all"}})
    bound = (await world.configuration.refresh()).targets[target_id]
    assert bound.connector.target.settings.token.get_secret_value() == "first-secret"
    await world.targets.update(target_id, {"settings": {"token": "second-secret"}})
    bound = (await world.configuration.refresh()).targets[target_id]
    assert bound.connector.target.settings.token.get_secret_value() == "second-secret"


async def test_one_of_several_headers_can_be_changed(world):
    headers = {"x-a": "first", "x-b": "second"}
    target_id = await world.target(settings={"url": "http://127.0.0.1:9999/", "headers": headers})
    change = {"x-a": "********", "x-b": "third", "x-c": "fourth"}
    await world.targets.update(target_id, {"settings": {"headers": change}})
    await world.send()
    await world.work()
    _, request = world.sender.sent[0]
    assert [request.headers[f"x-{name}"] for name in "abc"] == ["first", "third", "fourth"]


async def test_a_stored_secret_does_not_move_to_another_host(world):
    target_id = await world.target("crm", "hubspot", settings={"token": "first-secret"})
    for change in (
        {"base_url": "https://elsewhere.example"},
        {"base_url": "http://api.hubapi.com"},
        {"base_url": "https://elsewhere.example", "token": "********"},
    ):
        with pytest.raises(ValidationFailed) as caught:
            await world.targets.update(target_id, {"settings": change})
        assert [error.pointer for error in caught.value.errors] == ["#/settings/token"]
    change = {"base_url": "https://elsewhere.example", "token": "second-secret"}
    changed = await world.targets.update(target_id, {"settings": change})
    assert changed.settings["base_url"] == "https://elsewhere.example/"


async def test_a_target_without_secrets_may_move(world):
    target_id = await world.target()
    changed = await world.targets.update(target_id, {"settings": {"url": "https://b.example/"}})
    assert changed.settings == {"url": "https://b.example/"}


async def test_on_the_same_host_a_secret_is_kept(world):
    target_id = await world.target(
        settings={"url": "http://127.0.0.1:9999/", "headers": {"x-a": "first"}}
    )
    await world.targets.update(target_id, {"settings": {"url": "http://127.0.0.1:9998/other"}})
    await world.send()
    await world.work()
    _, request = world.sender.sent[0]
    assert (request.url.port, request.headers["x-a"]) == (9998, "first")


async def test_credentials_can_be_made_anew_when_the_key_was_lost(world, database, clock):
    made = await world.targets.create(
        TargetDraft(name="sink", connector="webhook", settings={"url": "http://127.0.0.1:9999/"})
    )
    other = World(database, Sealer([b"o" * 32]), clock)
    for source in (await other.sources.page(limit=10)).items:
        await other.sources.rotate(source.id)
    rotated = await other.targets.rotate_secret(made.target.id)
    bound = (await other.configuration.refresh()).targets[made.target.id]
    assert bound.connector.target.signing_keys == (decode_secret(rotated.signing_secret or ""),)


async def test_secrets_of_a_lost_key_can_be_set_anew(world, database, clock):
    target_id = await world.target("crm", "hubspot", settings={"token": "first-secret"})
    other = World(database, Sealer([b"o" * 32]), clock)
    assert (await other.targets.get(target_id)).settings == {}
    await other.targets.update(target_id, {"settings": {"token": "second-secret"}})
    assert (await other.targets.get(target_id)).settings == {"token": "********"}
