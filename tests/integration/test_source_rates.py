"""The rate limit of a source, at the door and on both databases (reference B7: 67)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.captured import captured
from tests.integration.edge import Edge, edge

PATH = "/webhooks/shop/payment_received"
BODY = captured("payment_received").raw_body
JSON = {"content-type": "application/json"}


@pytest.fixture
async def node(database, sealer, clock) -> AsyncIterator[Edge]:
    async with edge(database, sealer, clock) as made:
        await made.world.source(settings={"rate_per_second": 0.5})
        await made.runtime.configuration.refresh()
        yield made


@pytest.fixture
async def sender(node) -> AsyncIterator[httpx.AsyncClient]:
    async with node.client(node.world.tokens["shop"]) as client:
        client.headers.update(JSON)
        yield client


async def statuses(client: httpx.AsyncClient, count: int, body: bytes = BODY) -> list[int]:
    return [(await client.post(PATH, content=body)).status_code for _ in range(count)]


async def test_a_source_that_sends_too_fast_is_told_to_wait(node, sender, clock):
    assert await statuses(sender, 10) == [202] * 10
    refused = await sender.post(PATH, content=BODY)
    assert refused.status_code == 429
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["type"] == "too-many-requests"
    assert refused.headers["retry-after"] == "2"
    assert refused.headers["ratelimit"] == '"source";r=0;t=2'
    clock.advance(2)
    assert await statuses(sender, 2) == [202, 429]


async def test_a_stranger_cannot_use_up_what_a_sender_may_send(node, sender):
    async with node.client("not-the-token") as stranger:
        stranger.headers.update(JSON)
        assert await statuses(stranger, 30) == [401] * 30
    assert await statuses(sender, 10) == [202] * 10


async def test_what_cannot_be_read_counts_too_and_is_not_kept_without_end(node, sender):
    assert await statuses(sender, 12, b"{") == [400] * 10 + [429] * 2
    async with node.client() as client:
        kept = (await client.get("/v1/quarantine?limit=200")).json()["items"]
    assert len(kept) == 10


async def test_another_source_is_not_slowed_down_by_it(node, sender):
    await node.world.source("other")
    await node.runtime.configuration.refresh()
    assert (await statuses(sender, 11))[-1] == 429
    async with node.client(node.world.tokens["other"]) as other:
        other.headers.update(JSON)
        answer = await other.post("/webhooks/other/payment_received", content=BODY)
    assert answer.status_code == 202


async def test_the_limit_can_be_taken_away_again(node, sender):
    assert (await statuses(sender, 11))[-1] == 429
    async with node.client() as client:
        (source,) = (await client.get("/v1/sources")).json()["items"]
        path = f"/v1/sources/{source['id']}"
        changed = await client.patch(path, json={"settings": {"rate_per_second": None}})
        assert changed.json()["settings"] == {}
    await node.runtime.configuration.refresh()
    assert await statuses(sender, 20) == [202] * 20


@pytest.mark.parametrize("rate", [0, 0.05, -1, 1e6, "5", True])
async def test_a_rate_that_is_none_is_refused(node, rate):
    async with node.client() as client:
        body = {"name": "x", "kind": "ultimate_multisite", "settings": {"rate_per_second": rate}}
        answer = await client.post("/v1/sources", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "#/settings/rate_per_second"
