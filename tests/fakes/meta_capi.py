"""Meta's Conversions API: a request is taken whole or refused for its worst event.

`events` is what is counted: one for each name and id.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tests.contract.loading import request_errors
from tests.fakes import Answer, Call, Fake, as_json

_SEVEN_DAYS = 7 * 86_400
_MOST_EVENTS = 1000


class FakeMeta(Fake):
    """One dataset; `requests_left` is what is left of the application's window."""

    def __init__(
        self,
        token: str = "EAAcorrect",
        dataset: str = "1234567890123456",
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self.token = token
        self.dataset = dataset
        self.clock = clock
        self.requests_left: int | None = None
        self.tested: list[dict[str, Any]] = []
        self._counted: dict[tuple[str, str], dict[str, Any]] = {}

    @property
    def events(self) -> list[dict[str, Any]]:
        """What is counted."""
        return list(self._counted.values())

    def handle(self, call: Call) -> Answer:
        if call.query.get("access_token") != self.token:
            return _error(400, 190, 463, "Session has expired")
        if call.path != f"/v24.0/{self.dataset}/events":
            return _error(400, 100, 33, "Object with ID does not exist or missing permissions")
        if self.requests_left is not None:
            if self.requests_left == 0:
                return _error(400, 4, 0, "Application request limit reached", transient=True)
            self.requests_left -= 1
        document = call.json
        if request_errors("meta_capi", "events", document) or len(document["data"]) > _MOST_EVENTS:
            return _error(400, 100, 2804019, "Invalid parameter")
        if any(not self._is_recent(event) for event in document["data"]):
            return _error(400, 100, 2804003, "Event Timestamp Too Old")
        if any(not _is_complete(event) for event in document["data"]):
            return _error(400, 100, 2804019, "Invalid parameter")
        for event in document["data"]:
            self._counted.setdefault((event["event_name"], event["event_id"]), event)
        if "test_event_code" in document:
            self.tested.extend(document["data"])
        received = len(document["data"])
        return as_json(200, {"events_received": received, "messages": [], "fbtrace_id": "A1b2"})

    def _is_recent(self, event: dict[str, Any]) -> bool:
        return 0 <= self.clock() - event["event_time"] <= _SEVEN_DAYS


def _is_complete(event: dict[str, Any]) -> bool:
    if event["action_source"] != "website":
        return True
    return "event_source_url" in event and "client_user_agent" in event["user_data"]


def _error(
    status: int, code: int, subcode: int, message: str, *, transient: bool = False
) -> Answer:
    return as_json(
        status,
        {
            "error": {
                "message": message,
                "type": "OAuthException",
                "code": code,
                "error_subcode": subcode,
                "is_transient": transient,
                "error_user_title": message,
                "fbtrace_id": "A1b2",
            }
        },
    )
