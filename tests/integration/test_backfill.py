"""The customers that a network has already are brought into one target: each once, and nobody else."""

from __future__ import annotations

from typing import Any

import pytest

from app.connectors.base import Limits
from app.domain import strict_json
from app.domain.errors import Conflict, NotFound, PlatformRefused
from app.services.backfill import KIND, BackfillRequest, Backfills
from app.services.backfilling import BackfillJob
from app.services.jobs import JobState, JobView, Pace
from app.services.reconcile import KIND as RECONCILE
from app.services.reconcile import ReconcileRequest, Reconciliations
from app.services.reconciling import ReconcileJob
from tests.fakes.ultimate_multisite_network import FakeNetwork
from tests.integration.networks import ADDRESS, Working, network_source
from tests.integration.world import World


class Backfilling(Working):
    """A world whose source may ask its network."""

    def __init__(self, world: World, network: FakeNetwork, owner: str = "worker") -> None:
        job = BackfillJob(world.database, world.configuration, world.platform, world.clock)
        super().__init__(world, KIND, job, owner)
        self.network = network
        self.service = Backfills(world.database, world.configuration, world.platform, world.clock)

    async def backfill(self, **asked: Any) -> JobView:
        request = BackfillRequest(source="shop", **{"target": "sink"} | asked)
        return await self.end(await self.service.start(request))

    def sent(self, target: str | None = None) -> list[Any]:
        """What the targets got, in its order."""
        return [
            strict_json.read_strict(request.content)
            for sent_to, request in self.world.sender.sent
            if not request.url.host.startswith("network") and (target is None or sent_to == target)
        ]


@pytest.fixture
def network(request: pytest.FixtureRequest) -> FakeNetwork:
    return FakeNetwork(paging=getattr(request, "param", "page"))


@pytest.fixture
async def backfilling(world: World, network: FakeNetwork) -> Backfilling:
    await network_source(world, network)
    return Backfilling(world, network)


in_both_styles = pytest.mark.parametrize("network", ["page", "offset"], indirect=True)


@in_both_styles
async def test_every_customer_comes_in_once_with_the_newest_plan(backfilling):
    world, network = backfilling.world, backfilling.network
    await world.target()
    people = network.plant_customers(130)
    plan = {"id": "6", "slug": "newer", "name": "Newer", "type": "plan", "amount": "9.5000"}
    network.plant(
        "membership",
        customer_id=people[3].customer,
        status="trialing",
        compiled_product_list=[{"quantity": 1, "product": plan}],
    )
    job = await backfilling.backfill()
    assert (job.state, job.done, job.total, job.failed) == (JobState.DONE, 130, 130, 0)
    sent = backfilling.sent()
    assert [one["customer"]["id"] for one in sent] == [one.customer for one in people]
    assert {one["customer"]["email"] for one in sent} == {one.email for one in people}
    assert {one["type"] for one in sent} == {"customer_post_update"}
    plans = {one["membership"]["plan"]["name"] for one in sent}
    assert plans == {"Rest Plan5", "Newer"}
    assert sent[3]["membership"]["plan"]["price"] == 9.5
    assert sent[3]["membership"]["status"] == "trialing"


async def test_only_the_target_gets_them_also_where_it_does_not_ask_for_the_type(backfilling):
    world = backfilling.world
    await world.target(events=["payment_*"])
    await world.target("other")
    backfilling.network.plant_customers(3)
    await backfilling.backfill()
    assert [one.target for one in await world.deliveries()] == ["sink"] * 3
    assert {one.origin for one in await world.events()} == {"backfill"}


async def test_a_filter_of_the_target_has_the_last_word(backfilling):
    world = backfilling.world
    await world.target(filter='customer.email == "person2@customer.example"')
    backfilling.network.plant_customers(3)
    job = await backfilling.backfill()
    assert job.done == 3
    assert [one["customer"]["id"] for one in backfilling.sent()] == ["2"]
    assert len(await world.events()) == 1


async def test_a_second_run_sends_who_changed_and_nobody_else(backfilling):
    await backfilling.world.target()
    backfilling.network.plant_customers(3)
    await backfilling.backfill()
    backfilling.network.users[3]["email"] = "new@customer.example"
    job = await backfilling.backfill()
    assert job.done == 3
    assert [one["customer"]["id"] for one in backfilling.sent()] == ["1", "2", "3", "2"]


async def test_a_customer_without_an_address_is_skipped_and_says_why(world, network):
    await network_source(world, network, people=False)
    settings = {"base_url": "http://127.0.0.1:9998", "token": "pat-eu1-correct"}
    await world.target("crm", "hubspot", settings=settings)
    network.plant_customers(1)
    backfilling = Backfilling(world, network)
    job = await backfilling.backfill(target="crm")
    assert job.done == 1
    (delivery,) = await world.deliveries()
    assert delivery.status == "skipped"
    assert "address" in delivery.reason


async def test_an_address_that_an_event_told_is_good_enough(world, network):
    await network_source(world, network, people=False)
    (planted,) = network.plant_customers(1)
    body = {"customer_id": planted.customer, "customer_user_email": planted.email}
    await world.send(strict_json.write(body | {"wu_version": "2.4.13"}), "confirm_email_address")
    await world.target()
    backfilling = Backfilling(world, network)
    await backfilling.backfill()
    assert backfilling.sent()[0]["customer"]["email"] == planted.email


