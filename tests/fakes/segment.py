"""Segment's HTTP API, or RudderStack's: 200 to almost everything, and invalid messages are lost.

`messages` is what reaches the tools behind it: one for each message id.
`lost` is what was answered 200 and thrown away.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from tests.contract.loading import request_errors
from tests.fakes import Answer, Call, Fake, as_json

MOST_BYTES = 512_000
MOST_MESSAGE_BYTES = 32_768


class FakeSegment(Fake):
    """One source; RudderStack refuses a wrong key where Segment takes it and loses the messages."""

    def __init__(self, key: str = "wk_correct", *, rudder: bool = False) -> None:
        super().__init__()
        self.key = key
        self.rudder = rudder
        self.requests_left: int | None = None
        self.messages: dict[str, dict[str, Any]] = {}
        self.lost: list[Any] = []

    def tracked(self, name: str) -> list[dict[str, Any]]:
        """The messages that track this event."""
        return [message for message in self.messages.values() if message.get("event") == name]

    def handle(self, call: Call) -> Answer:
        if (call.method, call.path) != ("POST", "/v1/batch"):
            return Answer(404)
        if self.requests_left is not None:
            if self.requests_left == 0:
                return Answer(429, headers={"Retry-After": "5", "X-RateLimit-Reset": "5"})
            self.requests_left -= 1
        if len(call.body) > MOST_BYTES or not isinstance(call.json, dict):
            return as_json(400, {"success": False, "message": "malformed JSON"})
        expected = b64encode(f"{self.key}:".encode()).decode()
        known = call.headers.get("authorization") == f"Basic {expected}"
        if not known and self.rudder:
            return Answer(401, b"Invalid write key")
        for message in call.json["batch"]:
            alone = request_errors("segment", "batch", {"batch": [message]})
            if alone or not known or _size(message) > MOST_MESSAGE_BYTES:
                self.lost.append(message)
            else:
                self.messages.setdefault(message["messageId"], message)
        return as_json(200, {"success": True})


def _size(message: dict[str, Any]) -> int:
    return len(as_json(200, message).body)
