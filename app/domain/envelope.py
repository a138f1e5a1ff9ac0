"""What a custom webhook target is sent of an event, as JSON.

It is written once, when the event comes in, and kept beside the body: to read an event again and
write it down costs a delivery as much as to sign it, to log it and to take it from the queue.
Where the body is the event's data, the kept form has a gap for it: nothing is stored twice, and
the data go out byte for byte as they came in.
"""

from __future__ import annotations

from typing import Any

from app.domain import strict_json
from app.domain.model import Event

#: Stands where the data go: no JSON document holds a null byte, strings escape it.
_MARK = b"\0"
_GAP = strict_json.verbatim(_MARK)


def envelope_of(event: Event) -> dict[str, Any]:
    """The envelope's members, in the order in which they are sent."""
    return _members(event, event.data)


def kept_form(event: Event, *, data_is_body: bool) -> bytes:
    """The envelope as it is stored; without the data where the stored body is just these."""
    return strict_json.write_in_utc(_members(event, _GAP if data_is_body else event.data))


def filled(kept: bytes, body: bytes) -> bytes:
    """The envelope to send, from its stored form and the body beside it."""
    return kept.replace(_MARK, body, 1)


def _members(event: Event, data: Any) -> dict[str, Any]:
    return {
        "type": event.type,
        "id": event.id,
        "timestamp": event.occurred_at,
        "source": event.source,
        "test": event.test,
        "data": data,
        "customer": event.customer,
        "membership": event.membership,
        "payment": event.payment,
        "site": event.site,
        "domain": event.domain,
    }
