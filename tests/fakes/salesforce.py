"""Salesforce's token endpoint and contacts: a unique external id, sessions that end, a day's quota.

Rules from developer.salesforce.com; wording of the errors as in contracts/salesforce.json.
"""

from __future__ import annotations

import itertools
import re
from typing import Any
from urllib.parse import parse_qsl

from tests.fakes import Answer, Call, Fake, as_json, unescaped

STANDARD = frozenset({"LastName", "FirstName", "Email", "Title"})
LIFECYCLE = frozenset({"Plan__c", "Signup_Date__c", "Membership_Status__c", "Churned_At__c"})
KEY_FIELD = "WaaS_Customer_Id__c"
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


class FakeSalesforce(Fake):
    """`contacts` is id to fields, the external id among them; `tokens` counts those handed out."""

    def __init__(self, fields: frozenset[str] = STANDARD) -> None:
        super().__init__()
        self.known = fields
        self.client_id = "3MVG9-consumer-key"
        self.client_secret = "consumer-secret"
        self.contacts: dict[str, dict[str, Any]] = {}
        self.sessions: set[str] = set()
        self.tokens = 0
        self.calls_left: int | None = None
        #: External ids of records that another write holds.
        self.locked: set[str] = set()
        self._numbers = itertools.count(1)

    def add(self, key: str | None = None, **fields: Any) -> str:
        """A contact that is there already; gives its id."""
        identifier = f"003x000000{next(self._numbers):05d}AAA"
        self.contacts[identifier] = {**fields, **({KEY_FIELD: key} if key else {})}
        return identifier

    def by_key(self, key: str) -> str | None:
        """The id of the contact with this external id."""
        for identifier, fields in self.contacts.items():
            if str(fields.get(KEY_FIELD, "")).lower() == key.lower():
                return identifier
        return None

    def handle(self, call: Call) -> Answer:
        if call.path == "/services/oauth2/token":
            return self._token(call)
        if call.headers.get("authorization", "").removeprefix("Bearer ") not in self.sessions:
            return _error(401, "INVALID_SESSION_ID", "Session expired or invalid")
        if self.calls_left is not None:
            self.calls_left -= 1
            if self.calls_left < 0:
                return _error(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
        return self._answer(call.method, call.path.removeprefix("/services/data/v61.0/"), call)

    def _token(self, call: Call) -> Answer:
        form = dict(parse_qsl(call.body.decode()))
        if form != {
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
        }:
            refusal = {"error": "invalid_client", "error_description": "invalid client credentials"}
            return as_json(400, refusal)
        self.tokens += 1
        token = f"00Dx0000000!session-{self.tokens}"
        self.sessions.add(token)
        reply = {"access_token": token, "instance_url": self.base_url, "token_type": "Bearer"}
        return as_json(200, reply)

    def _answer(self, method: str, place: str, call: Call) -> Answer:
        match method, place.split("/"):
            case "PATCH", ["composite", "sobjects", "Contact", _]:
                return self._collection(call.json)
            case "PATCH", ["sobjects", "Contact", field, key]:
                return self._upsert(field, unescaped(key), call.json)
            case "GET", ["sobjects", "Contact", _, key]:
                found = self.by_key(unescaped(key))
                if found is None:
                    return _error(404, "NOT_FOUND", "The requested resource does not exist")
                return as_json(200, {"attributes": {"type": "Contact"}, "Id": found})
            case "PATCH", ["sobjects", "Contact", identifier]:
                return self._update(identifier, call.json)
        return _error(404, "NOT_FOUND", "The requested resource does not exist")

    def _update(self, identifier: str, fields: dict[str, Any]) -> Answer:
        if identifier not in self.contacts:
            return _error(404, "ENTITY_IS_DELETED", "entity is deleted")
        wrong = self._wrong(fields, new=False)
        if wrong:
            return _error(400, *wrong)
        self.contacts[identifier].update(fields)
        return Answer(204)

    def _upsert(self, field: str, key: str, fields: dict[str, Any]) -> Answer:
        if field != KEY_FIELD:
            return _error(404, "NOT_FOUND", "Provided external ID field does not exist")
        if KEY_FIELD in fields or "Id" in fields:
            return _error(400, "INVALID_FIELD", "The external ID must not be in the body")
        written = self._write(key, fields)
        if written.get("errors"):
            (error,) = written["errors"]
            return _error(400, error["statusCode"], error["message"])
        return as_json(201 if written["created"] else 200, written)

    def _collection(self, document: dict[str, Any]) -> Answer:
        records = document["records"]
        if len(records) > 200:
            return _error(400, "EXCEEDED_MAX_SIZE_REQUEST", "record limit reached")
        keys = [record[KEY_FIELD] for record in records]
        results = []
        for record in records:
            fields = {n: v for n, v in record.items() if n not in {"attributes", KEY_FIELD}}
            if keys.count(record[KEY_FIELD]) > 1:
                results.append(_failure("DUPLICATE_VALUE", "Duplicate external id specified"))
            else:
                results.append(self._write(record[KEY_FIELD], fields))
        return as_json(200, results)

    def _write(self, key: str, fields: dict[str, Any]) -> dict[str, Any]:
        found = self.by_key(key)
        wrong = self._wrong(fields, new=found is None)
        if key in self.locked:
            wrong = ("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record")
        if wrong:
            return _failure(*wrong)
        identifier = found or self.add(key)
        self.contacts[identifier].update(fields)
        return {"id": identifier, "success": True, "errors": [], "created": found is None}

    def _wrong(self, fields: dict[str, Any], *, new: bool) -> tuple[str, str] | None:
        if new and not fields.get("LastName"):
            return "REQUIRED_FIELD_MISSING", "Required fields are missing: [LastName]"
        for name, value in fields.items():
            if name not in self.known:
                return "INVALID_FIELD", f"No such column '{name}' on sobject of type Contact"
            if name == "Email" and not _ADDRESS.fullmatch(value):
                return "INVALID_EMAIL_ADDRESS", f"Email: invalid email address: {value}"
        return None


def _failure(code: str, message: str) -> dict[str, Any]:
    return {
        "success": False,
        "errors": [{"statusCode": code, "message": message, "fields": []}],
    }


def _error(status: int, code: str, message: str) -> Answer:
    return as_json(status, [{"message": message, "errorCode": code, "fields": []}])