async def test_a_backfill_waits_while_the_queue_of_its_target_is_long(backfilling):
    await backfilling.world.target()
    backfilling.network.plant_customers(60)
    request = BackfillRequest(source="shop", target="sink")
    started = await backfilling.service.start(request)
    paces = [await backfilling.runner.round() for _ in range(4)]
    assert paces == [Pace.GOES_ON, Pace.GOES_ON, Pace.WAITS, Pace.WAITS]
    assert (await backfilling.jobs.get(started.id)).done == 25


async def test_a_destination_that_takes_batches_gets_more_at_a_time(backfilling, monkeypatch):
    target = await backfilling.world.target()
    await backfilling.world.configuration.refresh()
    connector = backfilling.world.configuration.current.targets[target].connector
    monkeypatch.setattr(type(connector), "limits", Limits(batch_size=500))
    backfilling.network.plant_customers(150)
    started = await backfilling.service.start(BackfillRequest(source="shop", target="sink"))
    for _ in range(4):
        await backfilling.runner.round()
    assert (await backfilling.jobs.get(started.id)).done == 100


@in_both_styles
async def test_another_worker_goes_on_where_the_first_one_died(backfilling):
    await backfilling.world.target()
    backfilling.network.plant_customers(120)
    started = await backfilling.service.start(BackfillRequest(source="shop", target="sink"))
    for _ in range(5):
        await backfilling.runner.round()
        await backfilling.world.work(free=200)
    assert 0 < (await backfilling.jobs.get(started.id)).done < 120
    other = Backfilling(backfilling.world, backfilling.network, "other")
    assert await other.runner.round() is Pace.OVER
    await other.runner.take_back_from(["worker"])
    job = await other.end(started)
    assert (job.state, job.done) == (JobState.DONE, 120)
    ids = [one["customer"]["id"] for one in other.sent()]
    assert sorted(ids, key=int) == [str(number) for number in range(1, 121)]


@in_both_styles
@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 130])
async def test_a_dry_run_counts_and_leaves_nothing(backfilling, count):
    await backfilling.world.target()
    backfilling.network.plant_customers(count)
    counted = await backfilling.service.start(
        BackfillRequest(source="shop", target="sink", dry_run=True)
    )
    assert (counted.id, counted.state, counted.total) == (None, JobState.DONE, count)
    assert (await backfilling.jobs.page(limit=10)).items == ()


async def test_the_same_backfill_is_not_started_twice(backfilling):
    await backfilling.world.target()
    request = BackfillRequest(source="shop", target="sink")
    started = await backfilling.service.start(request)
    with pytest.raises(Conflict, match=started.id):
        await backfilling.service.start(request)


async def test_what_cannot_be_is_refused_at_the_start(backfilling):
    world = backfilling.world
    await world.source("keyless")
    await world.target()
    await world.target("elsewhere", sources=["keyless"])
    for source, target, problem in (
        ("keyless", "sink", "no access to the API"),
        ("shop", "elsewhere", "takes no events of the source"),
    ):
        with pytest.raises(Conflict, match=problem):
            await backfilling.service.start(BackfillRequest(source=source, target=target))
    for source, target in (("nobody", "sink"), ("shop", "nobody")):
        with pytest.raises(NotFound):
            await backfilling.service.start(BackfillRequest(source=source, target=target))
    backfilling.network.secret = "changed"
    with pytest.raises(PlatformRefused):
        await backfilling.service.start(BackfillRequest(source="shop", target="sink"))


async def test_a_target_that_was_removed_fails_the_job(backfilling):
    target = await backfilling.world.target()
    started = await backfilling.service.start(BackfillRequest(source="shop", target="sink"))
    await backfilling.world.targets.delete(target)
    assert await backfilling.runner.round() is Pace.OVER
    job = await backfilling.jobs.get(started.id)
    assert job.state is JobState.FAILED
    assert "removed" in job.reason


async def test_what_one_target_was_told_has_not_arrived_for_the_others(world, network):
    await network_source(world, network)
    await world.target()
    world.clock.advance(86_400)
    network.plant_customer(at=world.clock.moment.replace(hour=1))
    await Backfilling(world, network).backfill()
    job = ReconcileJob(world.database, world.configuration, world.platform, world.clock)
    service = Reconciliations(world.database, world.clock, retention_days=30)
    started = await service.start(ReconcileRequest(source="shop"))
    await Working(world, RECONCILE, job).end(started)
    types = [one.type for one in await world.events() if one.origin == "reconcile"]
    assert "customer_post_create" in types


async def test_events_name_the_network_they_are_about(backfilling):
    world = backfilling.world
    await world.target()
    backfilling.network.plant_customers(1)
    await backfilling.backfill()
    (event,) = await world.events()
    body = await world.browse.event_body(event.id)
    assert strict_json.read_strict(body.body)["source"] == {"network_url": ADDRESS}
    assert event.occurred_at < world.clock()
