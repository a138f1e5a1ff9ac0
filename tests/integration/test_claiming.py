"""Taking work from the queue, on both databases."""

from __future__ import annotations

import asyncio
import os

import pytest

from app.store import candidates, claim, intake, results, taking, target_state
from app.store.claim import ClaimedDelivery
from app.store.database import Database, WriteConnection
from app.store.intake import NewEvent
from app.store.opening import open_database
from app.store.results import Ending
from app.store.taking import Lease
from tests import rows
from tests.rows import NOW, SECOND

LEASE = 60 * SECOND


def take(
    connection: WriteConnection,
    *,
    most: int = 10,
    now: int = NOW,
    owner: str = "worker",
    budget: int = 1 << 24,
) -> list[ClaimedDelivery]:
    """What the dispatcher does in its claim, without sharing."""
    ready = claim.ready_targets(connection, now)
    slots = [(one.id, min(most, one.max_in_flight - one.leased)) for one in ready]
    crowded = {one.id for one in ready if one.crowded}
    lease = Lease(now, now + LEASE, owner)
    return taking.take(connection, slots, lease, budget=budget, crowded=crowded).deliveries


def write(connection: WriteConnection, endings: list[Ending]) -> set[str]:
    """End deliveries, or put them back, without a line in their log."""
    return results.write(connection, endings, worker="worker", now=NOW)


def settled(claimed: ClaimedDelivery, status: str = "succeeded", reason: str = "") -> Ending:
    return rows.ending(
        claimed.id, claimed.fence, status=status, reason=reason, single=claimed.single
    )


def postponed(claimed: ClaimedDelivery, due_at: int) -> Ending:
    return rows.ending(
        claimed.id, claimed.fence, reason="503", attempts=claimed.attempts + 1, due_at=due_at
    )


async def test_a_due_delivery_is_claimed_with_its_event_and_body(database: Database):
    def work(c):
        rows.target(c)
        made = rows.delivery(c)
        return made, take(c)

    made, taken = await database.write(work)
    assert [one.id for one in taken] == [made]
    assert (taken[0].type, taken[0].body, taken[0].subject) == (
        "payment_received",
        b'{"customer_id":"2"}',
        "shop/customer/2",
    )


async def test_a_claimed_delivery_is_not_claimed_again(database: Database):
    def work(c):
        rows.target(c)
        rows.delivery(c)
        return take(c), take(c)

    first, second = await database.write(work)
    assert (len(first), len(second)) == (1, 0)


async def test_a_delivery_that_is_not_due_is_left_and_its_moment_is_known(database: Database):
    def work(c):
        rows.target(c)
        rows.delivery(c, created_at=NOW + 5 * SECOND)
        return take(c), claim.next_due(c, NOW)

    assert await database.write(work) == ([], NOW + 5 * SECOND)


@pytest.mark.parametrize("status", ["paused", "disabled"])
async def test_deliveries_of_a_target_that_is_not_active_stay(database: Database, status: str):
    def work(c):
        rows.target(c, status=status)
        made = rows.delivery(c)
        return take(c), rows.queued(c, made)

    taken, waiting = await database.write(work)
    assert taken == []
    assert waiting is not None


async def test_deliveries_of_a_throttled_target_wait(database: Database):
    def work(c):
        rows.target(c)
        rows.delivery(c)
        target_state.throttle(c, "tgt_a", NOW + 10 * SECOND)
        return take(c), take(c, now=NOW + 10 * SECOND)

    before, after = await database.write(work)
    assert (len(before), len(after)) == (0, 1)


async def test_no_more_than_max_in_flight_are_leased_over_all_workers(database: Database):
    def work(c):
        rows.target(c, max_in_flight=3)
        for _ in range(5):
            rows.delivery(c)
        return len(take(c, most=2, owner="one")), len(take(c, owner="two"))

    assert await database.write(work) == (2, 1)


async def test_the_oldest_due_come_first(database: Database):
    def work(c):
        rows.target(c)
        late = rows.delivery(c, created_at=NOW)
        early = rows.delivery(c, created_at=NOW - SECOND)
        return [early, late], [take(c, most=1)[0].id for _ in range(2)]

    expected, taken = await database.write(work)
    assert taken == expected


