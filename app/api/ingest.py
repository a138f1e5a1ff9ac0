"""The door: `POST /webhooks/{source}` and `POST /webhooks/{source}/{event_type}`.

A bare ASGI application in front of the routers: it does once what a request needs and nothing
else, because the senders' checkout waits for the answer.
What the operations look like from outside is said in the OpenAPI document (app/api/openapi.py).

Two things besides events come here: the handshake of CloudEvents (`OPTIONS` with
`WebHook-Request-Origin`, http-webhook.md section 4), and the unsigned form by which some senders
test a URL.
Neither is stored, and neither needs a credential.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote

from starlette.types import Receive, Scope, Send

from app.api.bodies import BodyLimits, Disconnected, read_body, refuse
from app.api.faults import fault
from app.api.problems import MethodNotAllowed, problem_response
from app.domain import strict_json
from app.domain.clock import Clock
from app.domain.errors import NotFound, RelayError, Unauthorized
from app.domain.model import RawRequest

PREFIX = "/webhooks/"
_MOST_SEGMENTS = 2
_REQUEST_ORIGIN = b"webhook-request-origin"


class Accepted(Protocol):
    """What the sender is told of an event."""

    @property
    def id(self) -> str:
        """The event's id."""
        ...

    @property
    def type(self) -> str:
        """The event's type."""
        ...

    @property
    def duplicate(self) -> bool:
        """True when the event was known already."""
        ...

    @property
    def events(self) -> Sequence[Accepted]:
        """All events of a batch, the first included; none for a request that was no batch."""
        ...


class Accepting(Protocol):
    """Who stores what came in (`app.services.ingest.Ingest`)."""

    async def accept(self, source_name: str, request: RawRequest) -> Accepted:
        """Store the event of a request; returns after the commit. Raises RelayError."""
        ...

    def greets(self, source_name: str, request: RawRequest) -> bool:
        """Whether a request without a credential is the sender's test of its URL."""
        ...

    async def permits(self, source_name: str, origin: str) -> bool:
        """Whether the sender `origin` may be told that the source takes its events."""
        ...


class Door:
    """Takes a sender's request, hands it over, and answers 202 or a problem.

    `accepted` and `refused` count what happened: the source's name and whether it was a repeat;
    the problem's slug.
    """

    def __init__(
        self,
        ingest: Accepting,
        clock: Clock,
        limits: BodyLimits,
        *,
        accepted: Callable[[str, bool], None] = lambda _source, _duplicate: None,
        refused: Callable[[str], None] = lambda _slug: None,
    ) -> None:
        self._ingest = ingest
        self._clock = clock
        self._limits = limits
        self._accepted = accepted
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request whose path begins with PREFIX."""
        if scope["method"] == "OPTIONS" and (origin := _header(scope, _REQUEST_ORIGIN)):
            await self._shake_hands(scope, receive, send, origin)
            return
        try:
            source_name, event_type = _address(scope)
            request = await self._read(scope, receive, event_type)
        except Disconnected:
            return
        except RelayError as error:
            self._refused(error.slug)
            await refuse(error, receive, send)
            return
        try:
            receipt = await self._ingest.accept(source_name, request)
        except RelayError as error:
            if isinstance(error, Unauthorized) and self._ingest.greets(source_name, request):
                await _respond(send, 200, b"{}")
                return
            self._refused(error.slug)
            await problem_response(error)(scope, receive, send)
        except Exception as error:  # noqa: BLE001  whatever it is, the sender gets a problem document
            failure = fault("ingest.failed", error)
            self._refused(failure.slug)
            await problem_response(failure)(scope, receive, send)
        else:
            for event in receipt.events or (receipt,):
                self._accepted(source_name, event.duplicate)
            await _respond(send, 202, told(receipt))

    async def _shake_hands(self, scope: Scope, receive: Receive, send: Send, origin: str) -> None:
        """Tell a sender of CloudEvents that its events are welcome; any other answer is a no."""
        try:
            source_name, _ = segments(scope)
            permitted = await self._ingest.permits(source_name, origin)
        except RelayError as error:
            await problem_response(error)(scope, receive, send)
            return
        except Exception as error:  # noqa: BLE001  whatever it is, the sender gets a problem document
            await problem_response(fault("ingest.failed", error))(scope, receive, send)
            return
        if not permitted:
            await problem_response(_not_allowed())(scope, receive, send)
            return
        headers = [
            (b"allow", b"POST"),
            (b"webhook-allowed-origin", origin.encode("latin-1")),
            (b"webhook-allowed-rate", b"*"),
        ]
        await _respond(send, 200, b"{}", headers)

    async def _read(self, scope: Scope, receive: Receive, event_type: str | None) -> RawRequest:
        body = await read_body(receive, self._limits, _header(scope, b"content-length"))
        return raw_request(scope, body, event_type, self._clock())


def raw_request(
    scope: Scope, body: bytes, event_type: str | None, received_at: datetime
) -> RawRequest:
    """The request as it came in."""
    fields = scope["headers"]
    headers = {str(name, "latin-1"): str(value, "latin-1") for name, value in fields}
    query = scope["query_string"]
    return RawRequest(
        headers=headers,
        body=body,
        received_at=received_at,
        event_type=event_type,
        query=_query(query) if query else {},
        repeated_headers=_repeated(scope) if len(headers) != len(fields) else frozenset(),
    )


def _address(scope: Scope) -> tuple[str, str | None]:
    """The source's name and the event type in the path. Raises MethodNotAllowed and NotFound."""
    if scope["method"] != "POST":
        raise _not_allowed()
    return segments(scope)


