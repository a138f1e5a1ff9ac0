"""The server's own refusals as problem documents: what never reaches the application.

Uvicorn answers two things itself, as plain text: bytes that are no HTTP, and one connection more
than it may have.
A sender that reads problem documents must be able to read these as well.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, NamedTuple

from uvicorn.protocols.http.flow_control import service_unavailable
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.domain import strict_json
from app.domain.errors import InvalidRequest, RelayError, TooManyConnections


class Refusal(NamedTuple):
    """An answer that is always the same."""

    status: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes


def refusal(error: RelayError) -> Refusal:
    """The problem document of an error, as an answer after which the connection is closed."""
    body = strict_json.write(
        {
            "type": error.slug,
            "title": error.title,
            "status": error.status,
            "detail": error.detail,
        }
    )
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"connection", b"close"),
        *((name.lower().encode(), value.encode()) for name, value in error.headers.items()),
    ]
    status = f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\n"
    return Refusal(status.encode("ascii"), headers, body)


_MALFORMED = refusal(InvalidRequest("The request is not valid HTTP/1.1."))
_TOO_MANY = refusal(
    TooManyConnections(
        "This process has as many connections as it may have; try again.",
        headers={"Retry-After": "1"},
    )
)


class ProblemProtocol(HttpToolsProtocol):
    """HTTP/1.1 as uvicorn speaks it, except for the words of its own refusals."""

    def send_400_response(self, msg: str) -> None:
        """Answer bytes that are no request; `msg` is uvicorn's word for it."""
        self.refuse(_MALFORMED)

    def refuse(self, answer: Refusal) -> None:
        """Answer what never became a request, and close the connection."""
        fields = [*self.server_state.default_headers, *answer.headers]
        lines = [b"%b: %b\r\n" % field for field in fields]
        self.transport.write(b"".join([answer.status, *lines, b"\r\n", answer.body]))
        self.transport.close()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        super()._start_asgi_task(cycle, _too_many if app is service_unavailable else app)


async def _too_many(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 503, "headers": _TOO_MANY.headers})
    await send({"type": "http.response.body", "body": _TOO_MANY.body})
