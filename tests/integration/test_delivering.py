"""From the queue to the destination and back into the log, on both databases.

The door out is scripted here; the real one is tested in tests/security, both together in
tests/system.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any, ClassVar

import httpx
import pytest
import sqlalchemy as sa
from pydantic import BaseModel

from app.connectors import registry
from app.connectors.base import Assignment, BatchFlow, Connector, Facts, Flow, Limits
from app.domain.outcome import TransportFailure, delivered, rejected, retry
from app.store import tables
from app.store.upkeep import MOST_LOST
from app.worker.dispatcher import Dispatcher
from tests.captured import captured
from tests.clocks import FrozenClock
from tests.integration.world import World, composed_before_sent, payment

GA4 = {"measurement_id": "G-TEST12345", "api_secret": "s3cret-value"}
SCHEDULE = {"schedule": [0, 5, 300]}


async def arranged(world: World, **target: Any) -> str:
    await world.source()
    return await world.target(**target)


async def only(world: World, **query: Any) -> Any:
    (delivery,) = await world.deliveries(**query)
    return delivery


async def attempts(world: World, delivery_id: str) -> list[Any]:
    _, found = await world.browse.delivery(delivery_id)
    return list(found)


async def test_a_delivery_is_sent_once_and_logged(world: World):
    await arranged(world)
    await world.send()
    await world.work(2)
    delivery = await only(world)
    (attempt,) = await attempts(world, delivery.id)
    assert delivery.status == "succeeded"
    assert (attempt.number, attempt.outcome) == (1, "delivered")
    assert attempt.exchanges[0]["status"] == 200
    assert len(world.sender.sent) == 1


async def test_a_failure_is_tried_again_as_the_schedule_says_with_the_same_id(world: World):
    await arranged(world, retry=SCHEDULE)
    world.sender.default = lambda _: httpx.Response(500)
    await world.send()
    await world.work()
    world.clock.advance(4.9)
    assert await world.work() == []
    world.clock.advance(0.2)
    await world.work()
    world.clock.advance(301)
    await world.work()
    delivery = await only(world)
    assert (delivery.status, delivery.attempt_count) == ("failed", 3)
    ids = {request.headers["webhook-id"] for _, request in world.sender.sent}
    moments = {request.headers["webhook-timestamp"] for _, request in world.sender.sent}
    assert (len(ids), len(moments)) == (1, 3)


async def test_a_failed_delivery_is_told_as_an_event(world: World):
    await arranged(world)
    await world.target("news", events=["relay.*"])
    world.sender.script = [httpx.Response(400, text="no such field")]
    await world.send()
    await world.work()
    (news,) = await world.events(type="relay.delivery_failed")
    (told,) = await world.deliveries(event=news.id)
    assert told.target == "news"
    await world.work()
    body = world.sender.sent[-1][1].content
    assert b"no such field" in body


async def test_news_about_news_are_not_made(world: World):
    await arranged(world, name="news", events=["relay.*"])
    await world.target("sink")
    world.sender.default = lambda _: httpx.Response(400)
    await world.send()
    await world.work(4)
    assert len(await world.events(type="relay.delivery_failed")) == 1


async def test_throttling_rests_the_whole_target_and_counts_no_attempt(world: World):
    await arranged(world)
    world.sender.script = [httpx.Response(429, headers={"retry-after": "30"})]
    await world.send(payment(1))
    await world.work()
    await world.send(payment(2))
    assert await world.work() == []
    world.clock.advance(40)
    await world.work()
    found = await world.deliveries()
    assert {delivery.status for delivery in found} == {"succeeded"}
    assert {delivery.attempt_count for delivery in found} == {1}


async def test_a_target_that_refuses_access_is_disabled_and_loses_nothing(world: World):
    target = await arranged(world, connector="hubspot", settings={"token": "pat-wrong-token"})
    world.sender.default = lambda _: httpx.Response(401, json={"message": "bad token"})
    await world.send(payment(1))
    await world.work()
    await world.send(payment(2))
    assert await world.work() == []
    found = await world.targets.get(target)
    assert found.status == "disabled"
    assert "bad token" in found.status_reason
    assert {delivery.status for delivery in await world.deliveries()} == {"held"}
    world.sender.default = lambda _: httpx.Response(200, json={"id": "51"})
    await world.targets.resume(target)
    await world.work(3)
    assert {d.status for d in await world.deliveries()} == {"succeeded"}


async def test_gone_disables_the_target_and_tells_it(world: World):
    target = await arranged(world)
    world.sender.script = [httpx.Response(410)]
    await world.send()
    await world.work()
    assert (await world.targets.get(target)).status == "disabled"
    assert len(await world.events(type="relay.target_disabled")) == 1


async def test_five_days_of_nothing_but_failures_disable_the_target(world: World):
    target = await arranged(world, retry={"schedule": [0, 5] + [86_400] * 8})
    world.sender.default = lambda _: httpx.Response(503)
    await world.send()
    await world.work()
    for _ in range(5):
        world.clock.advance(87_000)
        await world.work()
        if (await world.targets.get(target)).status == "disabled":
            break
        days_before = world.clock()
    assert (await world.targets.get(target)).status == "disabled"
    assert "5 days" in (await world.targets.get(target)).status_reason
    assert (days_before - captured_start()).days >= 4


def captured_start() -> Any:
    return FrozenClock().moment


async def test_one_success_starts_the_five_days_anew(world: World):
    target = await arranged(world, retry={"schedule": [0]})
    for day in range(7):
        world.sender.script = [httpx.Response(200 if day == 3 else 503)]
        await world.send(payment(day))
        await world.work()
        world.clock.advance(86_400)
    assert (await world.targets.get(target)).status == "active"


async def test_a_lost_answer_is_tried_again(world: World):
    await arranged(world, retry=SCHEDULE)
    world.sender.script = [TransportFailure("timeout", "No answer in time", may_have_arrived=True)]
    await world.send()
    await world.work()
    world.clock.advance(6)
    await world.work()
    delivery = await only(world)
    first, _second = await attempts(world, delivery.id)
    assert delivery.status == "succeeded"
    assert first.exchanges[0]["error"] == "timeout"


async def test_one_purchase_whichever_events_announce_it(world: World):
    await arranged(world, connector="ga4", settings=GA4)
    await world.send(payment(7))
    await world.send(payment(7), "checkout_completed")
    await world.send(payment(7), "payment_status_to_completed")
    await world.work()
    world.clock.advance(3)
    await world.work(2)
    found = await world.deliveries()
    assert sorted(d.status for d in found) == ["skipped", "skipped", "succeeded"]
    (first,) = [d for d in found if d.status == "succeeded"]
    assert {d.first_delivery_id for d in found if d.status == "skipped"} == {first.id}
    assert len(world.sender.sent) == 1


async def test_when_the_first_fails_the_next_carries_the_purchase_out(world: World):
    await arranged(world, connector="ga4", settings=GA4)
    world.sender.script = [httpx.Response(400)]
    await world.send(payment(7))
    await world.send(payment(7), "checkout_completed")
    await world.work()
    world.clock.advance(3)
    await world.work()
    assert sorted(d.status for d in await world.deliveries()) == ["failed", "succeeded"]
    assert len(world.sender.sent) == 2


async def test_a_contact_id_is_remembered_used_and_told(world: World):
    target = await arranged(world, connector="hubspot", settings={"token": "pat-token-1"})
    await world.target("news", events=["relay.contact_linked"])
    world.sender.default = lambda _: httpx.Response(200, json={"id": "51"})
    await world.send(payment(1))
    await world.work()
    await world.send(payment(2))
    await world.work()
    to_hubspot = [request for to, request in world.sender.sent if to == target]
    assert "/contacts/janea4" in to_hubspot[0].url.path
    assert to_hubspot[1].url.path.endswith("/contacts/51")
    assert len(await world.events(type="relay.contact_linked")) == 1


async def test_one_customer_runs_in_order_while_others_run_in_parallel(world: World):
    await arranged(world, ordered=True)
    for number in (1, 2):
        await world.send(payment(number))
    other = payment(3).replace(b'"customer_id":"2"', b'"customer_id":"99"')
    await world.send(other)
    claimed = await world.dispatch.claim(10)
    assert claimed.count == 2
    assert {task.event.subject for group in claimed.groups for task in group} == {
        "shop/customer/2",
        "shop/customer/99",
    }


async def test_a_rate_limit_holds_over_all_workers(world: World):
    await arranged(world, rate_limit={"per_second": 2})
    for number in range(6):
        await world.send(payment(number))
    second = world.another_worker("second")
    assert (await world.dispatch.claim(10)).count + (await second.claim(10)).count == 2
    world.clock.advance(1)
    assert (await second.claim(10)).count + (await world.dispatch.claim(10)).count == 2


async def test_a_slow_target_cannot_take_another_targets_slots(world: World):
    await world.source()
    await world.target("slow", max_in_flight=1000)
    await world.target("quick")
    for number in range(20):
        await world.send(payment(number))
    claimed = await world.dispatch.claim(12)
    by_target = [task.target.name for group in claimed.groups for task in group]
    assert sorted(by_target) == ["quick"] * 5 + ["slow"] * 5


async def test_a_worker_that_dies_leaves_its_deliveries_to_others_when_the_lease_ends(
    world: World,
):
    await arranged(world)
    await world.send()
    await world.dispatch.claim(10)
    world.clock.advance(59)
    assert await world.upkeep.take_back_expired_leases() == 0
    world.clock.advance(2)
    assert await world.upkeep.take_back_expired_leases() == 1
    await world.work()
    delivery = await only(world)
    lost, sent = await attempts(world, delivery.id)
    assert (lost.outcome, sent.outcome, delivery.status) == ("lost", "delivered", "succeeded")


async def test_a_result_that_comes_too_late_is_logged_but_decides_nothing(world: World):
    await arranged(world)
    await world.send()
    late = await world.dispatch.claim(10)
    world.sender.script = [httpx.Response(400)]
    (late_result,) = await world.dispatch.carry_out(late.groups[0])
    world.clock.advance(61)
    await world.upkeep.take_back_expired_leases()
    other = world.another_worker("other")
    fresh = await other.claim(10)
    await world.recorder.record([late_result])
    assert (await only(world)).status == "in_flight"
    (fresh_result,) = await other.carry_out(fresh.groups[0])
    await world.recorder.record([fresh_result])
    delivery = await only(world)
    assert delivery.status == "succeeded"
    assert "stale" in [attempt.outcome for attempt in await attempts(world, delivery.id)]


async def test_a_delivery_retried_by_hand_keeps_its_id(world: World):
    await arranged(world)
    world.sender.script = [httpx.Response(400)]
    await world.send()
    await world.work()
    failed = await only(world, status="failed")
    await world.steering.retry(failed.id)
    await world.work()
    assert (await only(world)).status == "succeeded"
    assert len({r.headers["webhook-id"] for _, r in world.sender.sent}) == 1


async def test_a_stopping_worker_finishes_what_runs_and_gives_back_the_rest(world: World):
    await arranged(world)
    for number in range(4):
        await world.send(payment(number))
    stuck, all_started = asyncio.Event(), asyncio.Event()
    sent = 0

    async def send(request: httpx.Request, **_: Any) -> httpx.Response:
        nonlocal sent
        sent += 1
        if sent == 4:
            all_started.set()
        if sent > 2:
            await stuck.wait()
        return httpx.Response(200)

    world.sender.send = send
    dispatcher = Dispatcher(world.dispatch, world.recorder, world.clock, slots=10)
    running = asyncio.create_task(dispatcher.run())
    async with asyncio.timeout(10):
        await all_started.wait()
    await dispatcher.stop(grace=0.2)
    await running
    found = await world.deliveries()
    assert sorted(d.status for d in found) == ["pending", "pending", "succeeded", "succeeded"]
    waiting = [d for d in found if d.status == "pending"]
    assert {d.attempt_count for d in waiting} == {0}


class _Settings(BaseModel):
    pass


class Recording(Connector[_Settings]):
    """Takes batches of three; refuses a batch with a bad record as a whole."""

    name: ClassVar[str] = "recording"
    kind: ClassVar[str] = "analytics"
    facts: ClassVar[Facts] = Facts("Recording", "", "", "", "")
    Settings: ClassVar[type[BaseModel]] = _Settings
    default_events: ClassVar[tuple[str, ...]] = ("*",)
    limits: ClassVar[Limits] = Limits(batch_size=3, max_in_flight=100)

    def deliver(self, assignment: Assignment) -> Flow:
        response = yield self._request([assignment])
        return delivered() if response.is_success else rejected("bad record")

    def deliver_many(self, assignments: Any) -> BatchFlow:
        response = yield self._request(assignments)
        if response.status_code == 400:
            return rejected("bad batch")
        if response.status_code == 503:
            return retry("away")
        return [
            delivered() if a.event.payment.id != "3" else rejected("item 3") for a in assignments
        ]

    def _request(self, assignments: Any) -> httpx.Request:
        ids = [assignment.event.payment.id for assignment in assignments]
        return httpx.Request("POST", "https://batch.example/", json=ids)


class Broken(Recording):
    """Raises a mistake of its own."""

    name: ClassVar[str] = "broken"
    limits: ClassVar[Limits] = Limits()

    def deliver(self, assignment: Assignment) -> Flow:
        raise KeyError("oops")
        yield


@pytest.fixture
def own_connectors(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    known = {**registry.CONNECTORS, "recording": Recording, "broken": Broken, "confused": Confused}
    monkeypatch.setattr(registry, "CONNECTORS", known)
    return


def sent_ids(world: World) -> list[list[str]]:
    return [json.loads(request.content) for _, request in world.sender.sent]


async def test_a_batch_is_one_request_with_a_result_for_each(world: World, own_connectors: None):
    await arranged(world, connector="recording")
    for number in range(1, 5):
        await world.send(payment(number))
    await world.work()
    assert sorted(map(len, sent_ids(world))) == [1, 3]
    found = await world.deliveries()
    assert sorted(d.status for d in found) == ["failed", "succeeded", "succeeded", "succeeded"]


async def test_a_batch_refused_as_a_whole_is_driven_one_by_one(world: World, own_connectors: None):
    await arranged(world, connector="recording")
    world.sender.default = lambda r: httpx.Response(400 if b'"2"' in r.content else 200)
    for number in range(1, 4):
        await world.send(payment(number))
    await world.work(2)
    found = {d.event_id: d.status for d in await world.deliveries()}
    assert sorted(found.values()) == ["failed", "succeeded", "succeeded"]
    assert [len(ids) for ids in sent_ids(world)] == [3, 1, 1, 1]


async def test_a_batch_that_meets_trouble_is_tried_again_together(
    world: World, own_connectors: None
):
    await arranged(world, connector="recording", retry={"schedule": [0, 5]})
    world.sender.script = [httpx.Response(503)]
    for number in (1, 2):
        await world.send(payment(number))
    await world.work()
    world.clock.advance(6)
    await world.work()
    assert [len(ids) for ids in sent_ids(world)] == [2, 2]


async def test_a_connector_with_a_mistake_harms_nobody_else(world: World, own_connectors: None):
    await arranged(world, name="bad", connector="broken", retry={"schedule": [0, 1]})
    await world.target("good")
    await world.send()
    await world.work()
    world.clock.advance(2)
    await world.work()
    found = {d.target: d for d in await world.deliveries()}
    assert found["good"].status == "succeeded"
    assert found["bad"].status == "failed"
    assert "KeyError" in found["bad"].reason
    assert "oops" not in found["bad"].reason


async def test_a_target_whose_connector_is_not_installed_stops_nobody(
    world: World, own_connectors: None, monkeypatch: pytest.MonkeyPatch
):
    await arranged(world, name="third-party", connector="recording")
    await world.target("good")
    monkeypatch.undo()
    await world.send()
    await world.work()
    found = {d.target: d.status for d in await world.deliveries()}
    assert found["good"] == "succeeded"


async def test_secrets_never_stand_in_the_log(world: World):
    await arranged(world, connector="ga4", settings=GA4)
    await world.send()
    await world.work()
    logged = await world.database.read(
        lambda c: c.execute(sa.select(sa.cast(tables.attempts.c.exchanges, sa.Text))).scalar_one()
    )
    assert "mp/collect" in str(logged)
    assert GA4["api_secret"] not in str(logged)


async def test_old_things_are_removed_and_waiting_ones_stay(world: World):
    await arranged(world)
    await world.send(payment(1))
    await world.work()
    world.sender.default = lambda _: httpx.Response(503)
    await world.send(payment(2))
    world.clock.advance(31 * 86_400)
    # Ids carry the real time: what is old by the test's clock was made now.
    world.clock.advance(400 * 86_400)
    while await world.upkeep.remove_old():
        pass
    assert [e.id for e in await world.events()] == [d.event_id for d in await world.deliveries()]
    assert len(await world.events()) == 1


async def test_expired_memories_are_forgotten(world: World):
    await world.source()
    await world.send()
    world.clock.advance(601)
    assert await world.upkeep.forget_expired() == 1


async def test_a_test_event_is_delivered_to_a_webhook_marked_as_such(world: World):
    await arranged(world)
    await world.send(captured("payment_received.test").raw_body)
    await world.work()
    assert b'"test":true' in world.sender.sent[0][1].content


class Confused(Recording):
    """Makes its mistakes before anything is sent."""

    name: ClassVar[str] = "confused"
    limits: ClassVar[Limits] = Limits()

    def skip(self, event: Any) -> str | None:
        raise ValueError("no idea")

    def effect(self, event: Any) -> str | None:
        raise ValueError("no idea either")


async def test_a_connector_that_cannot_even_be_asked_costs_nobody_their_event(
    world: World, own_connectors: None
):
    await arranged(world, name="bad", connector="confused", retry={"schedule": [0, 1]})
    await world.target("good")
    await world.send()
    await world.work()
    world.clock.advance(2)
    await world.work()
    found = {d.target: d.status for d in await world.deliveries()}
    assert found == {"good": "succeeded", "bad": "failed"}


async def test_a_delivery_that_takes_its_worker_with_it_every_time_ends(world: World):
    await arranged(world)
    await world.send()
    for _ in range(MOST_LOST + 1):
        await world.dispatch.claim(10)
        world.clock.advance(61)
        await world.upkeep.take_back_expired_leases()
    delivery = await only(world)
    assert (delivery.status, delivery.attempt_count) == ("failed", MOST_LOST + 1)


async def test_a_delivery_that_no_worker_came_back_from_is_announced_once(world: World):
    await arranged(world, events=["payment_received"])
    await world.target("news", events=["relay.delivery_failed"])
    await world.send()
    for _ in range(MOST_LOST + 1):
        await world.dispatch.claim(10)
        world.clock.advance(61)
        await world.upkeep.take_back_expired_leases()
    [lost] = await world.deliveries(status="failed")
    [told] = await world.events(type="relay.delivery_failed")
    await world.work()
    [(_, request)] = world.sender.sent
    data = json.loads(request.content)["data"]
    assert (data["delivery_id"], data["event_type"]) == (lost.id, "payment_received")
    assert data["reason"] == "No worker came back from sending it."
    assert told.subject is not None


async def test_a_delivery_queued_while_its_target_was_removed_ends_as_cancelled(world: World):
    target = await arranged(world)
    await world.send()
    await world.database.write(
        lambda c: c.execute(sa.delete(tables.targets).where(tables.targets.c.id == target))
    )
    assert await world.upkeep.cancel_orphans() == 1
    assert (await only(world)).status == "cancelled"


async def test_a_burst_is_composed_before_the_first_of_it_is_sent(world, monkeypatch):
    await world.source()
    await world.target()
    for number in (1, 2, 3):
        await world.send(payment(number))
    assert await composed_before_sent(world, monkeypatch) == [0, 0, 0]
