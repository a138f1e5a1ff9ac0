"""Amplitude's HTTP V2 API: a request is taken whole or not at all, and repeats are dropped.

`events` is what it counts: one for each insert id.
`busy` are users of whom it takes no more just now, `used_up` those of whom it takes no more today.
"""

from __future__ import annotations

from typing import Any

from tests.contract.loading import request_errors
from tests.fakes import Answer, Call, Fake, as_json

MOST_BYTES = 1_048_576
MOST_EVENTS = 2000
_DEFAULT_ID_LENGTH = 5
_YEAR_2200 = 7_258_118_400_000


class FakeAmplitude(Fake):
    """One project."""

    def __init__(
        self, key: str = "amp_correct", most_bytes: int = MOST_BYTES, most_events: int = MOST_EVENTS
    ) -> None:
        super().__init__()
        self.key = key
        self.most_bytes = most_bytes
        self.most_events = most_events
        self.busy: set[str] = set()
        self.used_up: set[str] = set()
        self.people: dict[str, dict[str, Any]] = {}
        self._counted: dict[str, dict[str, Any]] = {}

    @property
    def events(self) -> list[dict[str, Any]]:
        """What is counted, without what only sets properties."""
        return [event for event in self._counted.values() if event["event_type"] != "$identify"]

    def handle(self, call: Call) -> Answer:
        if call.method != "POST" or call.path not in {"/2/httpapi", "/batch"}:
            return Answer(404)
        document = call.json
        if len(call.body) > self.most_bytes or len(document["events"]) > self.most_events:
            return as_json(413, {"code": 413, "error": "Payload too large"})
        if document.get("api_key") != self.key:
            return as_json(400, {"code": 400, "error": f"Invalid API key: {document['api_key']}"})
        refusal = self._refusal(document) or self._too_many(document["events"])
        if refusal:
            return refusal
        for event in document["events"]:
            self._count(event)
        return as_json(200, {"code": 200, "events_ingested": len(document["events"])})

    def _refusal(self, document: dict[str, Any]) -> Answer | None:
        shortest = document.get("options", {}).get("min_id_length", _DEFAULT_ID_LENGTH)
        places: dict[str, dict[str, list[int]]] = {
            "events_with_invalid_fields": {},
            "events_with_missing_fields": {},
            "events_with_invalid_id_lengths": {},
        }
        for index, event in enumerate(document["events"]):
            alone = {"api_key": self.key, "events": [event]}
            if request_errors("amplitude", "httpapi", alone):
                places["events_with_missing_fields"].setdefault("event_type", []).append(index)
            elif not 0 < event.get("time", 1) < _YEAR_2200:
                places["events_with_invalid_fields"].setdefault("time", []).append(index)
            elif len(event.get("user_id", "x" * shortest)) < shortest:
                places["events_with_invalid_id_lengths"].setdefault("user_id", []).append(index)
        if not any(places.values()):
            return None
        error = "Invalid field values on some events"
        return as_json(400, {"code": 400, "error": error, **places, "silenced_events": []})

    def _too_many(self, events: list[dict[str, Any]]) -> Answer | None:
        users = {event.get("user_id") for event in events}
        if not users & (self.busy | self.used_up):
            return None
        return as_json(
            429,
            {
                "code": 429,
                "error": "Too many requests for some devices and users",
                "eps_threshold": 30,
                "throttled_devices": {},
                "throttled_users": dict.fromkeys(users & self.busy, 31),
                "throttled_events": [
                    index for index, event in enumerate(events) if event.get("user_id") in self.busy
                ],
                "exceeded_daily_quota_users": dict.fromkeys(users & self.used_up, 500_001),
                "exceeded_daily_quota_devices": {},
            },
        )

    def _count(self, event: dict[str, Any]) -> None:
        self._counted.setdefault(event["insert_id"], event)
        changes = event.get("user_properties", {})
        person = self.people.setdefault(event["user_id"], {})
        for name, value in changes.get("$setOnce", {}).items():
            person.setdefault(name, value)
        person.update(changes.get("$set", {}))
