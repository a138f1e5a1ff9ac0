"""A stored event, read again: the raw bytes are the truth, the event is derived from them.

It is read with the settings its source has now: an operator who corrects a mapping and sends an
event again means the corrected one.
The event's type is the one it was stored and routed with, whatever a mapping says since.
When the source was removed, or is unusable, the event is read as its kind reads without settings:
what only a mapping said of it is gone, the rest goes on.

Most deliveries need none of that: what a webhook target is sent was written when the event came in.
As long as its source reads as it did then, the event is read only if somebody asks what is in it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from app.domain import strict_json
from app.domain.clock import from_micros
from app.domain.envelope import filled
from app.domain.model import Event, RawRequest
from app.domain.trace import trace_of
from app.services.configuration import STAMP_BYTES, Configuration, ConfigurationCache
from app.services.reading import event_of
from app.sources.base import SourceAdapter
from app.sources.registry import adapter_for
from app.store.claim import ClaimedDelivery

_MOST_REMEMBERED = 512
#: Bodies of more bytes are read again for each target: remembered, they would be held for long.
_LARGEST_REMEMBERED = 8192
_NOTHING: frozenset[str] = frozenset()
#: The fields that only the body, or a little work, can tell.
_READ_LATER = frozenset({
    "occurred_at", "received_at", "data", "customer", "membership", "payment", "site", "domain",
    "context",
})  # fmt: skip


class StoredEvents:
    """Reads the events of claimed deliveries; the last few are remembered for their fan-out."""

    def __init__(self, configuration: ConfigurationCache, most: int = _MOST_REMEMBERED) -> None:
        self._configuration = configuration
        self._most = most
        self._version: int | None = None
        self._remembered: OrderedDict[str, Event] = OrderedDict()

    def event(self, claimed: ClaimedDelivery) -> Event:
        """The event a delivery carries. Raises Unreadable when it can no longer be read."""
        current = self._configuration.current
        if current.version != self._version:
            self._remembered.clear()
            self._version = current.version
        found = self._remembered.get(claimed.event_id)
        if found is not None:
            return found
        event = DeferredEvent.of(claimed, current) or read_stored(claimed, current)
        if len(claimed.body) > _LARGEST_REMEMBERED:
            return event
        self._remembered[event.id] = event
        if len(self._remembered) > self._most:
            self._remembered.popitem(last=False)
        return event


class DeferredEvent(Event):
    """A stored event that is read when somebody asks for what only its body says.

    Its class is no part of its value: called, as `dataclasses.replace` does, it makes an ordinary
    event, since what was written down is no longer what that one says.
    """

    __slots__ = ("_claimed", "_configuration", "_kept")

    def __new__(cls, **fields: Any) -> Event:  # type: ignore[misc]  # noqa: D102  see above
        return Event(**fields)

    @classmethod
    def of(cls, claimed: ClaimedDelivery, configuration: Configuration) -> DeferredEvent | None:
        """The event of a delivery, None when nothing was written down or it would be another now."""
        source = configuration.source_by_id(claimed.source_id)
        kept = claimed.envelope
        if kept is None or source is None or not kept.startswith(source.stamp):
            return None
        event = object.__new__(cls)
        event._begin(claimed, configuration, kept[STAMP_BYTES:])
        return event

    # Nothing of an event changes once it is made, says the type; this one is being made.
    def _begin(
        self: Any, claimed: ClaimedDelivery, configuration: Configuration, kept: bytes
    ) -> None:
        self._claimed = claimed
        self._kept = kept
        self._configuration = configuration
        self.id = claimed.event_id
        self.type = claimed.type
        self.source = claimed.source
        self.test = claimed.test
        self.subject = claimed.subject
        self.hop = claimed.hop
        self.trace = trace_of(_headers(claimed)) if claimed.headers else None
        self.since = _NOTHING

    def envelope(self) -> bytes:
        """What a webhook target is sent."""
        return filled(self._kept, self._claimed.body)

    def __getattr__(self, name: str) -> Any:
        """A field that is not set yet, or never was one."""
        if name not in _READ_LATER:
            raise AttributeError(name)
        read = read_stored(self._claimed, self._configuration)
        for one in _READ_LATER:
            object.__setattr__(self, one, getattr(read, one))
        return getattr(self, name)


def read_stored(claimed: ClaimedDelivery, configuration: Configuration) -> Event:
    """Derive the event from what was stored. Raises Unreadable and its kin."""
    received_at = from_micros(claimed.received_at)
    request = RawRequest(
        headers=_headers(claimed),
        body=claimed.body,
        received_at=received_at,
        event_type=claimed.type,
        settled=True,
    )
    adapter = _adapter(claimed, configuration)
    reading = adapter.read(request, strict_json.read_trusted(claimed.body))
    if reading.type != claimed.type:
        reading = replace(reading, type=claimed.type)
    return event_of(
        reading,
        event_id=claimed.event_id,
        source=claimed.source,
        received_at=received_at,
        hop=claimed.hop,
        trace=trace_of(request.headers),
        came_at=from_micros(claimed.occurred_at),
    )


def _headers(claimed: ClaimedDelivery) -> Mapping[str, str]:
    found: dict[str, str] = (
        strict_json.read_trusted(claimed.headers.encode()) if claimed.headers else {}
    )
    return found


def _adapter(claimed: ClaimedDelivery, configuration: Configuration) -> SourceAdapter:
    source = configuration.source_by_id(claimed.source_id)
    return adapter_for(claimed.kind) if source is None else source.adapter
