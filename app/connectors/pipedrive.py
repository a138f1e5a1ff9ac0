"""Pipedrive: one person per customer, and a won deal per payment where that is wanted.

Pipedrive has no upsert, and addresses are not unique: a remembered person is written by id, others
are searched for by address and made when nobody has it.
The search sees a new person only after a while; so deliveries for one customer run one after
another, and the id is remembered.
An attempt may end without anybody knowing what it made: its answer was lost, or its worker died.
So every second attempt only looks, and where it finds nothing it waits until the search must know.
The reply to a write shows the whole person: only where an address or a label is missing there, a
second write adds it to what is there.
Facts: pipedrive.readme.io, API v2.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

import httpx
from pydantic import Field

from app.connectors.base import Assignment, Connector, Facts, Flow, Limits, TargetBinding
from app.connectors.checking import asked
from app.connectors.classify import classify
from app.connectors.contact_fields import why_no_contact
from app.connectors.contact_markers import MarkerId, Markers
from app.connectors.lifecycle import Happening, effect_of, happening, paid
from app.connectors.mapping import unusable_mapping
from app.connectors.pipedrive_person import (
    DEFAULT_MAPPING,
    FIELDS,
    Person,
    person_of,
    wrong_fields,
)
from app.connectors.pipedrive_replies import (
    RULES,
    data_of,
    field_keys,
    id_in,
    is_gone,
    is_id,
    person_with,
    titled,
)
from app.connectors.preparing import Making, listing, make_missing
from app.connectors.settings import BaseUrl, ConnectorSettings, Credential
from app.domain import strict_json
from app.domain.expressions import ExpressionError
from app.domain.model import Event
from app.domain.outcome import Outcome, TransportFailure, delivered, retry, skipped

Fact = Literal[
    "plan",
    "signup_date",
    "membership_status",
    "churned_at",
    "last_payment_at",
    "last_payment_failed_at",
]
_NOBODY = "The event has no e-mail address, and no Pipedrive person is known for it."
_MAY_BE_THERE = (
    "The search finds nothing, but the attempt before this one may have made it:"
    " it is looked for once more before it is made."
)
_GONE = "The person is gone from Pipedrive, and the event has no e-mail address."


class PipedriveSettings(ConnectorSettings):
    """The account, and what of its persons the relay may write."""

    api_token: Credential = Field(
        description="The personal API token of a user who may edit persons and deals.",
    )
    base_url: BaseUrl = Field(
        default="https://api.pipedrive.com/api/v2",
        description="The API and its version; https://yourcompany.pipedrive.com/api/v2 works too.",
    )
    custom_fields: dict[Fact, Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]] = Field(
        default_factory=dict,
        description="Without a mapping: the keys of the custom fields for plan, signup_date,"
        " membership_status, churned_at, last_payment_at and last_payment_failed_at (text or date"
        " fields); what has no key is not written. Preparing the target makes the fields and says"
        " their keys.",
        examples=[{"plan": "dcf558aac1ae4e8c4f849ba5e668430d8df9be12"}],
    )
    cancelled_label: MarkerId | None = Field(
        default=None,
        description="Number of the label for a lost membership; a completed payment removes it.",
    )
    payment_failed_label: MarkerId | None = Field(
        default=None,
        description="Number of the label for a failed payment; a completed payment removes it.",
    )
    plan_labels: dict[str, MarkerId] = Field(
        default_factory=dict,
        description="Number of a label by plan (its slug, id or name).",
        examples=[{"pro": 7}],
    )
    search_lag_seconds: int = Field(
        default=60,
        ge=1,
        le=900,
        description="How long Pipedrive's search may not know what was made just now. What an"
        " attempt of unknown end may have made is looked for so much later, before it is made.",
    )
    won_deals: bool = Field(
        default=False, description="Also make a won deal of each completed payment, once."
    )


class Pipedrive(Connector[PipedriveSettings]):
    """Keeps one person per customer."""

    name: ClassVar[str] = "pipedrive"
    kind: ClassVar[str] = "crm"
    facts: ClassVar[Facts] = Facts(
        title="Pipedrive",
        summary="Creates or updates the person of the customer an event is about, labels lost"
        " memberships and failed payments, and can make a won deal of each payment.",
        authentication="A personal API token, in the x-api-token header.",
        replay_safety="Safe for persons and labels: the same event writes the same values. A deal"
        " is searched for by its title before it is made.",
        never_sent="marketing_status, empty values, postal addresses, IP addresses and browser"
        " identifiers. Addresses, numbers and labels that a person has are kept.",
        documentation="https://developers.pipedrive.com/docs/api/v1/Persons",
    )
    Settings = PipedriveSettings
    default_events: ClassVar[tuple[str, ...]] = ("*",)
    default_mapping: ClassVar[Mapping[str, str]] = DEFAULT_MAPPING
    #: The smallest plan bears 20 requests in two seconds, and most deliveries take two.
    limits: ClassVar[Limits] = Limits(max_in_flight=4, per_second=4.0)
    ordered: ClassVar[bool] = True
    assumed_absent: ClassVar[tuple[int, bytes]] = (200, b'{"data": {"items": []}}')

    def __init__(self, target: TargetBinding[PipedriveSettings]) -> None:
        super().__init__(target)
        settings = target.settings
        self._token = settings.api_token.get_secret_value()
        self._headers = {
            "x-api-token": self._token,
            "accept": "application/json",
            "user-agent": target.user_agent,
        }
        self._custom_fields = {str(fact): key for fact, key in settings.custom_fields.items()}
        self._markers = Markers(
            settings.cancelled_label, settings.payment_failed_label, settings.plan_labels
        )

    @classmethod
    def check_mapping(cls, fields: Sequence[str]) -> Mapping[str, str]:
        """Pipedrive's own fields, or keys of custom ones; consent is not for mappings."""
        return wrong_fields(fields)

    def skip(self, event: Event) -> str | None:
        """Test events and deletions do not touch persons."""
        return why_no_contact(event, self.facts.title)

    def effect(self, event: Event) -> str | None:
        """Where deals are made, one for each payment, whichever events announce it."""
        makes_deal = self.target.settings.won_deals and happening(event.type) is Happening.SALE
        return effect_of(event) if makes_deal else None

    def check(self, assignment: Assignment) -> Flow:
        """Read one person."""
        request = self._read("/persons", {"limit": "1"})
        return asked(request, assignment, RULES, (self._token,))

    def prepare(self, assignment: Assignment) -> Flow:
        """Make custom fields for the facts that have none, and say which keys to set."""
        response = yield listing(
            f"{self.target.settings.base_url}/personFields?limit=500", self._headers
        )
        if not response.is_success:
            return self._failed(response, assignment)
        keys = field_keys(response)
        wanted = [name for name, one in FIELDS.items() if one["fact"] not in self._custom_fields]

        def make(name: str) -> Making:
            field = {"field_name": name, "field_type": FIELDS[name]["field_type"]}
            response = yield self._write("POST", "/personFields", field)
            if not response.is_success:
                return self._failed(response, assignment)
            keys.update(field_keys(response))
            return True

        outcome = yield from make_missing(wanted, tuple(keys), make)
        found = {FIELDS[name]["fact"]: keys[name] for name in wanted if name in keys}
        if not found:
            return outcome
        setting = strict_json.write({**self._custom_fields, **found}).decode()
        return replace(outcome, reason=f"{outcome.reason} Set custom_fields to {setting}")

    def deliver(self, assignment: Assignment) -> Flow:
        """Write the person, then the deal where one is wanted."""
        event = assignment.event
        markers = self._markers.changes(event)
        try:
            person = person_of(event, self.target.mapping(event), self._custom_fields, markers)
        except ExpressionError as error:
            return unusable_mapping(error)
        if person.email is None and not is_id(assignment.remembered_id):
            return skipped(_NOBODY)
        if not person:
            return skipped("The event says nothing that Pipedrive keeps.")
        outcome = yield from self._upsert(person, assignment)
        if outcome.external_id is None or self.effect(event) is None:
            return outcome
        return (yield from self._win(outcome, assignment))

    def _upsert(self, person: Person, assignment: Assignment) -> Flow:
        remembered = assignment.remembered_id
        if remembered is None or not is_id(remembered):
            return (yield from self._by_address(person, assignment))
        outcome = yield from self._update(remembered, person, assignment)
        if outcome is not None:
            return outcome
        outcome = yield from self._by_address(person, assignment)
        return outcome if outcome.external_id else replace(outcome, forget_id=True)

    def _by_address(self, person: Person, assignment: Assignment) -> Flow:
        if person.email is None:
            return skipped(_GONE)
        query = {"term": person.email, "fields": "email", "exact_match": "true", "limit": "2"}
        response = yield self._read("/persons/search", query)
        if not response.is_success:
            return self._failed(response, assignment)
        found = person_with(response, person.email)
        if found is not None:
            outcome = yield from self._update(found, person, assignment)
            # The search may also know somebody who was deleted just now.
            if outcome is not None:
                return outcome
        made = yield from self._make("/persons", person.as_new(person.email), assignment)
        return made if isinstance(made, Outcome) else delivered(made)

    def _update(
        self, identifier: str, person: Person, assignment: Assignment
    ) -> Generator[httpx.Request, httpx.Response, Outcome | None]:
        """Write to this person; None when nobody has the id."""
        place = f"/persons/{identifier}"
        changes = person.changes()
        response = yield self._write("PATCH", place, changes) if changes else self._read(place)
        if response.is_success:
            additions = person.additions(data_of(response))
            if additions:
                response = yield self._write("PATCH", place, additions)
        if is_gone(response):
            return None
        return delivered(identifier) if response.is_success else self._failed(response, assignment)

    def _make(
        self, place: str, document: Any, assignment: Assignment
    ) -> Generator[httpx.Request, httpx.Response, str | Outcome]:
        """The id of what was made. It is not made twice when an attempt's end is not known."""
        if assignment.attempt % 2 == 0:
            return retry(_MAY_BE_THERE, self.target.settings.search_lag_seconds)
        try:
            response = yield self._write("POST", place, document)
        except TransportFailure as failure:
            return retry(failure.reason)
        if not response.is_success:
            return self._failed(response, assignment)
        return id_in(data_of(response)) or retry("Pipedrive answered well, but without an id.")

    def _win(self, written: Outcome, assignment: Assignment) -> Flow:
        deal = _deal(assignment.event, int(written.external_id or 0))
        query = {"term": deal["title"], "fields": "title", "exact_match": "true", "limit": "2"}
        response = yield self._read("/deals/search", query)
        if not response.is_success:
            ended = self._failed(response, assignment)
            return replace(ended, external_id=written.external_id)
        if titled(response, deal["title"]):
            return written
        made = yield from self._make("/deals", deal, assignment)
        if isinstance(made, Outcome):
            return replace(made, external_id=written.external_id)
        return written

    def _read(self, place: str, query: Mapping[str, str] | None = None) -> httpx.Request:
        url = f"{self.target.settings.base_url}{place}"
        return httpx.Request("GET", url, params=query, headers=self._headers)

    def _write(self, method: str, place: str, document: Any) -> httpx.Request:
        url = f"{self.target.settings.base_url}{place}"
        headers = {**self._headers, "content-type": "application/json"}
        return httpx.Request(method, url, headers=headers, content=strict_json.write(document))

    def _failed(self, response: httpx.Response, assignment: Assignment) -> Outcome:
        return classify(response, RULES, now=assignment.now, secrets=(self._token,))


def _deal(event: Event, person_id: int) -> dict[str, Any]:
    """A won deal; its title is the same for every announcement of a payment, and for no other."""
    amount = paid(event)
    deal: dict[str, Any] = {
        "title": f"{event.source} payment {event.payment.id if event.payment else event.id}",
        "person_id": person_id,
        "status": "won",
    }
    if amount is not None:
        deal |= {"value": float(amount.amount), "currency": amount.currency}
    return deal