async def test_one_subject_of_an_ordered_target_runs_one_after_another(database: Database):
    def work(c):
        rows.target(c, ordered=True)
        first = rows.delivery(c, subject="shop/customer/1")
        second = rows.delivery(c, subject="shop/customer/1")
        other = rows.delivery(c, subject="shop/customer/2")
        at_once = take(c)
        while_running = take(c)
        write(c, [settled(one) for one in at_once])
        return (first, second, other), at_once, while_running, take(c)

    (first, second, other), at_once, while_running, after = await database.write(work)
    assert {one.id for one in at_once} == {first, other}
    assert while_running == []
    assert [one.id for one in after] == [second]


async def test_followers_wait_as_long_as_the_first_of_their_subject(database: Database):
    def work(c):
        rows.target(c, ordered=True)
        rows.delivery(c, subject="shop/customer/1")
        follower = rows.delivery(c, subject="shop/customer/1")
        (head,) = take(c)
        write(c, [postponed(head, NOW + 30 * SECOND)])
        results.hold_back_followers(c, [("tgt_a", "shop/customer/1", NOW + 30 * SECOND)])
        early = take(c, now=NOW + SECOND)
        return head.id, follower, early, take(c, now=NOW + 30 * SECOND)

    head, follower, early, later = await database.write(work)
    assert early == []
    assert [one.id for one in later] == [head]
    assert await database.read(lambda c: rows.queued(c, follower).due_at) == NOW + 30 * SECOND


async def test_a_settled_delivery_leaves_the_queue_with_its_final_word(database: Database):
    def work(c):
        rows.target(c)
        made = rows.delivery(c)
        (claimed,) = take(c)
        accepted = write(c, [settled(claimed, status="failed", reason="400")])
        return made, accepted, rows.queued(c, made), rows.status(c, made)

    made, accepted, waiting, status = await database.write(work)
    assert (accepted, waiting, status) == ({made}, None, "failed")


async def test_a_stale_worker_cannot_settle_what_was_claimed_anew(database: Database):
    def work(c):
        rows.target(c)
        made = rows.delivery(c)
        (stale,) = take(c, owner="slow")
        write(c, [postponed(stale, NOW)])
        (fresh,) = take(c, now=NOW + SECOND, owner="quick")
        refused = write(c, [settled(stale, status="failed")])
        return made, refused, rows.status(c, made), write(c, [settled(fresh)])

    made, refused, between, accepted = await database.write(work)
    assert refused == set()
    assert between == "pending"
    assert accepted == {made}


async def test_a_stale_worker_cannot_postpone_what_was_claimed_anew(database: Database):
    def work(c):
        rows.target(c)
        made = rows.delivery(c)
        (stale,) = take(c)
        write(c, [postponed(stale, NOW)])
        take(c, now=NOW + SECOND)
        refused = write(c, [postponed(stale, NOW + 99 * SECOND)])
        return refused, rows.queued(c, made).due_at

    assert await database.write(work) == (set(), NOW)


async def test_two_workers_never_hold_the_same_delivery(database_url: str, database: Database):
    def fill(c):
        rows.target(c, max_in_flight=1000)
        for _ in range(200):
            rows.delivery(c)

    await database.write(fill)
    others = [open_database(database_url, pool_size=2) for _ in range(4)]

    async def claim_all(other: Database, owner: str) -> list[str]:
        mine: list[str] = []
        while got := await other.write(lambda c: take(c, most=7, owner=owner)):
            mine += [one.id for one in got]
        return mine

    taken = await asyncio.gather(*(claim_all(o, f"w{n}") for n, o in enumerate(others)))
    for other in others:
        await other.close()
    every = [delivery for mine in taken for delivery in mine]
    assert len(every) == len(set(every)) == 200


async def test_a_worker_gives_back_only_what_is_its_own(database: Database):
    def work(c):
        rows.target(c)
        rows.delivery(c)
        rows.delivery(c)
        take(c, most=1, owner="one")
        take(c, most=1, owner="two")
        return claim.release(c, "one", NOW), claim.lease_owners(c), len(take(c))

    assert await database.write(work) == (1, ["two"], 1)


