"""A stored event, read again: the raw bytes are the truth, the event is derived from them."""

from __future__ import annotations

from collections import OrderedDict

from app.domain import strict_json
from app.domain.clock import from_micros
from app.domain.model import Event, RawRequest
from app.services.planning import event_of
from app.sources.registry import adapter_for
from app.store.claim import ClaimedDelivery

_MOST_REMEMBERED = 512


class StoredEvents:
    """Reads the events of claimed deliveries; the last few are remembered for their fan-out."""

    def __init__(self, most: int = _MOST_REMEMBERED) -> None:
        self._most = most
        self._remembered: OrderedDict[str, Event] = OrderedDict()

    def event(self, claimed: ClaimedDelivery) -> Event:
        """The event a delivery carries. Raises Unreadable when it can no longer be read."""
        found = self._remembered.get(claimed.event_id)
        if found is not None:
            return found
        event = read_stored(claimed)
        self._remembered[event.id] = event
        if len(self._remembered) > self._most:
            self._remembered.popitem(last=False)
        return event


def read_stored(claimed: ClaimedDelivery) -> Event:
    """Derive the event from what was stored."""
    adapter = adapter_for(claimed.kind)
    received_at = from_micros(claimed.received_at)
    request = RawRequest(
        headers=strict_json.read_trusted(claimed.headers.encode()) if claimed.headers else {},
        body=claimed.body,
        received_at=received_at,
        event_type=claimed.type,
    )
    reading = adapter.read(request, strict_json.read_trusted(claimed.body))
    return event_of(
        reading,
        event_id=claimed.event_id,
        source=claimed.source,
        received_at=received_at,
        hop=claimed.hop,
    )
