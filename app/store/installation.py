"""Facts about this installation, such as the sealed text that proves the master key."""

from __future__ import annotations

import sqlalchemy as sa

from app.store.database import ReadConnection, WriteConnection
from app.store.tables import installation
from app.store.upsert import insert_for


def get(connection: ReadConnection | WriteConnection, name: str) -> str | None:
    """The fact with this name."""
    statement = sa.select(installation.c.value).where(installation.c.name == name)
    return connection.execute(statement).scalar_one_or_none()


def set_once(connection: WriteConnection, name: str, value: str) -> str:
    """Store a fact unless it is known; answers the one that counts, whoever came first."""
    statement = insert_for(connection, installation).values(name=name, value=value)
    connection.execute(statement.on_conflict_do_nothing(index_elements=[installation.c.name]))
    stored: str = connection.execute(
        sa.select(installation.c.value).where(installation.c.name == name)
    ).scalar_one()
    return stored


def replace(connection: WriteConnection, name: str, value: str) -> None:
    """Store another value of a fact that is known."""
    statement = sa.update(installation).where(installation.c.name == name)
    connection.execute(statement.values(value=value))


def put(connection: WriteConnection, name: str, value: str) -> None:
    """Store a fact, whether it is known or not."""
    statement = insert_for(connection, installation).values(name=name, value=value)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[installation.c.name], set_={"value": statement.excluded.value}
        )
    )


def delete(connection: WriteConnection, name: str) -> None:
    """Forget a fact."""
    connection.execute(sa.delete(installation).where(installation.c.name == name))
