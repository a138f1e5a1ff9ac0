"""Klaviyo's profiles and events: unique addresses, events kept once per unique id.

Rules from developers.klaviyo.com; wording of the errors as in contracts/klaviyo.json.
"""

from __future__ import annotations

import itertools
import re
from typing import Any

from tests.contract.loading import request_errors
from tests.fakes import Answer, Call, Fake, as_json

_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_UNIQUE = ("email", "external_id")


class FakeKlaviyo(Fake):
    """`profiles` is id to attributes, `events` what a profile's history shows.

    `subscribed` holds the ids of those who receive mail: no request of the relay's may touch it.
    """

    def __init__(self, api_key: str = "pk_correct") -> None:
        super().__init__()
        self.api_key = api_key
        self.profiles: dict[str, dict[str, Any]] = {}
        self.events: list[dict[str, Any]] = []
        self.subscribed: set[str] = set()
        self.requests_left: int | None = None
        self._seen: set[tuple[str, str, str]] = set()
        self._ids = itertools.count(1)

    def add(self, **attributes: Any) -> str:
        """A profile that is there already; gives its id."""
        identifier = f"01PROFILE{next(self._ids):04d}"
        self.profiles[identifier] = dict(attributes)
        return identifier

    def counted(self, metric: str) -> list[dict[str, Any]]:
        """The events of this metric."""
        return [event for event in self.events if event["metric"] == metric]

    def handle(self, call: Call) -> Answer:
        if call.headers.get("authorization") != f"Klaviyo-API-Key {self.api_key}":
            return _error(401, "authentication_failed", "Incorrect authentication credentials.")
        if "revision" not in call.headers:
            return _error(400, "invalid", "The revision header is required.")
        if self.requests_left is not None:
            if self.requests_left == 0:
                refusal = _error(429, "throttled", "Expected available in 1 second.")
                return Answer(429, refusal.body, {**refusal.headers, "Retry-After": "1"})
            self.requests_left -= 1
        if call.path == "/api/profile-import":
            return self._import(call)
        return self._track(call) if call.path == "/api/events" else Answer(404)

    def _import(self, call: Call) -> Answer:
        if request_errors("klaviyo", "upsert", call.json):
            return _error(400, "invalid", "Invalid input.")
        data = call.json["data"]
        told = data["attributes"]
        if "email" in told and not _ADDRESS.fullmatch(told["email"]):
            return _error(400, "invalid", "Invalid email address", "/data/attributes/email")
        holders = {self._holder(name, told[name]) for name in _UNIQUE if name in told} - {None}
        if "id" in data:
            if data["id"] not in self.profiles:
                return _error(404, "not_found", "A profile with this id does not exist.")
            holders.add(data["id"])
        if len(holders) > 1:
            detail = "A profile already exists with one of these identifiers."
            return _error(409, "duplicate_profile", detail, "/data/attributes")
        if not holders and not any(name in told for name in _UNIQUE):
            return _error(400, "invalid", "One of email, phone_number or external_id is required.")
        identifier = holders.pop() if holders else None
        status = 200 if identifier else 201
        identifier = identifier or self.add()
        self._write(self.profiles[identifier], told)
        document = {"type": "profile", "id": identifier, "attributes": self.profiles[identifier]}
        return as_json(status, {"data": document})

    def _holder(self, name: str, value: str) -> str | None:
        for identifier, known in self.profiles.items():
            if str(known.get(name, "")).lower() == value.lower():
                return identifier
        return None

    def _write(self, profile: dict[str, Any], told: dict[str, Any]) -> None:
        for name, value in told.items():
            if name == "properties":
                profile["properties"] = {**profile.get("properties", {}), **value}
            elif value is None:
                profile.pop(name, None)
            else:
                profile[name] = value

    def _track(self, call: Call) -> Answer:
        if request_errors("klaviyo", "event", call.json):
            return _error(400, "invalid", "Invalid input.")
        told = call.json["data"]["attributes"]
        whom = told["profile"]["data"]
        identifier = whom.get("id") or self._holder("email", whom["attributes"].get("email", ""))
        if identifier not in self.profiles:
            return _error(400, "invalid", "No profile was named.", "/data/attributes/profile")
        metric = told["metric"]["data"]["attributes"]["name"]
        key = (identifier, metric, told.get("unique_id", told["time"]))
        if key not in self._seen:
            self._seen.add(key)
            self.events.append({**told, "metric": metric, "profile": identifier})
        return Answer(202)


def _error(status: int, code: str, detail: str, pointer: str = "/data/") -> Answer:
    return as_json(
        status,
        {
            "errors": [
                {
                    "id": "7d2e0e5c-0000-4000-8000-000000000000",
                    "status": status,
                    "code": code,
                    "title": "Invalid input.",
                    "detail": detail,
                    "source": {"pointer": pointer},
                    "links": {},
                    "meta": {},
                }
            ]
        },
    )
