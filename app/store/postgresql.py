"""PostgreSQL over asyncpg, inside the event loop."""

from __future__ import annotations

from collections.abc import Callable

import asyncpg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.store.database import Database, ReadConnection, T, WriteConnection

_RELAXED_CONNECTIONS = 2
_TRIES = 3
# serialization_failure and deadlock_detected: nothing was done, and a repeat may succeed.
_VICTIM = frozenset({"40001", "40P01"})
#: Classes of SQLSTATE that say nothing about the statement: connections, resources (a full disk,
#: too many connections), an administrator's hand (a server that stops or starts), the system.
_AWAY_CLASSES = frozenset({"08", "53", "57", "58"})
#: read_only_sql_transaction: the server has become, or always was, a replica.
_AWAY_STATES = frozenset({"25006"})


class PostgreSQLDatabase(Database):
    """PostgreSQL over asyncpg."""

    dialect = "postgresql"
    #: As much as goes into the socket's buffer in one piece; the rest of a longer message waits for
    #: the event loop to come round, while the server waits for it.
    most_together = 64

    def __init__(self, url: sa.URL, pool_size: int) -> None:
        super().__init__()
        self.url = url
        self.engine = _pool(url, pool_size, {})
        # A connection of its own saves each claim the round trip that would say so.
        self._relaxed = _pool(url, _RELAXED_CONNECTIONS, {"synchronous_commit": "off"})
        self._single = self.engine.execution_options(isolation_level="AUTOCOMMIT")

    async def read(self, work: Callable[[ReadConnection], T]) -> T:
        """Run `work` in a transaction that is rolled back."""
        return await self._run(
            lambda c: work(ReadConnection(c)), self.engine, commit=False, writing=False
        )

    async def write(self, work: Callable[[WriteConnection], T], *, durable: bool = True) -> T:
        """Run `work` and commit; again when the database chose it as the victim of a deadlock."""
        return await self._write(work, self.engine if durable else self._relaxed, commit=True)

    async def write_once(self, work: Callable[[WriteConnection], T]) -> T:
        """Run `work` without a transaction around its one statement."""
        return await self._write(work, self._single, commit=False)

    async def _write(
        self, work: Callable[[WriteConnection], T], engine: AsyncEngine, *, commit: bool
    ) -> T:
        for left in reversed(range(_TRIES)):
            try:
                return await self._run(
                    lambda c: work(WriteConnection(ReadConnection(c))),
                    engine,
                    commit=commit,
                    writing=True,
                )
            except sa.exc.DBAPIError as error:
                if _sqlstate(error) not in _VICTIM:
                    raise
                if not left:
                    raise self._away(error, writing=True) from error
        raise RuntimeError("a write neither ended nor failed")

    async def _run(
        self,
        work: Callable[[sa.Connection], T],
        engine: AsyncEngine,
        *,
        commit: bool,
        writing: bool,
    ) -> T:
        try:
            async with engine.connect() as connection:
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
            raise self._away(error, writing=writing) from error
        except sa.exc.DBAPIError as error:
            if _is_away(error):
                raise self._away(error, writing=writing) from error
            raise

    async def close(self) -> None:
        """Close the pools."""
        await self.engine.dispose()
        await self._relaxed.dispose()


def _is_away(error: sa.exc.DBAPIError) -> bool:
    """True for what SQLAlchemy does not tell apart from a mistake in the statement."""
    state = _sqlstate(error)
    return error.connection_invalidated or state in _AWAY_STATES or state[:2] in _AWAY_CLASSES


def _sqlstate(error: sa.exc.DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""


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


async def _commit(connection: AsyncConnection) -> None:
    try:
        await connection.commit()
    except BaseException:
        # Whatever state it is in, nobody else may get this connection.
        await connection.invalidate()
        raise
