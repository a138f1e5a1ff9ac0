"""The number that moves with every change of a source or a target.

Each ingest transaction reads it and loads the routes again when it moved, so that a change made
on one node is honoured by the next event on every node.
"""

from __future__ import annotations

import sqlalchemy as sa

from app.store.database import ReadConnection, WriteConnection
from app.store.tables import routing_version

_ROW = routing_version.c.id == 1


def current(connection: ReadConnection | WriteConnection) -> int:
    """The version of the routes as this transaction sees them."""
    version: int = connection.execute(sa.select(routing_version.c.version).where(_ROW)).scalar_one()
    return version


def bump(connection: WriteConnection) -> int:
    """Move the version; answers the new one.

    Call it before anything else in the transaction: the row's lock lets changes of the
    configuration pass one after another, so that what they check (is the name free, does the
    source exist) still holds when they commit.
    """
    statement = (
        sa.update(routing_version)
        .where(_ROW)
        .values(version=routing_version.c.version + 1)
        .returning(routing_version.c.version)
    )
    version: int = connection.execute(statement).scalar_one()
    return version


def lock(connection: WriteConnection) -> None:
    """Let changes of the configuration wait for this transaction, without moving the version."""
    connection.execute(sa.select(routing_version.c.id).where(_ROW).with_for_update()).one()
