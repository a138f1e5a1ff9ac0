"""The outermost layer: what no request may exceed, and what every answer carries.

It runs for every request, so it does as little as it can: no request object, no regular
expression, one pass over the header fields.
"""

from __future__ import annotations

from collections.abc import Awaitable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.bodies import refuse
from app.domain.errors import HeadersTooLarge, InvalidRequest, RelayError

#: The longest path, in bytes as sent; ours are below 200.
LONGEST_PATH = 2_000
_ALWAYS = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))


class PathTooLong(InvalidRequest):
    """The path of the URL is over the limit."""

    slug = "path-too-long"
    title = "The path is too long"
    status = 414


class Limits:
    """Refuses requests with too many or too long header fields or too long a path.

    `header_bytes` counts names, values and the four bytes between and after them, and the query.
    """

    def __init__(self, app: ASGIApp, *, header_bytes: int, header_count: int) -> None:
        self._app = app
        self._header_bytes = header_bytes
        self._header_count = header_count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        guarded = _guarded(send)
        refusal = self.refusal(scope)
        if refusal is None:
            await self._app(scope, receive, guarded)
        else:
            await refuse(refusal, receive, guarded)

    def refusal(self, scope: Scope) -> RelayError | None:
        """What is wrong with a request, by its path and its header fields; None for nothing."""
        if len(scope["raw_path"]) > LONGEST_PATH:
            return PathTooLong(f"The path is longer than {LONGEST_PATH} bytes.")
        headers = scope["headers"]
        if len(headers) > self._header_count:
            return HeadersTooLarge(f"The request has more than {self._header_count} header fields.")
        size = len(scope["query_string"])
        for name, value in headers:
            size += len(name) + len(value) + 4
        if size > self._header_bytes:
            return HeadersTooLarge(
                f"The header fields and the query are larger than {self._header_bytes} bytes."
            )
        return None


def _guarded(send: Send) -> Send:
    """Sends the header fields that every answer carries, where they are not set already."""

    def guarded(message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            names = [name for name, _ in headers]
            headers += [field for field in _ALWAYS if field[0] not in names]
            message["headers"] = headers
        return send(message)

    return guarded
