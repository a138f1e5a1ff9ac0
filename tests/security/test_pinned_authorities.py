"""A target's own certificate authority, from its setting to the wire (reference B7: 74)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.connectors.registry import all_connectors, describe
from tests.integration.edge import Edge, edge
from tests.security.hostile_server import OK, Authority, answering, hostile

#: The destinations that people run themselves.
OWN_HOSTS = {
    "cloudevents",
    "fluentcrm",
    "matomo",
    "plausible",
    "posthog",
    "segment",
    "ultimate_multisite",
    "webhook",
}


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), days=(-3650, 3650))


@pytest.fixture
async def node(database, sealer, clock) -> AsyncIterator[Edge]:
    async with edge(database, sealer, clock, allowed_private_networks="127.0.0.0/8") as made:
        made.world.sender = made.runtime.egress
        made.world.dispatch = made.world.another_worker("worker")
        await made.world.source()
        yield made
        await made.runtime.egress.aclose()


async def test_a_host_of_a_private_authority_is_delivered_to_once_it_is_pinned(node, authority):
    async with hostile(answering(OK), tls=authority.context("127.0.0.1")) as server:
        target = await node.world.target(settings={"url": server.url()})
        await node.world.send()
        await node.world.work()
        (refused,) = await node.world.deliveries()
        assert refused.status == "pending"
        assert "certificate" in refused.reason
        assert server.requests == []
        async with node.client() as client:
            answer = await client.patch(
                f"/v1/targets/{target}",
                json={"settings": {"ca_certificate": f"# ours\n{authority.pem}"}},
            )
            assert answer.status_code == 200, answer.text
            assert answer.json()["settings"]["ca_certificate"] == authority.pem
            await client.post(f"/v1/deliveries/{refused.id}/retry")
        await node.world.work()
        (delivered,) = await node.world.deliveries()
    assert delivered.status == "succeeded"
    assert len(server.requests) == 1


async def test_the_test_of_a_target_trusts_what_the_target_trusts(node, authority):
    async with hostile(answering(OK), tls=authority.context("127.0.0.1")) as server:
        settings = {"url": server.url(), "ca_certificate": authority.pem}
        target = await node.world.target(settings=settings)
        async with node.client() as client:
            answer = await client.post(f"/v1/targets/{target}/test")
    assert answer.json()["ok"] is True, answer.text


async def test_an_authority_that_is_none_or_is_over_is_not_saved(node, authority, tmp_path):
    expired = Authority(tmp_path, days=(-7300, -7290)).pem
    async with node.client() as client:
        for pem, word in (("canary", "PEM"), (expired, "expired")):
            body = {
                "name": "own",
                "connector": "webhook",
                "settings": {"url": "https://hooks.example.com/", "ca_certificate": pem},
            }
            answer = await client.post("/v1/targets", json=body)
            (error,) = answer.json()["errors"]
            assert error["pointer"] == "#/settings/ca_certificate"
            assert word in error["detail"]
            assert "canary" not in answer.text


def test_every_destination_that_people_run_themselves_can_be_pinned():
    having = {
        name
        for name, connector in all_connectors().items()
        if "ca_certificate" in describe(connector)["settings"]["properties"]
    }
    assert having == OWN_HOSTS
