"""The three promises, kept while the relay is killed again and again.

The real server runs as a process on a real database, started by its command each time; the sinks
outlive it.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.captured import captured
from tests.fakes import loopback_client
from tests.fakes.ga4 import FakeGA4
from tests.fakes.webhook_sink import WebhookSink
from tests.system.relay_process import CommandedRelay, RelayProcess, until

ROUNDS = 20
PAYMENT = captured("payment_received").raw_body


@pytest.fixture
def relay(fresh_database_url: str, tmp_path: Path) -> Iterator[RelayProcess]:
    process = RelayProcess(fresh_database_url, tmp_path, start=CommandedRelay)
    yield process
    process.close()


def payment(number: int) -> bytes:
    """The captured payment with an id of its own."""
    body = PAYMENT.replace(b'"payment_id":3,', b'"payment_id":%d,' % number, 1)
    assert body != PAYMENT
    return body


class Sender:
    """A platform that sends payments and remembers what was acknowledged."""

    def __init__(self, base: str, token: str) -> None:
        self._url = f"{base}/webhooks/shop/payment_received"
        self._headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        self.number = 1000
        self.acknowledged: dict[int, str] = {}

    async def send_for(self, seconds: float) -> None:
        """Send from eight clients until the time is over or nobody answers."""
        deadline = time.monotonic() + seconds
        async with loopback_client() as client:
            await asyncio.gather(*(self._client(client, deadline) for _ in range(8)))

    async def _client(self, client: httpx.AsyncClient, deadline: float) -> None:
        while time.monotonic() < deadline:
            self.number += 1
            number = self.number
            for _ in range(random.choice((1, 1, 1, 2))):
                with contextlib.suppress(httpx.HTTPError):
                    try:
                        answer = await client.post(
                            self._url, content=payment(number), headers=self._headers
                        )
                    except httpx.ConnectError:
                        return
                    if answer.status_code == 202:
                        known = self.acknowledged.setdefault(number, answer.json()["id"])
                        assert known == answer.json()["id"]


@pytest.mark.timeout(280)
async def test_nothing_acknowledged_is_lost_and_no_purchase_counts_twice_over_twenty_kills(
    relay: RelayProcess,
):
    async with WebhookSink().serve() as sink, FakeGA4().serve() as ga4:
        relay.serve()
        source = relay.make("/v1/sources", name="shop", kind="ultimate_multisite")
        target = relay.make(
            "/v1/targets", name="sink", connector="webhook", settings={"url": sink.url}
        )
        sink.trust(target["signing_secret"])
        relay.make(
            "/v1/targets",
            name="analytics",
            connector="ga4",
            settings={
                "base_url": ga4.base_url,
                "measurement_id": "G-TEST123",
                "api_secret": ga4.api_secret,
            },
        )
        sender = Sender(relay.base, source["token"])
        for _ in range(ROUNDS):
            sending = asyncio.create_task(sender.send_for(0.6))
            await asyncio.sleep(random.uniform(0.05, 0.6))
            relay.kill()
            await sending
            await asyncio.to_thread(relay.serve)
            stored = {event["id"] for event in relay.every("/v1/events", source="shop")}
            assert set(sender.acknowledged.values()) <= stored
        assert len(sender.acknowledged) > ROUNDS

        await until(lambda: not relay.waiting(), 120)

    arrived: dict[str, set[str]] = {}
    for request in sink.requests:
        arrived.setdefault(request.json["id"], set()).add(request.headers["webhook-id"])
    assert set(sender.acknowledged.values()) <= set(arrived)
    assert {event: ids for event, ids in arrived.items() if len(ids) != 1} == {}
    purchases = Counter(hit["params"]["transaction_id"] for hit in ga4.counted("purchase"))
    assert set(purchases.values()) == {1}
    assert len(purchases) >= len(sender.acknowledged)


def latest_workers(relay: RelayProcess) -> set[str]:
    """Who made the attempts of the last two hundred deliveries."""
    return {
        attempt["worker"]
        for delivery in relay.every("/v1/deliveries")[:200]
        for attempt in relay.api.get(f"/v1/deliveries/{delivery['id']}").json()["attempts"]
    }


@pytest.mark.timeout(120)
async def test_two_workers_on_one_database_send_nothing_twice(
    fresh_postgres_url: str, tmp_path: Path
):
    # Few slots, so that one worker cannot take everything before the other looks.
    relay = RelayProcess(
        fresh_postgres_url, tmp_path, start=CommandedRelay, RELAY_MAX_IN_FLIGHT="4"
    )
    try:
        async with WebhookSink().serve() as sink:
            relay.serve("--no-worker")
            source = relay.make("/v1/sources", name="shop", kind="ultimate_multisite")
            target = relay.make(
                "/v1/targets", name="sink", connector="webhook", settings={"url": sink.url}
            )
            sink.trust(target["signing_secret"])
            for _ in range(2):
                relay.command("worker")
            sender = Sender(relay.base, source["token"])
            workers: set[str] = set()
            # On a busy machine one of them may need seconds to start.
            while len(workers) < 2:
                await sender.send_for(3)
                wanted = set(sender.acknowledged.values())
                await until(lambda: {r.json["id"] for r in sink.requests} >= wanted)  # noqa: B023  called before the next round
                await asyncio.sleep(1)
                workers |= latest_workers(relay)
        sent = Counter(request.headers["webhook-id"] for request in sink.requests)
        assert set(sent.values()) == {1}
        assert len(workers) == 2
        assert relay.stop() == [0, 0, 0]
    finally:
        relay.close()
