"""What was answered to a request that may come again."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from app.store.database import WriteConnection
from app.store.tables import idempotency_keys
from app.store.upsert import insert_for


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyRecord:
    """One row of `idempotency_keys`; `status` is None while the first request is under way."""

    scope_key: bytes
    fingerprint: bytes
    status: int | None = None
    answer_sealed: str | None = None
    created_at: int
    expires_at: int


def claim(
    connection: WriteConnection, record: IdempotencyRecord, *, abandoned_before: int
) -> IdempotencyRecord | None:
    """Take the key for a request; None when it is taken now, else what stands there already.

    A row that expired is replaced, and so is one that was begun before `abandoned_before` and
    never finished: its process died.
    """
    table = idempotency_keys
    statement = insert_for(connection, table).values(
        scope_key=record.scope_key,
        fingerprint=record.fingerprint,
        created_at=record.created_at,
        expires_at=record.expires_at,
    )
    fresh = statement.excluded
    statement = statement.on_conflict_do_update(
        index_elements=[table.c.scope_key],
        set_={
            "fingerprint": fresh.fingerprint,
            "status": None,
            "answer_sealed": None,
            "created_at": fresh.created_at,
            "expires_at": fresh.expires_at,
        },
        where=sa.or_(
            table.c.expires_at <= record.created_at,
            sa.and_(table.c.status.is_(None), table.c.created_at < abandoned_before),
        ),
    )
    if connection.execute(statement.returning(table.c.scope_key)).first() is not None:
        return None
    row = connection.execute(sa.select(table).where(table.c.scope_key == record.scope_key)).one()
    return IdempotencyRecord(**row._mapping)  # noqa: SLF001  the documented way to a row's names


def finish(
    connection: WriteConnection, scope_key: bytes, *, status: int, answer_sealed: str
) -> None:
    """Keep the answer of the request that took the key."""
    statement = sa.update(idempotency_keys).where(idempotency_keys.c.scope_key == scope_key)
    connection.execute(statement.values(status=status, answer_sealed=answer_sealed))


def forget(connection: WriteConnection, scope_key: bytes) -> None:
    """Free the key of a request that came to nothing."""
    connection.execute(
        sa.delete(idempotency_keys).where(
            idempotency_keys.c.scope_key == scope_key, idempotency_keys.c.status.is_(None)
        )
    )


def expire(connection: WriteConnection, now: int) -> int:
    """Remove what has expired; answers how many rows."""
    return connection.execute(
        sa.delete(idempotency_keys).where(idempotency_keys.c.expires_at <= now)
    ).rowcount
