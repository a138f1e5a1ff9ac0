"""The schema's version: bring it up, take it down, compare it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from app.domain.errors import ConfigurationError
from app.store.database import Database, ReadConnection, WriteConnection
from app.store.tables import metadata

_MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"


def _config(connection: sa.Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    return config


@cache
def newest_revision() -> str:
    """The revision this code was written for; read once, since each look at readiness asks."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise ConfigurationError("The migrations are missing from this installation")
    return head


def current_revision(connection: ReadConnection) -> str | None:
    """The revision the database is at, None when it is empty."""
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(connection: WriteConnection, revision: str = "head") -> None:
    """Bring the schema to `revision`, in the connection's transaction."""
    command.upgrade(_config(connection), revision)


def downgrade(connection: WriteConnection, revision: str) -> None:
    """Take the schema back to `revision` (`base` for an empty database)."""
    command.downgrade(_config(connection), revision)


def differences(connection: ReadConnection) -> list[object]:
    """What Alembic would change to make the database equal the tables; empty when nothing."""
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, metadata))


async def migrate(database: Database) -> tuple[str | None, str]:
    """Bring the database to this code's revision; answers the revision before and after."""
    before = await database.read(current_revision)
    await database.write(upgrade)
    return before, newest_revision()


async def require_current(database: Database) -> None:
    """Raise ConfigurationError, naming the command to run, unless the schema is this code's."""
    found = await database.read(current_revision)
    if found != newest_revision():
        raise ConfigurationError(
            f"The database schema is at {found or 'nothing'}, this version needs"
            f" {newest_revision()}. Run: relay migrate"
        )
