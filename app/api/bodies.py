"""Request bodies within limits of size and time.

The server hands over what the network brings and waits for ever for the rest; these limits are
the only ones there are.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problems import problem_response
from app.domain.errors import BodyTooLarge, InvalidRequest, RelayError, RequestTimeout

_LONGEST_LENGTH = 15
_LINGER_SECONDS = 1.0


class Disconnected(Exception):
    """The sender went away before the body was complete."""


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """The largest body in bytes, and the seconds within which it must be complete."""

    size: int
    seconds: float


async def read_body(receive: Receive, limits: BodyLimits, declared: str | None) -> bytes:
    """The whole body; `declared` is the value of Content-Length.

    Raises BodyTooLarge (before anything is read when the length is declared), RequestTimeout,
    InvalidRequest and Disconnected.
    """
    if declared is not None:
        _check_declared(declared, limits.size)
    # What asyncio.timeout does, without its objects: this runs for every event.
    task = asyncio.current_task()
    expired: list[bool] = []
    timer = asyncio.get_running_loop().call_later(limits.seconds, _expire, task, expired)
    try:
        return await _read(receive, limits.size)
    except asyncio.CancelledError:
        if not expired or task is None or task.uncancel() > 0:
            raise
        raise RequestTimeout(
            f"The body was not complete within {limits.seconds:g} seconds; nothing of it was kept."
        ) from None
    finally:
        timer.cancel()


def _expire(task: asyncio.Task[object] | None, expired: list[bool]) -> None:
    if task is not None:
        expired.append(True)
        task.cancel()


def _check_declared(declared: str, most: int) -> None:
    if not (declared.isascii() and declared.isdigit()):
        raise InvalidRequest("Content-Length is not a number.")
    if len(declared) > _LONGEST_LENGTH or int(declared) > most:
        raise _too_large(most)


async def _read(receive: Receive, most: int) -> bytes:
    body, complete = _part(await receive())
    if complete:
        if len(body) > most:
            raise _too_large(most)
        return body
    parts = bytearray(body)
    while not complete:
        if len(parts) > most:
            raise _too_large(most)
        body, complete = _part(await receive())
        parts += body
    if len(parts) > most:
        raise _too_large(most)
    return bytes(parts)


def _part(message: Message) -> tuple[bytes, bool]:
    if message["type"] != "http.request":
        raise Disconnected
    return message.get("body", b""), not message.get("more_body", False)


def _too_large(most: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body is larger than {most} bytes; nothing of it was kept.")


async def refuse(error: RelayError, receive: Receive, send: Send) -> None:
    """Answer with a problem and close the connection.

    What the sender is still sending is thrown away for a moment: closing a connection with unread
    bytes resets it, and the sender would never see the answer.
    """
    response = problem_response(error)
    headers = [*response.raw_headers, (b"connection", b"close")]
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": bytes(response.body), "more_body": True})
    if not isinstance(error, RequestTimeout):
        await _throw_away(receive)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _throw_away(receive: Receive) -> None:
    with suppress(TimeoutError, Disconnected):
        async with asyncio.timeout(_LINGER_SECONDS):
            while not _part(await receive())[1]:
                pass


class WholeBodies:
    """Reads a request's body, within the limits, before the app behind it sees the request."""

    def __init__(self, app: ASGIApp, limits: BodyLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its body at hand, or refuse it."""
        if scope["type"] != "http" or not (declared := _framing(scope)):
            await self._app(scope, receive, send)
            return
        length = None if declared == "chunked" else declared
        try:
            body = await read_body(receive, self._limits, length)
        except Disconnected:
            return
        except RelayError as error:
            await refuse(error, receive, send)
            return
        await self._app(scope, _replay(body, receive), send)


def _framing(scope: Scope) -> str | None:
    """The declared length, `chunked`, or None for a request without a body."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return str(value, "latin-1") if value != b"0" else None
        if name == b"transfer-encoding":
            return "chunked"
    return None


def _replay(body: bytes, receive: Receive) -> Receive:
    waiting = [body]

    async def replay() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return replay
