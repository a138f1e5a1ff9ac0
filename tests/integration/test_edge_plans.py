"""Lists and counts read what they show, never the whole history."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from app.store import deliveries, events, statistics
from app.store.database import ReadConnection
from app.store.deliveries import DeliveryFilter
from app.store.events import EventFilter
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
