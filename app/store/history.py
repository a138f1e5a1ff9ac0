"""The kept events of some subjects, a bounded number at a time.

A page is read by the index of subjects, in its order: subject by subject, each from the oldest
event on.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from app.store import replays
from app.store.claim import ClaimedDelivery
from app.store.database import ReadConnection
from app.store.tables import events

#: Where the next page begins: behind this subject's event.
Place = tuple[str, str]


def of_subjects(
    connection: ReadConnection,
    source_id: str,
    subjects: Sequence[str],
    *,
    after: Place | None,
    limit: int,
) -> tuple[list[ClaimedDelivery], Place | None]:
    """Up to `limit` events with their bodies, and where the next ones begin, None for no more.

    Tests, and events whose body is no longer kept, are left out.
    """
    statement = (
        sa.select(events.c.subject, events.c.id, events.c.source_id, events.c.test)
        .where(events.c.subject.in_(subjects))
        .order_by(events.c.subject, events.c.id)
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(sa.tuple_(events.c.subject, events.c.id) > sa.tuple_(*after))
    rows = connection.execute(statement).all()
    ids = [row.id for row in rows if row.source_id == source_id and not row.test]
    stored = replays.load(connection, ids) if ids else {}
    place = (rows[-1].subject, rows[-1].id) if len(rows) == limit else None
    return [stored[one] for one in ids if one in stored], place
