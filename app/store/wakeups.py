"""Wake-ups between processes: PostgreSQL's NOTIFY carries the hint that something is due.

A lost hint costs latency only: every dispatcher also looks by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import asyncpg
import structlog

from app.store.database import Database, WriteConnection

_CHANNEL = "relay_deliveries"
_RECONNECT_SECONDS = 5.0
_log = structlog.get_logger(__name__)


def notify(connection: WriteConnection) -> None:
    """Tell the other processes, once this transaction commits; nothing to do on SQLite."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"NOTIFY {_CHANNEL}")


async def listen(database: Database, wake: Callable[[], None]) -> None:
    """Call `wake` for every hint, until cancelled; connects again when the connection breaks.

    PostgreSQL only: the processes on a SQLite file look by themselves.
    """
    while True:
        with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await _listen_once(database, wake)
        _log.warning("wakeups.reconnecting", seconds=_RECONNECT_SECONDS)
        await asyncio.sleep(_RECONNECT_SECONDS)


async def _listen_once(database: Database, wake: Callable[[], None]) -> None:
    closed = asyncio.Event()
    dsn = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(dsn, timeout=5)

    def heard(*_: Any) -> None:
        wake()

    try:
        connection.add_termination_listener(lambda _: closed.set())
        await connection.add_listener(_CHANNEL, heard)
        wake()
        await closed.wait()
    finally:
        await connection.close(timeout=2)
