"""PostHog's capture service: it takes a batch whole or not at all, and merges repeats later.

`events` is what is left after that: one for each uuid, name, time and person.
`people` are the profiles as `$set` and `$set_once` left them.
"""

from __future__ import annotations

from typing import Any

from tests.contract.loading import request_errors
from tests.fakes import Answer, Call, Fake, as_json

MOST_BYTES = 20_971_520


class FakePostHog(Fake):
    """One project."""

    def __init__(self, key: str = "phc_correct", most_bytes: int = MOST_BYTES) -> None:
        super().__init__()
        self.key = key
        self.most_bytes = most_bytes
        self.over_quota = False
        self.historical: list[bool] = []
        self.people: dict[str, dict[str, Any]] = {}
        self._merged: dict[tuple[str, ...], dict[str, Any]] = {}

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events as a query shows them, without those that only set properties."""
        return [event for event in self._merged.values() if not event["event"].startswith("$")]

    @property
    def groups(self) -> dict[str, Any]:
        """Group key to its properties."""
        return {
            event["properties"]["$group_key"]: event["properties"]["$group_set"]
            for event in self._merged.values()
            if event["event"] == "$groupidentify"
        }

    def handle(self, call: Call) -> Answer:
        if call.method != "POST" or call.path != "/batch/":
            return Answer(404)
        if len(call.body) > self.most_bytes:
            return Answer(413)
        document = call.json
        if not isinstance(document, dict):
            return Answer(400, b"failed to parse request: not an object")
        if document.get("api_key") != self.key:
            return Answer(401, b"API key is not valid: personal_api_key")
        if not document.get("batch"):
            return Answer(400, b"request holds no event")
        errors = request_errors("posthog", "batch", document)
        if errors:
            return Answer(400, f"failed to parse request: {errors[0]}".encode())
        if self.over_quota:
            return as_json(200, {"status": 1, "quota_limited": ["events"]})
        self.historical.append(document["historical_migration"])
        for event in document["batch"]:
            self._keep(event)
        return as_json(200, {"status": 1})

    def _keep(self, event: dict[str, Any]) -> None:
        key = tuple(event[name] for name in ("uuid", "event", "timestamp", "distinct_id"))
        self._merged.setdefault(key, event)
        properties = event["properties"]
        person = self.people.setdefault(event["distinct_id"], {})
        for name, value in properties.get("$set_once", {}).items():
            person.setdefault(name, value)
        person.update(properties.get("$set", {}))
