"""`/v1/deliveries`: each event on its way, its attempts in words, and the operator's hand on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
import sqlalchemy as sa

from app.domain.outcome import TransportFailure
from app.store import results, steering, tables
from tests import rows
from tests.integration.edge import Edge, edge, found
from tests.integration.world import payment

NO_DELIVERY = "dlv_" + "0" * 26
STATUSES = ("pending", "in_flight", "succeeded", "failed", "skipped", "held", "cancelled")


@pytest.fixture
async def node(database, sealer, clock) -> AsyncIterator[Edge]:
    async with edge(database, sealer, clock) as made:
        await made.world.source()
        yield made


@pytest.fixture
async def api(node) -> AsyncIterator[httpx.AsyncClient]:
    async with node.client() as client:
        yield client


async def one_delivery(node: Edge, **target: object) -> str:
    """A delivery that waits, to a target made for it."""
    await node.world.target(**target)
    await node.world.send()
    return (await node.world.deliveries())[0].id


async def show(api: httpx.AsyncClient, delivery_id: str) -> dict:
    answer = await api.get(f"/v1/deliveries/{delivery_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def in_queue(node: Edge, delivery_id: str) -> sa.Row | None:
    return await node.world.database.read(lambda c: rows.queued(c, delivery_id))


async def settle(node: Edge, delivery_id: str, status: str) -> None:
    """End a waiting delivery, as a worker does."""
    ended = rows.ending(delivery_id, fence=0, status=status, reason=f"It {status}.")
    await node.world.database.write(
        lambda c: results.write(c, [ended], worker="worker", now=rows.NOW)
    )


async def one_of_each(node: Edge) -> dict[str, str]:
    """A delivery in every status; answers status to id."""
    active = await node.world.target("active")
    paused = await node.world.target("paused", events=["other"])
    made: dict[str, str] = {}
    for age, status in zip(range(10, 0, -1), STATUSES, strict=False):
        await node.past_event(age, to=(paused if status == "held" else active,))
        made[status] = (await node.world.deliveries())[0].id
    for status in ("succeeded", "failed", "skipped"):
        await settle(node, made[status], status)
    await node.world.steering.cancel(made["cancelled"])
    await lease(node, made["in_flight"])
    await node.world.targets.pause(paused)
    return made


async def lease(node: Edge, delivery_id: str, fence: int = 77) -> None:
    statement = (
        sa.update(tables.queue)
        .where(tables.queue.c.delivery_id == delivery_id)
        .values(lease_until=rows.NOW + 60 * rows.SECOND, lease_owner="w", fence=fence)
    )
    await node.world.database.write(lambda c: c.execute(statement))


async def target_id(node: Edge, name: str) -> str:
    statement = sa.select(tables.targets.c.id).where(tables.targets.c.name == name)
    return await node.world.database.read(lambda c: c.execute(statement).scalar_one())


@pytest.mark.parametrize("status", STATUSES)
async def test_deliveries_are_found_by_the_status_that_is_shown(node, api, status):
    made = await one_of_each(node)
    assert await found(api, "/v1/deliveries", status=status) == [made[status]]
    assert (await show(api, made[status]))["status"] == status
    assert sorted(await found(api, "/v1/deliveries")) == sorted(made.values())


async def test_deliveries_are_found_by_target_event_and_time(node, api):
    first, second = await node.world.target("first"), await node.world.target("second")
    old = await node.past_event(100, to=(first, second))
    new = await node.past_event(10, to=(first,))
    (last,) = await found(api, "/v1/deliveries", event=new)
    early = await found(api, "/v1/deliveries", event=old)
    assert len(early) == 2
    by_name = await found(api, "/v1/deliveries", target="first")
    assert by_name == await found(api, "/v1/deliveries", target=first) == [last, *early[1:]]
    assert await found(api, "/v1/deliveries", target="second") == early[:1]
    assert await found(api, "/v1/deliveries", since="2026-11-23T11:59:00Z") == [last]
    assert await found(api, "/v1/deliveries", until="2026-11-23T11:59:00Z") == early
    assert await found(api, "/v1/deliveries", target="nobody") == []
    assert await found(api, "/v1/deliveries", target="first", status="pending", event=new) == [last]


@pytest.mark.parametrize("status", [None, "pending"])
async def test_deliveries_come_in_pages(node, api, status):
    target = await node.world.target()
    for age in (3, 2, 1):
        await node.past_event(age, to=(target,))
    query = {"limit": 2} | ({"status": status} if status else {})
    first = (await api.get("/v1/deliveries", params=query)).json()
    rest = (await api.get("/v1/deliveries", params=query | {"cursor": first["next"]})).json()
    listed = [item["id"] for item in first["items"] + rest["items"]]
    assert listed == sorted(listed, reverse=True)
    assert (len(listed), rest["next"]) == (3, None)


@pytest.mark.parametrize(
    "query", [{"status": "lost"}, {"event": "evt_1"}, {"target": "a\x00"}, {"since": "now"}]
)
async def test_a_filter_that_means_nothing_is_refused(api, query):
    assert (await api.get("/v1/deliveries", params=query)).status_code == 422


async def test_a_delivery_tells_when_it_is_tried_next(node, api):
    delivery = await show(api, await one_delivery(node))
    assert (delivery["status"], delivery["next_attempt_at"]) == ("pending", "2026-11-23T12:00:00Z")
    assert (delivery["attempt_count"], delivery["attempts"]) == (0, [])


async def test_the_rest_of_a_throttled_target_counts_for_the_next_attempt(node, api):
    delivery_id = await one_delivery(node)
    later = rows.NOW + 90 * rows.SECOND
    statement = sa.update(tables.target_state).values(throttled_until=later)
    await node.world.database.write(lambda c: c.execute(statement))
    assert (await show(api, delivery_id))["next_attempt_at"] == "2026-11-23T12:01:30Z"


async def test_a_held_delivery_says_what_its_target_is(node, api):
    delivery_id = await one_delivery(node)
    await node.world.targets.pause(await target_id(node, "sink"))
    delivery = await show(api, delivery_id)
    assert (delivery["status"], delivery["next_attempt_at"]) == ("held", None)
    assert delivery["reason"].startswith("The target is paused")


async def test_a_delivery_of_a_removed_target_is_still_there(node, api):
    delivery_id = await one_delivery(node)
    await node.world.targets.delete(await target_id(node, "sink"))
    delivery = await show(api, delivery_id)
    assert (delivery["status"], delivery["target"]) == ("cancelled", None)


async def test_every_attempt_is_shown_with_what_was_sent_and_answered(node, api):
    delivery_id = await one_delivery(node, retry={"schedule": [0, 5]})
    reply = httpx.Response(503, text="busy\x00\x1b[31m", headers={"Retry-After": "1"})
    failure = TransportFailure("timeout", "no answer within 20 s", may_have_arrived=True)
    node.world.sender.script = [reply, failure]
    await node.world.work()
    node.clock.advance(10)
    await node.world.work()
    delivery = await show(api, delivery_id)
    assert (delivery["status"], delivery["attempt_count"]) == ("failed", 2)
    first, second = delivery["attempts"]
    assert (first["number"], first["outcome"], first["worker"]) == (1, "retry", "worker")
    assert first["started_at"] == "2026-11-23T12:00:00Z"
    (exchange,) = first["exchanges"]
    assert exchange == {
        "method": "POST",
        "url": "http://127.0.0.1:9999/",
        "status": 503,
        "headers": {"content-type": "text/plain; charset=utf-8", "retry-after": "1"},
        "body_excerpt": "busy��[31m",
        "truncated": False,
        "error": None,
        "detail": None,
    }
    (exchange,) = second["exchanges"]
    assert (exchange["status"], exchange["error"]) == (None, "timeout")
    assert exchange["detail"] == "no answer within 20 s"


@pytest.mark.parametrize("delivery_id", [NO_DELIVERY, "dlv_1", "%00", "' OR 1=1"])
@pytest.mark.parametrize("path", ["{}", "{}/retry", "{}/cancel"])
async def test_an_id_that_is_none_is_not_found(api, path, delivery_id):
    method = "POST" if "/" in path else "GET"
    answer = await api.request(method, "/v1/deliveries/" + path.format(delivery_id))
    assert (answer.status_code, answer.json()["type"]) == (404, "not-found")


async def test_a_delivery_that_waits_is_due_at_once_when_retried(node, api):
    delivery_id = await one_delivery(node)
    node.world.sender.script = [httpx.Response(500)]
    await node.world.work()
    assert (await in_queue(node, delivery_id)).due_at > rows.NOW
    answer = await api.post(f"/v1/deliveries/{delivery_id}/retry")
    assert answer.status_code == 200
    assert answer.json()["next_attempt_at"] == "2026-11-23T12:00:00Z"
    await node.world.work()
    assert (await show(api, delivery_id))["status"] == "succeeded"


@pytest.mark.parametrize("status", ["succeeded", "failed", "skipped", "cancelled"])
async def test_a_delivery_that_is_over_is_queued_anew_with_its_id_and_its_attempts(
    node, api, status
):
    delivery_id = (await one_of_each(node))[status]
    before = (await show(api, delivery_id))["attempt_count"]
    answer = (await api.post(f"/v1/deliveries/{delivery_id}/retry")).json()
    assert (answer["id"], answer["status"]) == (delivery_id, "pending")
    assert (answer["attempt_count"], answer["finished_at"]) == (before, None)
    queued = await in_queue(node, delivery_id)
    assert (queued.attempts, queued.fence, queued.due_at) == (before, 0, rows.NOW)


async def test_a_retried_delivery_is_sent_with_the_same_message_id(node, api):
    delivery_id = await one_delivery(node)
    await node.world.work()
    await api.post(f"/v1/deliveries/{delivery_id}/retry")
    node.clock.advance(1)
    await node.world.work()
    first, second = [request for _, request in node.world.sender.sent]
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert [one["number"] for one in (await show(api, delivery_id))["attempts"]] == [1, 2]


async def test_a_worker_of_an_earlier_claim_cannot_end_a_delivery_that_was_queued_anew(node, api):
    delivery_id = await one_delivery(node)
    claimed = await node.world.dispatch.claim(10)
    (stale,) = [task.claimed for group in claimed.groups for task in group]
    late = await node.world.dispatch.carry_out(claimed.groups[0])
    node.clock.advance(120)
    await node.world.upkeep.take_back_expired_leases()
    await api.post(f"/v1/deliveries/{delivery_id}/cancel")
    await api.post(f"/v1/deliveries/{delivery_id}/retry")
    assert stale.fence not in {0, (await in_queue(node, delivery_id)).fence}
    await node.world.recorder.record(late)
    delivery = await show(api, delivery_id)
    assert delivery["status"] == "pending"
    assert delivery["attempts"][-1]["outcome"] == "stale"


async def test_order_counts_again_for_a_delivery_that_was_queued_anew(node, api):
    delivery_id = await one_delivery(node, ordered=True)
    await node.world.work()
    await api.post(f"/v1/deliveries/{delivery_id}/retry")
    assert (await in_queue(node, delivery_id)).subject == "shop/customer/2"


async def test_a_retry_is_held_while_the_target_is_paused(node, api):
    delivery_id = await one_delivery(node)
    await node.world.work()
    await node.world.targets.pause(await target_id(node, "sink"))
    answer = await api.post(f"/v1/deliveries/{delivery_id}/retry")
    assert (answer.status_code, answer.json()["status"]) == (200, "held")


@pytest.mark.parametrize("action", ["retry", "cancel"])
async def test_a_delivery_in_flight_is_left_alone(node, api, action):
    delivery_id = await one_delivery(node)
    await lease(node, delivery_id)
    answer = await api.post(f"/v1/deliveries/{delivery_id}/{action}")
    assert (answer.status_code, answer.json()["type"]) == (409, "conflict")
    assert (await in_queue(node, delivery_id)).fence == 77


async def test_nothing_is_retried_for_a_removed_target(node, api):
    delivery_id = await one_delivery(node)
    await node.world.targets.delete(await target_id(node, "sink"))
    answer = await api.post(f"/v1/deliveries/{delivery_id}/retry")
    assert (answer.status_code, (await show(api, delivery_id))["status"]) == (409, "cancelled")


async def test_nothing_is_retried_without_its_events_body(node, api):
    delivery_id = await one_delivery(node)
    await node.world.work()
    await node.world.database.write(lambda c: c.execute(sa.delete(tables.event_bodies)))
    answer = await api.post(f"/v1/deliveries/{delivery_id}/retry")
    assert (answer.status_code, (await show(api, delivery_id))["status"]) == (409, "succeeded")


async def test_a_delivery_that_is_retried_twice_at_once_stands_in_the_queue_once(node, api):
    delivery_id = await one_delivery(node)
    await node.world.work()
    answers = await asyncio.gather(
        *(api.post(f"/v1/deliveries/{delivery_id}/retry") for _ in range(8))
    )
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert 200 in {answer.status_code for answer in answers}
    assert (await in_queue(node, delivery_id)) is not None


@pytest.mark.parametrize("status", ["pending", "held"])
async def test_a_delivery_that_waits_can_be_cancelled(node, api, status):
    delivery_id = (await one_of_each(node))[status]
    answer = await api.post(f"/v1/deliveries/{delivery_id}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert answer.json()["finished_at"] == "2026-11-23T12:00:00Z"
    assert await in_queue(node, delivery_id) is None


@pytest.mark.parametrize("status", ["succeeded", "failed", "skipped", "cancelled"])
async def test_a_delivery_that_is_over_cannot_be_cancelled(node, api, status):
    delivery_id = (await one_of_each(node))[status]
    answer = await api.post(f"/v1/deliveries/{delivery_id}/cancel")
    assert (answer.status_code, (await show(api, delivery_id))["status"]) == (409, status)


@pytest.mark.parametrize("action", ["retry", "cancel"])
async def test_steering_needs_the_scope_write(node, api, action):
    delivery_id = await one_delivery(node)
    reader = (await api.post("/v1/api-keys", json={"name": "r", "scope": "read"})).json()["key"]
    async with node.client(reader) as client:
        assert (await client.get(f"/v1/deliveries/{delivery_id}")).status_code == 200
        answer = await client.post(f"/v1/deliveries/{delivery_id}/{action}")
    assert (answer.status_code, answer.json()["type"]) == (403, "forbidden")


async def test_a_queue_row_that_another_transaction_holds_counts_as_in_flight(node):
    if node.world.database.dialect != "postgresql":
        pytest.skip("on SQLite two writers never meet")
    delivery_id = await one_delivery(node)
    engine = node.world.database.engine
    async with engine.connect() as other:
        lock = sa.select(tables.queue).with_for_update()
        await other.execute(lock)
        done = await node.world.database.write(
            lambda c: steering.cancel(c, delivery_id, reason="", now=rows.NOW)
        )
        await other.rollback()
    assert done is False


async def test_a_delivery_that_waits_for_another_of_its_subject_names_it(node, api):
    first = await one_delivery(node, ordered=True)
    for number in (7, 8):
        await node.world.send(payment(number))
    shown = (await api.get("/v1/deliveries", params={"status": "pending"})).json()["items"]
    third, second, head = shown
    assert head["id"] == first
    assert head["reason"] is None
    assert head["next_attempt_at"] is not None
    for follower in (second, third):
        assert follower["reason"] == (
            f"It waits for {first}, which comes first for the same subject."
        )
        assert follower["next_attempt_at"] is None
        assert await show(api, follower["id"]) | {"attempts": []} == follower | {"attempts": []}
    await settle(node, first, "succeeded")
    assert (await show(api, second["id"]))["reason"] is None
