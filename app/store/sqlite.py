"""A SQLite file, in the process itself: one connection that writes, a few that read.

Reading, and work that may take long, runs in threads.
Work that is brief by promise (what an event, a claim or an answer writes) runs in the event loop:
it needs a fraction of a millisecond, and a thread would wait that long for the interpreter's lock
at every statement, because the loop is busy exactly then (docs/adr/0013).
Its commit, where it waits for the disk, is left to the thread in any case; one that does not wait
is done on the spot, since the way to the thread and back takes longer than all of it.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from app.store.database import Database, ReadConnection, T, WriteConnection
from app.store.sqlite_files import OpenedFiles

_READERS = 4
_BUSY_SECONDS = 30
_BUSY_PAUSE = 0.01
#: Many: pages that many transactions change are written back to the file less often.
_CHECKPOINT_PAGES = 16_000
_PRIMARY_CODE = 0xFF
_BROKEN = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class SQLiteDatabase(Database):
    """A SQLite file in WAL mode."""

    dialect = "sqlite"
    #: The disk is waited for once a transaction, and by everybody.
    most_together = 500

    def __init__(self, url: sa.URL) -> None:
        super().__init__()
        self.url = url
        if url.database:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        self.engine = sa.create_engine(
            url,
            # Parameters hold bodies and secrets: no error and no log may quote them.
            hide_parameters=True,
            poolclass=sa.pool.QueuePool,
            pool_size=_READERS + 1,
            max_overflow=0,
            connect_args={"check_same_thread": False, "timeout": _BUSY_SECONDS},
        )
        sa.event.listen(self.engine, "connect", _prepare)
        sa.event.listen(self.engine, "begin", _begin)
        self._writing = ThreadPoolExecutor(1, "sqlite-writer")
        self._reading = ThreadPoolExecutor(_READERS, "sqlite-reader")
        # Who writes has the turn, from before BEGIN until after COMMIT.
        self._turn = asyncio.Lock()
        self._writer: sa.Connection | None = None
        self._synchronous = ""
        self._files = OpenedFiles(url.database)

    async def read(self, work: Callable[[ReadConnection], T]) -> T:
        """Run `work` on a snapshot, in a thread."""
        future = asyncio.get_running_loop().run_in_executor(self._reading, self._read, work)
        try:
            return await asyncio.shield(future)
        except Exception as error:
            if _is_away(error):
                raise self._away(error, writing=False) from error
            raise

    def _read(self, work: Callable[[ReadConnection], T]) -> T:
        with self.engine.connect() as connection:
            return work(ReadConnection(connection))

    async def write(self, work: Callable[[WriteConnection], T], *, durable: bool = True) -> T:
        """Run `work` under BEGIN IMMEDIATE in the thread, and commit."""
        connection = await self._take_turn(durable=durable)
        return await self._end_turn(lambda: _work(connection, work))

    async def write_briefly(
        self, work: Callable[[WriteConnection], T], *, durable: bool = True
    ) -> T:
        """Run `work` under BEGIN IMMEDIATE in the event loop; a durable commit is the thread's."""
        connection = await self._take_turn(durable=durable)
        try:
            result = work(WriteConnection(ReadConnection(connection)))
            if not durable:
                _commit(connection)
        except BaseException as error:
            try:
                _undo(connection)
            finally:
                self._turn.release()
            if _is_away(error):
                raise self._away(error) from error
            raise
        if durable:
            await self._end_turn(lambda: _commit(connection))
        else:
            self._turn.release()
        return result

    async def _take_turn(self, *, durable: bool) -> sa.Connection:
        """The writing connection, inside a transaction. Raises StoreUnavailable.

        Those who wait for the same lock of another process wait together, not one after the other.
        """
        try:
            async with asyncio.timeout(_BUSY_SECONDS):
                await self._turn.acquire()
                return await self._begun(durable=durable)
        except TimeoutError as error:
            locked = TimeoutError(f"the file was locked for {_BUSY_SECONDS} seconds")
            raise self._away(locked) from error

    async def _begun(self, *, durable: bool) -> sa.Connection:
        """The writing connection, inside a transaction; the turn is given back on a failure."""
        try:
            connection = self._writer or await self._open_writer()
            await self._begin(connection, "FULL" if durable else "NORMAL")
        except BaseException as error:
            try:
                if self._writer is not None:
                    _undo(self._writer)
            finally:
                self._turn.release()
            if _is_away(error):
                raise self._away(error) from error
            raise
        return connection

    async def _end_turn(self, call: Callable[[], T]) -> T:
        """Run the rest of the transaction in the thread: to its end, whoever stops waiting."""
        future = asyncio.get_running_loop().run_in_executor(self._writing, call)
        future.add_done_callback(lambda _: self._turn.release())
        try:
            return await asyncio.shield(future)
        except Exception as error:
            if _is_away(error):
                raise self._away(error) from error
            raise

    async def _open_writer(self) -> sa.Connection:
        def connect() -> sa.Connection:
            connection = self.engine.connect().execution_options(relay_write=True)
            # Other processes are waited for between two looks, not inside the library.
            raw(connection).execute("PRAGMA busy_timeout=0")
            # Every index is written to at random places; readers look at few pages.
            raw(connection).execute("PRAGMA cache_size=-20000")
            return connection

        loop = asyncio.get_running_loop()
        self._writer = await loop.run_in_executor(self._writing, connect)
        return self._writer

    async def _begin(self, connection: sa.Connection, synchronous: str) -> None:
        self._files.require()
        driver = raw(connection)
        if synchronous != self._synchronous:
            driver.execute(f"PRAGMA synchronous={synchronous}")
            # A checkpoint waits for the disk, whoever it comes with.
            pages = _CHECKPOINT_PAGES if synchronous == "FULL" else 0
            driver.execute(f"PRAGMA wal_autocheckpoint={pages}")
            self._synchronous = synchronous
        # Whoever takes the turn bounds how long.
        while True:
            try:
                driver.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                busy = error.sqlite_errorcode & _PRIMARY_CODE == sqlite3.SQLITE_BUSY
                if not busy:
                    raise
                await asyncio.sleep(_BUSY_PAUSE)
            else:
                connection.begin()
                self._files.remember()
                return

    async def close(self) -> None:
        """Finish what runs, then close the file."""
        loop = asyncio.get_running_loop()
        if self._writer is not None:
            await loop.run_in_executor(self._writing, self._writer.close)
        self._writing.shutdown()
        self._reading.shutdown()
        self.engine.dispose()


