"""The senders an operator has registered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from app.store.database import ReadConnection, WriteConnection
from app.store.tables import sources


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRecord:
    """One row of `sources`: times in microseconds, secrets sealed, tokens as SHA-256 in hex."""

    id: str
    name: str
    kind: str
    strict: bool
    settings: Mapping[str, Any]
    token_digest: str | None = None
    previous_token_digest: str | None = None
    signing_secret_sealed: str | None = None
    previous_signing_secret_sealed: str | None = None
    previous_expires_at: int | None = None
    api_access_sealed: str | None = None
    created_at: int
    updated_at: int


def _record(row: sa.Row[Any]) -> SourceRecord:
    return SourceRecord(**row._mapping)  # noqa: SLF001  the documented way to a row's names


def list_all(connection: ReadConnection | WriteConnection) -> list[SourceRecord]:
    """Every source, oldest first."""
    return [_record(row) for row in connection.execute(sa.select(sources).order_by(sources.c.id))]


def page(connection: ReadConnection, *, limit: int, before: str | None) -> list[SourceRecord]:
    """Up to `limit` sources, newest first, those older than the id `before`."""
    statement = sa.select(sources).order_by(sources.c.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(sources.c.id < before)
    return [_record(row) for row in connection.execute(statement)]


def get(connection: ReadConnection | WriteConnection, source_id: str) -> SourceRecord | None:
    """The source with this id."""
    row = connection.execute(sa.select(sources).where(sources.c.id == source_id)).one_or_none()
    return None if row is None else _record(row)


def get_by_name(connection: ReadConnection | WriteConnection, name: str) -> SourceRecord | None:
    """The source with this name."""
    row = connection.execute(sa.select(sources).where(sources.c.name == name)).one_or_none()
    return None if row is None else _record(row)


def unknown_names(
    connection: ReadConnection | WriteConnection, names: Sequence[str]
) -> frozenset[str]:
    """Those of `names` that are no source's name."""
    statement = sa.select(sources.c.name).where(sources.c.name.in_(names))
    return frozenset(names) - frozenset(connection.execute(statement).scalars())


def insert(connection: WriteConnection, record: SourceRecord) -> None:
    """Store a new source."""
    connection.execute(sa.insert(sources).values(asdict(record)))


def update(connection: WriteConnection, record: SourceRecord) -> None:
    """Store every column of a source that exists."""
    values = asdict(record)
    connection.execute(sa.update(sources).where(sources.c.id == values.pop("id")).values(values))


def delete(connection: WriteConnection, source_id: str) -> bool:
    """Remove a source; its events stay. False when there was none."""
    return connection.execute(sa.delete(sources).where(sources.c.id == source_id)).rowcount > 0
