"""What a database refuses: said to the sender as 503, to the operator in the log and by readiness."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from app.domain.errors import StoreUnavailable
from app.store import sqlite
from app.store.database import Database, ReadConnection, WriteConnection
from app.store.opening import open_database
from tests.integration.edge import Edge, edge

WAYS = ["write", "write_briefly", "write_once"]


def note(connection: WriteConnection) -> None:
    connection.exec_driver_sql("INSERT INTO installation (name, value) VALUES ('note', 'x')")


def notes(connection: ReadConnection) -> int:
    return len(connection.execute(sa.text("SELECT * FROM installation")).all())


@pytest.fixture
def path(sqlite_template: Path, tmp_path: Path) -> Path:
    copied = tmp_path / "relay.db"
    copied.write_bytes(sqlite_template.read_bytes())
    return copied


@pytest.fixture
async def file(path: Path) -> AsyncIterator[Database]:
    """A SQLite file that has been written to."""
    opened = open_database(f"sqlite:///{path}")
    await opened.write(lambda _: None)
    yield opened
    await opened.close()


async def refusal(database: Database, way: str) -> StoreUnavailable:
    with pytest.raises(StoreUnavailable) as caught:
        await getattr(database, way)(note)
    return caught.value


def remove(path: Path) -> None:
    path.unlink()


def move(path: Path) -> None:
    path.rename(path.with_name("moved.db"))


def restore(path: Path) -> None:
    copy = path.with_name("copy.db")
    copy.write_bytes(path.read_bytes())
    copy.replace(path)


def remove_the_log(path: Path) -> None:
    path.with_name(path.name + "-wal").unlink()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("accident", [remove, move, restore, remove_the_log])
async def test_nothing_is_acknowledged_into_a_file_that_nobody_can_read_again(
    path, file, accident, way
):
    accident(path)
    with capture_logs() as lines:
        await refusal(file, way)
    assert [line["event"] for line in lines] == ["store.unavailable"]
    assert "removed or replaced; restart the relay" in lines[0]["cause"]
    assert file.trouble.lately()


async def test_a_second_process_that_comes_and_goes_is_no_accident(path, file):
    other = sqlite3.connect(path)
    other.execute("INSERT INTO installation (name, value) VALUES ('other', 'x')")
    other.commit()
    other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other.close()
    await file.write(note)
    assert await file.read(notes) == 2


@pytest.mark.parametrize("way", WAYS)
async def test_a_full_disk_is_a_store_that_is_away_and_the_log_says_so(file, way):
    def fill(connection: WriteConnection) -> None:
        # SQLite's own word for a disk without room, whoever sets the limit.
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    await file.write(fill)

    def write_much(connection: WriteConnection) -> None:
        connection.execute(
            sa.text("INSERT INTO installation (name, value) VALUES ('much', :text)"),
            {"text": "canary" * 20_000},
        )

    with capture_logs() as lines, pytest.raises(StoreUnavailable):
        await getattr(file, way)(write_much)
    assert lines[0]["cause"] == "OperationalError: database or disk is full"
    assert "canary" not in str(lines)


async def test_a_damaged_file_is_a_store_that_is_away(tmp_path):
    (tmp_path / "relay.db").write_bytes(b"this is no database" * 1000)
    database = open_database(f"sqlite:///{tmp_path / 'relay.db'}")
    await refusal(database, "write")
    with pytest.raises(StoreUnavailable):
        await database.read(notes)
    await database.close()


@pytest.mark.parametrize("way", ["write_briefly", "write_once"])
async def test_an_undo_that_fails_does_not_stop_the_writers_that_follow(file, monkeypatch, way):
    undo = sqlite._undo

    def fails_once(connection: sa.Connection) -> None:
        monkeypatch.setattr(sqlite, "_undo", undo)
        undo(connection)
        raise sqlite3.OperationalError("disk I/O error")

    def broken(_: WriteConnection) -> None:
        monkeypatch.setattr(sqlite, "_undo", fails_once)
        raise ZeroDivisionError

    with pytest.raises(sqlite3.OperationalError):
        await getattr(file, way)(broken)
    async with asyncio.timeout(5):
        await getattr(file, way)(note)


# On PostgreSQL; SQLAlchemy tells none of these from a mistake in the statement.


@pytest.fixture
async def server(fresh_postgres_url: str) -> AsyncIterator[Database]:
    opened = open_database(fresh_postgres_url)
    yield opened
    await opened.close()


def raising(state: str) -> str:
    return f"DO $$ BEGIN RAISE EXCEPTION 'as told' USING ERRCODE = '{state}'; END $$"


@pytest.mark.parametrize("way", ["read", *WAYS])
@pytest.mark.parametrize(
    "state",
    ["53100", "53300", "57P01", "57P03", "58030", "08006", "25006"],
    ids=["full", "connections", "stops", "starts", "system", "connection", "replica"],
)
async def test_a_server_that_cannot_is_a_store_that_is_away(server, way, state):
    with pytest.raises(StoreUnavailable):
        await getattr(server, way)(lambda c: c.exec_driver_sql(raising(state)))


@pytest.mark.parametrize("way", WAYS)
async def test_the_victim_of_a_deadlock_is_tried_again_and_then_told_to_come_back(server, way):
    tries: list[int] = []

    def victim(connection: WriteConnection) -> None:
        tries.append(1)
        connection.exec_driver_sql(raising("40P01"))

    with pytest.raises(StoreUnavailable):
        await getattr(server, way)(victim)
    assert len(tries) == 3


@pytest.mark.parametrize("way", WAYS)
async def test_a_mistake_in_a_statement_is_none_of_the_servers(server, way):
    with pytest.raises(sa.exc.DBAPIError):
        await getattr(server, way)(lambda c: c.exec_driver_sql("SELECT 1 / 0"))
    assert not server.trouble.lately()


# What the operator sees


@pytest.fixture
async def node(file, sealer, clock) -> AsyncIterator[Edge]:
    async with edge(file, sealer, clock) as made:
        yield made


async def test_a_relay_that_cannot_write_is_not_ready_although_it_can_read(node, file, path):
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(node.app), base_url="http://relay.test"
    ) as anybody:
        assert (await anybody.get("/health/ready")).status_code == 200
        remove(path)
        await refusal(file, "write")
        answer = await anybody.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["checks"]["database"] == "a write was refused; the log says why"
