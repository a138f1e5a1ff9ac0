"""What an authenticated request says: the document in its body, and the event that it is."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from app.domain import strict_json
from app.domain.catalogue import CATALOGUE
from app.domain.errors import (
    InvalidRequest,
    RelayLoop,
    UnknownEventType,
    UnsupportedEncoding,
    UnsupportedMediaType,
)
from app.domain.model import Event, RawRequest, Reading
from app.domain.routing import RELAY_PREFIX
from app.services.configuration import BoundSource

MOST_HOPS = 3
_JSON_TYPES = frozenset({"", "application/json"})


def document_of(request: RawRequest) -> Any:
    """The body as a document. Raises UnsupportedEncoding, UnsupportedMediaType and Unreadable."""
    require_plain(request)
    _require_json(request.headers.get("content-type", ""))
    return strict_json.read_strict(request.body)


def reading_of(source: BoundSource, request: RawRequest, document: Any) -> Reading:
    """What a source makes of a document. Raises InvalidRequest, its kin and UnknownEventType."""
    reading = source.adapter.read(request, document)
    if reading.type.startswith(RELAY_PREFIX):
        raise InvalidRequest("Types that begin with relay. are the relay's own; nobody sends them.")
    if source.strict and reading.type not in CATALOGUE:
        raise UnknownEventType(
            f"The source {source.name!r} is strict and does not know the event type"
            f" {reading.type!r}; see /v1/event-types."
        )
    return reading


def require_plain(request: RawRequest) -> None:
    """Refuse a body that is compressed. Raises UnsupportedEncoding."""
    if "content-encoding" not in request.headers:
        return
    encoding = request.headers["content-encoding"].strip().lower()
    if encoding not in {"identity", ""}:
        raise UnsupportedEncoding(
            f"Content-Encoding {encoding[:40]!r} is not undone here; send the body uncompressed."
        )


def _require_json(content_type: str) -> None:
    if content_type == "application/json":
        return
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type not in _JSON_TYPES and not media_type.endswith("+json"):
        raise UnsupportedMediaType(
            f"Content-Type {media_type[:60]!r} cannot be read; send application/json."
        )


def hop_of(request: RawRequest) -> int:
    """How many relays the request has been through. Raises RelayLoop past MOST_HOPS."""
    text = request.headers.get("relay-hop")
    if text is None:
        return 0
    hop = int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 0  # noqa: PLR2004  three digits are plenty
    if hop > MOST_HOPS:
        raise RelayLoop(
            f"The event came through {hop} relays; a target of this relay probably points back at it."
        )
    return hop


def event_of(
    reading: Reading,
    *,
    event_id: str,
    source: str,
    received_at: datetime,
    hop: int,
    trace: str | None = None,
    came_at: datetime | None = None,
) -> Event:
    """The event a reading is, once it has an id and a source.

    One that does not say when it happened happened when it came: at `came_at`, where that was
    before it was received as an event.
    """
    return Event(
        id=event_id,
        type=reading.type,
        source=source,
        occurred_at=reading.occurred_at or came_at or received_at,
        received_at=received_at,
        test=reading.test,
        subject=f"{source}/{reading.subject}" if reading.subject else None,
        data=reading.data,
        customer=reading.customer,
        membership=reading.membership,
        payment=reading.payment,
        site=reading.site,
        domain=reading.domain,
        context=reading.context,
        hop=hop,
        trace=trace,
    )
