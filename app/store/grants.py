"""The tokens that were fetched for targets, sealed, one for each."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from app.store.database import ReadConnection, WriteConnection
from app.store.tables import target_grants, targets
from app.store.upsert import insert_for


@dataclass(frozen=True, slots=True)
class GrantRecord:
    """One row: a sealed grant, and how many there were of it; a higher version is a newer grant."""

    sealed: str
    version: int


def get(connection: ReadConnection, target_id: str) -> GrantRecord | None:
    """The newest grant of a target, None while it has none."""
    row = connection.execute(
        sa.select(target_grants.c.sealed, target_grants.c.version).where(
            target_grants.c.target_id == target_id
        )
    ).one_or_none()
    return None if row is None else GrantRecord(row.sealed, row.version)


def save(connection: WriteConnection, target_id: str, sealed: str, now: int) -> int | None:
    """Store a target's newest grant; answers its version, None when the target is gone.

    Of two workers that fetched one at the same time, the later one stays; both tokens work.
    """
    # The row is held so that a target that is deleted now leaves no grant behind.
    target = sa.select(targets.c.id).where(targets.c.id == target_id).with_for_update(read=True)
    if connection.execute(target).first() is None:
        return None
    insertion = insert_for(connection, target_grants).values(
        target_id=target_id, sealed=sealed, version=1, updated_at=now
    )
    statement = insertion.on_conflict_do_update(
        index_elements=[target_grants.c.target_id],
        set_={"sealed": sealed, "version": target_grants.c.version + 1, "updated_at": now},
    ).returning(target_grants.c.version)
    version: int = connection.execute(statement).scalar_one()
    return version
