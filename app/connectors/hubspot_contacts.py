"""Writing one HubSpot contact, never searched for.

The order of requests is what makes it safe: HubSpot's search lags behind its writes, so "search,
then create" makes duplicates or loses leads.
Here the contact is written by its remembered id; when that is gone, by e-mail address; when
nobody has it, it is created; and when somebody was faster (409), the id in the refusal is
written instead.
Every step may be repeated: a lost answer costs a request, not a duplicate.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace

import httpx

from app.connectors.base import Assignment, Flow
from app.connectors.hubspot_account import Account
from app.connectors.hubspot_replies import (
    CONFLICT,
    NOT_FOUND,
    contact_id,
    existing_id,
    is_id,
    unknown_properties,
)
from app.domain.outcome import Outcome, delivered, retry, skipped


@dataclass(slots=True)
class Contact:
    """What is still to be written, the address it is found by, and what HubSpot had no place for."""

    properties: dict[str, str]
    email: str | None
    left_out: list[str] = field(default_factory=list)

    def leave_out(self, names: Sequence[str]) -> None:
        """Write the contact without these properties."""
        for name in names:
            if self.properties.pop(name, None) is not None:
                self.left_out.append(name)

    def written(self, identifier: str | None) -> Outcome:
        """The contact is written; its id is this."""
        if not self.left_out:
            return delivered(identifier)
        names = ", ".join(self.left_out)
        return delivered(
            identifier,
            f"Written without {names}: the HubSpot account has no such contact properties.",
        )


_Write = Generator[httpx.Request, httpx.Response, httpx.Response]


class Contacts:
    """The contacts of one account; `drop_unknown` writes the rest where a property is missing."""

    def __init__(self, account: Account, *, drop_unknown: bool) -> None:
        self._account = account
        self._drop_unknown = drop_unknown

    def upsert(self, contact: Contact, assignment: Assignment) -> Flow:
        """Create or update one contact; see the module for the order of requests."""
        remembered = assignment.remembered_id
        if remembered is not None and is_id(remembered):
            response = yield from self._update(remembered, contact)
            if response.status_code != NOT_FOUND:
                return self._end(response, contact, assignment, remembered)
            outcome = yield from self._by_address(contact, assignment)
            return outcome if outcome.external_id else replace(outcome, forget_id=True)
        return (yield from self._by_address(contact, assignment))

    def _by_address(self, contact: Contact, assignment: Assignment) -> Flow:
        email = contact.email
        if email is None:
            return skipped("The contact is gone from HubSpot, and the event has no e-mail address.")
        # A second round, for a contact that was made or removed between two of the requests.
        for _ in range(2):
            response = yield from self._update(email, contact, "email")
            if response.status_code != NOT_FOUND:
                return self._end(response, contact, assignment)
            response = yield from self._create(contact, email)
            if response.status_code != CONFLICT:
                return self._end(response, contact, assignment)
            existing = existing_id(response)
            if existing is not None:
                response = yield from self._update(existing, contact)
                if response.status_code != NOT_FOUND:
                    return self._end(response, contact, assignment, existing)
        return retry("HubSpot says both that the contact exists and that it does not.")

    def _update(self, key: str, contact: Contact, id_property: str | None = None) -> _Write:
        return self._write("PATCH", self._account.record("contacts", key, id_property), contact)

    def _create(self, contact: Contact, email: str) -> _Write:
        # A mapping may leave the address out; a contact made without it could not be found again.
        contact.properties.setdefault("email", email)
        return self._write("POST", f"{self._account.objects}/contacts", contact)

    def _write(self, method: str, url: str, contact: Contact) -> _Write:
        document = {"properties": contact.properties}
        response = yield self._account.request(method, url, document)
        if self._drop_unknown:
            unknown = [name for name in unknown_properties(response) if name in contact.properties]
            if unknown and len(unknown) < len(contact.properties):
                contact.leave_out(unknown)
                response = yield self._account.request(method, url, document)
        return response

    def _end(
        self,
        response: httpx.Response,
        contact: Contact,
        assignment: Assignment,
        known_id: str | None = None,
    ) -> Outcome:
        if response.is_success:
            return contact.written(contact_id(response) or known_id)
        return self._account.failed(response, assignment)
