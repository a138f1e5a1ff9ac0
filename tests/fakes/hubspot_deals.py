"""HubSpot's deals: a unique property of the account's own, and associations to contacts.

Rules from developers.hubspot.com, deals guide and properties guide.
"""

from __future__ import annotations

import itertools
from collections.abc import Container
from typing import Any

from tests.fakes import Answer, Call, as_json, unescaped
from tests.fakes.hubspot_answers import detail, error, invalid

STANDARD = frozenset(
    {"dealname", "amount", "pipeline", "dealstage", "closedate", "deal_currency_code"}
)
RELAY = frozenset({"relay_payment_id", "relay_refunded_at", "relay_refunded_amount"})
_UNIQUE = "relay_payment_id"
_STAGES = frozenset({"appointmentscheduled", "closedwon", "closedlost", "refunded"})


class DealBook:
    """`deals` is id to properties, `of_contact` deal id to contact id."""

    def __init__(self, contacts: Container[str], prefix: str) -> None:
        self.known = STANDARD | RELAY
        self.deals: dict[str, dict[str, str]] = {}
        self.of_contact: dict[str, str] = {}
        self._contacts = contacts
        self._prefix = f"{prefix}/deals"
        self._ids = itertools.count(901)

    def handle(self, call: Call) -> Answer | None:
        """The answer to a request about deals, None when it is about something else."""
        if call.path == self._prefix and call.method == "POST":
            return self._create(call.json)
        if not call.path.startswith(f"{self._prefix}/"):
            return None
        id_property = call.query.get("idProperty")
        if id_property is not None and (id_property != _UNIQUE or _UNIQUE not in self.known):
            return error(400, "VALIDATION_ERROR", f"{id_property} is not a unique property")
        found = self._find(unescaped(call.path.removeprefix(f"{self._prefix}/")), id_property)
        if found is None:
            return error(404, "OBJECT_NOT_FOUND", "resource not found")
        if call.method == "PATCH":
            refused = self._check(call.json["properties"])
            if refused:
                return refused
            self.deals[found] |= call.json["properties"]
        return self._shown(200, found)

    def _find(self, key: str, id_property: str | None) -> str | None:
        if id_property is None:
            return key if key in self.deals else None
        holders = (deal for deal, held in self.deals.items() if held.get(id_property) == key)
        return next(holders, None)

    def _create(self, document: Any) -> Answer:
        properties = document["properties"]
        refused = self._check(properties)
        if refused:
            return refused
        if not {"dealname", "dealstage"} <= properties.keys():
            return error(400, "VALIDATION_ERROR", "dealname and dealstage are required")
        value = properties.get(_UNIQUE, "")
        if self._find(value, _UNIQUE) is not None:
            message = f"{value} is already the value of {_UNIQUE} on another deal"
            return invalid([detail(message, "CONFLICTING_UNIQUE_VALUE", _UNIQUE)])
        associations = document.get("associations", [])
        for association in associations:
            kinds = [
                (t["associationCategory"], t["associationTypeId"]) for t in association["types"]
            ]
            if kinds != [("HUBSPOT_DEFINED", 3)] or association["to"]["id"] not in self._contacts:
                return error(400, "VALIDATION_ERROR", "invalid association")
        identifier = str(next(self._ids))
        self.deals[identifier] = dict(properties)
        for association in associations:
            self.of_contact[identifier] = association["to"]["id"]
        return self._shown(201, identifier)

    def _check(self, properties: dict[str, str]) -> Answer | None:
        unknown = [name for name in properties if name not in self.known]
        if unknown:
            message = f'Property "{unknown[0]}" does not exist'
            return invalid([detail(message, "PROPERTY_DOESNT_EXIST", unknown[0])])
        stage = properties.get("dealstage", "closedwon")
        if stage not in _STAGES:
            message = f"{stage} is not a stage of the pipeline"
            return invalid([detail(message, "INVALID_OPTION", "dealstage")])
        return None

    def _shown(self, status: int, identifier: str) -> Answer:
        return as_json(status, {"id": identifier, "properties": self.deals[identifier]})
