"""Stored events, to be looked at: metadata by filters, bodies one at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from app.domain.ids import is_id
from app.store.database import ReadConnection
from app.store.intake import ORIGIN_HEADER
from app.store.scans import between
from app.store.tables import event_bodies, events


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord:
    """The metadata of one event; times are microseconds.

    `origin` is on what occasion the relay made it, None for what a sender sent.
    """

    id: str
    source: str
    kind: str
    type: str
    subject: str | None
    test: bool
    external_id: str | None
    occurred_at: int
    received_at: int
    origin: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events to list; None asks for any.

    `type` is an exact type, or a pattern with `*` for any run of characters; `source` is a name or
    an id.
    `since` (inclusive) and `until` (exclusive) are microseconds of the receipt.
    """

    type: str | None = None
    source: str | None = None
    subject: str | None = None
    test: bool | None = None
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True)
class EventBody:
    """A body, byte for byte as received, with the content type it came with."""

    content_type: str
    body: bytes


_COLUMNS = (
    events.c.id,
    events.c.source,
    events.c.kind,
    events.c.type,
    events.c.subject,
    events.c.test,
    events.c.external_id,
    events.c.occurred_at,
    events.c.received_at,
    event_bodies.c.headers,
)
_WITH_HEADERS = events.outerjoin(event_bodies, event_bodies.c.event_id == events.c.id)


def page(
    connection: ReadConnection, wanted: EventFilter, *, limit: int, before: str | None
) -> list[EventRecord]:
    """Up to `limit` events, newest first, those older than the id `before`."""
    statement = (
        sa.select(*_COLUMNS)
        .select_from(_WITH_HEADERS)
        .where(*conditions(wanted))
        .order_by(events.c.id.desc())
        .limit(limit)
    )
    if before is not None:
        statement = statement.where(events.c.id < before)
    return [_record(row) for row in connection.execute(statement)]


def get(connection: ReadConnection, event_id: str) -> EventRecord | None:
    """The event with this id."""
    statement = sa.select(*_COLUMNS).select_from(_WITH_HEADERS).where(events.c.id == event_id)
    row = connection.execute(statement).one_or_none()
    return None if row is None else _record(row)


def _record(row: sa.Row[*tuple[Any, ...]]) -> EventRecord:
    values = dict(row._mapping)  # noqa: SLF001  the documented way to a row's names
    headers = values.pop("headers") or {}
    return EventRecord(**values, origin=headers.get(ORIGIN_HEADER))


def body(connection: ReadConnection, event_id: str) -> EventBody | None:
    """The body of the event with this id."""
    row = connection.execute(
        sa.select(event_bodies.c.content_type, event_bodies.c.body).where(
            event_bodies.c.event_id == event_id
        )
    ).one_or_none()
    return None if row is None else EventBody(row[0], bytes(row[1]))


def conditions(wanted: EventFilter) -> list[sa.ColumnElement[bool]]:
    """What a filter asks of the rows of `events`."""
    asked = [*between(events.c.id, events.c.received_at, "evt", wanted.since, wanted.until)]
    if wanted.type is not None:
        asked.append(_type_is(wanted.type))
    if wanted.source is not None:
        column = events.c.source_id if is_id(wanted.source, "src") else events.c.source
        asked.append(column == wanted.source)
    if wanted.subject is not None:
        asked.append(events.c.subject == wanted.subject)
    if wanted.test is not None:
        asked.append(events.c.test == wanted.test)
    return asked


def _type_is(pattern: str) -> sa.ColumnElement[bool]:
    if "*" not in pattern:
        return events.c.type == pattern
    like = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return events.c.type.like(like.replace("*", "%"), escape="\\")
