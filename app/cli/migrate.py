"""`relay migrate`: bring the database to this version's schema."""

from __future__ import annotations

from app.cli import output, session
from app.settings import Settings
from app.store import schema
from app.store.opening import open_database


def migrate() -> None:
    """Bring the database to the schema this version needs."""
    with session.plain_errors():
        settings = session.load_settings()
        session.make_folder(settings)
        before, after = session.run(_migrate(settings))
    if before == after:
        output.say(f"The schema is at {after} already; nothing to do.")
    else:
        output.say(f"The schema was at {before or 'nothing'} and is at {after} now.")


async def _migrate(settings: Settings) -> tuple[str | None, str]:
    database = open_database(settings.resolved_database_url, pool_size=settings.pool_size)
    try:
        with session.named_database(settings):
            return await schema.migrate(database)
    finally:
        await database.close()
