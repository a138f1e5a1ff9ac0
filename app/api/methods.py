"""Methods: HEAD is answered as GET is, and a refused method is told which ones its path has.

FastAPI gives a route the methods it names and no more, and of the routes of a path it tells the
methods of the first alone; RFC 9110 wants both otherwise (sections 9.3.2 and 10.2.1).
The door for senders (app/api/ingest.py) has one method, POST, and none of this.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable

from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEAD = "HEAD"
_GET = "GET"
#: What a route may have, in the order in which it is told; HEAD comes with GET.
_METHODS = (_GET, "POST", "PUT", "PATCH", "DELETE")


class HeadAsGet:
    """Lets an application answer HEAD with the header fields of its answer to GET."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        if scope["type"] == "http" and scope["method"] == _HEAD:
            # A copy: the server looks at its own to know that no body may follow.
            await self._app({**scope, "method": _GET}, receive, _without_body(send))
            return
        await self._app(scope, receive, send)


def allowed(routes: Iterable[BaseRoute], scope: Scope) -> str:
    """The value of `Allow` for the path that was asked for."""
    routes = tuple(routes)
    found = [method for method in _METHODS if _has(routes, {**scope, "method": method})]
    if _GET in found:
        found.insert(1, _HEAD)
    return ", ".join(found)


def _has(routes: Iterable[BaseRoute], scope: Scope) -> bool:
    return any(route.matches(scope)[0] is Match.FULL for route in routes)


def _without_body(send: Send) -> Send:
    def bodiless(message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        return send(message)

    return bodiless
