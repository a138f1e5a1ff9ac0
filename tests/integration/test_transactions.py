"""What a unit of work may rely on, whichever way it is run."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from app.domain.errors import StoreUnavailable
from app.store.database import Database, ReadConnection, WriteConnection
from app.store.opening import open_database
from app.store.sqlite import raw

WAYS = ["write", "write_briefly", "write_once"]
_NOTE = "INSERT INTO installation (name, value) VALUES ('{}', 'x')"


def note(name: str) -> Callable[[WriteConnection], None]:
    def work(connection: WriteConnection) -> None:
        connection.exec_driver_sql(_NOTE.format(name))

    return work


def names(connection: ReadConnection) -> set[str]:
    return set(connection.execute(sa.text("SELECT name FROM installation")).scalars())


@pytest.mark.parametrize("way", WAYS)
async def test_what_was_written_is_there_when_the_call_returns(database, way):
    await getattr(database, way)(note(way))
    assert way in await database.read(names)


@pytest.mark.parametrize("way", ["write", "write_briefly"])
async def test_work_that_fails_leaves_nothing_and_the_next_is_not_disturbed(database, way):
    def fails(connection: WriteConnection) -> None:
        note("half")(connection)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await getattr(database, way)(fails)
    await getattr(database, way)(note("whole"))
    assert await database.read(names) == {"whole"}


@pytest.mark.parametrize("way", WAYS)
async def test_a_write_that_nobody_waits_for_any_more_ends_all_the_same(database, way):
    abandoned = asyncio.create_task(getattr(database, way)(note("abandoned")))
    await asyncio.sleep(0)
    abandoned.cancel()
    with pytest.raises(asyncio.CancelledError):
        await abandoned
    await database.write(note("next"))
    assert "next" in await database.read(names)


@pytest.mark.parametrize("way", WAYS)
async def test_writes_of_all_ways_at_once_are_all_done(database, way):
    ways = [getattr(database, WAYS[number % 3]) for number in range(30)]
    await asyncio.gather(*(one(note(f"n{number}")) for number, one in enumerate(ways)))
    assert len(await database.read(names)) == 30


async def opened(url: str) -> Database:
    """The database, with its writing connection made."""
    database = open_database(url)
    await database.write(lambda _: None)
    return database


@pytest.fixture
def sqlite_url(sqlite_template, tmp_path) -> str:
    path = tmp_path / "relay.db"
    path.write_bytes(sqlite_template.read_bytes())
    return f"sqlite:///{path}"


@pytest.mark.parametrize("way", WAYS)
async def test_the_drivers_own_statements_are_committed_on_sqlite(sqlite_url, way):
    database = await opened(sqlite_url)

    def work(connection: WriteConnection) -> None:
        raw(connection).execute(_NOTE.format("raw"))

    await getattr(database, way)(work)
    await database.close()
    again = open_database(sqlite_url)
    assert await again.read(names) == {"raw"}
    await again.close()


@pytest.mark.parametrize("way", WAYS)
async def test_another_process_that_writes_is_waited_for_without_stopping_the_loop(sqlite_url, way):
    database = await opened(sqlite_url)
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(getattr(database, way)(note("late")))
    for _ in range(5):
        await asyncio.sleep(0.01)
    assert not waiting.done()
    assert await database.read(names) == set()
    other.execute("COMMIT")
    other.close()
    await waiting
    assert await database.read(names) == {"late"}
    await database.close()


async def test_a_lock_that_is_never_given_back_is_a_store_that_is_away(sqlite_url, monkeypatch):
    monkeypatch.setattr("app.store.sqlite._BUSY_SECONDS", 0.1)
    database = await opened(sqlite_url)
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable):
        await database.write_briefly(note("never"))
    other.close()
    await database.write_briefly(note("now"))
    assert await database.read(names) == {"now"}
    await database.close()


async def test_those_who_wait_for_the_same_lock_give_up_together(sqlite_url, monkeypatch):
    monkeypatch.setattr("app.store.sqlite._BUSY_SECONDS", 0.5)
    database = await opened(sqlite_url)
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    # One after the other they would take three seconds.
    async with asyncio.timeout(2.5):
        waiting = [getattr(database, way)(note("never")) for way in WAYS * 3]
        answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(answer) for answer in answers] == [StoreUnavailable] * len(answers)
    other.close()
    await database.write(note("now"))
    assert await database.read(names) == {"now"}
    await database.close()


@pytest.mark.parametrize("way", WAYS)
async def test_what_was_not_committed_is_never_taken_for_stored(sqlite_url, way):
    database = await opened(sqlite_url)

    def loses_its_transaction(connection: WriteConnection) -> None:
        connection.rollback()
        raw(connection).execute("BEGIN IMMEDIATE")
        raw(connection).execute(_NOTE.format("lost"))

    with pytest.raises(StoreUnavailable):
        await getattr(database, way)(loses_its_transaction)
    assert await database.read(names) == set()
    await getattr(database, way)(note("kept"))
    assert await database.read(names) == {"kept"}
    await database.close()


async def test_what_the_library_refuses_is_a_store_that_is_away(sqlite_url):
    database = await opened(sqlite_url)

    def broken(connection: WriteConnection) -> Any:
        return raw(connection).execute("SELECT * FROM no_such_table")

    for way in WAYS:
        with pytest.raises(StoreUnavailable):
            await getattr(database, way)(broken)
    await database.write_once(note("fine"))
    assert await database.read(names) == {"fine"}
    await database.close()
