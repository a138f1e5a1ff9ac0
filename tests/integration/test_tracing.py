"""The relay's own spans, from the door to every attempt, on both databases."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from app.domain.errors import Unauthorized
from app.domain.outcome import TransportFailure
from app.otlp import OtlpTracer
from app.services.grants import Grants
from app.services.jobs import JobRunner
from app.services.replay import KIND, ReplayRequest, Replays
from app.services.replaying import ReplayJob
from app.services.traced_dispatch import TracedDispatch
from app.services.traced_ingest import TracedIngest
from tests.collector import Collector, Received
from tests.integration.world import World, composed_before_sent, payment

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SENDER = "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{SENDER}-01"
ACCEPTED = "POST /webhooks/{source}/{event_type}"


@dataclass
class Traced:
    """A world whose door and worker are traced."""

    world: World
    collector: Collector
    tracer: OtlpTracer

    async def accepted(self) -> list[Received]:
        return await self._named(ACCEPTED)

    async def attempts(self, target: str = "sink") -> list[Received]:
        return await self._named(f"deliver {target}")

    async def _named(self, name: str) -> list[Received]:
        await self.tracer.close(5)
        return self.collector.named(name)

    def handed_on(self) -> list[str]:
        return [request.headers["traceparent"] for _, request in self.world.sender.sent]


@pytest.fixture
def collector() -> Iterator[Collector]:
    yield from Collector().serve()


@pytest.fixture
async def traced(world: World, collector: Collector) -> AsyncIterator[Traced]:
    tracer = OtlpTracer(collector.url, fields={}, ratio=1.0, version="1", instance="test")
    world.ingest = TracedIngest(
        world.database, world.configuration, world.clock, tracer=tracer, url="https://relay.example"
    )
    world.dispatch = TracedDispatch(
        world.database,
        world.configuration,
        world.sender,
        world.clock,
        tracer=tracer,
        grants=Grants(world.database, world.sealer, world.clock),
        owner="worker",
        lease=60,
        attempt_timeout=20,
    )
    await world.source()
    yield Traced(world, collector, tracer)
    await tracer.close(5)


async def test_a_trace_goes_from_the_sender_through_the_relay_to_the_target(traced):
    await traced.world.target()
    await traced.world.send(traceparent=TRACEPARENT)
    await traced.world.work()
    (accepted,) = await traced.accepted()
    (attempt,) = await traced.attempts()
    assert (accepted.kind, accepted.trace, accepted.parent) == ("server", TRACE, SENDER)
    assert (attempt.kind, attempt.trace, attempt.parent) == ("client", TRACE, accepted.id)
    assert traced.handed_on() == [attempt.traceparent]


async def test_an_event_without_a_trace_begins_one(traced):
    await traced.world.target()
    await traced.world.send()
    await traced.world.work()
    (accepted,) = await traced.accepted()
    (attempt,) = await traced.attempts()
    assert accepted.parent == ""
    assert (attempt.trace, attempt.parent) == (accepted.trace, accepted.id)


async def test_what_was_accepted_is_named(traced):
    receipt = await traced.world.send()
    (accepted,) = await traced.accepted()
    said = accepted.attributes
    assert said["messaging.message.id"] == receipt.id
    assert (said["relay.source"], said["relay.event.type"]) == ("shop", "payment_received")
    assert said["relay.event.duplicate"] is False
    assert (said["http.request.method"], said["http.response.status_code"]) == ("POST", 202)
    assert (said["url.scheme"], said["server.address"]) == ("https", "relay.example")
    assert said["url.path"] == "/webhooks/shop/payment_received"


async def test_a_repeat_is_a_span_of_its_own_that_names_the_first_event(traced):
    first = await traced.world.send()
    await traced.world.send()
    said = [span.attributes for span in await traced.accepted()]
    assert [one["messaging.message.id"] for one in said] == [first.id, first.id]
    assert [one["relay.event.duplicate"] for one in said] == [False, True]


async def test_an_event_that_is_taken_at_once_is_traced_the_same(traced):
    await traced.world.target()
    (stored,) = traced.world.ingest.accept_at_once(
        [("shop", traced.world.request(traceparent=TRACEPARENT))]
    )
    receipt = await stored
    await traced.world.work()
    (accepted,) = await traced.accepted()
    (attempt,) = await traced.attempts()
    assert accepted.attributes["messaging.message.id"] == receipt.id
    assert (accepted.parent, attempt.parent) == (SENDER, accepted.id)


async def test_what_is_refused_has_no_span(traced):
    with pytest.raises(Unauthorized):
        await traced.world.send(authorization="Bearer a-stranger")
    assert traced.world.ingest.accept_at_once([("nobody", traced.world.request())]) == [None]
    assert await traced.accepted() == []


async def test_an_attempt_says_where_it_went_and_how_it_ended(traced):
    target = await traced.world.target(settings={"url": "http://127.0.0.1:9999/a-secret-path?q=1"})
    receipt = await traced.world.send()
    await traced.world.work()
    (attempt,) = await traced.attempts()
    said = attempt.attributes
    (delivery,) = await traced.world.deliveries()
    assert delivery.target_id == target
    assert said["messaging.message.id"] == receipt.id
    assert (said["relay.target"], said["relay.connector"]) == ("sink", "webhook")
    assert (said["relay.delivery.id"], said["relay.attempt.number"]) == (delivery.id, 1)
    assert (said["relay.outcome"], said["http.response.status_code"]) == ("delivered", 200)
    assert (said["server.address"], said["server.port"]) == ("127.0.0.1", 9999)
    assert not attempt.failed


async def test_every_attempt_is_a_child_of_the_event_hours_later_too(traced, clock):
    await traced.world.target()
    traced.world.sender.script = [httpx.Response(503)]
    await traced.world.send(traceparent=TRACEPARENT)
    await traced.world.work()
    clock.advance(6 * 3600)
    await traced.world.work()
    (accepted,) = await traced.accepted()
    first, second = await traced.attempts()
    assert [one.parent for one in (first, second)] == [accepted.id, accepted.id]
    assert [one.attributes["relay.attempt.number"] for one in (first, second)] == [1, 2]
    assert (first.failed, first.attributes["error.type"]) == (True, "503")
    assert (second.failed, second.attributes["relay.outcome"]) == (False, "delivered")
    assert traced.handed_on() == [first.traceparent, second.traceparent]


async def test_an_attempt_at_an_old_event_begins_a_trace_that_links_to_the_events(traced, clock):
    await traced.world.target()
    traced.world.sender.script = [httpx.Response(503)]
    await traced.world.send(traceparent=TRACEPARENT)
    await traced.world.work()
    clock.advance(25 * 3600)
    await traced.world.work()
    (accepted,) = await traced.accepted()
    _, late = await traced.attempts()
    assert (late.parent, late.links) == ("", [(TRACE, accepted.id)])
    assert late.trace != TRACE
    assert traced.handed_on()[1] == late.traceparent


async def test_a_replay_begins_a_trace_that_links_to_the_events(traced):
    world = traced.world
    await world.target()
    await world.send(traceparent=TRACEPARENT)
    await world.work()
    replays = Replays(world.database, world.configuration, world.clock)
    await replays.start(ReplayRequest(target="sink"))
    jobs = {KIND: ReplayJob(world.database, world.configuration, world.clock)}
    await JobRunner(world.database, world.clock, jobs, owner="worker").round()
    await world.work()
    (accepted,) = await traced.accepted()
    _, again = await traced.attempts()
    assert (again.parent, again.links) == ("", [(TRACE, accepted.id)])


async def test_a_failure_on_the_way_is_named_by_its_code(traced):
    await traced.world.target()
    traced.world.sender.script = [
        TransportFailure("connect", "Nobody listens at planted-text.", may_have_arrived=False)
    ]
    await traced.world.send()
    await traced.world.work()
    (attempt,) = await traced.attempts()
    assert (attempt.failed, attempt.attributes["error.type"]) == (True, "connect")
    assert "http.response.status_code" not in attempt.attributes
    assert b"planted-text" not in b"".join(traced.collector.requests)


async def test_each_delivery_of_a_batch_is_in_the_trace_of_its_own_event(traced):
    await traced.world.target("crm", "hubspot", settings={"token": "planted-token-of-a-crm"})
    traced.world.sender.default = lambda _request: httpx.Response(503)
    for number in range(3):
        await traced.world.send(_payment_of(number))
    await traced.world.work()
    accepted = await traced.accepted()
    attempts = await traced.attempts("crm")
    assert {one.parent for one in attempts} == {one.id for one in accepted}
    assert {one.attributes["messaging.batch.message_count"] for one in attempts} == {3}
    assert b"planted" not in b"".join(traced.collector.requests)


def _payment_of(number: int) -> bytes:
    body = json.loads(payment(number))
    return json.dumps({**body, "customer_id": 100 + number}).encode()


async def test_an_attempt_that_is_cut_off_is_said_to_be_lost(traced):
    await traced.world.target()
    await traced.world.send()

    async def stuck(*_: Any, **__: Any) -> httpx.Response:
        await asyncio.sleep(60)
        raise AssertionError

    traced.world.sender.send = stuck
    (group,) = (await traced.world.dispatch.claim(1)).groups
    sending = asyncio.create_task(traced.world.dispatch.carry_out(group))
    await asyncio.sleep(0.02)
    sending.cancel()
    await asyncio.wait([sending])
    (attempt,) = await traced.attempts()
    assert (attempt.failed, attempt.attributes["relay.outcome"]) == (True, "lost")


async def test_no_secret_of_a_request_or_an_answer_reaches_the_collector(traced):
    world = traced.world
    settings: dict[str, Any] = {
        "url": "http://127.0.0.1:9/planted-path?key=planted-query",
        "headers": {"authorization": "Bearer planted-header"},
    }
    await world.target(settings=settings)
    world.sender.script = [httpx.Response(401, text="planted-answer", headers={"x": "planted"})]
    body = payment(7).replace(b"Jane", b"planted-name")
    await world.send(body, referer="https://x/?token=planted-token", cookie="planted=cookie")
    await world.work()
    await traced.attempts()
    sent = b"".join(traced.collector.requests)
    assert b"relay.outcome" in sent
    assert b"planted" not in sent
    assert world.tokens["shop"].encode() not in sent


async def test_the_events_of_one_request_share_its_span(traced):
    world = traced.world
    await world.source("broker", kind="cloudevents", settings={})
    await world.target()
    events = [
        {"specversion": "1.0", "id": str(n), "source": "/x", "type": "order.made", "data": {"n": n}}
        for n in range(3)
    ]
    receipt = await world.send(
        json.dumps(events).encode(),
        None,
        source="broker",
        content_type="application/cloudevents-batch+json",
        traceparent=TRACEPARENT,
    )
    await world.work()
    (accepted,) = await traced._named("POST /webhooks/{source}")
    assert accepted.attributes["messaging.message.id"] == receipt.id
    assert accepted.attributes["messaging.batch.message_count"] == 3
    assert [span.parent for span in await traced.attempts()] == [accepted.id] * 3


async def test_an_event_the_relay_made_itself_begins_a_trace_with_its_first_attempt(traced):
    world = traced.world
    await world.target(events=["relay.*"])
    await world.target("broken", events=["payment_*"])
    world.sender.script = [httpx.Response(410)]
    await world.send(traceparent=TRACEPARENT)
    await world.work(rounds=2)
    news = await traced.attempts()
    assert {(span.parent, *span.links) for span in news} == {("",)}
    assert all(str(span.attributes["relay.event.type"]).startswith("relay.") for span in news)


async def test_a_burst_is_composed_before_the_first_of_it_is_sent(traced, monkeypatch):
    await traced.world.target()
    for number in (1, 2, 3):
        await traced.world.send(payment(number))
    assert await composed_before_sent(traced.world, monkeypatch) == [0, 0, 0]
