"""What was kept because it could not be understood: look at it, read it again, or drop it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.domain.clock import Clock, from_micros, to_micros
from app.domain.errors import Conflict, NotFound
from app.domain.ids import is_id
from app.services.ingest import Ingest
from app.services.listing import Listing, listing
from app.store import quarantine
from app.store.database import Database, ReadConnection, WriteConnection
from app.store.quarantine import QuarantineRecord, QuarantineSummary


class QuarantineState(StrEnum):
    """Whether an entry still waits for a decision."""

    OPEN = quarantine.OPEN
    RELEASED = quarantine.RELEASED
    DISCARDED = quarantine.DISCARDED


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineEntry:
    """One kept request; `problem` and `detail` say why, `size` is its body's length in bytes.

    `event_id` is what came of a released one.
    """

    id: str
    source: str
    event_type: str | None
    state: QuarantineState
    problem: str
    detail: str
    content_type: str
    size: int
    event_id: str | None
    received_at: datetime
    settled_at: datetime | None


@dataclass(frozen=True, slots=True)
class QuarantinedRequest:
    """An entry with its body and the headers that were kept beside it."""

    entry: QuarantineEntry
    headers: Mapping[str, str]
    body: bytes


class Quarantine:
    """What an operator does with kept requests."""

    def __init__(self, database: Database, clock: Clock, ingest: Ingest) -> None:
        self._database = database
        self._clock = clock
        self._ingest = ingest

    async def page(
        self, *, limit: int, before: str | None = None, state: QuarantineState | None = None
    ) -> Listing[QuarantineEntry]:
        """Entries, newest first, those older than the id `before`."""
        rows = await self._database.read(
            lambda c: quarantine.page(c, limit=limit + 1, before=before, state=state)
        )
        return listing(rows, limit, lambda row: row.id, _entry)

    async def get(self, quarantine_id: str) -> QuarantinedRequest:
        """One entry with its body. Raises NotFound."""
        record = await self._database.read(lambda c: _found(c, quarantine_id))
        return QuarantinedRequest(_entry(record), record.headers or {}, record.body)

    async def release(self, quarantine_id: str) -> QuarantineEntry:
        """Read the request again with today's rules and let it in as an event.

        The entry is closed in the transaction that stores the event, so that it becomes one event
        whoever releases it, and how often.
        Raises NotFound, Conflict when the entry is closed, and what `Ingest.reread` raises when
        the request still cannot be read (the entry then stays open).
        """
        record = await self._database.read(lambda c: _found(c, quarantine_id))
        if record.state != quarantine.OPEN:
            raise _closed(record)
        return await self._ingest.reread(
            record, lambda c, receipt: self._settle(c, quarantine.RELEASED, record, receipt.id)
        )

    async def discard(self, quarantine_id: str) -> QuarantineEntry:
        """Close an entry without an event. Raises NotFound and Conflict."""
        return await self._database.write(
            lambda c: self._settle(c, quarantine.DISCARDED, _found(c, quarantine_id))
        )

    def _settle(
        self,
        connection: WriteConnection,
        state: str,
        record: QuarantineRecord,
        event_id: str | None = None,
    ) -> QuarantineEntry:
        now = to_micros(self._clock())
        if not quarantine.settle(connection, record.id, state=state, event_id=event_id, now=now):
            raise _closed(_found(connection, record.id))
        return _entry(_found(connection, record.id))


def _found(connection: ReadConnection, quarantine_id: str) -> QuarantineRecord:
    record = quarantine.get(connection, quarantine_id) if is_id(quarantine_id, "qrn") else None
    if record is None:
        raise NotFound("There is no quarantine entry with this id.")
    return record


def _closed(record: QuarantineRecord) -> Conflict:
    return Conflict(f"This entry is closed: it was {record.state}.")


def _entry(record: QuarantineRecord | QuarantineSummary) -> QuarantineEntry:
    return QuarantineEntry(
        id=record.id,
        source=record.source,
        event_type=record.event_type,
        state=QuarantineState(record.state),
        problem=record.problem,
        detail=record.detail,
        content_type=record.content_type,
        size=len(record.body) if isinstance(record, QuarantineRecord) else record.size,
        event_id=record.event_id,
        received_at=from_micros(record.received_at),
        settled_at=None if record.settled_at is None else from_micros(record.settled_at),
    )
