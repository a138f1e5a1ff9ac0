"""HubSpot: one contact per customer, created or updated, never searched for.

The order of requests is what makes it safe: HubSpot's search lags behind its writes, so "search,
then create" makes duplicates or loses leads.
Here the contact is written by its remembered id; when that is gone, by e-mail address; when
nobody has it, it is created; and when somebody was faster (409), the id in the refusal is
written instead.
Every step may be repeated: a lost answer costs a request, not a duplicate.
Facts: developers.hubspot.com, CRM contacts, usage guidelines and error handling.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal
from urllib.parse import quote

import httpx
from pydantic import Field

from app.connectors.base import Assignment, Connector, Facts, Flow, Limits, TargetBinding
from app.connectors.checking import asked
from app.connectors.classify import classify
from app.connectors.hubspot_properties import (
    DEFAULT_MAPPING,
    PROPERTIES,
    address_of,
    as_address,
    lifecycle_properties,
    mapped_properties,
    standard_properties,
    wrong_names,
)
from app.connectors.hubspot_replies import (
    CONFLICT,
    NOT_FOUND,
    RULES,
    contact_id,
    existing_id,
    is_id,
    unknown_properties,
)
from app.connectors.mapping import unusable_mapping
from app.connectors.settings import BaseUrl, ConnectorSettings, Credential
from app.domain import strict_json
from app.domain.expressions import ExpressionError
from app.domain.model import Event
from app.domain.outcome import Outcome, delivered, retry, skipped


class HubSpotSettings(ConnectorSettings):
    """The account, and what of it the relay may write."""

    token: Credential = Field(
        description="The access token of a private app with the scopes crm.objects.contacts.read"
        " and crm.objects.contacts.write.",
    )
    base_url: BaseUrl = Field(
        default="https://api.hubapi.com", description="HubSpot's API, in every region."
    )
    path_prefix: str = Field(
        default="/crm/v3/objects",
        pattern=r"^(/[A-Za-z0-9_-]+)+$",
        description="The API's version; dated ones look like /crm/objects/2026-03.",
    )
    properties: Literal["all", "standard_only"] = Field(
        default="all",
        description="Without a mapping: `all` also writes plan, signup_date (date),"
        " membership_status, churned_at, last_payment_at and last_payment_failed_at (date and"
        " time), which must be created in HubSpot; `standard_only` writes email, firstname and"
        " lastname.",
    )
    on_unknown_property: Literal["reject", "drop"] = Field(
        default="reject",
        description="When the account lacks a property: `reject` the contact and say which, or"
        " `drop` the property, write the rest and say so.",
    )


@dataclass(slots=True)
class _Contact:
    """What is still to be written, and what HubSpot had no place for."""

    properties: dict[str, str]
    left_out: list[str] = field(default_factory=list)

    def leave_out(self, names: Sequence[str]) -> None:
        for name in names:
            del self.properties[name]
            self.left_out.append(name)


_Write = Generator[httpx.Request, httpx.Response, httpx.Response]


class HubSpot(Connector[HubSpotSettings]):
    """Keeps one contact per customer."""

    name: ClassVar[str] = "hubspot"
    kind: ClassVar[str] = "crm"
    facts: ClassVar[Facts] = Facts(
        title="HubSpot",
        summary="Creates or updates the contact of the customer an event is about.",
        authentication="Access token of a private app, sent as a bearer token.",
        replay_safety="Safe: the same event writes the same properties to the same contact.",
        never_sent="Payments, addresses, browser identifiers and empty values (HubSpot would"
        " clear the property).",
        documentation="https://developers.hubspot.com/docs/api-reference/crm-contacts-v3/guide",
    )
    Settings = HubSpotSettings
    default_events: ClassVar[tuple[str, ...]] = ("*",)
    default_mapping: ClassVar[Mapping[str, str]] = DEFAULT_MAPPING
    limits: ClassVar[Limits] = Limits(max_in_flight=8, per_second=8.0)
    ordered: ClassVar[bool] = True

    def __init__(self, target: TargetBinding[HubSpotSettings]) -> None:
        super().__init__(target)
        settings = target.settings
        self._token = settings.token.get_secret_value()
        self._contacts = f"{settings.base_url}{settings.path_prefix}/contacts"
        self._headers = {
            "authorization": f"Bearer {self._token}",
            "content-type": "application/json",
            "user-agent": target.user_agent,
        }

    @classmethod
    def check_mapping(cls, fields: Sequence[str]) -> Mapping[str, str]:
        """Property names are lower snake case, and some are HubSpot's own."""
        return wrong_names(fields)

    def skip(self, event: Event) -> str | None:
        """Test events and deletions do not touch contacts."""
        if event.test:
            return "Events from a test button are not sent to HubSpot."
        if event.type == "customer_post_delete":
            return "The contact is kept in HubSpot when the customer is deleted."
        if event.type.startswith("relay."):
            return "The relay's own news are not about a contact."
        return None

    def check(self, assignment: Assignment) -> Flow:
        """Read one contact."""
        request = httpx.Request("GET", f"{self._contacts}?limit=1", headers=self._headers)
        return asked(request, assignment, RULES, (self._token,))

    def prepare(self, assignment: Assignment) -> Flow:
        """Make the contact properties that HubSpot does not have by itself."""
        url = f"{self.target.settings.base_url}/crm/v3/properties/contacts"
        made: list[str] = []
        there: list[str] = []
        for definition in PROPERTIES:
            response = yield self._request("POST", url, definition)
            if not response.is_success and response.status_code != CONFLICT:
                return classify(response, RULES, now=assignment.now, secrets=(self._token,))
            (made if response.is_success else there).append(definition["name"])
        said = [("Made", made), ("There already", there)]
        return delivered(reason=" ".join(f"{w}: {', '.join(names)}." for w, names in said if names))

    def deliver(self, assignment: Assignment) -> Flow:
        """Write the contact; see the module for the order of requests."""
        event = assignment.event
        try:
            properties = self._properties(event)
        except ExpressionError as error:
            return unusable_mapping(error)
        email = as_address(properties.get("email")) or address_of(event)
        if email is None and not is_id(assignment.remembered_id):
            return skipped(
                "The event has no e-mail address, and no HubSpot contact is known for it."
            )
        if not properties:
            return skipped("The event says nothing that HubSpot keeps.")
        return (yield from self._upsert(_Contact(properties), assignment, email))

    def _properties(self, event: Event) -> dict[str, str]:
        values = self.target.mapping(event)
        if values is not None:
            return mapped_properties(values)
        if self.target.settings.properties == "standard_only":
            return standard_properties(event)
        return standard_properties(event) | lifecycle_properties(event)

    def _upsert(self, contact: _Contact, assignment: Assignment, email: str | None) -> Flow:
        remembered = assignment.remembered_id
        if remembered is not None and is_id(remembered):
            response = yield from self._update(remembered, contact)
            if response.status_code != NOT_FOUND:
                return self._end(response, contact, assignment, remembered)
            outcome = yield from self._by_address(contact, assignment, email)
            return outcome if outcome.external_id else replace(outcome, forget_id=True)
        return (yield from self._by_address(contact, assignment, email))

    def _by_address(self, contact: _Contact, assignment: Assignment, email: str | None) -> Flow:
        if email is None:
            return skipped("The contact is gone from HubSpot, and the event has no e-mail address.")
        # A second round, for a contact that was made or removed between two of the requests.
        for _ in range(2):
            response = yield from self._update(email, contact, "?idProperty=email")
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

    def _update(self, key: str, contact: _Contact, query: str = "") -> _Write:
        url = f"{self._contacts}/{quote(key, safe='')}{query}"
        return self._write("PATCH", url, contact)

    def _create(self, contact: _Contact, email: str) -> _Write:
        # A mapping may leave the address out; a contact made without it could not be found again.
        contact.properties.setdefault("email", email)
        return self._write("POST", self._contacts, contact)

    def _write(self, method: str, url: str, contact: _Contact) -> _Write:
        response = yield self._request(method, url, {"properties": contact.properties})
        if self.target.settings.on_unknown_property == "drop":
            unknown = [name for name in unknown_properties(response) if name in contact.properties]
            if unknown and len(unknown) < len(contact.properties):
                contact.leave_out(unknown)
                response = yield self._request(method, url, {"properties": contact.properties})
        return response

    def _request(self, method: str, url: str, document: Any) -> httpx.Request:
        body = strict_json.write(document)
        return httpx.Request(method, url, headers=self._headers, content=body)

    def _end(
        self,
        response: httpx.Response,
        contact: _Contact,
        assignment: Assignment,
        known_id: str | None = None,
    ) -> Outcome:
        if response.is_success:
            return delivered(contact_id(response) or known_id, _left_out(contact))
        return classify(response, RULES, now=assignment.now, secrets=(self._token,))


def _left_out(contact: _Contact) -> str:
    if not contact.left_out:
        return ""
    names = ", ".join(contact.left_out)
    return f"Written without {names}: the HubSpot account has no such contact properties."
