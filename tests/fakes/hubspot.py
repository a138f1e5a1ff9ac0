"""HubSpot's contacts: unique addresses, strict properties, a rolling rate window.

Rules from developers.hubspot.com; wording of the errors as in contracts/hubspot.json.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any

from tests.fakes import Answer, Call, Fake, as_json, unescaped

STANDARD = frozenset({"email", "firstname", "lastname"})
LIFECYCLE = frozenset(
    {
        "plan",
        "signup_date",
        "membership_status",
        "churned_at",
        "last_payment_at",
        "last_payment_failed_at",
    }
)
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


class FakeHubSpot(Fake):
    """`contacts` is id to properties; ids are never used twice."""

    def __init__(
        self,
        token: str = "pat-eu1-correct",
        properties: frozenset[str] = STANDARD | LIFECYCLE,
        path_prefix: str = "/crm/v3/objects",
    ) -> None:
        super().__init__()
        self.token = token
        self.known = properties
        self.contacts: dict[str, dict[str, str]] = {}
        self.requests_left: int | None = None
        #: Called once between the lookup and the answer of the next lookup that finds nobody.
        self.meanwhile: Callable[[], Any] | None = None
        self._prefix = f"{path_prefix}/contacts"
        self._ids = itertools.count(51)

    def add(self, **properties: str) -> str:
        """A contact that is there already; gives its id."""
        identifier = str(next(self._ids))
        self.contacts[identifier] = dict(properties)
        return identifier

    def by_email(self, email: str) -> str | None:
        """The id of the contact with this address."""
        for identifier, properties in self.contacts.items():
            if properties.get("email", "").lower() == email.lower():
                return identifier
        return None

    def handle(self, call: Call) -> Answer:
        if call.headers.get("authorization") != f"Bearer {self.token}":
            return _error(401, "INVALID_AUTHENTICATION", "Authentication credentials not found.")
        if self.requests_left is not None:
            if self.requests_left == 0:
                return _over_the_limit()
            self.requests_left -= 1
        properties = (call.json or {}).get("properties")
        if not isinstance(properties, dict) or not properties:
            return _error(400, "VALIDATION_ERROR", "No properties found to update")
        refused = self._check(properties)
        if refused:
            return refused
        if call.method == "POST" and call.path == self._prefix:
            return self._create(properties)
        if call.method == "PATCH" and call.path.startswith(f"{self._prefix}/"):
            key = unescaped(call.path.removeprefix(f"{self._prefix}/"))
            return self._update(key, call.query.get("idProperty"), properties)
        return _error(405, "METHOD_NOT_ALLOWED", "Method not allowed")

    def _check(self, properties: dict[str, Any]) -> Answer | None:
        unknown = [name for name in properties if name not in self.known]
        if unknown:
            return _invalid(
                [
                    _detail(f'Property "{name}" does not exist', "PROPERTY_DOESNT_EXIST", name)
                    for name in unknown
                ]
            )
        for name, value in properties.items():
            if not isinstance(value, str):
                return _invalid([_detail("Value was not a string", "INVALID_TYPE", name)])
            if name.endswith("_date") and value and not _DATE.fullmatch(value):
                return _invalid([_detail(f"{value} was not a valid date", "INVALID_DATE", name)])
        email = properties.get("email")
        if email is not None and not _ADDRESS.fullmatch(email):
            return _invalid(
                [_detail(f"Email address {email} is invalid", "INVALID_EMAIL", "email")]
            )
        return None

    def _update(self, key: str, id_property: str | None, properties: dict[str, str]) -> Answer:
        identifier = self.by_email(key) if id_property == "email" else key
        if identifier not in self.contacts:
            meanwhile, self.meanwhile = self.meanwhile, None
            if meanwhile:
                meanwhile()
            return _error(404, "OBJECT_NOT_FOUND", "resource not found")
        holder = self.by_email(properties.get("email", ""))
        if holder is not None and holder != identifier:
            message = f"A contact with the email already exists. Existing ID: {holder}"
            return _error(409, "CONFLICT", message)
        self._write(identifier, properties)
        return self._shown(200, identifier)

    def _create(self, properties: dict[str, str]) -> Answer:
        holder = self.by_email(properties.get("email", ""))
        if holder is not None:
            message = f"Contact already exists. Existing ID: {holder}"
            return _error(409, "CONFLICT", message)
        if not STANDARD & properties.keys():
            return _error(400, "VALIDATION_ERROR", "At least one of email, firstname, lastname")
        identifier = self.add()
        self._write(identifier, properties)
        return self._shown(201, identifier)

    def _write(self, identifier: str, properties: dict[str, str]) -> None:
        contact = self.contacts[identifier]
        for name, value in properties.items():
            if value:
                contact[name] = value
            else:
                contact.pop(name, None)

    def _shown(self, status: int, identifier: str) -> Answer:
        return as_json(
            status,
            {
                "id": identifier,
                "properties": {**self.contacts[identifier], "hs_object_id": identifier},
                "createdAt": "2026-01-05T10:00:00.000Z",
                "updatedAt": "2026-01-05T10:00:00.000Z",
                "archived": False,
            },
        )


def _error(status: int, category: str, message: str, **more: Any) -> Answer:
    return as_json(
        status,
        {
            "status": "error",
            "message": message,
            "correlationId": "aeb5f871-7f07-4993-9211-075dc63e7cbf",
            "category": category,
            **more,
        },
    )


def _invalid(details: list[dict[str, Any]]) -> Answer:
    message = "Property values were not valid"
    return _error(400, "VALIDATION_ERROR", message, errors=details)


def _detail(message: str, code: str, name: str) -> dict[str, Any]:
    return {"message": message, "code": code, "context": {"propertyName": [name]}}


def _over_the_limit() -> Answer:
    message = "You have reached your ten_secondly_rolling limit."
    refusal = _error(429, "RATE_LIMITS", message, policyName="TEN_SECONDLY_ROLLING")
    headers = {
        **refusal.headers,
        "X-HubSpot-RateLimit-Max": "100",
        "X-HubSpot-RateLimit-Remaining": "0",
        "X-HubSpot-RateLimit-Interval-Milliseconds": "10000",
    }
    return Answer(429, refusal.body, headers)
