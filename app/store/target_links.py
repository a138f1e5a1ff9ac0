"""What an operator may see and remove of a target's memory: its id for each subject."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from app.store.database import ReadConnection, WriteConnection
from app.store.tables import links


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRecord:
    """One subject's id at the destination; times in microseconds."""

    subject: str
    external_id: str
    created_at: int
    updated_at: int


def page(
    connection: ReadConnection,
    target_id: str,
    *,
    limit: int,
    after: str | None = None,
    subject: str | None = None,
) -> list[LinkRecord]:
    """Up to `limit` links of a target in the order of their subjects, those after `after`.

    With `subject`, the link of that subject alone.
    """
    statement = (
        sa.select(links.c.subject, links.c.external_id, links.c.created_at, links.c.updated_at)
        .where(links.c.target_id == target_id)
        .order_by(links.c.subject)
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(links.c.subject > after)
    if subject is not None:
        statement = statement.where(links.c.subject == subject)
    return [LinkRecord(**row._mapping) for row in connection.execute(statement)]  # noqa: SLF001  the documented way to a row's names


def delete(connection: WriteConnection, target_id: str, subject: str) -> bool:
    """Forget one subject's id; false when none was known."""
    condition = sa.and_(links.c.target_id == target_id, links.c.subject == subject)
    return connection.execute(sa.delete(links).where(condition)).rowcount > 0
