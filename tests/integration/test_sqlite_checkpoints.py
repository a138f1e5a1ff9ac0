"""When SQLite writes its log back to the file, which waits for the disk."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from app.store import sqlite
from app.store.database import Database, WriteConnection
from app.store.opening import open_database


@pytest.fixture
async def database(sqlite_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sqlite, "_CHECKPOINT_PAGES", 4)
    path = tmp_path / "relay.db"
    shutil.copy(sqlite_template, path)
    opened = open_database(f"sqlite:///{path}", pool_size=5)
    yield opened
    await opened.close()


def contents(database: Database) -> bytes:
    """What stands in the file itself, without its log."""
    return Path(str(database.url.database)).read_bytes()


async def grown(database: Database, *, durable: bool) -> bool:
    """Whether the file itself was written to by many changes."""
    before = contents(database)

    def work(connection: WriteConnection) -> None:
        connection.exec_driver_sql(
            "INSERT INTO installation (name, value) VALUES (hex(randomblob(8)), hex(zeroblob(9000)))"
        )

    for _ in range(20):
        await database.write_briefly(work, durable=durable)
    return contents(database) != before


async def test_a_write_that_does_not_wait_for_the_disk_brings_no_checkpoint(database: Database):
    assert not await grown(database, durable=False)


async def test_a_durable_write_brings_the_checkpoint_that_is_due(database: Database):
    assert await grown(database, durable=True)


async def test_what_a_brief_write_changed_is_kept_whether_it_waited_or_not(database: Database):
    await grown(database, durable=False)
    await grown(database, durable=True)
    found = await database.read(
        lambda c: c.exec_driver_sql("SELECT count(*) FROM installation WHERE length(value) = 18000")
    )
    assert found.scalar_one() == 40
