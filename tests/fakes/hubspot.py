"""HubSpot's contacts: unique addresses, strict properties, batches, a rolling rate window.

Rules from developers.hubspot.com; wording of the errors as in contracts/hubspot.json.
Where the documentation leaves room ("partial upserts are not supported" by address), the reading
that costs most is the one that is played: what is not sent is lost.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any

from tests.contract.loading import request_errors
from tests.fakes import Answer, Call, Fake, as_json, unescaped
from tests.fakes.hubspot_answers import (
    detail,
    error,
    invalid,
    item_error,
    multi_status,
    over_the_limit,
)
from tests.fakes.hubspot_deals import DealBook

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
_BATCH = 100
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
        self.book = DealBook(self.contacts, path_prefix)
        #: A contact that was merged into another: its id to the other's.
        self.merged: dict[str, str] = {}
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
            return error(401, "INVALID_AUTHENTICATION", "Authentication credentials not found.")
        if self.requests_left is not None:
            if self.requests_left == 0:
                return over_the_limit()
            self.requests_left -= 1
        if call.path.startswith("/crm/v3/properties/"):
            return self._new_property(call)
        if call.path.startswith(f"{self._prefix}/batch/"):
            return self._batch(call)
        return self.book.handle(call) or self._contact(call)

    def _contact(self, call: Call) -> Answer:
        properties = (call.json or {}).get("properties")
        if not isinstance(properties, dict) or not properties:
            return error(400, "VALIDATION_ERROR", "No properties found to update")
        refused = self._check(properties)
        if refused:
            return refused
        if call.method == "POST" and call.path == self._prefix:
            return self._create(properties)
        if call.method == "PATCH" and call.path.startswith(f"{self._prefix}/"):
            key = unescaped(call.path.removeprefix(f"{self._prefix}/"))
            return self._update(key, call.query.get("idProperty"), properties)
        return error(405, "METHOD_NOT_ALLOWED", "Method not allowed")

    def _new_property(self, call: Call) -> Answer:
        kind = call.path.rpartition("/")[2]
        owner: Any = self if kind == "contacts" else self.book
        name = call.json["name"]
        if name in owner.known:
            return error(409, "OBJECT_ALREADY_EXISTS", f"A property named '{name}' already exists.")
        owner.known |= {name}
        return as_json(201, call.json)

    def _batch(self, call: Call) -> Answer:
        inputs, verb = call.json["inputs"], call.path.rpartition("/")[2]
        ids = [one["id"].lower() for one in inputs]
        if not 0 < len(ids) <= _BATCH:
            return error(400, "VALIDATION_ERROR", "The batch must hold 1 to 100 records")
        if len(set(ids)) < len(ids):
            return error(400, "VALIDATION_ERROR", "Duplicate IDs found in batch input")
        if verb == "read":
            return self._read_batch(call.json)
        if request_errors("hubspot", "batch_upsert", call.json):
            return error(400, "VALIDATION_ERROR", "Invalid input JSON")
        if {one.get("idProperty") for one in inputs} != {"email" if verb == "upsert" else None}:
            message = "Unable to perform update/upsert by non-unique 0-1 property"
            return error(400, "VALIDATION_ERROR", message)
        refusals = [self._check({**one["properties"], "email": "x@y.example"}) for one in inputs]
        return next(filter(None, refusals), None) or self._write_batch(verb, inputs)

    def _write_batch(self, verb: str, inputs: list[dict[str, Any]]) -> Answer:
        ended = [(one, self._write_item(verb, one)) for one in inputs]
        errors = [end for _, end in ended if end and "category" in end]
        # The trace id comes back where something went wrong, and only there.
        results = [
            end | ({"objectWriteTraceId": one["objectWriteTraceId"]} if errors else {})
            for one, end in ended
            if end and "category" not in end
        ]
        return multi_status(results, errors)

    def _read_batch(self, document: dict[str, Any]) -> Answer:
        by_email = document.get("idProperty") == "email"
        found, lacking = [], []
        for one in document["inputs"]:
            identifier = self.by_email(one["id"]) if by_email else one["id"]
            if identifier in self.contacts:
                found.append(self._document(identifier))
            else:
                lacking.append(one["id"])
        message = "Could not get some CONTACT objects, they may be deleted or not exist."
        missing = item_error("OBJECT_NOT_FOUND", message) | {"context": {"ids": lacking}}
        return multi_status(found, [missing] if lacking else [])

    def _write_item(self, verb: str, one: dict[str, Any]) -> dict[str, Any] | None:
        key, properties = one["id"], one["properties"]
        trace = one["objectWriteTraceId"]
        email = properties.get("email", key if verb == "upsert" else "x@example.com")
        if not _ADDRESS.fullmatch(email):
            message = f'Property value "{email}" is not a valid email'
            return item_error("VALIDATION_ERROR", message, objectWriteTraceId=trace)
        if key in self.merged:
            self._write(self.merged[key], properties)
            return None
        identifier = self.by_email(key) if verb == "upsert" else key
        if identifier is None:
            identifier = self.add(email=key)
        elif identifier not in self.contacts:
            message = "Could not get some CONTACT objects, they may be deleted or not exist."
            return item_error("OBJECT_NOT_FOUND", message, objectWriteTraceId=trace, ids=key)
        elif verb == "upsert":
            self.contacts[identifier] = {"email": key}
        holder = self.by_email(properties.get("email", ""))
        if holder is not None and holder != identifier:
            message = f"A contact with the email already exists. Existing ID: {holder}"
            return item_error("CONFLICT", message, objectWriteTraceId=trace)
        self._write(identifier, properties)
        return self._document(identifier)

    def _check(self, properties: dict[str, Any]) -> Answer | None:
        unknown = [name for name in properties if name not in self.known]
        if unknown:
            return invalid(
                [
                    detail(f'Property "{name}" does not exist', "PROPERTY_DOESNT_EXIST", name)
                    for name in unknown
                ]
            )
        for name, value in properties.items():
            if not isinstance(value, str):
                return invalid([detail("Value was not a string", "INVALID_TYPE", name)])
            if name.endswith("_date") and value and not _DATE.fullmatch(value):
                return invalid([detail(f"{value} was not a valid date", "INVALID_DATE", name)])
        email = properties.get("email")
        if email is not None and not _ADDRESS.fullmatch(email):
            return invalid([detail(f"Email address {email} is invalid", "INVALID_EMAIL", "email")])
        return None

    def _update(self, key: str, id_property: str | None, properties: dict[str, str]) -> Answer:
        identifier = self.by_email(key) if id_property == "email" else key
        if identifier not in self.contacts:
            meanwhile, self.meanwhile = self.meanwhile, None
            if meanwhile:
                meanwhile()
            return error(404, "OBJECT_NOT_FOUND", "resource not found")
        holder = self.by_email(properties.get("email", ""))
        if holder is not None and holder != identifier:
            message = f"A contact with the email already exists. Existing ID: {holder}"
            return error(409, "CONFLICT", message)
        self._write(identifier, properties)
        return self._shown(200, identifier)

    def _create(self, properties: dict[str, str]) -> Answer:
        holder = self.by_email(properties.get("email", ""))
        if holder is not None:
            message = f"Contact already exists. Existing ID: {holder}"
            return error(409, "CONFLICT", message)
        if not STANDARD & properties.keys():
            return error(400, "VALIDATION_ERROR", "At least one of email, firstname, lastname")
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
        return as_json(status, self._document(identifier))

    def _document(self, identifier: str) -> dict[str, Any]:
        return {
            "id": identifier,
            "properties": {**self.contacts[identifier], "hs_object_id": identifier},
            "createdAt": "2026-01-05T10:00:00.000Z",
            "updatedAt": "2026-01-05T10:00:00.000Z",
            "archived": False,
        }
