"""What came from one sender without an id of its own: the platform's built-in webhooks."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from app.store.database import ReadConnection
from app.store.scans import between
from app.store.tables import event_bodies, events, quarantine


def without_ids(
    connection: ReadConnection, source_id: str, event_type: str, *, since: int, until: int
) -> int:
    """How many requests of a type came in without an id, from `since` to before `until`.

    Microseconds. What waits in quarantine came in as well.
    """
    stored = sa.select(sa.func.count()).where(
        *between(events.c.id, events.c.received_at, "evt", since, until),
        events.c.type == event_type,
        events.c.source_id == source_id,
        events.c.external_id.is_(None),
    )
    kept = sa.select(sa.func.count()).where(
        quarantine.c.source_id == source_id,
        quarantine.c.event_type == event_type,
        quarantine.c.event_id.is_(None),
        quarantine.c.received_at >= since,
        quarantine.c.received_at < until,
    )
    return int(connection.execute(stored).scalar_one() + connection.execute(kept).scalar_one())


def newest_with_header(
    connection: ReadConnection, source_id: str, header: str, *, but_not: str, among: int
) -> int | None:
    """When the newest event came that has the kept header `header` and not `but_not`.

    Only the newest `among` events of all are looked at. Microseconds; None where there is none.
    """
    newest = (
        sa.select(events.c.id, events.c.source_id, events.c.received_at)
        .order_by(events.c.id.desc())
        .limit(among)
        .subquery()
    )
    statement = (
        sa.select(newest.c.received_at, event_bodies.c.headers)
        .join(event_bodies, event_bodies.c.event_id == newest.c.id)
        .where(newest.c.source_id == source_id)
        .order_by(newest.c.id.desc())
    )
    for row in connection.execute(statement):
        headers: Mapping[str, str] = row.headers or {}
        if header in headers and but_not not in headers:
            return int(row.received_at)
    return None
