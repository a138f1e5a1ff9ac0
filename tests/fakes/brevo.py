"""Brevo's contacts: unique addresses, typed attributes, blocklist, lists, events and orders.

Rules from developers.brevo.com; wording of the errors as in contracts/brevo.json.
Changing the address of a blocklisted contact lifts the blocklisting, and joining a list forgets
that one had left it.
"""

from __future__ import annotations

import itertools
import re
from typing import Any

from tests.contract.loading import request_errors
from tests.fakes import Answer, Call, Fake, as_json, unescaped

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
STANDARD = {"FIRSTNAME": "text", "LASTNAME": "text"}
LIFECYCLE = {
    "PLAN": "text",
    "SIGNUP_DATE": "date",
    "MEMBERSHIP_STATUS": "text",
    "CHURNED_AT": "date",
    "LAST_PAYMENT_AT": "date",
    "LAST_PAYMENT_FAILED_AT": "date",
}


class FakeBrevo(Fake):
    """`contacts` is id to contact; ids are never used twice; `orders` is id to order."""

    def __init__(self, key: str = "xkeysib-correct", attributes: dict[str, str] | None = None):
        super().__init__()
        self.key = key
        self.known = {**STANDARD, **LIFECYCLE} if attributes is None else attributes
        self.contacts: dict[int, dict[str, Any]] = {}
        self.events: list[dict[str, Any]] = []
        self.orders: dict[str, dict[str, Any]] = {}
        #: What breaks a rule of the contract, as the contract says it.
        self.invalid: list[str] = []
        self.requests_left: int | None = None
        self._ids = itertools.count(9021)

    def add(self, email: str, **more: Any) -> int:
        """A contact that is there already; gives its id."""
        identifier = next(self._ids)
        known = {"emailBlacklisted": False, "listIds": [], "listUnsubscribed": [], "attributes": {}}
        self.contacts[identifier] = {"id": identifier, "email": email, **known, **more}
        return identifier

    def find(self, key: str) -> dict[str, Any] | None:
        """The contact with this id or address."""
        if key.isdecimal():
            return self.contacts.get(int(key))
        found = (c for c in self.contacts.values() if c["email"].lower() == key.lower())
        return next(found, None)

    def handle(self, call: Call) -> Answer:
        if call.headers.get("api-key") != self.key:
            return _error(401, "unauthorized", "Key not found")
        if self.requests_left is not None:
            if not self.requests_left:
                return Answer(429, headers={"x-sib-ratelimit-reset": "3"})
            self.requests_left -= 1
        path = call.path.removeprefix("/v3")
        if path.startswith("/contacts/attributes"):
            return self._attributes(path, call)
        if call.method == "POST":
            return {
                "/contacts": self._upsert,
                "/events": self._event,
                "/orders/status": self._order,
            }[path](call.json)
        found = self.find(unescaped(path.removeprefix("/contacts/")))
        if found is None:
            return _error(404, "document_not_found", "Contact does not exist")
        return as_json(200, found) if call.method == "GET" else self._update(found, call.json)

    def _attributes(self, path: str, call: Call) -> Answer:
        if call.method == "GET":
            found = [{"name": n, "category": "normal", "type": k} for n, k in self.known.items()]
            return as_json(200, {"attributes": found})
        name = path.removeprefix("/contacts/attributes/normal/")
        if name in self.known:
            return _error(400, "duplicate_parameter", "Attribute name must be unique")
        if call.json["type"] not in {"text", "date", "float", "boolean"}:
            return _error(400, "invalid_parameter", "type is not valid")
        self.known = {**self.known, name: call.json["type"]}
        return Answer(201)

    def _upsert(self, body: dict[str, Any]) -> Answer:
        self.invalid += request_errors("brevo", "upsert", body)
        if "@" not in body["email"]:
            return _error(400, "invalid_parameter", "Invalid email address")
        found = self.find(body["email"])
        if found is None:
            identifier = self.add(body["email"])
            self._write(self.contacts[identifier], body)
            return as_json(201, {"id": identifier})
        if not body.get("updateEnabled"):
            return _error(400, "duplicate_parameter", "Contact already exist")
        self._write(found, body)
        return Answer(204)

    def _update(self, found: dict[str, Any], body: dict[str, Any]) -> Answer:
        self.invalid += request_errors("brevo", "update", body)
        email = body.get("attributes", {}).get("EMAIL")
        if email is not None:
            holder = self.find(email)
            if holder is not None and holder is not found:
                return _error(400, "duplicate_parameter", "Contact already exist")
            if email != found["email"]:
                found["emailBlacklisted"] = False
            found["email"] = email
        self._write(found, body)
        return Answer(204)

    def _write(self, contact: dict[str, Any], body: dict[str, Any]) -> None:
        contact["emailBlacklisted"] = body.get("emailBlacklisted", contact["emailBlacklisted"])
        for name, value in body.get("attributes", {}).items():
            kind = self.known.get(name)
            if kind == "text" or (kind == "date" and _DATE.fullmatch(str(value))):
                contact["attributes"][name] = value
        left = body.get("unlinkListIds", [])
        joined = body.get("listIds", [])
        kept = [one for one in contact["listIds"] if one not in left]
        contact["listIds"] = list(dict.fromkeys([*kept, *joined]))
        contact["listUnsubscribed"] = [
            one for one in contact["listUnsubscribed"] if one not in joined
        ]

    def _event(self, body: dict[str, Any]) -> Answer:
        self.invalid += request_errors("brevo", "event", body)
        self.events.append(body)
        return Answer(204)

    def _order(self, body: dict[str, Any]) -> Answer:
        if not {"id", "createdAt", "updatedAt", "status", "amount", "products"} <= body.keys():
            return _error(400, "missing_parameter", "order fields are missing")
        self.orders[body["id"]] = body
        return Answer(204)


def _error(status: int, code: str, message: str) -> Answer:
    return as_json(status, {"code": code, "message": message})
