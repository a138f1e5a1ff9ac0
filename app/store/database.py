"""One door to the database, for both dialects.

Work is a plain function that gets a connection: `await database.write(lambda c: ...)`.
On PostgreSQL it runs over asyncpg inside the event loop; on SQLite in a thread of its own, one
for writing and a few for reading, which costs one thread hop a transaction instead of several a
statement (docs/adr/0003).
A reader gets a `ReadConnection`, a writer a `WriteConnection`: the type says which may change
something, and a writer may read.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NewType, TypeVar

import asyncpg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.domain.errors import ConfigurationError, StoreUnavailable

ReadConnection = NewType("ReadConnection", sa.Connection)
WriteConnection = NewType("WriteConnection", ReadConnection)
T = TypeVar("T")

_SQLITE_READERS = 4
_RELAXED_CONNECTIONS = 2
_TRIES = 3
# serialization_failure and deadlock_detected: nothing was done, and a repeat may succeed.
_VICTIM = frozenset({"40001", "40P01"})
_BUSY_SECONDS = 30
_RETRY_AFTER = {"Retry-After": "5"}


def parse_url(text: str) -> sa.URL:
    """The URL with the driver this relay uses. Raises ConfigurationError for other databases."""
    try:
        url = sa.make_url(text)
    except sa.exc.ArgumentError as error:
        raise ConfigurationError(
            "RELAY_DATABASE_URL is not a database URL; examples:"
            " sqlite:///data/relay.db, postgresql://user:password@host/name"
        ) from error
    backend = url.get_backend_name()
    if backend == "sqlite":
        return url.set(drivername="sqlite+pysqlite")
    if backend in {"postgresql", "postgres"}:
        return url.set(drivername="postgresql+asyncpg")
    raise ConfigurationError(
        f"RELAY_DATABASE_URL: {backend} is not supported; use sqlite or postgresql"
    )


class Database:
    """Runs units of work, each in one transaction."""

    dialect: str
    url: sa.URL

    async def read(self, work: Callable[[ReadConnection], T]) -> T:
        """Run `work` in a read-only transaction. Raises StoreUnavailable."""
        raise NotImplementedError

    async def write_once(self, work: Callable[[WriteConnection], T]) -> T:
        """Run `work`, which changes things with one statement only, and commit.

        On PostgreSQL the statement is its own transaction: one round trip instead of three.
        Raises StoreUnavailable.
        """
        return await self.write(work)

    async def write(self, work: Callable[[WriteConnection], T], *, durable: bool = True) -> T:
        """Run `work` and commit before returning; any exception rolls back.

        `durable=False` lets the commit return before it is on the disk: a crash of the machine
        (not of the process) may undo it. For claims only, which may be undone.
        Raises StoreUnavailable.
        """
        raise NotImplementedError

    async def close(self) -> None:
        """Close all connections."""
        raise NotImplementedError


def open_database(text: str, *, pool_size: int = 10) -> Database:
    """Open the database a URL names; nothing is connected yet."""
    url = parse_url(text)
    if url.get_backend_name() == "sqlite":
        return SQLiteDatabase(url)
    return PostgreSQLDatabase(url, pool_size)


class PostgreSQLDatabase(Database):
    """PostgreSQL over asyncpg."""

    dialect = "postgresql"

    def __init__(self, url: sa.URL, pool_size: int) -> None:
        self.url = url
        self.engine = _pool(url, pool_size, {})
        # A connection of its own saves each claim the round trip that would say so.
        self._relaxed = _pool(url, _RELAXED_CONNECTIONS, {"synchronous_commit": "off"})
        self._single = self.engine.execution_options(isolation_level="AUTOCOMMIT")

    async def read(self, work: Callable[[ReadConnection], T]) -> T:
        """Run `work` in a transaction that is rolled back."""
        return await self._run(lambda c: work(ReadConnection(c)), commit=False)

    async def write(self, work: Callable[[WriteConnection], T], *, durable: bool = True) -> T:
        """Run `work` and commit; again when the database chose it as the victim of a deadlock."""
        engine = self.engine if durable else self._relaxed
        for left in reversed(range(_TRIES)):
            try:
                return await self._run(
                    lambda c: work(WriteConnection(ReadConnection(c))), commit=True, engine=engine
                )
            except sa.exc.DBAPIError as error:
                if not left or getattr(error.orig, "sqlstate", None) not in _VICTIM:
                    raise
        raise RuntimeError("a write neither ended nor failed")

    async def write_once(self, work: Callable[[WriteConnection], T]) -> T:
        """Run `work` without a transaction around its one statement."""
        return await self._run(
            lambda c: work(WriteConnection(ReadConnection(c))), commit=False, engine=self._single
        )

    async def _run(
        self,
        work: Callable[[sa.Connection], T],
        *,
        commit: bool,
        engine: AsyncEngine | None = None,
    ) -> T:
        try:
            async with (engine or self.engine).connect() as connection:
                result = await connection.run_sync(work)
                if commit:
                    await _commit(connection)
                return result
        except (
            sa.exc.InterfaceError,
            sa.exc.OperationalError,
            sa.exc.TimeoutError,
            # asyncpg's own, where no connection came about: SQLAlchemy does not wrap those.
            asyncpg.PostgresError,
            asyncpg.InterfaceError,
            OSError,
        ) as error:
            raise unavailable(error) from error
        except sa.exc.DBAPIError as error:
            if error.connection_invalidated:
                raise unavailable(error) from error
            raise

    async def close(self) -> None:
        """Close the pools."""
        await self.engine.dispose()
        await self._relaxed.dispose()


def _pool(url: sa.URL, size: int, server_settings: dict[str, str]) -> AsyncEngine:
    return create_async_engine(
        url,
        pool_size=size,
        max_overflow=0,
        pool_timeout=10,
        pool_pre_ping=False,
        hide_parameters=True,
        connect_args={"timeout": 5, "command_timeout": 60, "server_settings": server_settings},
    )


class SQLiteDatabase(Database):
    """A SQLite file in WAL mode: one writing thread, a few reading ones."""

    dialect = "sqlite"

    def __init__(self, url: sa.URL) -> None:
        self.url = url
        if url.database and url.database != ":memory:":
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        self.engine = sa.create_engine(
            url,
            # Parameters hold bodies and secrets: no error and no log may quote them.
            hide_parameters=True,
            poolclass=sa.pool.QueuePool,
            pool_size=_SQLITE_READERS + 1,
            max_overflow=0,
            connect_args={"check_same_thread": False, "timeout": _BUSY_SECONDS},
        )
        sa.event.listen(self.engine, "connect", _prepare_sqlite)
        sa.event.listen(self.engine, "begin", _begin)
        self._writer = ThreadPoolExecutor(1, "sqlite-writer")
        self._readers = ThreadPoolExecutor(_SQLITE_READERS, "sqlite-reader")
        self._write_connection: sa.Connection | None = None

    async def read(self, work: Callable[[ReadConnection], T]) -> T:
        """Run `work` on a snapshot."""
        return await self._submit(self._readers, lambda: self._read(work))

    async def write(self, work: Callable[[WriteConnection], T], *, durable: bool = True) -> T:
        """Run `work` under BEGIN IMMEDIATE and commit."""
        return await self._submit(self._writer, lambda: self._write(work, durable=durable))

    async def _submit(self, pool: ThreadPoolExecutor, call: Callable[[], T]) -> T:
        future = asyncio.get_running_loop().run_in_executor(pool, call)
        try:
            return await asyncio.shield(future)
        except (sa.exc.OperationalError, sqlite3.OperationalError, OSError) as error:
            raise unavailable(error) from error

    def _read(self, work: Callable[[ReadConnection], T]) -> T:
        with self.engine.connect() as connection:
            return work(ReadConnection(connection))

    def _write(self, work: Callable[[WriteConnection], T], *, durable: bool) -> T:
        if self._write_connection is None:
            self._write_connection = self.engine.connect().execution_options(relay_write=True)
        connection = self._write_connection
        level = "FULL" if durable else "NORMAL"
        driver = connection.connection.driver_connection
        if driver is not None:
            driver.execute(f"PRAGMA synchronous={level}")
        try:
            with connection.begin():
                return work(WriteConnection(ReadConnection(connection)))
        finally:
            # A COMMIT that failed leaves SQLite inside the transaction.
            if driver is not None and driver.in_transaction:
                driver.rollback()

    async def close(self) -> None:
        """Finish what runs, then close the file."""
        loop = asyncio.get_running_loop()
        if self._write_connection is not None:
            await loop.run_in_executor(self._writer, self._write_connection.close)
        self._writer.shutdown()
        self._readers.shutdown()
        self.engine.dispose()


async def _commit(connection: AsyncConnection) -> None:
    try:
        await connection.commit()
    except BaseException:
        # Whatever state it is in, nobody else may get this connection.
        await connection.invalidate()
        raise


def unavailable(error: BaseException) -> StoreUnavailable:
    """What a sender is told when the database does not answer; the cause stays in the log."""
    failure = StoreUnavailable(
        "The store is not available; nothing was stored. Send the request again.",
        headers=_RETRY_AFTER,
    )
    failure.__cause__ = error
    return failure


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # Transactions are begun by hand: the driver's own BEGIN would be deferred, and two writers
    # that upgrade from reading deadlock.
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        f"busy_timeout={_BUSY_SECONDS * 1000}",
        "foreign_keys=ON",
        "temp_store=MEMORY",
        "cache_size=-32000",
        "journal_size_limit=67108864",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    write = connection.get_execution_options().get("relay_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
