"""FluentCRM inside a WordPress, with the habits that make it dangerous.

Behaviour as read in the plugin's source (2.9.84), wording as in contracts/fluentcrm.json:
a forced post resubscribes and mails, an update erases the custom values it does not name, and an
address in an update ties the contact to the WordPress user who has it, or to none.
"""

from __future__ import annotations

import itertools
from base64 import b64encode
from collections.abc import Callable
from typing import Any

from tests.contract.loading import request_errors
from tests.fakes import Answer, Call, Fake, as_json

BASE = "/wp-json/fluent-crm/v2/subscribers"
_COLUMNS = ("first_name", "last_name", "contact_type", "phone", "source", "country")


class FakeFluentCrm(Fake):
    """`contacts` is id to contact; ids are never used twice.

    `mails` is every request for consent that was sent, by address.
    """

    def __init__(self, username: str = "relay", password: str = "abcd efgh ijkl") -> None:
        super().__init__()
        basic = b64encode(f"{username}:{password}".encode()).decode()
        self._authorization = f"Basic {basic}"
        self.contacts: dict[int, dict[str, Any]] = {}
        self.users: dict[str, int] = {}
        self.mails: list[str] = []
        self.tracked: list[dict[str, Any]] = []
        #: What breaks a rule of the contract, as the contract says it.
        self.invalid: list[str] = []
        self.active = True
        self.may_manage = True
        self.tracking = True
        self.absent_status = 422
        #: Called once between the lookup and the answer of the next lookup that finds nobody.
        self.meanwhile: Callable[[], Any] | None = None
        #: Called once before the next update.
        self.before_update: Callable[[], Any] | None = None
        self._ids = itertools.count(42)

    def add(self, email: str, status: str = "subscribed", **more: Any) -> int:
        """A contact that is there already; gives its id."""
        identifier = next(self._ids)
        known = {"custom_values": {}, "tags": [], "lists": [], "user_id": self.users.get(email)}
        self.contacts[identifier] = {
            "id": identifier,
            "email": email,
            "status": status,
            **known,
            **more,
        }
        return identifier

    def by_email(self, email: str) -> dict[str, Any] | None:
        """The contact with this address."""
        found = (c for c in self.contacts.values() if c["email"].lower() == email.lower())
        return next(found, None)

    def handle(self, call: Call) -> Answer:
        if not self.active or not call.path.startswith(BASE):
            return _wordpress(404, "rest_no_route", "No route was found matching the URL.")
        if call.headers.get("authorization") != self._authorization:
            return _wordpress(401, "rest_forbidden", "Sorry, you are not allowed to do that.")
        if not self.may_manage:
            return _wordpress(403, "rest_forbidden", "Sorry, you are not allowed to do that.")
        rest = call.path.removeprefix(BASE)
        if call.method == "POST" and rest == "/track-event":
            return self._track(call.json)
        if call.method == "POST" and not rest:
            return self._create(call.json)
        if call.method == "GET":
            return self._show(rest, call.query)
        return self._update(self.contacts.get(int(rest.strip("/"))), call.json)

    def _show(self, rest: str, query: dict[str, str]) -> Answer:
        identifier = int(rest.strip("/"))
        if identifier:
            found = self.contacts.get(identifier)
        else:
            found = self.by_email(query.get("get_by_email", ""))
        if found is None:
            meanwhile, self.meanwhile = self.meanwhile, None
            if meanwhile:
                meanwhile()
            return as_json(self.absent_status, {"message": "Kontakt nicht gefunden"})
        shown = {**found, "tags": [{"id": tag, "slug": f"t{tag}"} for tag in found["tags"]]}
        if query.get("with[]") == "subscriber.custom_values":
            # PHP has no empty object unless it is asked for one.
            shown["custom_values"] = found["custom_values"] or []
        else:
            del shown["custom_values"]
        return as_json(200, {"subscriber": shown})

    def _create(self, body: dict[str, Any]) -> Answer:
        self.invalid += request_errors("fluentcrm", "create", body)
        forced = body.get("__force_update") == "yes"
        found = self.by_email(body["email"])
        if found is not None and not forced:
            sentence = "Provided email already assigned to another subscriber."
            return as_json(422, {"email": {"unique": sentence}})
        if "@" not in body["email"] or not body.get("status"):
            return as_json(422, {"email": {"email": "The email must be a valid email address."}})
        if found is None:
            identifier = self.add(body["email"], body["status"])
            found = self.contacts[identifier]
            if body.get("double_optin") and found["status"] == "pending":
                self.mails.append(found["email"])
        else:
            if found["status"] != "subscribed":
                found["status"] = body["status"]
            if found["status"] == "pending":
                self.mails.append(found["email"])
        self._write(found, body)
        found["custom_values"] |= body.get("custom_values", {})
        self._attach(found, body, "tags", "lists")
        return as_json(200, {"contact": _plain(found), "action_type": "created"})

    def _update(self, found: dict[str, Any] | None, body: dict[str, Any]) -> Answer:
        self.invalid += request_errors("fluentcrm", "update", body)
        before, self.before_update = self.before_update, None
        if before:
            before()
        if found is None or found["id"] not in self.contacts:
            return as_json(404, {"message": "No query results for model [Subscriber]"})
        if "email" in body:
            holder = self.by_email(body["email"])
            if holder is not None and holder is not found:
                sentence = "Provided email already assigned to another subscriber."
                return as_json(422, {"email": {"unique": sentence}})
            found["email"] = body["email"]
            found["user_id"] = self.users.get(body["email"])
        found["status"] = body.get("status") or found["status"]
        self._write(found, body)
        if body.get("custom_values"):
            found["custom_values"] = dict(body["custom_values"])
        self._attach(found, body, "attach_tags", "attach_lists")
        found["tags"] = [tag for tag in found["tags"] if tag not in body.get("detach_tags", [])]
        return as_json(200, {"contact": _plain(found), "isDirty": True})

    def _write(self, contact: dict[str, Any], body: dict[str, Any]) -> None:
        contact |= {name: body[name] for name in _COLUMNS if name in body}

    def _attach(self, contact: dict[str, Any], body: dict[str, Any], tags: str, lists: str) -> None:
        contact["tags"] = list(dict.fromkeys([*contact["tags"], *body.get(tags, [])]))
        contact["lists"] = list(dict.fromkeys([*contact["lists"], *body.get(lists, [])]))

    def _track(self, body: dict[str, Any]) -> Answer:
        if not self.tracking:
            return as_json(422, {"message": "Event Tracker is not enabled"})
        self.tracked.append(body)
        return as_json(200, {"message": "Event has been tracked", "id": len(self.tracked)})


def _plain(contact: dict[str, Any]) -> dict[str, Any]:
    return {name: contact[name] for name in ("id", "email", "status")}


def _wordpress(status: int, code: str, message: str) -> Answer:
    return as_json(status, {"code": code, "message": message, "data": {"status": status}})
