"""Zoho's accounts server and contacts: tokens for an hour, ten in ten minutes, results per record.

Rules from zoho.com/crm/developer; wording of the errors as in contracts/zoho_crm.json.
"""

from __future__ import annotations

import itertools
from typing import Any
from urllib.parse import parse_qsl

from tests.contract.loading import request_errors
from tests.fakes import Answer, Call, Fake, as_json

#: What the module has; every other field is ignored.
KNOWN = frozenset({"Last_Name", "First_Name", "Email", "Title", "Plan", "Membership_Status"})


class FakeZohoCrm(Fake):
    """`contacts` is id to fields; `started` are the automations that writes have set off."""

    def __init__(self) -> None:
        super().__init__()
        self.credentials = {
            "grant_type": "refresh_token",
            "client_id": "1000.CLIENT",
            "client_secret": "client-secret",
            "refresh_token": "1000.refresh-token",
        }
        self.contacts: dict[str, dict[str, Any]] = {}
        self.live: set[str] = set()
        self.tokens = 0
        self.tokens_left = 10
        self.credits_left: int | None = None
        self.started: list[str] = []
        self.unique_email = False
        self._numbers = itertools.count(724445000000424003)

    def add(self, **fields: Any) -> str:
        """A contact that is there already; gives its id."""
        identifier = str(next(self._numbers))
        self.contacts[identifier] = dict(fields)
        return identifier

    def by_email(self, email: str) -> str | None:
        """The id of the contact with this address."""
        for identifier, fields in self.contacts.items():
            if fields.get("Email", "").lower() == email.lower():
                return identifier
        return None

    def handle(self, call: Call) -> Answer:
        if call.path == "/oauth/v2/token":
            return self._token(call)
        if call.headers.get("authorization", "").removeprefix("Zoho-oauthtoken ") not in self.live:
            return _error(401, "INVALID_TOKEN", "invalid oauth token")
        if self.credits_left is not None:
            self.credits_left -= 1
            if self.credits_left < 0:
                refusal = _error(429, "TOO_MANY_REQUESTS", "You have reached the limit")
                headers = {**refusal.headers, "X-API-CREDITS-REMAINING": "0"}
                return Answer(429, refusal.body, headers)
        return self._answer(call)

    def _token(self, call: Call) -> Answer:
        if dict(parse_qsl(call.body.decode())) != self.credentials:
            return as_json(200, {"error": "invalid_code"})
        if self.tokens_left == 0:
            words = "You have made too many requests continuously. Please try again later."
            return as_json(400, {"error": "Access Denied", "error_description": words})
        self.tokens_left -= 1
        self.tokens += 1
        token = f"1000.access-{self.tokens}"
        self.live.add(token)
        return as_json(200, {"access_token": token, "expires_in": 3600, "token_type": "Bearer"})

    def _answer(self, call: Call) -> Answer:
        match call.method, call.path:
            case "GET", "/crm/v8/Contacts/search":
                found = self.by_email(call.query["email"])
                return as_json(200, {"data": [{"id": found}]}) if found else Answer(204)
            case "POST", "/crm/v8/Contacts/upsert":
                return self._write(call.json, self._upsert)
            case "PUT", "/crm/v8/Contacts":
                return self._write(call.json, self._update)
        return _error(400, "INVALID_MODULE", "the module name given seems to be invalid")

    def _write(self, document: dict[str, Any], one: Any) -> Answer:
        if len(document["data"]) > 100:
            return _error(400, "LIMIT_EXCEEDED", "more than 100 records")
        self.started += document.get("trigger", ["workflow", "approval", "blueprint"])
        results = [one(record, document) for record in document["data"]]
        failed = [result for result in results if result["status"] == "error"]
        status = 200 if not failed else 400 if len(failed) == len(results) else 207
        return as_json(status, {"data": results})

    def _upsert(self, record: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
        errors = request_errors("zoho_crm", "upsert", {**document, "data": [record]})
        if errors:
            return _refused("MANDATORY_NOT_FOUND", "required field not found", "Last_Name")
        if record.get("Email", "").endswith("@localhost"):
            return _refused("INVALID_DATA", "invalid data", "Email")
        found = self.by_email(record.get("Email", ""))
        return self._keep(found or self.add(), record, "update" if found else "insert")

    def _update(self, record: dict[str, Any], _document: dict[str, Any]) -> dict[str, Any]:
        if record["id"] not in self.contacts:
            return _refused("INVALID_DATA", "the id given seems to be invalid", "id")
        holder = self.by_email(record.get("Email", ""))
        if self.unique_email and holder not in {None, record["id"]}:
            return _refused("DUPLICATE_DATA", "duplicate data", "Email")
        return self._keep(record["id"], record, "update")

    def _keep(self, identifier: str, record: dict[str, Any], action: str) -> dict[str, Any]:
        known = {name: value for name, value in record.items() if name in KNOWN}
        self.contacts[identifier].update(known)
        return {
            "code": "SUCCESS",
            "duplicate_field": "Email" if action == "update" else None,
            "action": action,
            "details": {"id": identifier},
            "message": f"record {action}d",
            "status": "success",
        }


def _refused(code: str, message: str, name: str) -> dict[str, Any]:
    details = {"api_name": name}
    return {"code": code, "details": details, "message": message, "status": "error"}


def _error(status: int, code: str, message: str) -> Answer:
    document = {"code": code, "details": {}, "message": message, "status": "error"}
    return as_json(status, document)