def _not_allowed() -> MethodNotAllowed:
    return MethodNotAllowed("Events are sent by POST.", headers={"Allow": "POST"})


def segments(scope: Scope) -> tuple[str, str | None]:
    """The source's name and the event type in the path. Raises NotFound."""
    return _segments(scope["raw_path"])


# A sender sends to a handful of paths, again and again.
@lru_cache(maxsize=1024)
def _segments(raw_path: bytes) -> tuple[str, str | None]:
    # The path as it was sent: an encoded slash is part of a name, not a separator.
    path = str(raw_path[len(PREFIX) :], "latin-1").removesuffix("/")
    segments = [unquote(part) if "%" in part else part for part in path.split("/")]
    if len(segments) > _MOST_SEGMENTS or not segments[0]:
        raise NotFound("There is nothing here; events go to /webhooks/<source>/<event type>.")
    return segments[0], segments[1] if len(segments) == _MOST_SEGMENTS else None


def _query(query: bytes) -> dict[str, str]:
    """The query's fields; of a repeated one the first."""
    text = str(query, "latin-1")
    if "%" in text or "+" in text:
        return dict(reversed(parse_qsl(text, keep_blank_values=True)))
    # Nothing is encoded, as in every URL this relay hands out: a third of the time.
    pairs = [part.partition("=") for part in text.split("&")]
    return {name: value for name, _, value in reversed(pairs)}


def _repeated(scope: Scope) -> frozenset[str]:
    seen: set[bytes] = set()
    repeated: set[str] = set()
    for name, _ in scope["headers"]:
        if name in seen:
            repeated.add(str(name, "latin-1"))
        seen.add(name)
    return frozenset(repeated)


def _header(scope: Scope, wanted: bytes) -> str | None:
    return next((str(value, "latin-1") for name, value in scope["headers"] if name == wanted), None)


def told(receipt: Accepted) -> bytes:
    """What the sender is told of an event that was accepted."""
    document: dict[str, Any] = {
        "id": receipt.id,
        "type": receipt.type,
        "duplicate": receipt.duplicate,
    }
    if receipt.events:
        document["events"] = [
            {"id": event.id, "type": event.type, "duplicate": event.duplicate}
            for event in receipt.events
        ]
    return strict_json.write(document)


async def _respond(
    send: Send,
    status: int,
    body: bytes,
    headers: Sequence[tuple[bytes, bytes]] = (),
) -> None:
    fields = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})
