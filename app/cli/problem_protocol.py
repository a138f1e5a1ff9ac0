"""The server's own refusals as problem documents: what never reaches the application.

Uvicorn answers two things itself, as plain text: bytes that are no HTTP, and one connection more
than it may have.
A sender that reads problem documents must be able to read these as well.
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.flow_control import service_unavailable
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.domain import strict_json
from app.domain.errors import InvalidRequest, RelayError, TooManyConnections


def _answer(error: RelayError) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """The header fields and the body of a refusal."""
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
    ]
    given = error.headers.items()
    return [*headers, *((name.lower().encode(), value.encode()) for name, value in given)], body


_MALFORMED = _answer(InvalidRequest("The request is not valid HTTP/1.1."))
_TOO_MANY = _answer(
    TooManyConnections(
        "This process has as many connections as it may have; try again.",
        headers={"Retry-After": "1"},
    )
)


class ProblemProtocol(HttpToolsProtocol):
    """HTTP/1.1 as uvicorn speaks it, except for the words of its own refusals."""

    def send_400_response(self, msg: str) -> None:
        """Answer bytes that are no request; `msg` is uvicorn's word for it."""
        headers, body = _MALFORMED
        fields = [*self.server_state.default_headers, *headers]
        lines = [b"%b: %b\r\n" % field for field in fields]
        self.transport.write(b"".join([b"HTTP/1.1 400 Bad Request\r\n", *lines, b"\r\n", body]))
        self.transport.close()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        super()._start_asgi_task(cycle, _too_many if app is service_unavailable else app)


async def _too_many(_scope: Any, _receive: Any, send: Any) -> None:
    headers, body = _TOO_MANY
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})
