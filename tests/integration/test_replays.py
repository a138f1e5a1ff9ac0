"""Stored events are sent again: which, to whom, with which ids, and step by step."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from app.domain.errors import Conflict, NotFound, ValidationFailed
from app.services.jobs import JobRunner, Jobs, JobState, Pace
from app.services.replay import KIND, ReplayRequest, Replays
from app.services.replaying import ReplayJob
from app.store import jobs
from app.store.tables import event_bodies
from tests.integration.world import World, payment


class Replaying:
    """A world whose worker also runs replays."""

    def __init__(self, world: World, **paced: int) -> None:
        self.world = world
        self.replays = Replays(world.database, world.configuration, world.clock)
        self.jobs = Jobs(world.database, world.clock)
        self.paced = paced
        self.runner = self.worker("worker")

    def worker(self, owner: str) -> JobRunner:
        job = ReplayJob(
            self.world.database, self.world.configuration, self.world.clock, **self.paced
        )
        return JobRunner(self.world.database, self.world.clock, {KIND: job}, owner=owner)

    async def replay(self, **asked):
        """Start a replay and let it and the deliveries run to their end."""
        made = await self.replays.start(ReplayRequest(**asked))
        for _ in range(50):
            if await self.runner.round() is Pace.OVER:
                break
            await self.world.work()
        await self.world.work()
        return await self.jobs.get(made.id)

    def sent_ids(self) -> list[str]:
        return [request.headers["webhook-id"] for _, request in self.world.sender.sent]


@pytest.fixture
async def replaying(world: World) -> Replaying:
    await world.source()
    return Replaying(world)


async def some(world: World, count: int, first: int = 100) -> None:
    for number in range(first, first + count):
        await world.send(payment(number))


async def test_each_event_is_sent_once_more_with_the_id_the_destination_knows(world, replaying):
    await world.target()
    await some(world, 3)
    await world.work()
    before = replaying.sent_ids()
    world.clock.advance(60)
    job = await replaying.replay(target="sink")
    assert (job.state, job.total, job.done, job.failed) == (JobState.DONE, 3, 3, 0)
    assert replaying.sent_ids() == before * 2
    made = [one for one in await world.deliveries() if one.replay_id == job.id]
    assert len(made) == 3
    assert {one.status for one in made} == {"succeeded"}
    assert {one.created_at for one in made} == {world.clock()}


async def test_a_forced_replay_shows_new_ids_and_is_recorded_as_such(world, replaying):
    await world.target()
    await some(world, 1)
    await world.work()
    job = await replaying.replay(target="sink", force=True)
    assert job.force
    assert len(set(replaying.sent_ids())) == 2


async def test_a_replay_after_a_forced_one_shows_the_first_ids(world, replaying):
    await world.target()
    await some(world, 1)
    await world.work()
    await replaying.replay(target="sink", force=True)
    await replaying.replay(target="sink")
    ids = replaying.sent_ids()
    assert ids[2] == ids[0] != ids[1]


async def test_the_retry_of_a_replayed_delivery_keeps_its_ids(world, replaying):
    await world.target()
    await some(world, 1)
    await world.work()
    job = await replaying.replay(target="sink")
    (made,) = await world.deliveries(replay=job.id)
    await world.steering.retry(made.id)
    await world.work()
    assert len(replaying.sent_ids()) == 3
    assert len(set(replaying.sent_ids())) == 1


async def test_a_target_that_is_younger_gets_what_came_before_it(world, replaying):
    await some(world, 2)
    await world.target("late", events=["payment_*"])
    job = await replaying.replay(target="late")
    assert job.done == 2
    assert [one.target for one in await world.deliveries(status="succeeded")] == ["late"] * 2


@pytest.fixture
async def analytics(world):
    settings = {
        "base_url": "http://127.0.0.1:9998",
        "measurement_id": "G-TEST123",
        "api_secret": "a-secret-of-ga4",
    }
    return await world.target("analytics", "ga4", settings=settings)


@pytest.mark.parametrize(
    ("force", "status", "sent"), [(False, "skipped", 1), (True, "succeeded", 2)]
)
async def test_an_effect_is_repeated_only_by_force(
    world, replaying, analytics, force, status, sent
):
    await some(world, 1)
    await world.work()
    (first,) = await world.deliveries()
    assert first.status == "succeeded", first.reason
    job = await replaying.replay(target=analytics, force=force)
    (again,) = await world.deliveries(replay=job.id)
    assert again.status == status
    assert again.first_delivery_id == (None if force else first.id)
    assert len(world.sender.sent) == sent


async def test_a_forced_failure_does_not_make_the_effect_undone(world, replaying, analytics):
    await some(world, 1)
    await world.work()
    world.sender.script = [httpx.Response(400)]
    await replaying.replay(target=analytics, force=True)
    job = await replaying.replay(target=analytics)
    (again,) = await world.deliveries(replay=job.id)
    assert again.status == "skipped"


async def test_only_events_whose_last_delivery_ended_so_are_taken(world, replaying):
    await world.target()
    world.sender.script = [httpx.Response(400), httpx.Response(200)]
    await some(world, 2)
    await world.work()
    job = await replaying.replay(target="sink", status="failed")
    assert (job.total, job.done) == (1, 1)
    assert (await replaying.replay(target="sink", status="failed")).total == 0


async def test_type_source_and_time_narrow_what_is_taken(world, replaying):
    # Ids carry the time they were made at, and bound the search.
    world.clock.moment = datetime.now(UTC)
    await world.target()
    await world.source("other")
    await some(world, 1)
    world.clock.advance(60)
    await world.send(payment(200), source="other")
    await world.send(event_type="payment_failed")
    await world.work()
    now = world.clock()

    async def total(**asked) -> int:
        return (
            await replaying.replays.start(ReplayRequest(target="sink", dry_run=True, **asked))
        ).total

    assert await total() == 3
    assert await total(type="payment_f*") == 1
    assert await total(source="other") == 1
    assert await total(since=now) == 2
    assert await total(until=now) == 1
    assert await total(until=now + timedelta(hours=1)) == 3


async def test_what_the_target_does_not_want_is_not_counted(world, replaying):
    await some(world, 1)
    await world.target("other", events=["membership_*"])
    assert (await replaying.replay(target="other")).total == 0


async def test_what_a_filter_or_a_connector_leaves_out_is_left_out_again(world, replaying):
    await world.target("picky", filter="payment.total > 100000.0")
    await some(world, 1)
    job = await replaying.replay(target="picky")
    assert (job.state, job.done) == (JobState.DONE, 1)
    assert await world.deliveries() == []


async def test_a_skipped_target_says_why(world, replaying, analytics):
    await world.send(b'{"customer_id":"2","status":"active"}', "membership_updated")
    job = await replaying.replay(target=analytics)
    made = await world.deliveries(replay=job.id)
    assert [one.status for one in made] == ["skipped"]
    assert made[0].reason


async def test_an_event_that_is_still_on_its_way_is_not_sent_beside_it(world, replaying):
    await world.target()
    await some(world, 2)
    job = await replaying.replay(target="sink")
    assert (job.state, job.done) == (JobState.DONE, 2)
    assert len(world.sender.sent) == 2


async def test_what_comes_in_after_the_start_is_no_part_of_it(world, replaying):
    await world.target()
    await some(world, 1)
    await world.work()
    made = await replaying.replays.start(ReplayRequest(target="sink"))
    world.clock.advance(1)
    await some(world, 1, first=500)
    await world.work()
    assert await replaying.runner.round() is Pace.OVER
    assert (await replaying.jobs.get(made.id)).done == 1


async def test_one_event_goes_to_every_target_it_is_for_today(world, replaying):
    await world.target("one")
    receipt = await world.send()
    await world.work()
    await world.target("two")
    job = await replaying.replay(event=receipt.id)
    assert (job.total, job.done) == (1, 1)
    made = await world.deliveries(replay=job.id)
    assert {one.target for one in made} == {"one", "two"}


async def test_a_dry_run_counts_and_leaves_nothing(world, replaying):
    await world.target()
    await some(world, 2)
    counted = await replaying.replays.start(ReplayRequest(target="sink", dry_run=True))
    assert (counted.id, counted.total) == (None, 2)
    assert (await replaying.jobs.page(limit=10)).items == ()
    assert len(await world.deliveries()) == 2


async def test_a_replay_waits_while_the_queue_of_its_target_is_long(world):
    await world.source()
    target = await world.target()
    await some(world, 6)
    await world.work()
    replaying = Replaying(world, batch=2, longest_queue=2)
    made = await replaying.replays.start(ReplayRequest(target=target))
    assert await replaying.runner.round() is Pace.GOES_ON
    assert await replaying.runner.round() is Pace.WAITS
    assert (await replaying.jobs.get(made.id)).done == 2
    await world.work()
    assert await replaying.runner.round() is Pace.GOES_ON


async def test_another_worker_goes_on_where_the_first_one_died(world):
    await world.source()
    await world.target()
    await some(world, 5)
    await world.work()
    replaying = Replaying(world, batch=2)
    made = await replaying.replays.start(ReplayRequest(target="sink"))
    await replaying.runner.round()
    other = replaying.worker("other")
    assert await other.round() is Pace.OVER
    assert await other.lease_owners() == ["worker"]
    await other.take_back_from(["worker"])
    while await other.round() is not Pace.OVER:
        pass
    assert (await replaying.jobs.get(made.id)).done == 5
    assert len(await world.deliveries(replay=made.id)) == 5


async def test_a_lease_that_ran_out_is_taken_over(world):
    await world.source()
    await world.target()
    await some(world, 3)
    await world.work()
    replaying = Replaying(world, batch=1)
    await replaying.replays.start(ReplayRequest(target="sink"))
    await replaying.runner.round()
    world.clock.advance(31)
    assert await replaying.worker("other").round() is Pace.GOES_ON


async def test_a_step_that_somebody_else_did_meanwhile_is_not_done_twice(world):
    await world.source()
    await world.target()
    await some(world, 4)
    await world.work()
    replaying = Replaying(world, batch=2)
    made = await replaying.replays.start(ReplayRequest(target="sink"))
    seen = await world.database.read(lambda c: jobs.get(c, made.id))
    job = ReplayJob(world.database, world.configuration, world.clock, batch=2)
    assert await job.step(seen, "worker") is Pace.GOES_ON
    assert await job.step(seen, "worker") is Pace.OVER
    assert len(await world.deliveries(replay=made.id)) == 2


async def test_a_cancelled_replay_makes_no_more_deliveries(world):
    await world.source()
    await world.target()
    await some(world, 4)
    await world.work()
    replaying = Replaying(world, batch=2)
    made = await replaying.replays.start(ReplayRequest(target="sink"))
    await replaying.runner.round()
    cancelled = await replaying.jobs.cancel(made.id)
    assert (cancelled.state, cancelled.done) == (JobState.CANCELLED, 2)
    assert await replaying.runner.round() is Pace.OVER
    assert len(await world.deliveries(replay=made.id)) == 2
    with pytest.raises(Conflict, match="cancelled"):
        await replaying.jobs.cancel(made.id)


async def test_a_target_that_was_removed_fails_the_replay(world, replaying):
    target = await world.target()
    await some(world, 1)
    made = await replaying.replays.start(ReplayRequest(target=target))
    await world.targets.delete(target)
    assert await replaying.runner.round() is Pace.OVER
    job = await replaying.jobs.get(made.id)
    assert job.state is JobState.FAILED
    assert "removed" in job.reason


async def test_an_event_that_cannot_be_read_any_more_is_counted_as_failed(world, replaying):
    await world.target()
    await some(world, 2)
    await world.work()
    first = (await world.events())[-1].id
    await world.database.write(
        lambda c: c.execute(event_bodies.delete().where(event_bodies.c.event_id == first))
    )
    job = await replaying.replay(target="sink")
    assert (job.state, job.done, job.failed, job.total) == (JobState.DONE, 1, 1, 2)
    assert first in job.reason


async def test_a_span_that_ends_before_it_begins_is_refused(world, replaying):
    await world.target()
    now = world.clock()
    with pytest.raises(ValidationFailed):
        await replaying.replays.start(ReplayRequest(target="sink", since=now, until=now))


@pytest.mark.parametrize(
    "asked", [{"target": "nobody"}, {"event": "evt_00000000000000000000000000"}, {"event": "x"}]
)
async def test_what_does_not_exist_is_not_replayed(world, replaying, asked):
    with pytest.raises(NotFound):
        await replaying.replays.start(ReplayRequest(**asked))


async def test_an_error_of_the_relay_fails_the_job_and_not_the_worker(world, replaying):
    await world.target()
    made = await replaying.replays.start(ReplayRequest(target="sink"))

    class Broken:
        async def step(self, job, owner):
            raise RuntimeError("boom")

    runner = JobRunner(world.database, world.clock, {KIND: Broken()}, owner="worker")
    assert await runner.round() is Pace.OVER
    job = await replaying.jobs.get(made.id)
    assert job.state is JobState.FAILED
    assert "RuntimeError" in job.reason
    assert "boom" not in job.reason
