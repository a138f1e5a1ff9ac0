"""Which database a URL names, and a door to it."""

from __future__ import annotations

import sqlalchemy as sa

from app.domain.errors import ConfigurationError
from app.store.database import Database
from app.store.postgresql import PostgreSQLDatabase
from app.store.sqlite import SQLiteDatabase


def parse_url(text: str) -> sa.URL:
    """The URL with the driver this relay uses. Raises ConfigurationError for other databases."""
    try:
        url = sa.make_url(text)
    except sa.exc.ArgumentError as error:
        raise ConfigurationError(
            "RELAY_DATABASE_URL is not a database URL; examples:"
            " sqlite:///data/relay.db, postgresql://user:password@host/name"
        ) from error
    backend = url.get_backend_name()
    if backend == "sqlite":
        if url.database in {None, "", ":memory:"}:
            raise ConfigurationError(
                "RELAY_DATABASE_URL names no file; an example: sqlite:///data/relay.db"
            )
        return url.set(drivername="sqlite+pysqlite")
    if backend in {"postgresql", "postgres"}:
        return url.set(drivername="postgresql+asyncpg")
    raise ConfigurationError(
        f"RELAY_DATABASE_URL: {backend} is not supported; use sqlite or postgresql"
    )


def open_database(text: str, *, pool_size: int = 10) -> Database:
    """Open the database a URL names; nothing is connected yet."""
    url = parse_url(text)
    if url.get_backend_name() == "sqlite":
        return SQLiteDatabase(url)
    return PostgreSQLDatabase(url, pool_size)
