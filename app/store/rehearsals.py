"""What a delivery would be made of, read without making one."""

from __future__ import annotations

import sqlalchemy as sa

from app.domain import strict_json
from app.store.claim import ClaimedDelivery
from app.store.database import ReadConnection
from app.store.tables import deliveries, effects, event_bodies, events, links

_EVENT = (
    events.c.source_id,
    events.c.source,
    events.c.kind,
    events.c.type,
    events.c.subject,
    events.c.test,
    events.c.hop,
    events.c.occurred_at,
    events.c.received_at,
    event_bodies.c.content_type,
    event_bodies.c.headers,
    event_bodies.c.body,
    event_bodies.c.envelope,
    links.c.external_id.label("remembered_id"),
)


def delivery_of(
    connection: ReadConnection, event_id: str, target_id: str, stand_in: str
) -> ClaimedDelivery | None:
    """A stored event as a delivery of it to the target would carry it; None when it is not kept.

    Its ids are those of the newest real delivery, where there is one, or `stand_in`.
    """
    link = sa.and_(links.c.target_id == target_id, links.c.subject == events.c.subject)
    row = connection.execute(
        sa.select(*_EVENT)
        .join(event_bodies, event_bodies.c.event_id == events.c.id)
        .outerjoin(links, link)
        .where(events.c.id == event_id)
    ).one_or_none()
    if row is None:
        return None
    known = connection.execute(
        sa.select(deliveries.c.id, deliveries.c.attempts, deliveries.c.repeats_id)
        .where(deliveries.c.event_id == event_id, deliveries.c.target_id == target_id)
        .order_by(deliveries.c.id.desc())
        .limit(1)
    ).one_or_none()
    delivery_id, attempts, repeats_id = (stand_in, 0, None) if known is None else known
    told = dict(row._mapping)  # noqa: SLF001  the documented way to a row's names
    # A claim hands over the headers as they stand in the column.
    headers = told.pop("headers")
    return ClaimedDelivery(
        id=delivery_id,
        target_id=target_id,
        event_id=event_id,
        ordered_subject=None,
        attempts=attempts,
        single=False,
        fence=0,
        headers=None if headers is None else strict_json.write(headers).decode(),
        repeats_id=repeats_id,
        **told,
    )


def carried_out_by(connection: ReadConnection, target_id: str, effect: str) -> str | None:
    """The delivery that has carried an effect out, None when none has."""
    found: str | None = connection.execute(
        sa.select(effects.c.delivery_id).where(
            effects.c.target_id == target_id, effects.c.effect == effect, effects.c.done.is_(True)
        )
    ).scalar_one_or_none()
    return found
