"""The catalogue's examples as events, read as an Ultimate Multisite source reads them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from app.domain.catalogue import CATALOGUE
from app.domain.model import Event, RawRequest
from app.services.reading import event_of
from app.sources.registry import adapter_for


def example_event(event_type: str, *, event_id: str, source: str, at: datetime) -> Event:
    """The example of a type of the catalogue, as if it happened at `at`."""
    request = RawRequest(headers={}, body=b"", received_at=at, event_type=event_type)
    example = dict(CATALOGUE[event_type].example)
    reading = adapter_for("ultimate_multisite").read(request, example)
    return event_of(
        replace(reading, occurred_at=None),
        event_id=event_id,
        source=source,
        received_at=at,
        hop=0,
    )
