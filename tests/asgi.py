"""Speaking to an ASGI application without a server: scopes, scripted receives, recorded sends."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from app.domain import strict_json

DISCONNECT = {"type": "http.disconnect"}


def scope(
    path: str = "/webhooks/shop/payment_received",
    *,
    method: str = "POST",
    headers: Sequence[tuple[bytes, bytes]] = (),
    query: bytes = b"",
    raw_path: bytes | None = None,
) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode() if raw_path is None else raw_path,
        "query_string": query,
        "root_path": "",
        "headers": list(headers),
        "client": ("192.0.2.7", 4711),
        "server": ("127.0.0.1", 8080),
        "state": {},
    }


def parts(*bodies: bytes) -> list[dict[str, Any]]:
    """The messages of a body that comes in several parts."""
    last = len(bodies) - 1
    return [
        {"type": "http.request", "body": body, "more_body": position < last}
        for position, body in enumerate(bodies)
    ]


class Receiving:
    """Hands out messages one by one, then waits for ever, as a silent sender does."""

    def __init__(self, messages: Sequence[dict[str, Any]]) -> None:
        self.messages = list(messages)
        self.asked = 0

    async def __call__(self) -> dict[str, Any]:
        self.asked += 1
        if self.messages:
            return self.messages.pop(0)
        return await asyncio.Event().wait()


@dataclass
class Sending:
    """What the application answered."""

    messages: list[dict[str, Any]] = field(default_factory=list)

    async def __call__(self, message: dict[str, Any]) -> None:
        self.messages.append(message)

    @property
    def status(self) -> int:
        return self.messages[0]["status"]

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.messages[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.messages[1:])

    @property
    def document(self) -> Any:
        return strict_json.read_strict(self.body)
