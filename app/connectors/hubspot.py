"""HubSpot: one contact per customer and, where wanted, one deal per payment.

One contact that waits is written by itself (app.connectors.hubspot_contacts), many are written
together (app.connectors.hubspot_batches), with the same end.
Facts: developers.hubspot.com, CRM contacts, usage guidelines and error handling.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

from pydantic import Field

from app.connectors.base import (
    Assignment,
    BatchFlow,
    Connector,
    Facts,
    Flow,
    Limits,
    TargetBinding,
)
from app.connectors.checking import asked
from app.connectors.contact_batches import Waiting, bytes_of
from app.connectors.contact_fields import address_of, as_address, why_no_contact
from app.connectors.hubspot_account import Account
from app.connectors.hubspot_batches import ContactBatches
from app.connectors.hubspot_contacts import Contact, Contacts
from app.connectors.hubspot_deals import PROPERTIES as DEAL_PROPERTIES
from app.connectors.hubspot_deals import DealRules, Deals
from app.connectors.hubspot_properties import (
    DEAL,
    DEFAULT_MAPPING,
    PROPERTIES,
    all_properties,
    mapped_properties,
    standard_properties,
    wrong_names,
)
from app.connectors.hubspot_replies import CONFLICT, RULES, is_id
from app.connectors.mapping import unusable_mapping
from app.connectors.preparing import Making, make_missing
from app.connectors.settings import BaseUrl, ConnectorSettings, Credential
from app.domain.expressions import ExpressionError
from app.domain.model import Event
from app.domain.outcome import Outcome, OutcomeKind, skipped

_NOBODY = "The event has no e-mail address, and no HubSpot contact is known for it."
_NOTHING = "The event says nothing that HubSpot keeps."


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
        " time), which HubSpot lacks until preparing the target makes them; `standard_only` writes"
        " email, firstname and lastname.",
    )
    on_unknown_property: Literal["reject", "drop"] = Field(
        default="reject",
        description="When the account lacks a property: `reject` the contact and say which, or"
        " `drop` the property, write the rest and say so.",
    )
    deals: bool = Field(
        default=False,
        description="Also make a deal of each completed payment, won and on the contact; needs the"
        " scopes crm.objects.deals.read and crm.objects.deals.write, and the deal properties that"
        " preparing the target makes. Fields of a mapping that begin with `deal.` are the deal's"
        " (`deal.dealname`).",
    )
    deal_pipeline: str = Field(
        default="default",
        min_length=1,
        max_length=100,
        description="The internal id of its pipeline.",
    )
    deal_stage: str = Field(
        default="closedwon",
        min_length=1,
        max_length=100,
        description="The internal id of the stage in which a paid deal stands.",
    )
    deal_refunded_stage: str | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="The internal id of the stage to which a refund moves the payment's deal; it"
        " stays where it is without one, and the refund is noted on it.",
    )
    deal_currency: bool = Field(
        default=False,
        description="Also write the payment's currency, for accounts with several currencies; in"
        " others an amount is taken for the account's own.",
    )


class HubSpot(Connector[HubSpotSettings]):
    """Keeps one contact per customer."""

    name: ClassVar[str] = "hubspot"
    kind: ClassVar[str] = "crm"
    facts: ClassVar[Facts] = Facts(
        title="HubSpot",
        summary="Creates or updates the contact of the customer an event is about and, on request, makes"
        " one deal of each payment.",
        authentication="Access token of a private app, sent as a bearer token.",
        replay_safety="Safe: the same event writes the same properties to the same contact, and a"
        " payment has one deal.",
        never_sent="Payments unless deals are on; addresses, browser identifiers and empty values (HubSpot would"
        " clear the property).",
        documentation="https://developers.hubspot.com/docs/api-reference/crm-contacts-v3/guide",
    )
    Settings = HubSpotSettings
    default_events: ClassVar[tuple[str, ...]] = ("*",)
    default_mapping: ClassVar[Mapping[str, str]] = DEFAULT_MAPPING
    #: The smallest account bears ten requests a second, and a delivery or batch takes two or
    #: three; what waits meanwhile travels together.
    limits: ClassVar[Limits] = Limits(batch_size=100, max_in_flight=100, per_second=4.0)
    ordered: ClassVar[bool] = True

    def __init__(self, target: TargetBinding[HubSpotSettings]) -> None:
        super().__init__(target)
        settings = target.settings
        token = settings.token.get_secret_value()
        self._account = Account(
            base_url=settings.base_url,
            objects=f"{settings.base_url}{settings.path_prefix}",
            headers={
                "authorization": f"Bearer {token}",
                "content-type": "application/json",
                "user-agent": target.user_agent,
            },
            token=token,
        )
        drop = settings.on_unknown_property == "drop"
        self._contacts = Contacts(self._account, drop_unknown=drop)
        self._batches = ContactBatches(
            self._account,
            self._contacts,
            drop_unknown=drop,
            most_bytes=self.limits.batch_bytes,
        )
        rules = DealRules(
            pipeline=settings.deal_pipeline,
            stage=settings.deal_stage,
            refunded_stage=settings.deal_refunded_stage,
            currency=settings.deal_currency,
        )
        self._deals = Deals(self._account, rules) if settings.deals else None

    @classmethod
    def check_mapping(cls, fields: Sequence[str]) -> Mapping[str, str]:
        """Property names are lower snake case, and some are HubSpot's own."""
        return wrong_names(fields)

    def skip(self, event: Event) -> str | None:
        """Test events and deletions do not touch contacts."""
        return why_no_contact(event, self.facts.title)

    def batch_key(self, assignment: Assignment) -> str:
        """Known contacts travel together, and so do those with an address; deals go alone."""
        if self._makes_deal(assignment.event):
            return assignment.message_id
        if is_id(assignment.remembered_id):
            return "known"
        return "new" if address_of(assignment.event) else assignment.message_id

    def check(self, assignment: Assignment) -> Flow:
        """Read one contact."""
        request = self._account.request("GET", f"{self._account.objects}/contacts?limit=1")
        return asked(request, assignment, RULES, (self._account.token,))

    def prepare(self, assignment: Assignment) -> Flow:
        """Make the properties that HubSpot does not have by itself."""
        wanted = {one["name"]: ("contacts", one) for one in PROPERTIES}
        if self._deals is not None:
            wanted |= {one["name"]: ("deals", one) for one in DEAL_PROPERTIES}

        def make(name: str) -> Making:
            kind, definition = wanted[name]
            url = f"{self._account.base_url}/crm/v3/properties/{kind}"
            response = yield self._account.request("POST", url, definition)
            if response.is_success or response.status_code == CONFLICT:
                return response.is_success
            return self._account.failed(response, assignment)

        return make_missing(list(wanted), (), make)

    def deliver(self, assignment: Assignment) -> Flow:
        """Write the contact, and its deal where the event tells of one."""
        try:
            values = self.target.mapping(assignment.event)
        except ExpressionError as error:
            return unusable_mapping(error)
        contact = self._contact(assignment, values)
        if isinstance(contact, Outcome):
            return contact
        written = yield from self._contacts.upsert(contact, assignment)
        if self._deals is None or written.kind is not OutcomeKind.DELIVERED:
            return written
        if not self._deals.concerns(assignment.event):
            return written
        outcome = yield from self._deals.carry(assignment, values, written.external_id)
        said = " ".join(filter(None, (written.reason, outcome.reason)))
        return replace(outcome, reason=said, external_id=written.external_id)

    def deliver_many(self, assignments: Sequence[Assignment]) -> BatchFlow:
        """Write several contacts with a few requests, each with a result of its own."""
        ended: dict[int, Outcome] = {}
        waiting: list[Waiting[Contact]] = []
        for position, assignment in enumerate(assignments):
            contact = self._contact_of(assignment)
            if self._makes_deal(assignment.event):
                ended[position] = yield from self.deliver(assignment)
            elif isinstance(contact, Outcome):
                ended[position] = contact
            else:
                remembered = assignment.remembered_id
                key = remembered if is_id(remembered) else (contact.email or "").lower()
                size = bytes_of(contact.properties)
                waiting.append(Waiting(position, assignment, key or "", contact, size))
        carried = yield from self._batches.carry(waiting)
        if isinstance(carried, Outcome):
            return carried
        ended |= carried
        return [ended[position] for position in range(len(assignments))]

    def _makes_deal(self, event: Event) -> bool:
        return self._deals is not None and self._deals.concerns(event)

    def _contact_of(self, assignment: Assignment) -> Contact | Outcome:
        try:
            return self._contact(assignment, self.target.mapping(assignment.event))
        except ExpressionError as error:
            return unusable_mapping(error)

    def _contact(
        self, assignment: Assignment, values: Mapping[str, Any] | None
    ) -> Contact | Outcome:
        properties = self._properties(assignment.event, values)
        email = as_address(properties.get("email")) or address_of(assignment.event)
        if email is None and not is_id(assignment.remembered_id):
            return skipped(_NOBODY)
        return Contact(properties, email) if properties else skipped(_NOTHING)

    def _properties(self, event: Event, values: Mapping[str, Any] | None) -> dict[str, str]:
        mapped = {k: v for k, v in (values or {}).items() if not k.startswith(DEAL)}
        # A mapping of the deal alone leaves the contact to the relay.
        if values is not None and (mapped or not values):
            return mapped_properties(mapped)
        if self.target.settings.properties == "standard_only":
            return standard_properties(event)
        return all_properties(event)
