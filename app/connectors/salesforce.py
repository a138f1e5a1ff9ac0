"""Salesforce: one contact (or lead) per customer, upserted by an external id field.

The field must exist: Text, External ID, Unique. It holds the customer's id (`shop:2`), so that two
writes of one customer are one record, however they race.
An upsert insists on a last name. Where the event tells none, a record that is there is written by
its own id instead, so that nothing made up replaces a name.
Tokens by client credentials; Salesforce does not say how long one lives, so it is used until it
is refused.
Facts: developer.salesforce.com, REST API (upsert by external id, sObject collections).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any, ClassVar, Literal
from urllib.parse import quote

import httpx
from pydantic import Field

from app.connectors.base import (
    Assignment,
    BatchFlow,
    Facts,
    Flow,
    Limits,
    TargetBinding,
)
from app.connectors.classify import Rule
from app.connectors.contact_batches import Waiting, bytes_of, carry_parts
from app.connectors.granted_contacts import GrantedContacts
from app.connectors.lifecycle import customer_id
from app.connectors.mapping import unusable_mapping
from app.connectors.oauth import Authority
from app.connectors.required_names import Record
from app.connectors.salesforce_fields import DEFAULT_MAPPING, record_of, wrong_fields
from app.connectors.salesforce_replies import RULES, is_gone, is_id, record_id, results
from app.connectors.settings import BaseUrl, ConnectorSettings, Credential
from app.domain import strict_json
from app.domain.expressions import ExpressionError
from app.domain.grant import Grant
from app.domain.outcome import Outcome, delivered, rejected, retry, skipped

_NOBODY = "The event names no customer, and no Salesforce record is known for it."
_NOTHING = "The event says nothing that Salesforce keeps."
_NAMELESS = "The event has neither a name nor an e-mail address to make a record of."
_UNREADABLE = "Salesforce answered well, but not with one result for each record."


class SalesforceSettings(ConnectorSettings):
    """The organisation, and what of its records the relay may write."""

    base_url: BaseUrl = Field(
        description="The organisation's My Domain address.",
        examples=["https://example.my.salesforce.com"],
    )
    client_id: str = Field(
        min_length=1,
        max_length=512,
        pattern=r"^[\x21-\x7e]+$",
        description="Consumer key of a connected app with the client credentials flow and a user"
        " to run as.",
    )
    client_secret: Credential = Field(description="Consumer secret of the connected app.")
    api_version: str = Field(
        default="61.0", pattern=r"^\d{2,3}\.0$", description="The REST API's version."
    )
    object: Literal["Contact", "Lead"] = Field(
        default="Contact", description="What a customer becomes."
    )
    external_id_field: str = Field(
        default="WaaS_Customer_Id__c",
        pattern=r"^[A-Za-z][A-Za-z0-9_]{0,76}__c$",
        description="API name of a Text field of the object, marked External ID and Unique, that"
        " holds the customer's id; create it before the first event.",
    )
    fields: Literal["all", "standard_only"] = Field(
        default="standard_only",
        description="Without a mapping: `standard_only` writes address and name (and a lead's"
        " company); `all` also writes Plan__c, Signup_Date__c (date), Membership_Status__c,"
        " Churned_At__c, Last_Payment_At__c and Last_Payment_Failed_At__c (date and time), which"
        " must be created in Salesforce.",
    )
    allow_duplicates: bool = Field(
        default=False,
        description="Save records that a duplicate rule of the organisation would only warn of.",
    )


class Salesforce(GrantedContacts[SalesforceSettings]):
    """Keeps one record per customer."""

    name: ClassVar[str] = "salesforce"
    facts: ClassVar[Facts] = Facts(
        title="Salesforce",
        summary="Creates or updates the contact or lead of the customer an event is about, by an"
        " external id.",
        authentication="OAuth 2.0 client credentials of a connected app; the token is fetched once"
        " for all workers and kept sealed.",
        replay_safety="Safe: the same event writes the same values to the same record.",
        never_sent="Payments, consent (opt-outs), empty values, postal addresses, IP addresses and"
        " browser identifiers.",
        documentation="https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/",
    )
    Settings = SalesforceSettings
    default_events: ClassVar[tuple[str, ...]] = ("*",)
    default_mapping: ClassVar[Mapping[str, str]] = DEFAULT_MAPPING
    #: Calls are counted by the day: full batches spare them.
    limits: ClassVar[Limits] = Limits(batch_size=200, max_in_flight=200)
    rules: ClassVar[Sequence[Rule]] = RULES
    assumed_written: ClassVar[tuple[int, bytes]] = (200, b'{"id": "003000000000001AAA"}')

    def __init__(self, target: TargetBinding[SalesforceSettings]) -> None:
        super().__init__(target)
        settings = target.settings
        self._place = f"/services/data/v{settings.api_version}"
        self._object = f"sobjects/{settings.object}"
        self._headers = {"content-type": "application/json", "user-agent": target.user_agent}
        if settings.allow_duplicates:
            self._headers["sforce-duplicate-rule-header"] = "allowSave=true"
        secret = settings.client_secret.get_secret_value()
        self._authority = Authority(
            url=f"{settings.base_url}/services/oauth2/token",
            form={
                "grant_type": "client_credentials",
                "client_id": settings.client_id,
                "client_secret": secret,
            },
            user_agent=target.user_agent,
            authorise=self._authorised,
            secrets=(secret,),
            keep=("instance_url",),
        )

    @classmethod
    def check_mapping(cls, fields: Sequence[str]) -> Mapping[str, str]:
        """API names of fields; consent is not for mappings."""
        return wrong_fields(fields)

    def batch_key(self, assignment: Assignment) -> str:
        """Customers whose last name is known travel together; others may need several requests."""
        customer = assignment.event.customer
        known = customer is not None and (
            customer.last_name or " " in (customer.name or "").strip()
        )
        return "" if known and customer_id(assignment.event) else assignment.message_id

    def _harmless(self) -> httpx.Request:
        return self._request("GET", "limits")

    def _deliver(self, assignment: Assignment) -> Flow:
        record = self._record(assignment)
        if isinstance(record, Outcome):
            return record
        return (yield from self._carry(record, assignment))

    def _deliver_many(self, assignments: Sequence[Assignment]) -> BatchFlow:
        ended: dict[int, Outcome] = {}
        waiting: list[Waiting[Record]] = []
        for position, assignment in enumerate(assignments):
            record = self._record(assignment)
            if isinstance(record, Outcome):
                ended[position] = record
            elif record.key is not None and record.complete:
                waiting.append(
                    Waiting(position, assignment, record.key, record, bytes_of(record.fields))
                )
            else:
                ended[position] = yield from self._carry(record, assignment)
        carried = yield from carry_parts(waiting, self._collection, self.limits.batch_bytes)
        if isinstance(carried, Outcome):
            return carried
        ended |= carried
        return [ended[position] for position in range(len(assignments))]

    def _record(self, assignment: Assignment) -> Record | Outcome:
        settings = self.target.settings
        try:
            record = record_of(
                assignment.event,
                self.target.mapping(assignment.event),
                kind=settings.object,
                standard=settings.fields == "standard_only",
                key_field=settings.external_id_field,
            )
        except ExpressionError as error:
            return unusable_mapping(error)
        if not record.fields and record.new is None:
            return skipped(_NOTHING)
        if record.key is None and not is_id(assignment.remembered_id):
            return skipped(_NOBODY)
        return record

    def _carry(self, record: Record, assignment: Assignment) -> Flow:
        """Write one record: by the customer's id when it is complete, else by its own."""
        if record.key is not None and record.complete:
            return (yield from self._upsert(record.key, record.fields, assignment))
        remembered = known = assignment.remembered_id if is_id(assignment.remembered_id) else None
        if known is None and record.key is not None:
            response = yield self._request("GET", f"{self._by_key(record.key)}?fields=Id")
            if not response.is_success and not is_gone(response):
                return self._failed(response, assignment)
            known = record_id(response)
        if known is not None:
            if not record.fields:
                return skipped(_NOTHING)
            response = yield self._request("PATCH", f"{self._object}/{known}", record.fields)
            if not is_gone(response):
                return self._end(response, assignment, known)
        if record.key is None or record.new is None:
            return replace(skipped(_NAMELESS), forget_id=remembered is not None)
        outcome = yield from self._upsert(record.key, record.new, assignment)
        gone = remembered is not None and outcome.external_id is None
        return replace(outcome, forget_id=True) if gone else outcome

    def _upsert(self, key: str, fields: Mapping[str, Any], assignment: Assignment) -> Flow:
        response = yield self._request("PATCH", self._by_key(key), fields)
        return self._end(response, assignment)

    def _collection(self, part: Sequence[Waiting[Record]]) -> BatchFlow:
        settings = self.target.settings
        records = [
            {
                "attributes": {"type": settings.object},
                settings.external_id_field: one.key,
                **one.record.fields,
            }
            for one in part
        ]
        place = f"composite/sobjects/{settings.object}/{settings.external_id_field}"
        document = {"allOrNone": False, "records": records}
        response = yield self._request("PATCH", place, document)
        if not response.is_success:
            return self._failed(response, part[0].assignment)
        return results(response, len(part)) or rejected(_UNREADABLE)

    def _by_key(self, key: str) -> str:
        return f"{self._object}/{self.target.settings.external_id_field}/{quote(key, safe='')}"

    def _request(self, method: str, place: str, document: Any = None) -> httpx.Request:
        url = f"{self.target.settings.base_url}{self._place}/{place}"
        body = None if document is None else strict_json.write(document)
        return httpx.Request(method, url, headers=self._headers, content=body)

    def _authorised(self, request: httpx.Request, grant: Grant) -> httpx.Request:
        """The request with the token, at the address that came with it."""
        path = request.url.raw_path.decode("ascii")
        headers = {**self._headers, "authorization": f"Bearer {grant.token}"}
        url = f"{self._instance(grant)}{path}"
        return httpx.Request(request.method, url, headers=headers, content=request.content)

    def _instance(self, grant: Grant) -> str:
        own = httpx.URL(self.target.settings.base_url)
        try:
            told = httpx.URL(grant.extra.get("instance_url", ""))
        except httpx.InvalidURL:
            told = own
        # A token that was fetched over TLS is never sent without it.
        usable = told.scheme == own.scheme and told.host and not told.userinfo
        chosen = told if usable else own
        return f"{chosen.scheme}://{chosen.netloc.decode('ascii')}"

    def _end(
        self, response: httpx.Response, assignment: Assignment, known: str | None = None
    ) -> Outcome:
        if not response.is_success:
            return self._failed(response, assignment)
        found = record_id(response) or known
        if found is None and response.status_code != HTTPStatus.NO_CONTENT:
            return retry("Salesforce answered well, but named no record.")
        return delivered(found)
