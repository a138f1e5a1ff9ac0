"""ActiveCampaign: one contact per customer, synchronised by address.

`contact/sync` creates or updates by address and may be repeated; a contact that is remembered is
written by its id, so that a new address does not make a second one.
Nobody is put on a list who stands in it already, in whatever way: that would subscribe again who
had unsubscribed.
Facts: developers.activecampaign.com, contacts, tags, lists, event tracking.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal, Self

import httpx
from pydantic import Field, model_validator

from app.connectors.activecampaign_contact import (
    DEFAULT_MAPPING,
    FIELDS,
    Contact,
    contact_of,
    wrong_fields,
)
from app.connectors.activecampaign_replies import (
    CREATED,
    NOT_FOUND,
    RULES,
    contact_id,
    field_numbers,
    is_id,
    knows_list,
    new_field,
    taggings,
    was_tracked,
)
from app.connectors.base import Assignment, Connector, Facts, Flow, Limits, TargetBinding
from app.connectors.checking import asked
from app.connectors.classify import Reply, classify
from app.connectors.contact_events import MAYBE_SENT, amount_of, event_name, sent_once
from app.connectors.contact_fields import why_no_contact
from app.connectors.contact_markers import MarkerId, Markers
from app.connectors.lifecycle import Happening, happening
from app.connectors.mapping import unusable_mapping
from app.connectors.preparing import Making, listing, make_missing
from app.connectors.settings import BaseUrl, ConnectorSettings, Credential
from app.domain import strict_json
from app.domain.expressions import ExpressionError
from app.domain.model import Event
from app.domain.outcome import Outcome, OutcomeKind, delivered, rejected, retry, skipped

#: One server takes the events of all accounts.
EVENTS_URL = "https://trackcmp.net/event"
_LONGEST_EVENT = 32
_SUBSCRIBED = 1
#: A custom field shows on a contact through a list; this stands for all of them.
_ALL_LISTS = "0"


class ActiveCampaignSettings(ConnectorSettings):
    """The account, and what of its contacts the relay may write."""

    base_url: BaseUrl = Field(
        description="The account's API URL (Settings, Developer), as it stands there.",
        examples=["https://example.api-us1.com"],
    )
    api_key: Credential = Field(description="The key that stands beside it.")
    api_path: str = Field(
        default="/api/3",
        pattern=r"^(/[A-Za-z0-9_-]+)+$",
        description="Where the API is, and its version.",
    )
    field_ids: dict[str, MarkerId] = Field(
        default_factory=dict,
        description="Numbers of custom fields by personalisation tag; those that are not named"
        " here are looked up, which costs a request for each delivery.",
        examples=[{"PLAN": 3, "SIGNUP_DATE": 4}],
    )
    cancelled_tag: MarkerId | None = Field(
        default=None,
        description="Number of the tag for a lost membership; a completed payment removes it.",
    )
    payment_failed_tag: MarkerId | None = Field(
        default=None,
        description="Number of the tag for a failed payment; a completed payment removes it.",
    )
    plan_tags: dict[str, MarkerId] = Field(
        default_factory=dict,
        description="Number of a tag by plan (its slug, id or name).",
        examples=[{"pro": 7}],
    )
    subscribe_to_list: MarkerId | None = Field(
        default=None,
        description="Number of a list that new contacts are subscribed to; only where every"
        " customer has agreed to receive mail. Who stands in the list already is left as they are.",
    )
    fields: Literal["all", "standard_only"] = Field(
        default="all",
        description="Without a mapping: `all` also writes the custom fields PLAN,"
        " MEMBERSHIP_STATUS (text), SIGNUP_DATE (date), CHURNED_AT, LAST_PAYMENT_AT and"
        " LAST_PAYMENT_FAILED_AT (date and time), as far as the account has them (preparing the"
        " target makes them);"
        " `standard_only` writes address and name.",
    )
    event_account: str | None = Field(
        default=None,
        pattern=r"^[0-9]{1,12}$",
        description="The account's number for event tracking (actid); with event_key, sign-ups,"
        " payments, refunds, churn and failed payments are reported as events, each once and"
        " called by its type.",
    )
    event_key: Credential | None = Field(
        default=None, description="The key for event tracking (Settings, Tracking)."
    )

    @model_validator(mode="after")
    def _events_need_both(self) -> Self:
        if (self.event_account is None) is not (self.event_key is None):
            raise ValueError("event_account and event_key are given together")
        return self


class ActiveCampaign(Connector[ActiveCampaignSettings]):
    """Keeps one contact per customer."""

    name: ClassVar[str] = "activecampaign"
    kind: ClassVar[str] = "crm"
    facts: ClassVar[Facts] = Facts(
        title="ActiveCampaign",
        summary="Creates or updates the contact of the customer an event is about, and tags lost"
        " memberships and failed payments.",
        authentication="API key, in the header Api-Token.",
        replay_safety="Safe for contacts and tags: the same event writes the same values. Tracked"
        " events may be counted again when they are replayed.",
        never_sent="A list status for who stands in the list, empty values, postal and IP"
        " addresses and browser identifiers; amounts only where events are tracked.",
        documentation="https://developers.activecampaign.com/reference/sync-a-contacts-data",
    )
    Settings = ActiveCampaignSettings
    default_events: ClassVar[tuple[str, ...]] = ("*",)
    default_mapping: ClassVar[Mapping[str, str]] = DEFAULT_MAPPING
    #: Five requests a second for the whole account, and two or more a delivery.
    limits: ClassVar[Limits] = Limits(max_in_flight=2, per_second=2.0)
    ordered: ClassVar[bool] = True
    assumed_absent: ClassVar[tuple[int, bytes]] = (200, b"{}")

    def __init__(self, target: TargetBinding[ActiveCampaignSettings]) -> None:
        super().__init__(target)
        settings = target.settings
        key = settings.api_key.get_secret_value()
        self._event_key = settings.event_key.get_secret_value() if settings.event_key else ""
        self._secrets = (key, self._event_key)
        self._api = f"{settings.base_url}{settings.api_path}"
        self._headers = {"api-token": key, "user-agent": target.user_agent}
        marks = (settings.cancelled_tag, settings.payment_failed_tag, settings.plan_tags)
        self._tags = Markers(*marks)

    @classmethod
    def check_mapping(cls, fields: Sequence[str]) -> Mapping[str, str]:
        """Fields are ActiveCampaign's own, or custom ones by number or personalisation tag."""
        return wrong_fields(fields)

    def skip(self, event: Event) -> str | None:
        """Test events and deletions do not touch contacts."""
        return why_no_contact(event, self.facts.title)

    def check(self, assignment: Assignment) -> Flow:
        """Read who the key belongs to."""
        return asked(self._get("/users/me"), assignment, RULES, self._secrets)

    def prepare(self, assignment: Assignment) -> Flow | None:
        """Make the custom fields that the account lacks, and show them in all lists."""
        if self.target.settings.fields == "standard_only":
            return None
        return self._prepare(assignment)

    def _prepare(self, assignment: Assignment) -> Flow:
        response = yield listing(f"{self._api}/fields?limit=100", self._headers)
        if not response.is_success:
            return self._failed(response, assignment)
        there = {**field_numbers(response), **self.target.settings.field_ids}

        def make(tag: str) -> Making:
            response = yield self._send("POST", "/fields", {"field": FIELDS[tag]})
            number = new_field(response) if response.is_success else None
            if number is not None:
                shown = {"fieldRel": {"field": number, "relid": _ALL_LISTS}}
                response = yield self._send("POST", "/fieldRels", shown)
            return True if response.is_success else self._failed(response, assignment)

        return (yield from make_missing(list(FIELDS), there, make))

    def deliver(self, assignment: Assignment) -> Flow:
        """Look up fields where that is needed, write the contact, then tags, list and event."""
        event, settings = assignment.event, self.target.settings
        try:
            mapped = self.target.mapping(event)
        except ExpressionError as error:
            return unusable_mapping(error)
        standard = settings.fields == "standard_only"
        contact = contact_of(event, mapped, self._tags.changes(event), standard=standard)
        if contact.email is None and not is_id(assignment.remembered_id):
            return skipped(
                "The event has no e-mail address, and no ActiveCampaign contact is known for it."
            )
        if not contact:
            return skipped("The event says nothing that ActiveCampaign keeps.")
        numbers = settings.field_ids
        if contact.unknown(numbers):
            response = yield self._get("/fields?limit=100")
            if not response.is_success:
                return self._failed(response, assignment)
            numbers = field_numbers(response) | numbers
        return (yield from self._steps(contact, numbers, assignment))

    def _steps(self, contact: Contact, numbers: Mapping[str, int], assignment: Assignment) -> Flow:
        outcome, is_new = yield from self._upsert(contact, contact.document(numbers), assignment)
        missing = ", ".join(contact.unknown(numbers))
        if missing and outcome.kind is OutcomeKind.DELIVERED:
            outcome = replace(outcome, reason=f"Written without {missing}: no such custom fields.")
        if outcome.kind is OutcomeKind.DELIVERED and contact.tags:
            outcome = yield from self._tag(outcome, contact, assignment)
        is_new = is_new or happening(assignment.event.type) is Happening.SIGN_UP
        if outcome.kind is OutcomeKind.DELIVERED and is_new:
            outcome = yield from self._subscribe(outcome, assignment)
        if outcome.kind is OutcomeKind.DELIVERED and self._event_key:
            outcome = yield from self._track(outcome, contact, assignment)
        return outcome

    def _upsert(
        self, contact: Contact, document: Mapping[str, Any], assignment: Assignment
    ) -> Generator[httpx.Request, httpx.Response, tuple[Outcome, bool]]:
        """Write the contact; says besides whether it was made just now."""
        known = assignment.remembered_id
        if is_id(known):
            if not document:
                return delivered(known), False
            response = yield self._send("PUT", f"/contacts/{known}", {"contact": document})
            if response.status_code != NOT_FOUND:
                return self._end(response, assignment, known), False
        if contact.email is None:
            reason = "The contact is gone from ActiveCampaign, and the event has no e-mail address."
            return replace(skipped(reason), forget_id=True), False
        response = yield self._send("POST", "/contact/sync", {"contact": document})
        outcome = self._end(response, assignment)
        if is_id(known) and not outcome.external_id:
            outcome = replace(outcome, forget_id=True)
        return outcome, response.status_code == CREATED

    def _tag(self, written: Outcome, contact: Contact, assignment: Assignment) -> Flow:
        whom = written.external_id
        for tag in contact.tags.add:
            tagging = {"contactTag": {"contact": whom, "tag": str(tag)}}
            response = yield self._send("POST", "/contactTags", tagging)
            if not response.is_success:
                return self._failed(response, assignment, written)
        if not contact.tags.remove:
            return written
        response = yield self._get(f"/contacts/{whom}/contactTags")
        if not response.is_success:
            return self._failed(response, assignment, written)
        for identifier in taggings(response, contact.tags.remove):
            response = yield self._send("DELETE", f"/contactTags/{identifier}")
            if not response.is_success and response.status_code != NOT_FOUND:
                return self._failed(response, assignment, written)
        return written

    def _subscribe(self, written: Outcome, assignment: Assignment) -> Flow:
        number, whom = self.target.settings.subscribe_to_list, written.external_id
        if number is None:
            return written
        response = yield self._get(f"/contacts/{whom}/contactLists")
        if response.is_success and knows_list(response, number):
            return written
        if response.is_success:
            standing = {"list": str(number), "contact": whom, "status": _SUBSCRIBED}
            response = yield self._send("POST", "/contactLists", {"contactList": standing})
        return written if response.is_success else self._failed(response, assignment, written)

    def _track(self, written: Outcome, contact: Contact, assignment: Assignment) -> Flow:
        event = assignment.event
        name = event_name(event, _LONGEST_EVENT)
        if name is None or contact.email is None:
            return written
        amount = amount_of(event)
        form = {
            "actid": str(self.target.settings.event_account),
            "key": self._event_key,
            "event": name,
            "eventdata": f"{amount.amount:f} {amount.currency}" if amount else event.id,
            "visit": strict_json.write({"email": contact.email}).decode(),
        }
        headers = {"user-agent": self.target.user_agent}
        request = httpx.Request("POST", EVENTS_URL, headers=headers, data=form)
        response = yield from sent_once(request)
        if response is None:
            return replace(written, reason=MAYBE_SENT)
        if not response.is_success:
            return self._failed(response, assignment, written)
        if was_tracked(response):
            return written
        reason = Reply(response, assignment.now, self._secrets).reason("the event was not taken")
        return replace(rejected(reason), external_id=written.external_id)

    def _get(self, path: str) -> httpx.Request:
        return httpx.Request("GET", f"{self._api}{path}", headers=self._headers)

    def _send(self, method: str, path: str, document: Any = None) -> httpx.Request:
        headers = {**self._headers, "content-type": "application/json"}
        body = b"" if document is None else strict_json.write(document)
        return httpx.Request(method, f"{self._api}{path}", headers=headers, content=body)

    def _end(
        self, response: httpx.Response, assignment: Assignment, known_id: str | None = None
    ) -> Outcome:
        if not response.is_success:
            return self._failed(response, assignment)
        if identifier := contact_id(response) or known_id:
            return delivered(identifier)
        return retry("ActiveCampaign answered well, but without a contact.")

    def _failed(
        self, response: httpx.Response, assignment: Assignment, written: Outcome | None = None
    ) -> Outcome:
        """What a refusal means; a contact that was written before it is remembered all the same."""
        outcome = classify(response, RULES, now=assignment.now, secrets=self._secrets)
        return replace(outcome, external_id=written.external_id) if written else outcome
