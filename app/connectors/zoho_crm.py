"""Zoho CRM: one contact (or lead) per customer, upserted by e-mail address.

A remembered record is written by its id, so that a changed address moves with the person; others
are upserted by address, which makes one when nobody has it.
An upsert insists on a last name. Where the event tells none, the record is looked for first, so
that nothing made up replaces a name.
Access tokens live an hour; they are made of a refresh token, and Zoho hands out ten in ten
minutes, so all workers share one.
Facts: zoho.com/crm/developer, API v8; zoho.com/accounts, OAuth 2.0.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

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
from app.connectors.contact_fields import address_of
from app.connectors.granted_contacts import GrantedContacts
from app.connectors.mapping import unusable_mapping
from app.connectors.oauth import Authority
from app.connectors.required_names import Record
from app.connectors.settings import BaseUrl, ConnectorSettings, Credential
from app.connectors.zoho_crm_fields import DEFAULT_MAPPING, record_of, wrong_fields
from app.connectors.zoho_crm_replies import RULES, TOKEN_RULES, found_id, is_id, results
from app.domain import strict_json
from app.domain.expressions import ExpressionError
from app.domain.grant import Grant
from app.domain.outcome import Outcome, rejected, retry, skipped

#: Where each data centre hands out tokens, by the end of its API's host name.
_ACCOUNTS = {
    "com": "accounts.zoho.com",
    "eu": "accounts.zoho.eu",
    "in": "accounts.zoho.in",
    "com.au": "accounts.zoho.com.au",
    "jp": "accounts.zoho.jp",
    "ca": "accounts.zohocloud.ca",
    "sa": "accounts.zoho.sa",
    "com.cn": "accounts.zoho.com.cn",
}
_API_HOST = re.compile(r"(?:www|sandbox|developer)\.zohoapis\.(?P<centre>[a-z.]+)")
_NOBODY = "The event has no e-mail address, and no Zoho record is known for it."
_NOTHING = "The event says nothing that Zoho keeps."
_UNREADABLE = "Zoho answered well, but not with one result for each record."


class ZohoCrmSettings(ConnectorSettings):
    """The organisation, and what of its records the relay may write."""

    client_id: str = Field(
        min_length=1,
        max_length=512,
        pattern=r"^[\x21-\x7e]+$",
        description="Client id of a Zoho API console client (self client or server-based).",
    )
    client_secret: Credential = Field(description="Client secret of that client.")
    refresh_token: Credential = Field(
        description="A refresh token of that client with the scopes ZohoCRM.modules.contacts.ALL"
        " (or leads) and ZohoSearch.securesearch.READ.",
    )
    base_url: BaseUrl = Field(
        default="https://www.zohoapis.com",
        description="The API of the organisation's data centre: https://www.zohoapis.com, .eu, .in,"
        " .com.au, .jp, .ca, .sa or .com.cn; tokens come from the same one.",
    )
    api_version: str = Field(
        default="v8", pattern=r"^v\d{1,2}(\.\d)?$", description="The API's version."
    )
    module: Literal["Contacts", "Leads"] = Field(
        default="Contacts", description="What a customer becomes."
    )
    trigger: tuple[Literal["workflow", "approval", "blueprint"], ...] = Field(
        default=(), description="Which automations of Zoho the relay's writes start; none at first."
    )
    fields: Literal["all", "standard_only"] = Field(
        default="all",
        description="Without a mapping: `all` also writes Plan, Signup_Date (date),"
        " Membership_Status, Churned_At, Last_Payment_At and Last_Payment_Failed_At (date and"
        " time), which Zoho ignores until they are made; `standard_only` writes address and name.",
    )


class ZohoCrm(GrantedContacts[ZohoCrmSettings]):
    """Keeps one record per customer."""

    name: ClassVar[str] = "zoho_crm"
    facts: ClassVar[Facts] = Facts(
        title="Zoho CRM",
        summary="Creates or updates the contact or lead of the customer an event is about.",
        authentication="OAuth 2.0 with a refresh token; the access token is fetched once an hour"
        " for all workers and kept sealed.",
        replay_safety="Safe: the same event writes the same values to the same record.",
        never_sent="Payments, consent (opt-outs), empty values, postal addresses, IP addresses and"
        " browser identifiers.",
        documentation="https://www.zoho.com/crm/developer/docs/api/v8/upsert-records.html",
    )
    Settings = ZohoCrmSettings
    default_events: ClassVar[tuple[str, ...]] = ("*",)
    default_mapping: ClassVar[Mapping[str, str]] = DEFAULT_MAPPING
    #: A credit pays for up to ten records of one request.
    limits: ClassVar[Limits] = Limits(batch_size=100, max_in_flight=100)
    rules: ClassVar[Sequence[Rule]] = RULES
    assumed_written: ClassVar[tuple[int, bytes]] = (
        200,
        b'{"data": [{"status": "success", "details": {"id": "1000000000000001"}}]}',
    )
    assumed_absent: ClassVar[tuple[int, bytes]] = (204, b"")

    def __init__(self, target: TargetBinding[ZohoCrmSettings]) -> None:
        super().__init__(target)
        settings = target.settings
        self._module = f"{settings.base_url}/crm/{settings.api_version}/{settings.module}"
        self._headers = {"content-type": "application/json", "user-agent": target.user_agent}
        secret = settings.client_secret.get_secret_value()
        refresh = settings.refresh_token.get_secret_value()
        self._authority = Authority(
            url=f"{_accounts(settings.base_url)}/oauth/v2/token",
            form={
                "grant_type": "refresh_token",
                "client_id": settings.client_id,
                "client_secret": secret,
                "refresh_token": refresh,
            },
            user_agent=target.user_agent,
            authorise=self._authorised,
            secrets=(secret, refresh),
            rules=TOKEN_RULES,
        )

    @classmethod
    def check_mapping(cls, fields: Sequence[str]) -> Mapping[str, str]:
        """API names of fields; consent is not for mappings."""
        return wrong_fields(fields)

    def batch_key(self, assignment: Assignment) -> str:
        """Known records travel together, and so do those that an upsert can make."""
        if is_id(assignment.remembered_id):
            return "update"
        customer = assignment.event.customer
        named = customer is not None and (
            customer.last_name or " " in (customer.name or "").strip()
        )
        return "upsert" if named and address_of(assignment.event) else assignment.message_id

    def _harmless(self) -> httpx.Request:
        return self._request("GET", "", query={"fields": "id", "per_page": "1"})

    def _deliver(self, assignment: Assignment) -> Flow:
        record = self._record(assignment)
        if isinstance(record, Outcome):
            return record
        remembered = assignment.remembered_id
        if remembered is None or not is_id(remembered):
            return (yield from self._by_address(record, assignment))
        outcome = yield from self._update(remembered, record, assignment)
        if not outcome.forget_id or record.key is None:
            return outcome
        outcome = yield from self._by_address(record, assignment)
        return outcome if outcome.external_id else replace(outcome, forget_id=True)

    def _deliver_many(self, assignments: Sequence[Assignment]) -> BatchFlow:
        ended: dict[int, Outcome] = {}
        known: list[Waiting[Record]] = []
        new: list[Waiting[Record]] = []
        for position, assignment in enumerate(assignments):
            record = self._record(assignment)
            remembered = assignment.remembered_id
            if isinstance(record, Outcome):
                ended[position] = record
            elif remembered is not None and is_id(remembered):
                known.append(
                    Waiting(position, assignment, remembered, record, bytes_of(record.fields))
                )
            elif record.key is not None and record.complete:
                key = record.key.casefold()
                new.append(Waiting(position, assignment, key, record, bytes_of(record.fields)))
            else:
                ended[position] = yield from self._by_address(record, assignment)
        for waiting, send in ((known, self._update_part), (new, self._upsert_part)):
            carried = yield from carry_parts(waiting, send, self.limits.batch_bytes)
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
                module=settings.module,
                standard=settings.fields == "standard_only",
            )
        except ExpressionError as error:
            return unusable_mapping(error)
        if record.key is None and not is_id(assignment.remembered_id):
            return skipped(_NOBODY)
        return record if record.fields else skipped(_NOTHING)

    def _by_address(self, record: Record, assignment: Assignment) -> Flow:
        if record.key is None or record.new is None:
            return skipped(_NOBODY)
        if not record.complete:
            response = yield self._request("GET", "/search", query={"email": record.key})
            if not response.is_success:
                return self._failed(response, assignment)
            found = found_id(response)
            if found is not None:
                return (yield from self._update(found, record, assignment))
            record = replace(record, fields=record.new)
        ended = yield from self._upsert_part([Waiting(0, assignment, "", record)])
        return ended if isinstance(ended, Outcome) else ended[0]

    def _update(self, identifier: str, record: Record, assignment: Assignment) -> Flow:
        ended = yield from self._update_part([Waiting(0, assignment, identifier, record)])
        return ended if isinstance(ended, Outcome) else ended[0]

    def _update_part(self, part: Sequence[Waiting[Record]]) -> BatchFlow:
        records = [{"id": one.key, **one.record.fields} for one in part]
        response = yield self._request("PUT", "", {"data": records, **self._trigger})
        return self._ended(response, part)

    def _upsert_part(self, part: Sequence[Waiting[Record]]) -> BatchFlow:
        document = {
            "data": [one.record.fields for one in part],
            "duplicate_check_fields": ["Email"],
            **self._trigger,
        }
        response = yield self._request("POST", "/upsert", document)
        return self._ended(response, part)

    @property
    def _trigger(self) -> dict[str, Any]:
        # Without the key, Zoho would start every automation there is.
        return {"trigger": list(self.target.settings.trigger)}

    def _ended(
        self, response: httpx.Response, part: Sequence[Waiting[Record]]
    ) -> Sequence[Outcome] | Outcome:
        ended = results(response, len(part))
        if ended is not None:
            return ended
        if response.is_success:
            return rejected(_UNREADABLE) if len(part) > 1 else retry(_UNREADABLE)
        return self._failed(response, part[0].assignment)

    def _request(
        self, method: str, place: str, document: Any = None, query: Mapping[str, str] | None = None
    ) -> httpx.Request:
        body = None if document is None else strict_json.write(document)
        url = f"{self._module}{place}"
        return httpx.Request(method, url, params=query, headers=self._headers, content=body)

    def _authorised(self, request: httpx.Request, grant: Grant) -> httpx.Request:
        headers = {**self._headers, "authorization": f"Zoho-oauthtoken {grant.token}"}
        return httpx.Request(request.method, request.url, headers=headers, content=request.content)


def _accounts(base_url: str) -> str:
    """Where tokens come from: the data centre's accounts host, or the same host as the API."""
    centre = _API_HOST.fullmatch(httpx.URL(base_url).host)
    host = _ACCOUNTS.get(centre["centre"]) if centre else None
    return f"https://{host}" if host else base_url
