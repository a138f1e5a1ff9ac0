"""The keys of the management API: only their digests are kept."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from app.store.database import ReadConnection, WriteConnection
from app.store.tables import api_keys


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyRecord:
    """One row of `api_keys`: times in microseconds, `digest` the SHA-256 of the key in hex."""

    id: str
    name: str
    scope: str
    digest: str
    hint: str
    created_at: int
    last_used_at: int | None = None


def _record(row: sa.Row[Any]) -> ApiKeyRecord:
    return ApiKeyRecord(**row._mapping)  # noqa: SLF001  the documented way to a row's names


def page(connection: ReadConnection, *, limit: int, before: str | None) -> list[ApiKeyRecord]:
    """Up to `limit` keys, newest first, those older than the id `before`."""
    statement = sa.select(api_keys).order_by(api_keys.c.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(api_keys.c.id < before)
    return [_record(row) for row in connection.execute(statement)]


def by_digest(connection: ReadConnection, digest: str) -> ApiKeyRecord | None:
    """The key with this digest."""
    row = connection.execute(sa.select(api_keys).where(api_keys.c.digest == digest)).one_or_none()
    return None if row is None else _record(row)


def exist(connection: ReadConnection | WriteConnection) -> bool:
    """True when there is any key."""
    return connection.execute(sa.select(api_keys.c.id).limit(1)).first() is not None


def insert(connection: WriteConnection, record: ApiKeyRecord) -> None:
    """Store a new key."""
    connection.execute(sa.insert(api_keys).values(asdict(record)))


def touch(connection: WriteConnection, key_id: str, now: int) -> None:
    """Write down that a key was used."""
    connection.execute(sa.update(api_keys).where(api_keys.c.id == key_id).values(last_used_at=now))


def delete(connection: WriteConnection, key_id: str) -> bool:
    """Revoke a key; false when there was none."""
    return connection.execute(sa.delete(api_keys).where(api_keys.c.id == key_id)).rowcount > 0
