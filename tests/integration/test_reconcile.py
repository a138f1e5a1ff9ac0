"""What never arrived is found by asking the network, and comes in as events: once, and only that."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from app.domain import strict_json
from app.domain.errors import Conflict, NotFound
from app.services.jobs import JobState, JobView, Pace
from app.services.reconcile import KIND, ReconcileRequest, Reconciliations
from app.services.reconciling import ReconcileJob
from app.sources.ultimate_multisite_records import (
    customer_data,
    envelope_body,
    membership_data,
    payment_data,
)
from app.worker import upkeep
from tests.fakes import Answer
from tests.fakes.ultimate_multisite_network import FakeNetwork, Planted
from tests.integration.networks import Working, network_source
from tests.integration.world import World

NOTHING = "Nothing is missing."


class Reconciling(Working):
    """A world whose source may ask its network, a day after it was registered."""

    def __init__(self, world: World, network: FakeNetwork, owner: str = "worker") -> None:
        job = ReconcileJob(world.database, world.configuration, world.platform, world.clock)
        super().__init__(world, KIND, job, owner)
        self.network = network
        self.service = Reconciliations(world.database, world.clock, retention_days=30)
        self.hours = 0

    def plant(self, **values: Any) -> Planted:
        """A customer of the last day, with a membership and a payment."""
        self.hours += 1
        moment = self.world.clock() - timedelta(hours=24) + timedelta(minutes=10 * self.hours)
        return self.network.plant_customer(at=moment, **values)

    def change(self, collection: str, number: str, **values: Any) -> None:
        """Change a record, three hours ago."""
        row = self.network.rows[collection][int(number)]
        row.update({"date_modified": self.ago(3)} | values)

    def ago(self, hours: float) -> str:
        return f"{self.world.clock() - timedelta(hours=hours):%Y-%m-%d %H:%M:%S}"

    def envelope(self, event_type: str, planted: Planted, *parts: str) -> bytes:
        """What the bridge sends of a customer as the network knows it now."""
        rows = self.network.rows
        user = self.network.users[int(planted.user)]
        data = {"customer": customer_data(rows["customer"][int(planted.customer)], user)}
        if "membership" in parts:
            data["membership"] = membership_data(rows["membership"][int(planted.membership)])
        if "payment" in parts:
            data["payment"] = payment_data(rows["payment"][int(planted.payment)])
        return envelope_body(
            identifier=f"live-{event_type}-{planted.customer}",
            event_type=event_type,
            occurred_at=self.world.clock() - timedelta(hours=12),
            data=data,
            network_url="https://network.example.test",
        )

    async def hear(self, planted: Planted) -> None:
        """Let everything of a customer arrive as it should."""
        for event_type, *parts in (
            ("customer_post_create",),
            ("membership_post_create", "membership"),
            ("payment_received", "membership", "payment"),
        ):
            await self.world.send(self.envelope(event_type, planted, *parts), None)

    async def reconcile(self, **asked: Any) -> JobView:
        started = await self.service.start(ReconcileRequest(source="shop", **asked))
        return await self.end(started)

    async def found(self) -> list[Any]:
        """The events that were brought in, oldest first."""
        return [one for one in reversed(await self.world.events()) if one.origin == "reconcile"]


@pytest.fixture
def network(request: pytest.FixtureRequest) -> FakeNetwork:
    return FakeNetwork(paging=getattr(request, "param", "page"))


@pytest.fixture
async def reconciling(world: World, network: FakeNetwork) -> Reconciling:
    await network_source(world, network)
    world.clock.advance(86_400)
    return Reconciling(world, network)


in_both_styles = pytest.mark.parametrize("network", ["page", "offset"], indirect=True)


@in_both_styles
async def test_exactly_what_never_arrived_comes_in_and_a_second_run_finds_nothing(reconciling):
    world, network = reconciling.world, reconciling.network
    everybody = [reconciling.plant() for _ in range(6)]
    heard, unpaid, cancelled, unknown, older, checkout = everybody
    for planted in (heard, unpaid, cancelled, older, checkout):
        await reconciling.hear(planted)
    await world.send(
        reconciling.envelope("checkout_completed", heard, "membership", "payment"), None
    )
    second = network.plant(
        "payment",
        customer_id=unpaid.customer,
        membership_id=unpaid.membership,
        total="59.9900",
        date_created=reconciling.ago(5),
        date_modified=reconciling.ago(5),
    )
    reconciling.change(
        "membership", cancelled.membership, status="cancelled", date_cancellation=reconciling.ago(4)
    )
    network.plant_checkout(heard)
    network.plant_checkout(checkout)
    job = await reconciling.reconcile()
    assert (job.state, job.failed) == (JobState.DONE, 0)
    brought = await reconciling.found()
    assert [(one.type, one.subject) for one in brought] == [
        ("customer_post_create", f"shop/customer/{unknown.customer}"),
        ("membership_status_to_cancelled", f"shop/customer/{cancelled.customer}"),
        ("membership_status_to_active", f"shop/customer/{unknown.customer}"),
        ("payment_received", f"shop/customer/{unknown.customer}"),
        ("payment_received", f"shop/customer/{unpaid.customer}"),
        ("checkout_completed", f"shop/customer/{checkout.customer}"),
    ]
    assert job.reason is not None
    assert job.reason.startswith("6 events were missing and came in: 1 checkout_completed, ")
    assert job.done == job.total == 6 + 6 + 7 + 2
    assert second in {one.external_id.split("-")[2] for one in brought if "payment" in one.type}
    again = await reconciling.reconcile()
    assert again.reason == NOTHING
    assert len(await reconciling.found()) == len(brought)


async def test_an_event_says_what_the_record_and_its_user_say(reconciling):
    planted = reconciling.plant()
    await reconciling.reconcile()
    brought = {one.type: one for one in await reconciling.found()}
    body = await reconciling.world.browse.event_body(brought["payment_received"].id)
    document = strict_json.read_strict(body.body)
    assert document["source"] == {"network_url": "https://network.example.test"}
    assert document["data"]["payment"]["total"] == "20.00"
    assert document["data"]["membership"]["plan"] == {
        "id": "5",
        "slug": "rest-plan5",
        "name": "Rest Plan5",
        "price": "20.00",
    }
    assert document["data"]["customer"]["email"] == planted.email
    row = reconciling.network.rows["payment"][int(planted.payment)]
    assert f"{brought['payment_received'].occurred_at:%Y-%m-%d %H:%M:%S}" == row["date_created"]


async def test_a_built_in_webhook_tells_as_well_as_the_bridge(reconciling):
    planted = reconciling.plant()
    rows = reconciling.network.rows
    body = {
        "payment_id": planted.payment,
        "payment_status": "completed",
        "payment_total_raw": "20.0000",
        "membership_id": int(planted.membership),
        "membership_status": rows["membership"][int(planted.membership)]["status"],
        "customer_id": planted.customer,
        "customer_user_email": planted.email,
        "wu_version": "2.4.13",
    }
    await reconciling.world.send(strict_json.write(body), "payment_received")
    assert (await reconciling.reconcile()).reason == NOTHING


async def test_a_payment_that_arrives_late_is_no_second_purchase(reconciling):
    world = reconciling.world
    settings = {
        "base_url": "http://127.0.0.1:9998",
        "measurement_id": "G-TEST123",
        "api_secret": "a-secret-of-ga4",
    }
    await world.target("analytics", "ga4", settings=settings, events=["payment_*", "checkout_*"])
    planted = reconciling.plant()
    reconciling.network.plant_checkout(planted)
    await reconciling.reconcile()
    for event_type in ("payment_received", "checkout_completed"):
        late = reconciling.envelope(event_type, planted, "membership", "payment")
        await world.send(late, None)
    await world.work()
    statuses = Counter(one.status for one in await world.deliveries())
    assert statuses == {"succeeded": 1, "skipped": 3}
    sent = [request for _, request in world.sender.sent if request.url.port == 9998]
    assert len(sent) == 1


async def test_what_changed_moments_ago_is_left_to_the_next_run(reconciling):
    planted = reconciling.plant()
    moments_ago = reconciling.ago(0.1)
    for collection, number in (("membership", planted.membership), ("payment", planted.payment)):
        reconciling.change(collection, number, date_modified=moments_ago)
    reconciling.change("customer", planted.customer, date_registered=moments_ago)
    assert (await reconciling.reconcile()).reason == NOTHING
    reconciling.world.clock.advance(3600)
    assert len(await reconciling.found()) == 0
    await reconciling.reconcile()
    assert len(await reconciling.found()) == 3


async def test_what_is_older_than_the_source_is_no_gap_unless_it_is_asked_for(reconciling):
    moment = reconciling.world.clock() - timedelta(days=3)
    reconciling.network.plant_customer(at=moment)
    assert (await reconciling.reconcile()).reason == NOTHING
    await reconciling.reconcile(since=moment - timedelta(days=1))
    assert len(await reconciling.found()) == 3


async def test_nothing_older_than_the_retention_is_looked_at(reconciling):
    moment = reconciling.world.clock() - timedelta(days=40)
    reconciling.network.plant_customer(at=moment)
    job = await reconciling.reconcile(since=moment - timedelta(days=1))
    assert job.reason == NOTHING


async def test_a_membership_that_changes_again_is_a_gap_again(reconciling):
    planted = reconciling.plant()
    await reconciling.hear(planted)
    for status in ("cancelled", "active", "cancelled"):
        reconciling.world.clock.advance(7200)
        reconciling.change(
            "membership", planted.membership, status=status, date_modified=reconciling.ago(1)
        )
        await reconciling.reconcile()
    brought = [one.type for one in await reconciling.found()]
    assert brought == [
        "membership_status_to_cancelled",
        "membership_status_to_active",
        "membership_status_to_cancelled",
    ]


async def test_a_cancellation_in_the_networks_own_zone_is_found_once(reconciling):
    planted = reconciling.plant()
    await reconciling.hear(planted)
    # Hours before the event that told the membership active, by the network's clock on the wall.
    reconciling.change(
        "membership", planted.membership, status="cancelled", date_cancellation=reconciling.ago(20)
    )
    await reconciling.reconcile()
    assert (await reconciling.reconcile()).reason == NOTHING
    (brought,) = await reconciling.found()
    body = await reconciling.world.browse.event_body(brought.id)
    membership = strict_json.read_strict(body.body)["data"]["membership"]
    assert (membership["status"], membership["previous_status"]) == ("cancelled", "active")


async def test_a_refund_is_told_for_a_payment_that_was_told(reconciling):
    planted, untold = reconciling.plant(), reconciling.plant()
    await reconciling.hear(planted)
    for one in (planted, untold):
        reconciling.change("payment", one.payment, status="refunded", refund_total="20.0000")
    await reconciling.reconcile()
    types = Counter(one.type for one in await reconciling.found())
    assert types["payment_status_to_refunded"] == 1
    assert types["payment_received"] == 0


async def test_a_free_or_unfinished_payment_is_no_gap(reconciling):
    for values in ({"total": "0.0000"}, {"status": "pending"}):
        planted = reconciling.plant()
        await reconciling.world.send(
            reconciling.envelope("membership_post_create", planted, "membership"), None
        )
        reconciling.change("payment", planted.payment, **values)
    assert (await reconciling.reconcile()).reason == NOTHING


async def test_a_payment_that_was_told_pending_is_found_when_it_was_paid(reconciling):
    planted = reconciling.plant()
    reconciling.change("payment", planted.payment, status="pending", date_modified=None)
    await reconciling.hear(planted)
    reconciling.change("payment", planted.payment, status="completed")
    await reconciling.reconcile()
    (brought,) = await reconciling.found()
    assert brought.type == "payment_received"
    assert brought.occurred_at == reconciling.world.clock() - timedelta(hours=3)


async def test_a_dry_run_counts_and_brings_nothing_in(reconciling):
    reconciling.plant()
    job = await reconciling.reconcile(dry_run=True)
    assert job.reason == (
        "3 events are missing: 1 customer_post_create, 1 membership_status_to_active,"
        " 1 payment_received."
    )
    assert await reconciling.found() == []


async def test_who_the_network_does_not_name_is_called_as_his_events_call_him(world, network):
    await network_source(world, network, people=False)
    world.clock.advance(86_400)
    reconciling = Reconciling(world, network)
    planted = reconciling.plant()
    await world.send(reconciling.envelope("customer_post_create", planted), None)
    await reconciling.reconcile()
    for brought in await reconciling.found():
        body = await world.browse.event_body(brought.id)
        customer = strict_json.read_strict(body.body)["data"]["customer"]
        assert customer["email"] == planted.email
    assert network.asked("GET", "/wp/v2/users") == []


@in_both_styles
async def test_many_gaps_come_in_a_few_at_a_time(reconciling):
    for _ in range(60):
        reconciling.plant()
    started = await reconciling.service.start(ReconcileRequest(source="shop"))
    assert await reconciling.runner.round() is Pace.GOES_ON
    assert len(await reconciling.found()) == ReconcileJob.batch
    job = await reconciling.end(started)
    assert job.reason is not None
    assert job.reason.startswith("180 events were missing")
    assert (await reconciling.reconcile()).reason == NOTHING


async def test_another_worker_goes_on_where_the_first_one_died(reconciling):
    for _ in range(60):
        reconciling.plant()
    started = await reconciling.service.start(ReconcileRequest(source="shop"))
    await reconciling.runner.round()
    other = Reconciling(reconciling.world, reconciling.network, "other")
    assert await other.runner.round() is Pace.OVER
    await other.runner.take_back_from(["worker"])
    job = await other.end(started)
    assert (job.state, job.done) == (JobState.DONE, 180)
    types = Counter(one.type for one in await reconciling.found())
    assert set(types.values()) == {60}


async def test_a_network_that_does_not_answer_is_given_a_pause(reconciling):
    reconciling.plant()
    started = await reconciling.service.start(ReconcileRequest(source="shop"))
    handle = reconciling.network.handle
    reconciling.network.handle = lambda _call: Answer(503)
    assert await reconciling.runner.round() is Pace.WAITS
    asked = len(reconciling.network.calls)
    assert await reconciling.runner.round() is Pace.WAITS
    assert len(reconciling.network.calls) == asked
    reconciling.network.handle = handle
    reconciling.world.clock.advance(10)
    assert (await reconciling.end(started)).state is JobState.DONE
    assert len(await reconciling.found()) == 3


async def test_a_network_that_never_answers_fails_the_job_in_the_end(reconciling):
    started = await reconciling.service.start(ReconcileRequest(source="shop"))
    reconciling.network.handle = lambda _call: Answer(503)
    for _ in range(11):
        await reconciling.runner.round()
        reconciling.world.clock.advance(301)
    job = await reconciling.jobs.get(started.id)
    assert job.state is JobState.FAILED
    assert "could not answer" in job.reason


async def test_keys_that_are_refused_fail_the_job_at_once(reconciling):
    started = await reconciling.service.start(ReconcileRequest(source="shop"))
    reconciling.network.secret = "changed"
    assert await reconciling.runner.round() is Pace.OVER
    job = await reconciling.jobs.get(started.id)
    assert job.state is JobState.FAILED
    assert "refused the API key" in job.reason


async def test_a_source_is_reconciled_by_one_job_at_a_time(reconciling):
    started = await reconciling.service.start(ReconcileRequest(source="shop"))
    with pytest.raises(Conflict, match=started.id):
        await reconciling.service.start(ReconcileRequest(source="shop"))


async def test_a_source_without_keys_or_that_is_not_there_is_refused(reconciling):
    await reconciling.world.source("keyless")
    with pytest.raises(Conflict, match="no access to the API"):
        await reconciling.service.start(ReconcileRequest(source="keyless"))
    with pytest.raises(NotFound):
        await reconciling.service.start(ReconcileRequest(source="nobody"))


async def test_sources_are_reconciled_by_themselves_every_few_hours(reconciling):
    service, clock = reconciling.service, reconciling.world.clock
    every = timedelta(hours=6)
    assert await service.start_due(every) == 1
    assert await service.start_due(every) == 0
    while await reconciling.runner.round() is not Pace.OVER:
        pass
    clock.advance(5 * 3600)
    assert await service.start_due(every) == 0
    clock.advance(2 * 3600)
    assert await service.start_due(every) == 1


async def test_by_itself_the_relay_waits_longer_for_what_may_still_be_on_its_way(reconciling):
    planted = reconciling.plant()
    for collection, number in (("membership", planted.membership), ("payment", planted.payment)):
        reconciling.change(collection, number, date_modified=reconciling.ago(1.5))
    await reconciling.service.start_due(timedelta(hours=6))
    (started,) = (await reconciling.jobs.page(limit=2)).items
    assert (await reconciling.end(started)).reason.startswith("1 event was missing")
    assert (await reconciling.reconcile()).reason.startswith("2 events were missing")


async def test_two_nodes_that_look_at_once_start_one_job(reconciling):
    world = reconciling.world
    others = [Reconciliations(world.database, world.clock, retention_days=30) for _ in range(4)]
    made = await asyncio.gather(*(one.start_due(timedelta(hours=6)) for one in others))
    assert sum(made) == 1


async def test_a_new_source_and_one_without_keys_wait_for_their_turn(reconciling):
    await reconciling.world.source("keyless")
    await network_source(reconciling.world, reconciling.network, "young")
    assert await reconciling.service.start_due(timedelta(hours=6)) == 1


@pytest.mark.parametrize(("every", "made"), [(900, 1), (0, 0)])
async def test_a_worker_looks_by_itself_when_it_has_run_for_a_while(
    reconciling, monkeypatch, every, made
):
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        if sum(pauses) > 900:
            raise asyncio.CancelledError
        # At first, so that nothing is started too soon.
        if sum(pauses) == 890:
            assert (await reconciling.jobs.page(limit=2)).items == ()

    monkeypatch.setattr(upkeep.asyncio, "sleep", pause)
    loop = upkeep.UpkeepLoop(
        reconciling.world.upkeep,
        lambda: None,
        reconciliations=reconciling.service,
        reconcile_every=timedelta(seconds=every),
    )
    with pytest.raises(asyncio.CancelledError):
        await loop.run()
    assert len((await reconciling.jobs.page(limit=2)).items) == made
