"""FluentCRM: one contact per customer, in a WordPress site of the operator's own.

Three of its habits would harm people, and shape what is sent here:
posting a status onto a contact that is there resubscribes who had unsubscribed, so a contact is
posted only when nobody has the address, and never by force;
writing custom values erases those that are not in the request, so they are read first and written
together with ours;
posting by force mails another request for consent to who has not answered the first.
Besides, an address in an update ties the contact anew to a WordPress user, so it is sent only when
it changed.
Facts: FluentCRM 2.9.84, read in its source; developers.fluentcrm.com, REST API.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal, Self

import httpx
from pydantic import Field, model_validator

from app.connectors.base import Assignment, Connector, Facts, Flow, Limits, TargetBinding
from app.connectors.checking import asked
from app.connectors.classify import classify
from app.connectors.contact_events import MAYBE_SENT, amount_of, event_name, sent_once
from app.connectors.contact_fields import why_no_contact
from app.connectors.contact_markers import MarkerId, Markers
from app.connectors.fluentcrm_contact import (
    DEFAULT_MAPPING,
    Contact,
    contact_of,
    wrong_fields,
)
from app.connectors.fluentcrm_replies import (
    RULES,
    UNPROCESSABLE,
    contact_id,
    found_in,
    is_absent,
    is_gone,
    is_id,
    is_taken,
)
from app.connectors.mapping import unusable_mapping
from app.connectors.settings import BaseUrl, CaCertificate, ConnectorSettings, Credential
from app.domain import strict_json
from app.domain.expressions import ExpressionError
from app.domain.model import Event
from app.domain.outcome import Outcome, OutcomeKind, delivered, rejected, retry, skipped

_LONGEST_EVENT = 64
_WITH_CUSTOM_VALUES = {"with[]": "subscriber.custom_values"}
_NO_CUSTOM_VALUES = (
    "The custom fields were not written: FluentCRM did not say which ones the contact has, and"
    " would erase those."
)
#: A page that a cache, a firewall or a closed site puts in front of the API.
_NO_CONTACT = "The site answered well, but without a contact."
_NO_TRACKING = "The contact was written; event tracking is switched off in FluentCRM."


class FluentCrmSettings(ConnectorSettings):
    """The site, and what of its contacts the relay may write."""

    base_url: BaseUrl = Field(
        description="The address of the WordPress site FluentCRM runs in. Use https: the password"
        " travels with every request.",
        examples=["https://shop.example.com"],
    )
    username: str = Field(
        min_length=1,
        max_length=60,
        pattern=r"^[^:\x00-\x1f\x7f]+$",
        description="A WordPress user that FluentCRM lets read and manage contacts"
        " (fcrm_read_contacts, fcrm_manage_contacts).",
    )
    application_password: Credential = Field(
        description="An application password of that user (Users, Profile), spaces and all.",
    )
    api_path: str = Field(
        default="/wp-json/fluent-crm/v2",
        pattern=r"^(/[A-Za-z0-9_-]+)+$",
        description="Where the site's REST API has FluentCRM, and its version.",
    )
    new_status: Literal["transactional", "pending", "subscribed", "unsubscribed"] = Field(
        default="transactional",
        description="The status of contacts the relay makes. `subscribed` only where every"
        " customer has agreed to receive mail. Contacts that are there keep theirs.",
    )
    double_optin: bool = Field(
        default=False,
        description="Mail a new contact once to ask for consent; needs new_status `pending`.",
    )
    new_tags: tuple[MarkerId, ...] = Field(
        default=(), description="Numbers of tags for contacts the relay makes."
    )
    new_lists: tuple[MarkerId, ...] = Field(
        default=(), description="Numbers of lists for contacts the relay makes."
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
    fields: Literal["all", "standard_only"] = Field(
        default="all",
        description="Without a mapping: `all` also writes the custom fields plan, signup_date"
        " (date), membership_status, churned_at, last_payment_at and last_payment_failed_at (date"
        " and time), which show once they are made in FluentCRM; `standard_only` writes address"
        " and name.",
    )
    track_events: bool = Field(
        default=False,
        description="Also add sign-ups, payments, refunds, churn and failed payments to the"
        " contact's history, each once and called by its type; needs event tracking in FluentCRM.",
    )
    ca_certificate: CaCertificate = None

    @model_validator(mode="after")
    def _consent_needs_pending(self) -> Self:
        if self.double_optin and self.new_status != "pending":
            raise ValueError("double_optin needs new_status pending")
        return self


class FluentCrm(Connector[FluentCrmSettings]):
    """Keeps one contact per customer."""

    name: ClassVar[str] = "fluentcrm"
    kind: ClassVar[str] = "crm"
    facts: ClassVar[Facts] = Facts(
        title="FluentCRM",
        summary="Creates or updates the contact of the customer an event is about, and tags lost"
        " memberships and failed payments.",
        authentication="WordPress user and application password, by HTTP Basic.",
        replay_safety="Safe for contacts and tags: the same event writes the same values. Tracked"
        " events may be counted again when they are replayed.",
        never_sent="The status of a contact that is there, __force_update, empty values, postal and"
        " IP addresses, browser identifiers; amounts only where track_events is on.",
        documentation="https://developers.fluentcrm.com/rest-api/",
    )
    Settings = FluentCrmSettings
    default_events: ClassVar[tuple[str, ...]] = ("*",)
    default_mapping: ClassVar[Mapping[str, str]] = DEFAULT_MAPPING
    #: Two requests a delivery: five a second in all.
    limits: ClassVar[Limits] = Limits(max_in_flight=2, per_second=2.5)
    ordered: ClassVar[bool] = True

    def __init__(self, target: TargetBinding[FluentCrmSettings]) -> None:
        super().__init__(target)
        settings = target.settings
        password = settings.application_password.get_secret_value()
        basic = b64encode(f"{settings.username}:{password}".encode()).decode("ascii")
        self._secrets = (password, basic)
        self._subscribers = f"{settings.base_url}{settings.api_path}/subscribers"
        self._headers = {"authorization": f"Basic {basic}", "user-agent": target.user_agent}
        self._markers = Markers(
            settings.cancelled_tag, settings.payment_failed_tag, settings.plan_tags
        )

    @classmethod
    def check_mapping(cls, fields: Sequence[str]) -> Mapping[str, str]:
        """Fields are FluentCRM's own or slugs of custom ones; consent is not for mappings."""
        return wrong_fields(fields)

    def skip(self, event: Event) -> str | None:
        """Test events and deletions do not touch contacts."""
        return why_no_contact(event, self.facts.title)

    def check(self, assignment: Assignment) -> Flow:
        """Read one contact."""
        return asked(self._get("", {"per_page": "1"}), assignment, RULES, self._secrets)

    def deliver(self, assignment: Assignment) -> Flow:
        """Write the contact, then its event where that is wanted."""
        event = assignment.event
        try:
            contact = self._contact(event)
        except ExpressionError as error:
            return unusable_mapping(error)
        if contact.email is None and not is_id(assignment.remembered_id):
            return skipped(
                "The event has no e-mail address, and no FluentCRM contact is known for it."
            )
        if not contact:
            return skipped("The event says nothing that FluentCRM keeps.")
        outcome = yield from self._upsert(contact, assignment)
        if outcome.kind is OutcomeKind.DELIVERED and self.target.settings.track_events:
            outcome = yield from self._track(outcome, assignment)
        return outcome

    def _contact(self, event: Event) -> Contact:
        standard = self.target.settings.fields == "standard_only"
        mapped, changes = self.target.mapping(event), self._markers.changes(event)
        return contact_of(event, mapped, changes, standard=standard)

    def _upsert(self, contact: Contact, assignment: Assignment) -> Flow:
        known = assignment.remembered_id
        if not is_id(known):
            return (yield from self._by_address(contact, assignment))
        response = yield self._get(f"/{known}", _WITH_CUSTOM_VALUES)
        if not is_absent(response):
            outcome = yield from self._update(response, contact, assignment)
            if outcome is not None:
                return outcome
        outcome = yield from self._by_address(contact, assignment)
        return outcome if outcome.external_id else replace(outcome, forget_id=True)

    def _by_address(self, contact: Contact, assignment: Assignment) -> Flow:
        if contact.email is None:
            return skipped(
                "The contact is gone from FluentCRM, and the event has no e-mail address."
            )
        # A second round, for a contact that was made or removed between two of the requests.
        for _ in range(2):
            response = yield self._get("/0", {"get_by_email": contact.email, **_WITH_CUSTOM_VALUES})
            if is_absent(response):
                response = yield self._send("POST", "", self._new(contact, contact.email))
                if not is_taken(response):
                    return self._end(response, assignment)
            else:
                outcome = yield from self._update(response, contact, assignment)
                if outcome is not None:
                    return outcome
        return retry("FluentCRM says both that the contact exists and that it does not.")

    def _update(
        self, response: httpx.Response, contact: Contact, assignment: Assignment
    ) -> Generator[httpx.Request, httpx.Response, Outcome | None]:
        """Write to the contact that was read; None when it is gone by then."""
        found = found_in(response)
        if found is None:
            return retry(_NO_CONTACT) if response.is_success else self._end(response, assignment)
        if contact.email and assignment.remembered_id != found.id and not found.has(contact.email):
            return rejected("FluentCRM found a contact with another address than it was asked for.")
        body = contact.changes_to(found)
        note = _NO_CUSTOM_VALUES if contact.custom and found.custom_values is None else ""
        if not body:
            return delivered(found.id, note)
        response = yield self._send("PUT", f"/{found.id}", body)
        return None if is_gone(response) else self._end(response, assignment, found.id, note)

    def _new(self, contact: Contact, email: str) -> dict[str, Any]:
        settings = self.target.settings
        body = contact.as_new(email, settings.new_status, settings.new_tags, settings.new_lists)
        return body | {"double_optin": True} if settings.double_optin else body

    def _track(self, written: Outcome, assignment: Assignment) -> Flow:
        event = assignment.event
        name = event_name(event, _LONGEST_EVENT)
        if name is None:
            return written
        amount = amount_of(event)
        document = {
            "event_key": name,
            "title": name.replace("_", " ").capitalize(),
            "value": f"{amount.amount:f} {amount.currency}" if amount else event.id,
            "subscriber_id": int(written.external_id or 0),
            "repeatable": True,
        }
        response = yield from sent_once(self._send("POST", "/track-event", document))
        if response is None:
            return replace(written, reason=MAYBE_SENT)
        if response.status_code == UNPROCESSABLE:
            return replace(written, reason=_NO_TRACKING)
        if response.is_success:
            return written
        return replace(self._end(response, assignment), external_id=written.external_id)

    def _get(self, path: str, query: Mapping[str, str]) -> httpx.Request:
        url = f"{self._subscribers}{path}"
        return httpx.Request("GET", url, params=query, headers=self._headers)

    def _send(self, method: str, path: str, document: Any) -> httpx.Request:
        headers = {**self._headers, "content-type": "application/json"}
        body = strict_json.write(document)
        return httpx.Request(method, f"{self._subscribers}{path}", headers=headers, content=body)

    def _end(
        self,
        response: httpx.Response,
        assignment: Assignment,
        known_id: str | None = None,
        note: str = "",
    ) -> Outcome:
        if not response.is_success:
            return classify(response, RULES, now=assignment.now, secrets=self._secrets)
        identifier = contact_id(response) or known_id
        if identifier is None:
            return retry(_NO_CONTACT)
        return delivered(identifier, note)
