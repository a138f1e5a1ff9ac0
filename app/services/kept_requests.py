"""What the quarantine keeps of a request, and the request it is again once it is released.

All of it is kept but what holds a credential, and what was about the connection alone: which
header a corrected mapping will ask for, nobody knows yet.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from app.domain.clock import from_micros, to_micros
from app.domain.errors import RelayError, UnsupportedMediaType
from app.domain.ids import new_id
from app.domain.model import RawRequest
from app.domain.routing import is_event_type
from app.services.configuration import BoundSource
from app.store.quarantine import QuarantineRecord

_JSON = "application/json"
_LONGEST_TYPE = 64
#: Names of headers that hold a credential, or that may: a signature is one while it is fresh, and
#: the platform's built-in sender puts its whole URL into the referer.
_CREDENTIAL = re.compile(
    r"auth|cookie|credential|hash|hmac|key|pass|referer|secret|session|sign|token", re.ASCII
)
#: About the connection, or kept in a place of its own.
_NOT_KEPT = frozenset({
    "accept", "accept-encoding", "connection", "content-length", "content-type", "expect", "host",
    "keep-alive", "te", "transfer-encoding", "upgrade",
})  # fmt: skip


def kept_request(source: BoundSource, request: RawRequest, error: RelayError) -> QuarantineRecord:
    """The entry of a request that `source` could not read, for the reason `error`."""
    return QuarantineRecord(
        id=new_id("qrn"),
        source_id=source.id,
        source=source.name,
        event_type=_shown_type(request.event_type),
        state="open",
        problem=error.slug,
        # Whatever it repeats of the request, nothing that a database refuses may keep it out.
        detail=error.detail.replace("\0", "").encode(errors="replace").decode(),
        content_type=request.headers.get("content-type", _JSON)[:255],
        headers=_kept_headers(source, request),
        body=request.body,
        event_id=None,
        received_at=to_micros(request.received_at),
        settled_at=None,
    )


def released_request(kept: QuarantineRecord, now: datetime) -> RawRequest:
    """The request of an entry, to be read `now` with the source's rules of today."""
    # Somebody looked at it and wants it in: it is JSON then, whatever its sender called it.
    mistaken = kept.problem == UnsupportedMediaType.slug
    in_path = kept.event_type
    return RawRequest(
        headers={
            **(kept.headers or {}),
            "content-type": _JSON if mistaken else kept.content_type,
        },
        body=kept.body,
        received_at=now,
        kept_since=from_micros(kept.received_at),
        # What is no type is kept for the operator to see; the body may name one all the same.
        event_type=in_path if in_path and is_event_type(in_path) else None,
    )


def _shown_type(event_type: str | None) -> str | None:
    """The type in the path as a column holds it; what is no event type never becomes one."""
    if not event_type or is_event_type(event_type):
        return event_type or None
    text = event_type if event_type.isprintable() else ascii(event_type)[1:-1]
    return text if len(text) <= _LONGEST_TYPE else text[: _LONGEST_TYPE - 1] + "…"


def _kept_headers(source: BoundSource, request: RawRequest) -> Mapping[str, str]:
    needed = source.adapter.kept_headers
    in_url = request.query.get("token")
    return {
        name: value
        for name, value in request.headers.items()
        if name in needed
        or not (
            name in _NOT_KEPT
            or _CREDENTIAL.search(name)
            # A proxy may hand on the URL it was asked for.
            or (in_url and in_url in value)
        )
    }
