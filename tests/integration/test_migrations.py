"""One migration tree, the same schema on both databases."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from app.domain.errors import ConfigurationError
from app.store import schema
from app.store.database import Database
from app.store.opening import open_database
from app.store.tables import metadata


async def test_the_migrated_schema_is_what_the_tables_say(database: Database):
    assert await database.read(schema.differences) == []


async def test_the_newest_revision_is_recorded(database: Database):
    assert await database.read(schema.current_revision) == schema.newest_revision()


async def test_down_and_up_again_leaves_the_same_schema(empty_database: Database):
    await schema.migrate(empty_database)
    await empty_database.write(lambda c: schema.downgrade(c, "base"))
    left = await empty_database.read(lambda c: sa.inspect(c).get_table_names())
    assert set(left) <= {"alembic_version"}
    await schema.migrate(empty_database)
    assert await empty_database.read(schema.differences) == []


async def test_migrating_twice_changes_nothing(database: Database):
    before, after = await schema.migrate(database)
    assert before == after


async def test_an_empty_database_is_refused_with_the_command_to_run(empty_database: Database):
    with pytest.raises(ConfigurationError, match="relay migrate"):
        await schema.require_current(empty_database)


async def test_every_table_has_a_primary_key_of_its_own():
    assert [table.name for table in metadata.sorted_tables if not table.primary_key.columns] == []


@pytest.fixture(params=["sqlite", "postgresql"])
async def empty_database(request, tmp_path):
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'empty.db'}"
    else:
        url = request.getfixturevalue("postgres_server").new_database()
    opened = open_database(url, pool_size=2)
    yield opened
    await opened.close()
