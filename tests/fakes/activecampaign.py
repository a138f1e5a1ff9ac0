"""ActiveCampaign's contacts: unique addresses, fields and tags by number, lists, a narrow rate.

Rules from developers.activecampaign.com; wording of the errors as in contracts/activecampaign.json.
A list status of 1 subscribes, whatever the contact had wished before.
"""

from __future__ import annotations

import itertools
from typing import Any

from tests.contract.loading import request_errors
from tests.fakes import Answer, Call, Fake, as_json

FIELDS = {
    "1": "PLAN",
    "2": "SIGNUP_DATE",
    "3": "MEMBERSHIP_STATUS",
    "4": "CHURNED_AT",
    "5": "LAST_PAYMENT_AT",
    "6": "LAST_PAYMENT_FAILED_AT",
}
_OWN = ("email", "firstName", "lastName", "phone")


class FakeActiveCampaign(Fake):
    """`contacts` is id to contact; ids are never used twice.

    `lists` of a contact is list to status: 1 subscribed, 2 unsubscribed, 3 bounced.
    """

    def __init__(self, key: str = "ac-correct", fields: dict[str, str] | None = None) -> None:
        super().__init__()
        self.key = key
        self.fields = FIELDS if fields is None else fields
        #: The fields that show, since they were tied to all lists.
        self.shown_fields: set[str] = set()
        self.known_tags = {"5", "6", "7"}
        self.contacts: dict[str, dict[str, Any]] = {}
        self.taggings: dict[str, tuple[str, str]] = {}
        #: What breaks a rule of the contract, as the contract says it.
        self.invalid: list[str] = []
        self.requests_left: int | None = None
        self._ids = itertools.count(10)

    def add(self, email: str, **more: Any) -> str:
        """A contact that is there already; gives its id."""
        identifier = str(next(self._ids))
        self.contacts[identifier] = {"email": email, "fields": {}, "lists": {}, **more}
        return identifier

    def by_email(self, email: str) -> str | None:
        """The id of the contact with this address."""
        for identifier, contact in self.contacts.items():
            if contact["email"].lower() == email.lower():
                return identifier
        return None

    def tags_of(self, identifier: str) -> list[str]:
        """The numbers of the contact's tags, in the order they were put on."""
        return [tag for contact, tag in self.taggings.values() if contact == identifier]

    def handle(self, call: Call) -> Answer:
        if call.headers.get("api-token") != self.key:
            return as_json(403, {"message": "You must provide a valid API token"})
        if self.requests_left is not None:
            if not self.requests_left:
                return Answer(429, headers={"retry-after": "30", "ratelimit-remaining": "0"})
            self.requests_left -= 1
        parts = call.path.removeprefix("/api/3/").split("/")
        if call.method == "GET":
            return self._show(parts)
        return self._change(call.method, parts, call.json)

    def _show(self, parts: list[str]) -> Answer:
        match parts:
            case ["fields"]:
                fields = [{"id": number, "perstag": tag} for number, tag in self.fields.items()]
                return as_json(200, {"fields": fields})
            case ["contacts", identifier, kind]:
                return self._related(identifier, kind)
        return _missing()

    def _change(self, method: str, parts: list[str], body: Any) -> Answer:
        match method, parts:
            case "POST", ["contact", "sync"]:
                return self._sync(body)
            case "PUT", ["contacts", identifier]:
                return self._update(identifier, body["contact"])
            case "POST", ["contactTags"]:
                return self._tag(body)
            case "POST", ["contactLists"]:
                return self._list(body)
            case "POST", ["fields"]:
                return self._field(body["field"])
            case "POST", ["fieldRels"] if body["fieldRel"]["relid"] == "0":
                self.shown_fields.add(self.fields[body["fieldRel"]["field"]])
                return as_json(201, {"fieldRel": body["fieldRel"]})
            case "DELETE", ["contactTags", identifier] if identifier in self.taggings:
                del self.taggings[identifier]
                return Answer(200, b"{}")
        return _missing()

    def _field(self, field: dict[str, Any]) -> Answer:
        kind = "datetime" if field["perstag"].endswith("_AT") else "text"
        kind = "date" if field["perstag"].endswith("_DATE") else kind
        if field["perstag"] in self.fields.values() or field["type"] != kind or not field["title"]:
            return _refused("The field is not valid.", "field_invalid")
        number = str(len(self.fields) + 1)
        self.fields = {**self.fields, number: field["perstag"]}
        return as_json(201, {"field": {"id": number, **field}})

    def _sync(self, body: dict[str, Any]) -> Answer:
        self.invalid += request_errors("activecampaign", "upsert", body)
        contact = body["contact"]
        if "@" not in contact["email"]:
            return _refused("Contact Email Address is not valid.", "email_invalid")
        found = self.by_email(contact["email"])
        if found is not None:
            return self._write(200, found, contact)
        return self._write(201, self.add(contact["email"]), contact)

    def _update(self, identifier: str, contact: dict[str, Any]) -> Answer:
        whole = {"contact": {"email": "", **contact}}
        self.invalid += request_errors("activecampaign", "upsert", whole)
        if identifier not in self.contacts:
            return _missing()
        holder = self.by_email(contact.get("email", ""))
        if holder not in {None, identifier}:
            return _refused("Email address already exists in the system.", "duplicate")
        return self._write(200, identifier, contact)

    def _write(self, status: int, identifier: str, contact: dict[str, Any]) -> Answer:
        known = self.contacts[identifier]
        known |= {name: contact[name] for name in _OWN if name in contact}
        for one in contact.get("fieldValues", []):
            if one["field"] in self.fields:
                known["fields"][self.fields[one["field"]]] = one["value"]
        return as_json(status, {"contact": {"id": identifier, "email": known["email"]}})

    def _related(self, identifier: str, kind: str) -> Answer:
        if identifier not in self.contacts:
            return _missing()
        if kind == "contactLists":
            lists = self.contacts[identifier]["lists"]
            found = [{"list": one, "status": str(status)} for one, status in lists.items()]
        else:
            found = [
                {"id": key, "contact": contact, "tag": tag}
                for key, (contact, tag) in self.taggings.items()
                if contact == identifier
            ]
        return as_json(200, {kind: found})

    def _tag(self, body: dict[str, Any]) -> Answer:
        self.invalid += request_errors("activecampaign", "add_tag", body)
        contact, tag = body["contactTag"]["contact"], body["contactTag"]["tag"]
        if contact not in self.contacts or tag not in self.known_tags:
            return _missing()
        if (contact, tag) not in self.taggings.values():
            self.taggings[str(next(self._ids) + 1000)] = (contact, tag)
        return as_json(201, {"contactTag": {"contact": contact, "tag": tag}})

    def _list(self, body: dict[str, Any]) -> Answer:
        self.invalid += request_errors("activecampaign", "list_status", body)
        standing = body["contactList"]
        self.contacts[standing["contact"]]["lists"][standing["list"]] = int(standing["status"])
        return as_json(201, {"contactList": {"id": "1", "status": standing["status"]}})


def _missing() -> Answer:
    return as_json(404, {"message": "No Result found"})


def _refused(title: str, code: str) -> Answer:
    source = {"pointer": "/data/attributes/email"}
    error = {"title": title, "detail": "", "code": code, "source": source}
    return as_json(422, {"errors": [error]})
