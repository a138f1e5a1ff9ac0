"""Lists and counts read what they show, never the whole history."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from app.store import deliveries, events, history, jobs, replays, statistics
from app.store.database import ReadConnection
from app.store.deliveries import DeliveryFilter
from app.store.events import EventFilter
from app.store.replays import Selection
from tests.rows import NOW

# PostgreSQL decides by how many rows there are; SQLite decides the same every time.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
BY_ID = {
    "events": "events USING INDEX sqlite_autoindex_events_1 (id",
    "deliveries": "deliveries USING INDEX sqlite_autoindex_deliveries_1",
}


@contextmanager
def statements(connection: ReadConnection) -> Iterator[list[tuple[str, Any]]]:
    """What is sent to the database meanwhile."""
    seen: list[tuple[str, Any]] = []

    def note(_connection, _cursor, statement, parameters, _context, _many) -> None:
        seen.append((statement, parameters))

    sa.event.listen(connection, "before_cursor_execute", note)
    yield seen
    sa.event.remove(connection, "before_cursor_execute", note)


async def plan_of(database, work: Callable[[ReadConnection], object]) -> list[str]:
    """The steps SQLite takes for the one statement of `work`."""

    def explain(connection: ReadConnection) -> list[str]:
        with statements(connection) as seen:
            work(connection)
        *_begin, (statement, parameters) = seen
        rows = connection.exec_driver_sql("EXPLAIN QUERY PLAN " + statement, parameters)
        return [row[3] for row in rows]

    return await database.read(explain)


def listed(**wanted: Any) -> Callable[[ReadConnection], object]:
    return lambda c: deliveries.page(c, DeliveryFilter(**wanted), limit=50, before=None)


@pytest.mark.parametrize("status", ["pending", "in_flight", "held"])
async def test_what_waits_is_read_from_the_queue(database, status):
    steps = await plan_of(database, listed(status=status))
    assert steps[0] == "SCAN queue"
    assert not any("ORDER BY" in step for step in steps)


async def test_what_failed_is_read_from_the_index_of_failures(database):
    steps = await plan_of(database, listed(status="failed"))
    assert "SCAN deliveries USING INDEX ix_deliveries_failed" in steps
    assert not any("ORDER BY" in step for step in steps)


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ({}, "sqlite_autoindex_deliveries_1"),
        ({"since": NOW}, "sqlite_autoindex_deliveries_1 (id>"),
        ({"target": "tgt_a"}, "ix_deliveries_target_id_id (target_id="),
        ({"event": "evt_a"}, "ix_deliveries_event_id (event_id="),
    ],
)
async def test_deliveries_are_read_by_an_index(database, wanted, index):
    steps = await plan_of(database, listed(**wanted))
    assert any(f"deliveries USING INDEX {index}" in step for step in steps), steps


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ({}, "sqlite_autoindex_events_1"),
        ({"since": NOW, "type": "a*"}, "sqlite_autoindex_events_1 (id>"),
        ({"type": "a"}, "ix_events_type_id (type="),
        ({"subject": "a"}, "ix_events_subject_id (subject="),
    ],
)
async def test_events_are_read_by_an_index(database, wanted, index):
    steps = await plan_of(
        database, lambda c: events.page(c, EventFilter(**wanted), limit=50, before=None)
    )
    assert any(f"events USING INDEX {index}" in step for step in steps), steps
    assert not any("ORDER BY" in step for step in steps)


@pytest.mark.parametrize(
    ("count", "table"),
    [(statistics.events_by_type, "events"), (statistics.finished_by_target, "deliveries")],
)
async def test_counts_read_their_span_of_time_only(database, count, table):
    steps = await plan_of(database, lambda c: count(c, NOW))
    assert f"SEARCH {BY_ID[table]}" in steps[0]


async def test_the_deliveries_of_a_replay_are_found_by_its_id(database):
    steps = await plan_of(database, listed(replay="rpl_1"))
    assert "deliveries USING INDEX ix_deliveries_replay_id (replay_id=?)" in steps[0]
    assert not any("ORDER BY" in step for step in steps)


async def test_how_much_waits_for_a_target_is_counted_by_index(database):
    steps = await plan_of(database, lambda c: replays.queued(c, "tgt_1", 25))
    assert any("ix_queue_due (target_id=?" in step for step in steps)


async def test_open_jobs_are_found_without_the_finished_ones(database):
    steps = await plan_of(database, lambda c: jobs.waiting_for(c, "worker", NOW))
    assert steps == ["SCAN jobs USING INDEX ix_jobs_open"]


async def test_a_replay_goes_on_behind_its_cursor(database):
    selection = Selection(wanted=EventFilter(), latest=NOW, target="tgt_1", status="failed")
    steps = await plan_of(database, lambda c: replays.scan(c, selection, after="evt_1", limit=1000))
    assert steps[0] == f"SEARCH {BY_ID['events']}>?)"
    assert any("ix_deliveries_event_id (event_id=?" in step for step in steps)


@pytest.mark.parametrize("after", [None, ("shop/customer/1", "evt_a")])
async def test_the_history_of_customers_is_read_in_the_order_of_their_index(database, after):
    subjects = ["shop/customer/1", "shop/customer/2"]
    steps = await plan_of(
        database, lambda c: history.of_subjects(c, "src_a", subjects, after=after, limit=100)
    )
    assert "ix_events_subject_id (subject=" in steps[0]
    assert not any("ORDER BY" in step for step in steps)
