"""A replay is carried out by the real process, also when that is killed on the way."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes import loopback_client
from tests.fakes.webhook_sink import WebhookSink
from tests.system.relay_process import RelayProcess, until
from tests.system.test_promises import payment

EVENTS = 200


@pytest.fixture
def relay(fresh_database_url: str, tmp_path: Path) -> Iterator[RelayProcess]:
    process = RelayProcess(fresh_database_url, tmp_path)
    yield process
    process.close()


async def send(relay: RelayProcess, token: str) -> set[str]:
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    async with loopback_client(timeout=30, headers=headers) as client:
        answers = [
            await client.post(
                f"{relay.base}/webhooks/shop/payment_received", content=payment(1000 + number)
            )
            for number in range(EVENTS)
        ]
    return {answer.json()["id"] for answer in answers}


@pytest.mark.timeout(120)
async def test_a_replay_that_is_killed_twice_sends_each_event_exactly_once_more(
    relay: RelayProcess,
):
    async with WebhookSink().serve() as sink:
        await asyncio.to_thread(relay.serve)
        source = relay.make("/v1/sources", name="shop", kind="ultimate_multisite")
        target = relay.make(
            "/v1/targets",
            name="sink",
            connector="webhook",
            settings={"url": sink.url},
            # Slow enough to be caught in the middle.
            rate_limit={"per_second": 100},
        )
        sink.trust(target["signing_secret"])
        sent = await send(relay, source["token"])
        await until(lambda: {call.json["id"] for call in sink.requests} == sent)
        known = set(sink.ids)
        made = relay.api.post("/v1/replays", json={"target": "sink"}).json()
        assert made["total"] == EVENTS

        def job() -> dict[str, object]:
            return relay.api.get(f"/v1/replays/{made['id']}").json()

        for least in (1, EVENTS // 2):
            await until(lambda least=least: job()["done"] >= least)
            assert job()["state"] == "running"
            relay.kill()
            await asyncio.to_thread(relay.serve)
        await until(lambda: job()["state"] == "done")
        assert job()["done"] == EVENTS

        def again() -> list[dict[str, object]]:
            return relay.every("/v1/deliveries", replay=made["id"])

        await until(lambda: {one["status"] for one in again()} == {"succeeded"})
        assert Counter(one["event_id"] for one in again()) == Counter(sent)
    # What was on the wire when the process died is sent again, under the id the sink knows.
    assert set(sink.ids) == known
    assert min(Counter(call.json["id"] for call in sink.requests).values()) >= 2
