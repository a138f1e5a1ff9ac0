"""Writing up to a hundred HubSpot contacts with a few requests, each with a result of its own.

An upsert by e-mail address does not support partial writes ("Partial upserts are not supported
when using `email` as the `idProperty`", contacts guide), and an event tells but a part of what is
known of a customer.
So nobody who is there already is upserted: contacts whose id is not remembered are read by address
first (not searched: reading does not lag), those who are found are updated by id, which leaves
alone what is not sent, and only the rest are upserted, whole as far as the event knows them.
An answer names each contact by our trace id, by its id or by its address; the errors of a 207 name
the trace id or the id.
What cannot be told apart is a refusal of the whole, after which each contact is written alone.
Facts: developers.hubspot.com, contacts guide (batch read, update, upsert) and error handling
(multi-status errors).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import httpx

from app.connectors.base import BatchFlow
from app.connectors.classify import document_of
from app.connectors.contact_batches import CarriedParts, Waiting, carry_parts
from app.connectors.hubspot_account import Account
from app.connectors.hubspot_contacts import Contact, Contacts
from app.connectors.hubspot_replies import errors_in, is_id, refused_item, unknown_properties
from app.domain.outcome import Outcome, OutcomeKind, rejected

_UNCLEAR = rejected("HubSpot answered well, but not what became of each contact.")
_Part = Sequence[Waiting[Contact]]


class ContactBatches:
    """Batches of contacts of one account; `most_bytes` of them travel in a request."""

    def __init__(
        self, account: Account, contacts: Contacts, *, drop_unknown: bool, most_bytes: int
    ) -> None:
        self._account = account
        self._contacts = contacts
        self._drop_unknown = drop_unknown
        self._most_bytes = most_bytes

    def carry(self, waiting: _Part) -> CarriedParts:
        """Write what waits; outcomes by position, or one when a request was refused as a whole.

        The key of each is the remembered id, or else the address.
        """
        new = [one for one in waiting if not is_id(one.assignment.remembered_id)]
        found = yield from self._find(new)
        if isinstance(found, Outcome):
            if found.kind is OutcomeKind.REJECTED:
                return found
            return {one.position: found for one in waiting}
        known: list[Waiting[Contact]] = []
        absent: dict[str, Waiting[Contact]] = {}
        again: list[Waiting[Contact]] = []
        for one in waiting:
            if is_id(one.assignment.remembered_id):
                known.append(one)
            elif one.key in found:
                known.append(replace(one, key=found[one.key]))
            elif absent.setdefault(one.key, one) is not one:
                again.append(one)
        return (yield from self._carry(known, list(absent.values()), again))

    def _carry(self, known: _Part, absent: _Part, again: _Part) -> CarriedParts:
        ended: dict[int, Outcome] = {}
        for part, send in ((known, self._update), (absent, self._upsert)):
            carried = yield from carry_parts(part, send, self._most_bytes)
            if isinstance(carried, Outcome):
                return carried
            ended |= carried
        # A second event of somebody who was new a moment ago writes a part of what is there now.
        for one in again:
            ended[one.position] = yield from self._contacts.upsert(one.record, one.assignment)
        return ended

    def _find(
        self, new: _Part
    ) -> Generator[httpx.Request, httpx.Response, dict[str, str] | Outcome]:
        """The ids of those whose address HubSpot knows, by address."""
        if not new:
            return {}
        addresses = dict.fromkeys(one.key for one in new)
        document = {
            "idProperty": "email",
            "properties": ["email"],
            "inputs": [{"id": address} for address in addresses],
        }
        response = yield self._post("read", document)
        if not response.is_success:
            return self._account.failed(response, new[0].assignment)
        answer = document_of(response)
        if not isinstance(answer, Mapping):
            return _UNCLEAR
        return {_address_in(result): result["id"] for result in _results_in(answer)}

    def _update(self, part: _Part) -> BatchFlow:
        return self._write("update", part, {})

    def _upsert(self, part: _Part) -> BatchFlow:
        for one in part:
            one.record.properties.setdefault("email", one.key)
        return self._write("upsert", part, {"idProperty": "email"})

    def _write(self, verb: str, part: _Part, more: Mapping[str, str]) -> BatchFlow:
        document = {
            "inputs": [
                {
                    "id": one.key,
                    **more,
                    "objectWriteTraceId": str(place),
                    "properties": one.record.properties,
                }
                for place, one in enumerate(part)
            ]
        }
        response = yield self._post(verb, document)
        if self._drop_unknown and _leave_out(part, unknown_properties(response)):
            response = yield self._post(verb, document)
        if not response.is_success:
            return self._account.failed(response, part[0].assignment)
        was_new = verb == "upsert"
        return _ended(document_of(response), part, was_new=was_new) or _UNCLEAR

    def _post(self, verb: str, document: Any) -> httpx.Request:
        url = f"{self._account.objects}/contacts/batch/{verb}"
        return self._account.request("POST", url, document)


def _leave_out(part: _Part, names: Sequence[str]) -> bool:
    """Write them all without these properties; false when somebody would be left with nothing."""
    if not any(name in one.record.properties for one in part for name in names):
        return False
    if any(one.record.properties.keys() <= set(names) for one in part):
        return False
    for one in part:
        one.record.leave_out(names)
    return True


def _ended(document: Any, part: _Part, *, was_new: bool) -> list[Outcome] | None:
    """The outcome of each, None when the answer says nothing of somebody."""
    places = {str(place): place for place in range(len(part))}
    keys = {one.key: place for place, one in enumerate(part)}
    outcomes: dict[int, Outcome] = {}
    for error in errors_in(document):
        outcome = refused_item(error, was_new=was_new)
        context = error.get("context")
        for name, known in (("objectWriteTraceId", places), ("ids", keys)):
            for told in _texts(context, name):
                if told in known:
                    outcomes[known[told]] = outcome
    for result in _results_in(document):
        place = places.get(str(result.get("objectWriteTraceId")))
        if place is None:
            place = keys.get(result["id"], keys.get(_address_in(result)))
        if place is not None:
            outcomes[place] = part[place].record.written(result["id"])
    return [outcomes[place] for place in range(len(part))] if len(outcomes) == len(part) else None


def _results_in(document: Any) -> Iterator[Mapping[str, Any]]:
    """The results that name a contact."""
    results = document.get("results") if isinstance(document, Mapping) else None
    for result in results if isinstance(results, list) else ():
        if (
            isinstance(result, Mapping)
            and isinstance(result.get("id"), str)
            and is_id(result["id"])
        ):
            yield result


def _address_in(result: Mapping[str, Any]) -> str:
    properties = result.get("properties")
    email = properties.get("email") if isinstance(properties, Mapping) else None
    return email.strip().lower() if isinstance(email, str) else ""


def _texts(context: Any, name: str) -> list[str]:
    told = context.get(name) if isinstance(context, Mapping) else None
    return [one for one in told if isinstance(one, str)] if isinstance(told, list) else []
