"""A stored event, read again: the raw bytes are the truth, the event is derived from them.

It is read with the settings its source has now: an operator who corrects a mapping and sends an
event again means the corrected one.
The event's type is the one it was stored and routed with, whatever a mapping says since.
When the source was removed, or is unusable, the event is read as its kind reads without settings:
what only a mapping said of it is gone, the rest goes on.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace

from app.domain import strict_json
from app.domain.clock import from_micros
from app.domain.model import Event, RawRequest
from app.domain.trace import trace_of
from app.services.configuration import Configuration, ConfigurationCache
from app.services.planning import event_of
from app.sources.base import SourceAdapter
from app.sources.registry import adapter_for
from app.store.claim import ClaimedDelivery

_MOST_REMEMBERED = 512


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
        event = read_stored(claimed, current)
        self._remembered[event.id] = event
        if len(self._remembered) > self._most:
            self._remembered.popitem(last=False)
        return event


def read_stored(claimed: ClaimedDelivery, configuration: Configuration) -> Event:
    """Derive the event from what was stored. Raises Unreadable and its kin."""
    received_at = from_micros(claimed.received_at)
    request = RawRequest(
        headers=strict_json.read_trusted(claimed.headers.encode()) if claimed.headers else {},
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
    )


def _adapter(claimed: ClaimedDelivery, configuration: Configuration) -> SourceAdapter:
    source = configuration.source_by_id(claimed.source_id)
    return adapter_for(claimed.kind) if source is None else source.adapter