def _is_away(error: BaseException) -> bool:
    """True when the file, not the statement, is the matter."""
    if isinstance(error, sa.exc.OperationalError | sqlite3.OperationalError | OSError):
        return True
    cause = error.orig if isinstance(error, sa.exc.DatabaseError) else error
    code = getattr(cause, "sqlite_errorcode", 0)
    return isinstance(cause, sqlite3.DatabaseError) and code & _PRIMARY_CODE in _BROKEN


def _work(connection: sa.Connection, work: Callable[[WriteConnection], T]) -> T:
    try:
        result = work(WriteConnection(ReadConnection(connection)))
    except BaseException:
        _undo(connection)
        raise
    _commit(connection)
    return result


def _commit(connection: sa.Connection) -> None:
    try:
        connection.commit()
        if raw(connection).in_transaction:
            # Nobody may take for stored what is about to be rolled back.
            raise sqlite3.OperationalError("the transaction was not committed")
    finally:
        _undo(connection)


def _undo(connection: sa.Connection) -> None:
    connection.rollback()
    # A COMMIT that failed leaves SQLite inside the transaction.
    driver = raw(connection)
    if driver.in_transaction:
        driver.rollback()


def raw(connection: sa.Connection) -> sqlite3.Connection:
    """SQLite's own connection, for statements that run thousands of times a second."""
    found = connection.connection.driver_connection
    if not isinstance(found, sqlite3.Connection):
        raise TypeError("this is no connection to SQLite")
    return found


def _prepare(connection: Any, _record: Any) -> None:
    # Transactions are begun by hand: the driver's own BEGIN would be deferred, and two writers
    # that upgrade from reading deadlock.
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        f"busy_timeout={_BUSY_SECONDS * 1000}",
        "foreign_keys=ON",
        "temp_store=MEMORY",
        "cache_size=-8000",
        "journal_size_limit=67108864",
        f"wal_autocheckpoint={_CHECKPOINT_PAGES}",
    ):
        try:
            connection.execute(f"PRAGMA {pragma}")
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            # The file is something else, or broken: the store is down, it is no error of the code.
            raise sqlite3.OperationalError(str(error)) from error


def _begin(connection: sa.Connection) -> None:
    if not connection.get_execution_options().get("relay_write"):
        connection.exec_driver_sql("BEGIN")
