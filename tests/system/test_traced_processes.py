"""A trace over two real processes, an API and a worker that starts later, on both databases."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.captured import captured
from tests.collector import Collector, Received
from tests.fakes import Answer
from tests.fakes.webhook_sink import WebhookSink
from tests.system.relay_process import RelayProcess, until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SENDER = "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{SENDER}-01"


@dataclass
class Installation:
    """A relay that is traced, its one target, and who collects."""

    relay: RelayProcess
    sink: WebhookSink
    collector: Collector
    ingest: str = ""
    token: str = ""

    def open(self) -> None:
        source = self.relay.make("/v1/sources", name="um", kind="ultimate_multisite")
        self.ingest = f"{self.relay.base}/webhooks/um/payment_received"
        self.token = source["token"]
        made = self.relay.make(
            "/v1/targets", name="hook", connector="webhook", settings={"url": self.sink.url}
        )
        self.sink.trust(made["signing_secret"])

    def send(self, **headers: str) -> httpx.Response:
        return httpx.post(
            self.ingest,
            params={"token": self.token},
            content=captured("payment_received").raw_body,
            headers={"content-type": "application/json", **headers},
            verify=False,
            trust_env=False,
        )

    def spans(self, name: str) -> list[Received]:
        return [span for span in self.collector.spans if span.name == name]


@pytest.fixture
def collector() -> Iterator[Collector]:
    yield from Collector().serve()


@pytest.fixture
async def installation(
    fresh_database_url: str, tmp_path: Path, collector: Collector
) -> AsyncIterator[Installation]:
    relay = RelayProcess(
        fresh_database_url,
        tmp_path,
        RELAY_OTLP_ENDPOINT=collector.url,
        RELAY_OTLP_HEADERS="x-key=planted-key",
    )
    async with AsyncExitStack() as stack:
        stack.callback(relay.close)
        sink = await stack.enter_async_context(WebhookSink().serve())
        yield Installation(relay, sink, collector)


async def test_a_trace_goes_over_two_processes_and_is_complete_when_they_have_stopped(
    installation: Installation,
):
    relay = installation.relay
    await asyncio.to_thread(relay.serve, "--no-worker")
    await asyncio.to_thread(installation.open)
    answer = await asyncio.to_thread(installation.send, traceparent=TRACEPARENT)
    assert answer.status_code == 202
    installation.sink.answer_next(Answer(503))
    relay.command("worker")
    await until(lambda: installation.sink.requests)
    assert await asyncio.to_thread(relay.stop) == [0, 0]

    (accepted,) = installation.spans("POST /webhooks/{source}/{event_type}")
    attempts = installation.spans("deliver hook")
    assert (accepted.trace, accepted.parent) == (TRACE, SENDER)
    assert accepted.attributes["messaging.message.id"] == answer.json()["id"]
    assert [span.parent for span in attempts] == [accepted.id] * 2
    assert [span.attributes["relay.outcome"] for span in attempts] == ["retry", "delivered"]
    (arrived,) = installation.sink.requests
    assert arrived.headers["traceparent"] == attempts[1].traceparent
    instances = {resource["service.instance.id"] for resource in installation.collector.resources}
    assert len(instances) == 2
    assert installation.collector.headers[0]["x-key"] == "planted-key"
    for secret in (installation.token, "planted-key"):
        assert secret.encode() not in b"".join(installation.collector.requests)
        assert secret not in relay.log.read_text()


async def test_a_collector_that_is_away_costs_no_event_and_one_line(installation: Installation):
    installation.collector.status = 503
    relay = installation.relay
    await asyncio.to_thread(relay.serve)
    await asyncio.to_thread(installation.open)
    for number in range(20):
        answer = await asyncio.to_thread(installation.send, traceparent=TRACEPARENT)
        assert answer.status_code == 202, number
    await until(lambda: installation.sink.requests)
    begun = time.monotonic()
    assert await asyncio.to_thread(relay.stop) == [0]
    assert time.monotonic() - begun < 15
    log = relay.log.read_text()
    assert log.count("tracing.collector_away") == 1
    assert "Service Unavailable" in log
    assert "Traceback" not in log
