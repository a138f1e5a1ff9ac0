"""An audience at Mailchimp: members by the hash of their address, consent, merge fields, tags.

Rules from mailchimp.com/developer; wording of the errors as in contracts/mailchimp.json.
"""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import md5
from typing import Any

from tests.contract.loading import request_errors
from tests.fakes import Answer, Call, Fake, as_json

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_DATES = frozenset({"SIGNUP", "CHURNED", "LASTPAID", "PAYFAILED"})
STANDARD = frozenset({"FNAME", "LNAME"})
LIFECYCLE = frozenset({"PLAN", "MSTATUS", *_DATES})


def hashed(email: str) -> str:
    """The id of a member."""
    return md5(email.lower().encode(), usedforsecurity=False).hexdigest()


class FakeMailchimp(Fake):
    """`members` is hash to member; `mails` is every request for consent, by address."""

    def __init__(
        self,
        key: str = "0123456789abcdef-us6",
        list_id: str = "57afe96172",
        merge_fields: frozenset[str] = STANDARD | LIFECYCLE,
    ) -> None:
        super().__init__()
        self._authorization = "Basic " + b64encode(f"relay:{key}".encode()).decode()
        self._prefix = f"/3.0/lists/{list_id}/members/"
        self.members: dict[str, dict[str, Any]] = {}
        self.merge_fields = merge_fields
        self.mails: list[str] = []
        self.events: list[tuple[str, dict[str, Any]]] = []
        #: Addresses that were deleted for good, and those that may not be subscribed.
        self.forgotten: set[str] = set()
        self.in_compliance: set[str] = set()
        #: What breaks a rule of the contract, as the contract says it.
        self.invalid: list[str] = []
        #: False where an unknown merge field is ignored, as some audiences do.
        self.refuses_unknown_fields = True
        self.requests_left: int | None = None

    def add(self, email: str, status: str = "subscribed", **more: Any) -> str:
        """A member that is there already; gives its hash."""
        identifier = hashed(email)
        known = {"merge_fields": {}, "tags": []}
        self.members[identifier] = {"email": email, "status": status, **known, **more}
        return identifier

    def handle(self, call: Call) -> Answer:
        if self.requests_left is not None:
            if not self.requests_left:
                return Answer(429, b"<html>Too many requests</html>")
            self.requests_left -= 1
        if call.headers.get("authorization") != self._authorization:
            return _problem(401, "API Key Invalid", "Your API key may be invalid.")
        if call.path == self._prefix.replace("/members/", "/merge-fields"):
            return self._fields(call)
        if not call.path.startswith(self._prefix):
            return _problem(404, "Resource Not Found", "The requested resource could not be found.")
        key, _, action = call.path.removeprefix(self._prefix).partition("/")
        body = call.json
        if call.method == "PUT":
            return self._put(key, body)
        member = self.members.get(key)
        if member is None:
            return _problem(404, "Resource Not Found", "The requested resource could not be found.")
        if call.method == "PATCH":
            return self._checked(body) or self._write(key, body)
        self.invalid += request_errors("mailchimp", {"events": "event"}.get(action, action), body)
        if action == "tags":
            off = {tag["name"] for tag in body["tags"] if tag["status"] == "inactive"}
            on = [tag["name"] for tag in body["tags"] if tag["status"] == "active"]
            kept = [tag for tag in member["tags"] if tag not in off]
            member["tags"] = list(dict.fromkeys([*kept, *on]))
        else:
            self.events.append((member["email"], body))
        return Answer(204)

    def _fields(self, call: Call) -> Answer:
        if call.method == "GET":
            return as_json(200, {"merge_fields": [{"tag": tag} for tag in self.merge_fields]})
        tag = call.json["tag"]
        if tag in self.merge_fields:
            detail = f'A Merge Field with the tag "{tag}" already exists for this list.'
            return _problem(400, "Invalid Resource", detail)
        if call.json["type"] != ("date" if tag in _DATES else "text") or not call.json["name"]:
            return _problem(400, "Invalid Resource", "The field is not valid.")
        self.merge_fields |= {tag}
        return as_json(200, {"merge_id": len(self.merge_fields), "tag": tag})

    def _put(self, key: str, body: dict[str, Any]) -> Answer:
        self.invalid += request_errors("mailchimp", "upsert", body)
        email = body["email_address"]
        refused = self._checked(body)
        if refused:
            return refused
        if email in self.forgotten:
            return _problem(400, "Forgotten Email Not Subscribed", f"{email} was deleted.")
        if email in self.in_compliance:
            return _problem(400, "Member In Compliance State", f"{email} cannot be subscribed.")
        if key not in self.members:
            if key != hashed(email):
                return _problem(404, "Resource Not Found", "There is no such member.")
            self.add(email, body["status_if_new"])
            if body["status_if_new"] == "pending":
                self.mails.append(email)
        moved = hashed(email)
        if moved != key:
            if moved in self.members:
                return _problem(400, "Member Exists", f"{email} is already a list member.")
            self.members[moved] = {**self.members.pop(key), "email": email}
        if "status" in body:
            self.members[moved]["status"] = body["status"]
        return self._write(moved, body)

    def _checked(self, body: dict[str, Any]) -> Answer | None:
        fields = body.get("merge_fields", {})
        wrong = [
            name
            for name, value in fields.items()
            if (name in _DATES and not _DATE.fullmatch(str(value)))
            or (self.refuses_unknown_fields and name not in self.merge_fields)
        ]
        if not wrong:
            return None
        errors = [
            {"field": f"merge_fields.{name}", "message": "Data did not match"} for name in wrong
        ]
        return _problem(400, "Invalid Resource", "Your merge fields were invalid.", errors=errors)

    def _write(self, key: str, body: dict[str, Any]) -> Answer:
        member = self.members[key]
        for name, value in body.get("merge_fields", {}).items():
            if name in self.merge_fields:
                member["merge_fields"][name] = value
        shown = {"id": key, "email_address": member["email"], "status": member["status"]}
        return as_json(200, shown)


def _problem(status: int, title: str, detail: str, **more: Any) -> Answer:
    kind = "https://mailchimp.com/developer/marketing/docs/errors/"
    return as_json(
        status, {"type": kind, "title": title, "status": status, "detail": detail, **more}
    )
