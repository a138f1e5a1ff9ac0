"""Brevo: one contact per customer, by address or by the id that is remembered.

A contact is posted with `updateEnabled`, without which one that is there is refused.
Two things would put people back on lists they left, and are done only after a look at the contact:
joining a list one has unsubscribed from, and changing the address of a blocklisted contact.
Any event may be the first to bring a new address, since built-in webhooks announce no change; so a
known contact is looked at wherever the event tells an address.
Brevo has no tags: a lost membership and a failed payment move a contact between lists.
Facts: developers.brevo.com, contacts, events and orders.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import quote

import httpx
from pydantic import Field

from app.connectors.base import Assignment, Connector, Facts, Flow, Limits, TargetBinding
from app.connectors.brevo_contact import (
    ATTRIBUTE,
    ATTRIBUTES,
    DEFAULT_MAPPING,
    Contact,
    attribute_names,
    contact_of,
    order_of,
    wrong_attributes,
)
from app.connectors.brevo_replies import (
    NOT_FOUND,
    RULES,
    attribute_types,
    contact_id,
    found_in,
    is_duplicate,
    is_id,
)
from app.connectors.checking import asked
from app.connectors.classify import classify
from app.connectors.contact_events import MAYBE_SENT, event_details, event_name, sent_once
from app.connectors.contact_fields import why_no_contact
from app.connectors.contact_markers import MarkerId, Markers
from app.connectors.mapping import unusable_mapping
from app.connectors.preparing import Making, listing, make_missing
from app.connectors.settings import BaseUrl, ConnectorSettings, Credential
from app.domain import strict_json
from app.domain.expressions import ExpressionError
from app.domain.model import Event
from app.domain.outcome import Outcome, OutcomeKind, delivered, retry, skipped

_LONGEST_EVENT = 255
_NO_CONTACT = "Brevo answered well, but without a contact."

_AttributeName = Annotated[str, Field(pattern=ATTRIBUTE)]


class BrevoSettings(ConnectorSettings):
    """The account, and what of its contacts the relay may write."""

    api_key: Credential = Field(
        description="An API key (SMTP & API, API keys). Where keys are tied to IP addresses, add"
        " the relay's.",
    )
    base_url: BaseUrl = Field(default="https://api.brevo.com", description="Brevo's API.")
    api_version: str = Field(
        default="v3", pattern=r"^v[0-9]+$", description="The API's version, as in the path."
    )
    first_name_attribute: _AttributeName = Field(
        default="FIRSTNAME", description="PRENOM in French accounts."
    )
    last_name_attribute: _AttributeName = Field(
        default="LASTNAME", description="NOM in French accounts."
    )
    new_lists: tuple[MarkerId, ...] = Field(
        default=(),
        description="Numbers of lists for contacts the relay makes; only where every customer has"
        " agreed to receive mail.",
    )
    cancelled_list: MarkerId | None = Field(
        default=None,
        description="Number of the list for lost memberships; a completed payment takes a contact"
        " out of it.",
    )
    payment_failed_list: MarkerId | None = Field(
        default=None,
        description="Number of the list for failed payments; a completed payment takes a contact"
        " out of it.",
    )
    plan_lists: dict[str, MarkerId] = Field(
        default_factory=dict,
        description="Number of a list by plan (its slug, id or name).",
        examples=[{"pro": 7}],
    )
    fields: Literal["all", "standard_only"] = Field(
        default="all",
        description="Without a mapping: `all` also writes the attributes PLAN, MEMBERSHIP_STATUS"
        " (text), SIGNUP_DATE, CHURNED_AT, LAST_PAYMENT_AT and LAST_PAYMENT_FAILED_AT (date),"
        " which Brevo ignores until preparing the target makes them; `standard_only` writes address"
        " and name.",
    )
    track_events: bool = Field(
        default=False,
        description="Also report sign-ups, payments, refunds, churn and failed payments as events"
        " of the contact, each once and called by its type.",
    )
    orders: bool = Field(
        default=False,
        description="Also keep an order for each completed payment, and mark it when it is"
        " refunded; needs eCommerce in Brevo.",
    )


class Brevo(Connector[BrevoSettings]):
    """Keeps one contact per customer."""

    name: ClassVar[str] = "brevo"
    kind: ClassVar[str] = "crm"
    facts: ClassVar[Facts] = Facts(
        title="Brevo",
        summary="Creates or updates the contact of the customer an event is about, and moves it"
        " between lists for lost memberships and failed payments.",
        authentication="API key, in the header api-key.",
        replay_safety="Safe for contacts, lists and orders: the same event writes the same values."
        " Tracked events may be counted again when they are replayed.",
        never_sent="emailBlacklisted and smsBlacklisted, lists a person left, empty values, postal"
        " and IP addresses and browser identifiers; payments only where orders or track_events is on.",
        documentation="https://developers.brevo.com/reference/create-contact",
    )
    Settings = BrevoSettings
    default_events: ClassVar[tuple[str, ...]] = ("*",)
    default_mapping: ClassVar[Mapping[str, str]] = DEFAULT_MAPPING
    #: Ten requests a second for contacts, and up to two a delivery.
    limits: ClassVar[Limits] = Limits(max_in_flight=5, per_second=5.0)
    ordered: ClassVar[bool] = True

    def __init__(self, target: TargetBinding[BrevoSettings]) -> None:
        super().__init__(target)
        settings = target.settings
        key = settings.api_key.get_secret_value()
        self._secrets = (key,)
        self._api = f"{settings.base_url}/{settings.api_version}"
        self._headers = {"api-key": key, "user-agent": target.user_agent}
        self._lists = Markers(
            settings.cancelled_list, settings.payment_failed_list, settings.plan_lists
        )
        self._names = attribute_names(
            settings.first_name_attribute,
            settings.last_name_attribute,
            standard=settings.fields == "standard_only",
        )

    @classmethod
    def check_mapping(cls, fields: Sequence[str]) -> Mapping[str, str]:
        """Fields are attributes; EMAIL is the contact's address."""
        return wrong_attributes(fields)

    def skip(self, event: Event) -> str | None:
        """Test events and deletions do not touch contacts."""
        return why_no_contact(event, self.facts.title)

    def check(self, assignment: Assignment) -> Flow:
        """Read the account."""
        request = httpx.Request("GET", f"{self._api}/account", headers=self._headers)
        return asked(request, assignment, RULES, self._secrets)

    def prepare(self, assignment: Assignment) -> Flow | None:
        """Make the attributes that the account lacks; Brevo ignores what has none."""
        if self.target.settings.fields == "standard_only":
            return None
        return self._prepare(assignment)

    def _prepare(self, assignment: Assignment) -> Flow:
        response = yield listing(f"{self._api}/contacts/attributes", self._headers)
        if not response.is_success:
            return self._failed(response, assignment)
        there = attribute_types(response)

        def make(name: str) -> Making:
            place = f"/contacts/attributes/normal/{name}"
            response = yield self._send("POST", place, {"type": ATTRIBUTES[name]})
            if response.is_success or is_duplicate(response):
                return response.is_success
            return self._failed(response, assignment)

        outcome = yield from make_missing(list(ATTRIBUTES), there, make)
        wrong = [
            f"{n} ({there[n]})" for n, kind in ATTRIBUTES.items() if there.get(n, kind) != kind
        ]
        if not wrong:
            return outcome
        note = (
            f"Of another type than the relay writes, and so ignored by Brevo: {', '.join(wrong)}."
        )
        return replace(outcome, reason=f"{outcome.reason} {note}")

    def deliver(self, assignment: Assignment) -> Flow:
        """Write the contact, then the order and the event where they are wanted."""
        event, settings = assignment.event, self.target.settings
        try:
            mapped = self.target.mapping(event)
        except ExpressionError as error:
            return unusable_mapping(error)
        contact = contact_of(event, mapped, self._lists.changes(event), self._names)
        if contact.email is None and not is_id(assignment.remembered_id):
            return skipped("The event has no e-mail address, and no Brevo contact is known for it.")
        if not contact:
            return skipped("The event says nothing that Brevo keeps.")
        outcome = yield from self._upsert(contact, assignment)
        if outcome.kind is OutcomeKind.DELIVERED and settings.orders:
            outcome = yield from self._order(outcome, contact, assignment)
        if outcome.kind is OutcomeKind.DELIVERED and settings.track_events:
            outcome = yield from self._track(outcome, contact, assignment)
        return outcome

    def _upsert(self, contact: Contact, assignment: Assignment) -> Flow:
        known = assignment.remembered_id
        if not is_id(known):
            return (yield from self._by_address(contact, assignment))
        if contact.lists or contact.email is not None:
            outcome = yield from self._look_and_write(known, contact, assignment)
        else:
            outcome = yield from self._write(known, contact.unseen(), "", assignment)
        if outcome is not None:
            return outcome
        outcome = yield from self._by_address(contact, assignment)
        return outcome if outcome.external_id else replace(outcome, forget_id=True)

    def _by_address(self, contact: Contact, assignment: Assignment) -> Flow:
        email, settings = contact.email, self.target.settings
        if email is None:
            return skipped("The contact is gone from Brevo, and the event has no e-mail address.")
        if contact.lists or settings.new_lists:
            outcome = yield from self._look_and_write(email, contact, assignment)
            if outcome is not None:
                return outcome
        body = contact.as_new(email, settings.new_lists)
        response = yield self._send("POST", "/contacts", body)
        if not response.is_success:
            return self._failed(response, assignment)
        identifier = contact_id(response)
        if identifier is None:
            # Brevo tells the id of contacts that it made, not of those that it updated.
            response = yield self._look(email)
            if not response.is_success and response.status_code != NOT_FOUND:
                return self._failed(response, assignment)
            identifier = contact_id(response)
        return delivered(identifier)

    def _look_and_write(
        self, key: str, contact: Contact, assignment: Assignment
    ) -> Generator[httpx.Request, httpx.Response, Outcome | None]:
        """Write what is right for the contact as it stands; None when it is not there."""
        response = yield self._look(key)
        if response.status_code == NOT_FOUND:
            return None
        if not response.is_success:
            return self._failed(response, assignment)
        found = found_in(response)
        if found is None:
            return retry(_NO_CONTACT)
        body, note = contact.changes_to(found)
        return (yield from self._write(found.id, body, note, assignment))

    def _write(
        self, key: str, body: Mapping[str, Any], note: str, assignment: Assignment
    ) -> Generator[httpx.Request, httpx.Response, Outcome | None]:
        """Write to a contact that is there; None when it is not any more."""
        if not body:
            return delivered(key, note)
        response = yield self._send("PUT", f"/contacts/{key}", body)
        if response.status_code == NOT_FOUND:
            return None
        return delivered(key, note) if response.is_success else self._failed(response, assignment)

    def _order(self, written: Outcome, contact: Contact, assignment: Assignment) -> Flow:
        whom = _identifiers(contact, None)
        order = order_of(assignment.event, whom) if whom else None
        if order is None:
            return written
        response = yield self._send("POST", "/orders/status", order)
        return written if response.is_success else self._failed(response, assignment, written)

    def _track(self, written: Outcome, contact: Contact, assignment: Assignment) -> Flow:
        event = assignment.event
        name = event_name(event, _LONGEST_EVENT)
        whom = _identifiers(contact, written.external_id)
        if name is None or not whom:
            return written
        document = {
            "event_name": name,
            "event_date": strict_json.rfc3339(event.occurred_at),
            "identifiers": whom,
            "event_properties": event_details(event),
        }
        response = yield from sent_once(self._send("POST", "/events", document))
        if response is None:
            return replace(written, reason=MAYBE_SENT)
        return written if response.is_success else self._failed(response, assignment, written)

    def _look(self, key: str) -> httpx.Request:
        url = f"{self._api}/contacts/{quote(key, safe='')}"
        return httpx.Request("GET", url, headers=self._headers)

    def _send(self, method: str, path: str, document: Any) -> httpx.Request:
        headers = {**self._headers, "content-type": "application/json"}
        body = strict_json.write(document)
        return httpx.Request(method, f"{self._api}{path}", headers=headers, content=body)

    def _failed(
        self, response: httpx.Response, assignment: Assignment, written: Outcome | None = None
    ) -> Outcome:
        """What a refusal means; a contact that was written before it is remembered all the same."""
        outcome = classify(response, RULES, now=assignment.now, secrets=self._secrets)
        return replace(outcome, external_id=written.external_id) if written else outcome


def _identifiers(contact: Contact, identifier: str | None) -> dict[str, Any]:
    if identifier is not None:
        return {"contact_id": int(identifier)}
    return {"email_id": contact.email} if contact.email else {}
