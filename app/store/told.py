"""What a target was told of somebody that happened after an event that it is to be told now."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from app.store.database import ReadConnection
from app.store.tables import deliveries, events


@dataclass(frozen=True, slots=True)
class Told:
    """An event that a target took; `occurred_at` is in microseconds."""

    target_id: str
    subject: str
    event_id: str
    type: str
    occurred_at: int


def after(
    connection: ReadConnection,
    targets: Collection[str],
    subjects: Collection[str],
    occurred_at: int,
) -> list[Told]:
    """What these targets took of these subjects that happened after `occurred_at`, newest first."""
    rows = connection.execute(
        sa.select(
            deliveries.c.target_id,
            events.c.subject,
            events.c.id,
            events.c.type,
            events.c.occurred_at,
        )
        .join(deliveries, deliveries.c.event_id == events.c.id)
        .where(
            events.c.subject.in_(subjects),
            events.c.occurred_at > occurred_at,
            events.c.test.is_(False),
            deliveries.c.target_id.in_(targets),
            deliveries.c.status == "succeeded",
        )
        .order_by(events.c.occurred_at.desc(), events.c.id.desc())
    )
    return [Told(*row) for row in rows]
