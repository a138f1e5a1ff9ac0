"""One migration tree for SQLite and PostgreSQL.

`app.store.schema` hands over a connection; Alembic's own command line opens the database that
`RELAY_DATABASE_URL` names.
"""

from __future__ import annotations

import asyncio

import sqlalchemy as sa
from alembic import context

from app.settings import Settings
from app.store.opening import open_database
from app.store.tables import metadata


def run(connection: sa.Connection) -> None:
    """Run the migrations on an open connection, in its transaction."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=True,
        compare_type=True,
        transaction_per_migration=False,
    )
    with context.begin_transaction():
        context.run_migrations()


async def run_from_command_line() -> None:
    """Open the configured database for Alembic's own commands."""
    database = open_database(Settings().resolved_database_url)
    await database.write(run)
    await database.close()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    asyncio.run(run_from_command_line())
