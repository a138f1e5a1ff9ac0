"""What became of claims, as it stands in the store afterwards."""

from __future__ import annotations

import sqlalchemy as sa

from app.domain import strict_json
from app.store import results, tables
from app.store.database import Database, WriteConnection
from tests import rows
from tests.integration.test_claiming import take

_LINE = {"attempt_id": "att_1", "number": 1, "outcome": "delivered", "duration_micros": 7}


def ended(connection: WriteConnection, **values) -> str:
    """A delivery that was claimed, and ended so."""
    rows.target(connection)
    made = rows.delivery(connection)
    (claimed,) = take(connection)
    fields = {"fence": claimed.fence, "status": "succeeded"} | _LINE | values
    results.write(connection, [rows.ending(made, **fields)], worker="worker-7", now=rows.NOW + 5)
    return made


async def logged(database: Database, **values) -> sa.Row:
    await database.write(lambda c: ended(c, **values))
    return await database.read(lambda c: c.execute(sa.select(tables.attempts)).one())


async def test_an_attempt_is_logged_with_who_made_it(database: Database):
    line = await logged(database)
    assert (line.id, line.number, line.outcome, line.worker) == (
        "att_1",
        1,
        "delivered",
        "worker-7",
    )
    assert (line.started_at, line.duration_micros, line.reason) == (rows.NOW, 7, "")


async def test_the_log_keeps_what_was_said_whatever_it_was(database: Database):
    exchanges = [{"status": 200, "body": 'a null \x00, a "quote", a \\ and é 🎉\n'}]
    text = strict_json.write(exchanges).decode()
    assert (await logged(database, exchanges=text)).exchanges == exchanges


async def test_an_attempt_of_a_claim_that_is_no_longer_ours_is_logged_as_stale(database: Database):
    assert (await logged(database, fence=1)).outcome == "stale"


async def test_what_was_not_sent_leaves_no_line(database: Database):
    await database.write(lambda c: ended(c, attempt_id=None))
    lines = await database.read(lambda c: c.execute(sa.select(tables.attempts)).all())
    assert not lines


async def test_a_delivery_that_is_over_says_when_and_what_came_of_it(database: Database):
    made = await database.write(lambda c: ended(c, external_id="crm-7", reason=""))
    found = await database.read(
        lambda c: c.execute(
            sa.select(tables.deliveries).where(tables.deliveries.c.id == made)
        ).one()
    )
    assert (found.status, found.external_id, found.reason) == ("succeeded", "crm-7", None)
    assert (found.finished_at, found.attempts) == (rows.NOW + 5, 1)


async def test_a_delivery_that_waits_is_not_over(database: Database):
    made = await database.write(lambda c: ended(c, status=None, reason="503", due_at=rows.NOW + 9))
    found = await database.read(
        lambda c: c.execute(
            sa.select(tables.deliveries).where(tables.deliveries.c.id == made)
        ).one()
    )
    queued = await database.read(lambda c: rows.queued(c, made))
    assert (found.finished_at, found.reason, found.attempts) == (None, "503", 1)
    assert queued is not None
    assert (queued.due_at, queued.lease_until) == (rows.NOW + 9, None)
