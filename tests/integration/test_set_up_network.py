"""Setting a network up: what is found at both ends, and what becomes of a plan that fails midway."""

from __future__ import annotations

import httpx
import pytest

from app.domain import strict_json
from app.domain.catalogue import BUILT_IN_TYPES, bridge_example
from app.domain.errors import PlatformUnavailable, ValidationFailed
from app.services.api_access import ApiKeys
from app.services.network_plan import StepKind, Way, plan
from app.services.set_up_network import Look, Made, Wish
from app.sources import ultimate_multisite_rest as rest
from tests.fakes.ultimate_multisite_network import FakeNetwork
from tests.integration.networks import ADDRESS, connect
from tests.integration.world import World

BRIDGE = {"plugin": "lifecycle-relay", "version": "1.0.0", "configured": True}


@pytest.fixture
def network(world: World) -> FakeNetwork:
    made = FakeNetwork()
    connect(world, made)
    return made


def keys(network: FakeNetwork, **values: str) -> ApiKeys:
    return ApiKeys(**({"api_key": network.key, "api_secret": network.secret} | values))


async def look(world: World, network: FakeNetwork | None = None) -> Look:
    given = keys(network) if network else None
    return await world.setups.look(Wish(source="shop", address=ADDRESS, keys=given))


async def set_up(world: World, network: FakeNetwork) -> Made:
    found = await look(world, network)
    return await world.setups.carry_out(found, plan(found.situation))


async def test_looking_changes_nothing_anywhere(world, network):
    found = await look(world, network)
    assert found.situation.network == "Demo Network"
    assert network.webhooks() == []
    assert not (await world.sources.page(limit=10)).items
    assert {call.method for call in network.calls} == {"GET"}


async def test_a_run_that_fails_midway_is_finished_by_the_next(world, network):
    found = await look(world, network)
    done = []

    def after_three(step):
        done.append(step)
        if len(done) == 4:
            world.sender.default = lambda _request: httpx.Response(503)

    with pytest.raises(PlatformUnavailable):
        await world.setups.carry_out(found, plan(found.situation), after_three)
    assert len(network.webhooks()) == 3
    connect(world, network)
    token = network.webhooks()[0]["webhook_url"].rpartition("token=")[2]
    again = await look(world)
    made = plan(again.situation)
    assert StepKind.NEW_TOKEN not in [step.kind for step in made.steps]
    await world.setups.carry_out(again, made)
    assert sorted(row["event"] for row in network.webhooks()) == sorted(BUILT_IN_TYPES)
    assert all(row["webhook_url"].endswith(token) for row in network.webhooks())
    assert plan((await look(world)).situation).steps == []


async def test_an_event_of_the_bridge_shows_that_it_works_and_the_webhooks_go(world, network):
    made = await set_up(world, network)
    network.bridge = BRIDGE
    assert not (await look(world)).situation.bridge.works
    assert plan((await look(world)).situation).steps == []
    envelope = bridge_example("checkout_completed")
    world.tokens["shop"] = made.token or ""
    await world.configuration.refresh()
    body = strict_json.write(envelope)
    await world.send(body, None, webhook_id=envelope["id"])
    found = await look(world)
    assert found.situation.bridge.works
    await world.setups.carry_out(found, plan(found.situation))
    assert network.webhooks() == []
    assert await world.setups.counts.known(made.source_id) == frozenset()


async def test_what_the_relay_fetched_itself_is_not_taken_for_the_bridge(world, network):
    made = await set_up(world, network)
    envelope = bridge_example("checkout_completed")
    world.tokens["shop"] = made.token or ""
    await world.configuration.refresh()
    await world.send(strict_json.write(envelope), None)
    assert not (await look(world)).situation.bridge.works


async def test_for_a_bridge_that_was_never_configured_the_secret_is_new_and_the_token_stays(
    world, network
):
    source = await world.source("shop")
    network.bridge = BRIDGE | {"configured": False}
    found = await look(world, network)
    made = await world.setups.carry_out(found, plan(found.situation, Way.BRIDGE))
    assert made.signing_secret is not None
    await world.configuration.refresh()
    assert (await world.send()).duplicate is False
    assert (await world.sources.get(source)).api_access is True


async def test_a_site_that_answers_everything_is_not_taken_for_the_bridge(world, network):
    network.bridge = {"anything": True}
    assert not (await look(world, network)).situation.bridge.installed


async def test_new_keys_leave_the_wordpress_user_as_it_is(world, network):
    people = keys(network, wp_user="relay", wp_application_password="abcd efgh")
    found = await world.setups.look(Wish(source="shop", address=ADDRESS, keys=people))
    made = await world.setups.carry_out(found, plan(found.situation))
    network.secret = "another-secret"
    found = await look(world, network)
    await world.setups.carry_out(found, plan(found.situation))
    access = await world.platform.access(made.source_id)
    assert (access.secret, access.wp_user, access.wp_password) == (
        "another-secret",
        "relay",
        "abcd efgh",
    )
    assert await world.platform.call(made.source_id, rest.ask_auth) == "Demo Network"


async def test_stored_keys_are_not_tried_at_another_address(world, network):
    await set_up(world, network)
    network.calls.clear()
    with pytest.raises(ValidationFailed, match="Give the API key"):
        await world.setups.look(Wish(source="shop", address="https://another.example"))
    assert network.calls == []
