"""Pipedrive's persons and deals: no unique addresses, a search that lags, lists replaced as a whole.

Rules from pipedrive.readme.io; wording of the errors as in contracts/pipedrive.json.
"""

from __future__ import annotations

import itertools
import time
from typing import Any

from tests.contract.loading import request_errors
from tests.fakes import Answer, Call, Fake, as_json

PLAN = "dcf558aac1ae4e8c4f849ba5e668430d8df9be12"
STATUS = "a" * 40
FAILED_AT = "b" * 40


class FakePipedrive(Fake):
    """`persons` and `deals` go by id; the search knows only what `index` has taken in."""

    def __init__(
        self, token: str = "token-correct", keys: tuple[str, ...] = (PLAN, STATUS)
    ) -> None:
        super().__init__()
        self.token = token
        self.keys = frozenset(keys)
        #: Custom fields by name; those the account came with have names of their own.
        self.fields = {f"Own field {number}": key for number, key in enumerate(keys)}
        self.persons: dict[int, dict[str, Any]] = {}
        self.deals: dict[int, dict[str, Any]] = {}
        self.requests_left: int | None = None
        self.index_lags = False
        #: How long the search does not know what was made, where that is to end by itself.
        self.lag_seconds: float | None = None
        self._indexed_at = 0.0
        self._found: set[int] = set()
        self._ids = itertools.count(42)

    def add(self, email: str, **known: Any) -> int:
        """A person that is there already and can be found; gives its id."""
        identifier = self._new(self.persons, {"emails": [{"value": email, "primary": True}]})
        self.persons[identifier] |= known
        self.index()
        return identifier

    def index(self) -> None:
        """Let the search see everything."""
        self._found = {*self.persons, *self.deals}
        self._indexed_at = time.monotonic()

    def _has_lagged(self) -> bool:
        return (
            self.lag_seconds is not None and time.monotonic() - self._indexed_at > self.lag_seconds
        )

    def handle(self, call: Call) -> Answer:
        return self._turned_away(call) or self._answer(call)

    def _turned_away(self, call: Call) -> Answer | None:
        if call.headers.get("x-api-token") != self.token:
            document = {"success": False, "error": "unauthorized access", "errorCode": 401}
            return as_json(401, document)
        if self.requests_left is None:
            return None
        self.requests_left -= 1
        if self.requests_left >= 0:
            return None
        headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "2"}
        return _error(429, "request over limit", headers=headers)

    def _answer(self, call: Call) -> Answer:
        if not self.index_lags or self._has_lagged():
            self.index()
        _, kind, *rest = call.path.split("/")
        if kind == "personFields":
            return self._fields(call)
        if call.method == "GET" and rest == ["search"]:
            return self._search(kind, call)
        if kind == "deals":
            return self._done(201, self._new(self.deals, call.json), self.deals)
        if call.method == "POST":
            return self._refused("create", call.json) or self._done(
                201, self._new(self.persons, self._person(call.json)), self.persons
            )
        identifier = int(rest[0])
        if identifier not in self.persons:
            return _error(404, "Person not found", code="ERR_NOT_FOUND")
        if call.method == "PATCH":
            refused = self._refused("update", call.json)
            if refused:
                return refused
            self._change(self.persons[identifier], call.json)
        return self._done(200, identifier, self.persons)

    def _fields(self, call: Call) -> Answer:
        if call.method == "POST":
            name, key = call.json["field_name"], f"{len(self.fields):040x}"
            if call.json["field_type"] not in {"varchar", "date"}:
                return _error(400, "Validation failed", code="ERR_SCHEMA_VALIDATION_FAILED")
            self.fields[name] = key
            self.keys |= {key}
            field = {"field_name": name, "field_code": key, "is_custom_field": True}
            return as_json(201, {"success": True, "data": field})
        own = [{"field_name": "Name", "field_code": "name", "is_custom_field": False}]
        made = [
            {"field_name": name, "field_code": key, "is_custom_field": True}
            for name, key in self.fields.items()
        ]
        return as_json(200, {"success": True, "data": own + made})

    def _search(self, kind: str, call: Call) -> Answer:
        term = call.query["term"].lower()
        assert call.query["exact_match"] == "true"
        items = []
        for identifier in sorted(self._found):
            if kind == "deals" and self.deals.get(identifier, {}).get("title", "").lower() == term:
                items.append({"id": identifier, "title": self.deals[identifier]["title"]})
            addresses = [e["value"] for e in self.persons.get(identifier, {}).get("emails", ())]
            if kind == "persons" and term in [address.lower() for address in addresses]:
                items.append({"id": identifier, "type": "person", "emails": addresses})
        limited = [{"result_score": 1, "item": item} for item in items[: int(call.query["limit"])]]
        return as_json(200, {"success": True, "data": {"items": limited}})

    def _refused(self, operation: str, document: Any) -> Answer | None:
        if document == {} or request_errors("pipedrive", operation, document):
            return _error(400, "Validation failed", code="ERR_SCHEMA_VALIDATION_FAILED")
        for key in document.get("custom_fields", {}):
            if key not in self.keys:
                text = f"Validation failed: custom_fields.{key}: key is not valid"
                return _error(400, text, code="ERR_SCHEMA_VALIDATION_FAILED")
        return None

    def _person(self, document: dict[str, Any]) -> dict[str, Any]:
        person: dict[str, Any] = {"emails": [], "phones": [], "label_ids": [], "custom_fields": {}}
        self._change(person, document)
        return person

    def _change(self, person: dict[str, Any], document: dict[str, Any]) -> None:
        for name, value in document.items():
            if name == "custom_fields":
                person[name] = {**person.get(name, {}), **value}
            else:
                person[name] = value

    def _new(self, kind: dict[int, dict[str, Any]], document: dict[str, Any]) -> int:
        identifier = next(self._ids)
        kind[identifier] = {"label_ids": [], "phones": [], **document}
        return identifier

    def _done(self, status: int, identifier: int, kind: dict[int, dict[str, Any]]) -> Answer:
        return as_json(status, {"success": True, "data": {"id": identifier, **kind[identifier]}})


def _error(status: int, text: str, headers: Any = None, **more: Any) -> Answer:
    return as_json(status, {"success": False, "error": text, **more}, headers)
