"""One door to the database, for both dialects.

Work is a plain function that gets a connection: `await database.write(lambda c: ...)`.
How it runs is the dialect's matter: inside the event loop over asyncpg (app/store/postgresql.py),
or against the library in the process (app/store/sqlite.py).
A reader gets a `ReadConnection`, a writer a `WriteConnection`: the type says which may change
something, and a writer may read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NewType, TypeVar

import sqlalchemy as sa

from app.domain.errors import StoreUnavailable
from app.store.trouble import Trouble

ReadConnection = NewType("ReadConnection", sa.Connection)
WriteConnection = NewType("WriteConnection", ReadConnection)
T = TypeVar("T")

_RETRY_AFTER = {"Retry-After": "5"}


class Database:
    """Runs units of work, each in one transaction."""

    dialect: str
    url: sa.URL
    #: How many events are best stored in one transaction, where more are waiting.
    most_together: int

    def __init__(self) -> None:
        self.trouble = Trouble()

    async def read(self, work: Callable[[ReadConnection], T]) -> T:
        """Run `work` in a read-only transaction. Raises StoreUnavailable."""
        raise NotImplementedError

    async def write(self, work: Callable[[WriteConnection], T], *, durable: bool = True) -> T:
        """Run `work` and commit before returning; any exception rolls back.

        `durable=False` lets the commit return before it is on the disk: a crash of the machine
        (not of the process) may undo it. For claims only, which may be undone.
        Raises StoreUnavailable.
        """
        raise NotImplementedError

    async def write_briefly(
        self, work: Callable[[WriteConnection], T], *, durable: bool = True
    ) -> T:
        """Run `work`, which takes a few milliseconds at the very most, and commit.

        The same as `write`, but on SQLite without a change of threads before the commit.
        """
        return await self.write(work, durable=durable)

    async def write_once(self, work: Callable[[WriteConnection], T]) -> T:
        """Run `work`, which is brief and changes things with one statement only, and commit.

        On PostgreSQL the statement is its own transaction: one round trip instead of three.
        Raises StoreUnavailable.
        """
        return await self.write_briefly(work)

    async def close(self) -> None:
        """Close all connections."""
        raise NotImplementedError

    def _away(self, error: BaseException, *, writing: bool = True) -> StoreUnavailable:
        """What a sender is told when the database refuses; the cause goes into the log."""
        self.trouble.met(error, writing=writing)
        return unavailable(error)


def unavailable(error: BaseException) -> StoreUnavailable:
    """What a sender is told when the database does not answer, and no more than that."""
    failure = StoreUnavailable(
        "The store is not available; nothing was stored. Send the request again.",
        headers=_RETRY_AFTER,
    )
    failure.__cause__ = error
    return failure