@pytest.mark.parametrize("form", range(3), ids=["general", "near", "heads"])
async def test_the_claim_reads_the_queue_by_its_index(database: Database, form: int):
    """The plan must not change with the size of the history: no scan of a whole table."""

    def work(c):
        rows.target(c)
        for number in range(50):
            rows.delivery(c, subject="shop/customer/1" if number % 2 else None)
        if database.dialect == "sqlite":
            c.exec_driver_sql("ANALYZE")
            values = (NOW, "tgt_a", 5, NOW + LEASE, "worker", NOW)
            plan = c.exec_driver_sql("EXPLAIN QUERY PLAN " + taking.CLAIM_SQLITE[form], values)
            return "\n".join(row[3] for row in plan)
        c.exec_driver_sql("SET LOCAL enable_seqscan = off")
        c.exec_driver_sql("ANALYZE queue")
        values = (["tgt_a"], [5], NOW, NOW + LEASE, "worker", NOW)
        plan = c.exec_driver_sql("EXPLAIN " + taking.CLAIM_POSTGRESQL[form], values)
        return "\n".join(row[0] for row in plan)

    plan = await database.write(work)
    assert "ix_queue_due" in plan
    assert "ix_queue_order" in plan
    assert "Seq Scan on queue" not in plan
    assert "SCAN q\n" not in plan


def crowd(connection: WriteConnection, person: str, count: int) -> list[str]:
    """So many deliveries of one person, all of them due."""
    return [rows.delivery(connection, subject=person) for _ in range(count)]


async def test_a_person_with_many_deliveries_does_not_hide_the_others(
    database: Database,
):
    def work(c):
        rows.target(c, ordered=True)
        many = crowd(c, "shop/customer/1", candidates.CROWD + 5)
        others = [rows.delivery(c, subject=f"shop/customer/{n}") for n in (2, 3)]
        follower = rows.delivery(c, subject="shop/customer/2")
        nobody = rows.delivery(c)
        ready = claim.ready_targets(c, NOW)
        first, second = take(c), take(c)
        return ready[0].crowded, [many[0], *others, nobody], follower, first, second

    crowded, expected, follower, first, second = await database.write(work)
    assert crowded
    assert {one.id for one in first} == set(expected)
    assert follower not in {one.id for one in first}
    assert second == []


async def test_a_crowd_of_many_people_is_taken_in_the_order_in_which_it_is_due(database: Database):
    def work(c):
        rows.target(c, ordered=True)
        made = [
            rows.delivery(c, subject=f"shop/customer/{900 - n}", created_at=NOW - SECOND + n)
            for n in range(candidates.CROWD + 5)
        ]
        return made, take(c, most=7)

    made, taken = await database.write(work)
    assert {one.id for one in taken} == set(made[:7])


async def test_a_claim_takes_no_more_bytes_than_its_budget_and_leaves_the_rest_unleased(
    database: Database,
):
    def work(c):
        rows.target(c)
        made = [rows.delivery(c, of=stored(c, 20_000)) for _ in range(5)]
        first = take(c, budget=50_000)
        leased = sum(rows.queued(c, one).lease_until is not None for one in made)
        return made, first, leased, take(c)

    made, first, leased, second = await database.write(work)
    assert [one.id for one in first] == made[:3]
    assert leased == 3
    assert [one.id for one in second] == made[3:]
    assert {len(one.body) for one in [*first, *second]} == {20_000}


async def test_a_body_that_is_larger_than_the_budget_is_taken_alone(database: Database):
    def work(c):
        rows.target(c)
        made = [rows.delivery(c, of=stored(c, 300_000)) for _ in range(2)]
        return made, take(c, budget=1), take(c, budget=1)

    made, first, second = await database.write(work)
    assert [[one.id for one in taken] for taken in (first, second)] == [[made[0]], [made[1]]]


async def test_what_webhook_targets_are_sent_counts_as_well(database: Database):
    def work(c):
        rows.target(c)
        for _ in range(3):
            rows.delivery(c, of=stored(c, 10_000, envelope=b"e" * 10_000))
        return take(c, budget=30_000)

    assert len(await database.write(work)) == 2


def stored(connection: WriteConnection, size: int, **values: object) -> NewEvent:
    """An event with a body of so many bytes, without deliveries."""
    made = rows.event(body=os.urandom(size), **values)
    intake.insert(connection, [made], [])
    return made
