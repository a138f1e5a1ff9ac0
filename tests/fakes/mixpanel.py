"""Mixpanel: strict import that keeps the good records, and profiles that answer 200 to everything.

`events` is what a query shows: one for each name, user, time and insert id.
"""

from __future__ import annotations

import time
from base64 import b64decode
from collections.abc import Callable
from typing import Any

from tests.contract.loading import request_errors
from tests.fakes import Answer, Call, Fake, as_json

MOST_BYTES = 10_485_760
_MOST_PROPERTIES = 255
#: Ids that so many broken senders use that Mixpanel refuses them.
NOBODY = frozenset(
    {"", "00000000-0000-0000-0000-000000000000", "anon", "anonymous", "nil", "none", "null", "n/a",
     "na", "undefined", "unknown", "<nil>", "0", "-1", "true", "false", "[]", "{}"}
)  # fmt: skip


class FakeMixpanel(Fake):
    """One project; `requests_left` is what is left of its rate window, None for plenty."""

    def __init__(
        self,
        token: str = "tok_correct",
        account: tuple[str, str, str] | None = None,
        most_bytes: int = MOST_BYTES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self.clock = clock
        self.token = token
        self.account = account
        self.most_bytes = most_bytes
        self.requests_left: int | None = None
        self.profiles_work = True
        self.people: dict[str, dict[str, Any]] = {}
        self._merged: dict[tuple[Any, ...], dict[str, Any]] = {}

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events as a query shows them."""
        return list(self._merged.values())

    def handle(self, call: Call) -> Answer:
        if self.requests_left is not None:
            if self.requests_left == 0:
                return _said(429, "Project exceeded rate limits.", "Too Many Requests")
            self.requests_left -= 1
        if len(call.body) > self.most_bytes:
            error = f"request exceeds max limit of {self.most_bytes} bytes"
            return _said(413, error, "Request Entity Too Large")
        if (call.method, call.path) == ("POST", "/import"):
            return self._import(call)
        if (call.method, call.path) == ("POST", "/engage"):
            return self._engage(call)
        return Answer(404)

    def _import(self, call: Call) -> Answer:
        if not self._may_import(call):
            return _said(401, "Invalid credentials", "Unauthorized")
        records, failed = call.json, []
        for index, record in enumerate(records):
            wrong = self._wrong(record)
            if wrong is None:
                properties = record["properties"]
                key = (
                    record["event"],
                    *(properties[name] for name in ("distinct_id", "time", "$insert_id")),
                )
                self._merged.setdefault(key, record)
            else:
                message = f"'{wrong}' is invalid"
                insert_id = record.get("properties", {}).get("$insert_id")
                failed.append(
                    {"index": index, "$insert_id": insert_id, "field": wrong, "message": message}
                )
        imported = len(records) - len(failed)
        if not failed:
            return as_json(200, {"code": 200, "num_records_imported": imported, "status": "OK"})
        return as_json(
            400,
            {
                "code": 400,
                "error": "some data points in the request failed validation",
                "failed_records": failed,
                "num_records_imported": imported,
                "status": "Bad Request",
            },
        )

    def _may_import(self, call: Call) -> bool:
        scheme, _, encoded = call.headers.get("authorization", "").partition(" ")
        login = b64decode(encoded).decode() if scheme == "Basic" else ""
        if self.account is None:
            return login == f"{self.token}:" and call.query.get("strict") == "1"
        user, secret, project = self.account
        return login == f"{user}:{secret}" and call.query.get("project_id") == project

    def _wrong(self, record: Any) -> str | None:
        errors = request_errors("mixpanel", "import", [record])
        if errors:
            return errors[0]
        properties = record["properties"]
        if not 31_536_000_000 <= properties["time"] <= (self.clock() + 3600) * 1000:
            return "properties.time"
        if properties["distinct_id"].lower() in NOBODY:
            return "properties.distinct_id"
        if properties["$insert_id"].lower() in NOBODY:
            return "properties.$insert_id"
        return "properties" if len(properties) >= _MOST_PROPERTIES else None

    def _engage(self, call: Call) -> Answer:
        records = call.json
        operations = {"$set", "$set_once"}
        good = (
            self.profiles_work
            and not request_errors("mixpanel", "engage", records)
            and all(record["$token"] == self.token for record in records)
            and all(len(operations & record.keys()) == 1 for record in records)
        )
        if not good:
            error = "some data points in the request failed validation"
            return as_json(200, {"status": 0, "error": error})
        for record in records:
            person = self.people.setdefault(record["$distinct_id"], {})
            for name, value in record.get("$set_once", {}).items():
                person.setdefault(name, value)
            person.update(record.get("$set", {}))
        return as_json(200, {"status": 1, "error": None})


def _said(status: int, error: str, words: str) -> Answer:
    return as_json(status, {"code": status, "error": error, "status": words})
