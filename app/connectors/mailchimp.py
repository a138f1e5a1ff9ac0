"""Mailchimp: one member of an audience per customer, without touching what they agreed to.

`status` is never sent: it would subscribe who had unsubscribed, or the other way round; a member
that is not there yet gets `status_if_new`.
The batch endpoint is not used for the same reason: it decides about the status of everybody in it.
A member goes by the MD5 of the address, so that a new address is written to the old hash, and the
new one is remembered.
Facts: mailchimp.com/developer, marketing API, list members; error glossary.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, Self

import httpx
from pydantic import Field, model_validator

from app.connectors.base import Assignment, Connector, Facts, Flow, Limits, TargetBinding
from app.connectors.checking import asked
from app.connectors.classify import classify
from app.connectors.contact_events import MAYBE_SENT, event_details, event_name, sent_once
from app.connectors.contact_fields import why_no_contact
from app.connectors.contact_markers import Markers
from app.connectors.mailchimp_member import (
    DEFAULT_MAPPING,
    MERGE_FIELDS,
    Member,
    hash_of,
    is_hash,
    member_of,
    wrong_tags,
)
from app.connectors.mailchimp_replies import (
    NOT_FOUND,
    RULES,
    is_there,
    member_id,
    merge_tags,
    refused_fields,
)
from app.connectors.mapping import unusable_mapping
from app.connectors.preparing import Making, listing, make_missing
from app.connectors.settings import BaseUrl, ConnectorSettings, Credential
from app.domain import strict_json
from app.domain.expressions import ExpressionError
from app.domain.model import Event
from app.domain.outcome import Outcome, OutcomeKind, delivered, retry, skipped

_DATA_CENTRE = re.compile(r".+-([a-z]{2,4}[0-9]{1,3})")
_LONGEST_EVENT = 30

#: Mailchimp makes a tag when it is first used.
TagName = Annotated[str, Field(min_length=1, max_length=100)]


class MailchimpSettings(ConnectorSettings):
    """The audience, and what of its members the relay may write."""

    api_key: Credential = Field(
        description="An API key of the account; it ends in the data centre, as in -us6.",
        examples=["...-us6"],
    )
    list_id: str = Field(
        pattern=r"^[A-Za-z0-9]{4,32}$",
        description="The audience's id (Audience, Settings, Audience name and defaults).",
        examples=["57afe96172"],
    )
    base_url: BaseUrl | None = Field(
        default=None,
        description="Mailchimp's API; left out, the data centre in the key decides, as in"
        " https://us6.api.mailchimp.com.",
    )
    api_version: str = Field(
        default="3.0", pattern=r"^[0-9]+\.[0-9]+$", description="The API's version."
    )
    status_if_new: Literal["transactional", "pending", "subscribed"] = Field(
        default="transactional",
        description="The status of members the relay makes: `transactional` may be sent receipts"
        " only, `pending` is asked for consent by Mailchimp; `subscribed` only where every"
        " customer has agreed to receive mail. Members that are there keep theirs.",
    )
    cancelled_tag: TagName | None = Field(
        default="Cancelled",
        description="The tag for a lost membership; a completed payment removes it.",
    )
    payment_failed_tag: TagName | None = Field(
        default="Payment failed",
        description="The tag for a failed payment; a completed payment removes it.",
    )
    plan_tags: dict[str, TagName] = Field(
        default_factory=dict,
        description="A tag by plan (its slug, id or name).",
        examples=[{"pro": "Plan: Pro"}],
    )
    fields: Literal["all", "standard_only"] = Field(
        default="all",
        description="Without a mapping: `all` also writes the merge fields PLAN, MSTATUS (text),"
        " SIGNUP, CHURNED, LASTPAID and PAYFAILED (date), which show once preparing the target has"
        " made them; `standard_only` writes address, FNAME and LNAME.",
    )
    on_refused_field: Literal["drop", "reject"] = Field(
        default="drop",
        description="When Mailchimp refuses a merge field by name: `drop` it, write the rest and"
        " say so, or `reject` the member.",
    )
    track_events: bool = Field(
        default=False,
        description="Also report sign-ups, payments, refunds, churn and failed payments as events"
        " of the member, each once and called by its type.",
    )

    @model_validator(mode="after")
    def _somewhere_to_send(self) -> Self:
        if self.base_url is None and not _DATA_CENTRE.fullmatch(self.api_key.get_secret_value()):
            raise ValueError("api_key must end in its data centre, as in -us6, or give base_url")
        return self

    def api(self) -> str:
        """Where the account's API lives, with its version."""
        host = self.base_url
        if host is None:
            found = _DATA_CENTRE.fullmatch(self.api_key.get_secret_value())
            host = f"https://{found[1] if found else 'login'}.api.mailchimp.com"
        return f"{host}/{self.api_version}"


_Write = Generator[httpx.Request, httpx.Response, httpx.Response]


class Mailchimp(Connector[MailchimpSettings]):
    """Keeps one member of an audience per customer."""

    name: ClassVar[str] = "mailchimp"
    kind: ClassVar[str] = "crm"
    facts: ClassVar[Facts] = Facts(
        title="Mailchimp",
        summary="Creates or updates the member of an audience an event is about, and tags lost"
        " memberships and failed payments.",
        authentication="API key, by HTTP Basic.",
        replay_safety="Safe for members and tags: the same event writes the same values. Tracked"
        " events may be counted again when they are replayed.",
        never_sent="The status of a member that is there, empty values, IP addresses and browser"
        " identifiers; amounts only where track_events is on.",
        documentation="https://mailchimp.com/developer/marketing/api/list-members/",
    )
    Settings = MailchimpSettings
    default_events: ClassVar[tuple[str, ...]] = ("*",)
    default_mapping: ClassVar[Mapping[str, str]] = DEFAULT_MAPPING
    #: Mailchimp bears ten connections of one user at a time, and knows no rate.
    limits: ClassVar[Limits] = Limits(max_in_flight=8)
    ordered: ClassVar[bool] = True
    assumed_written: ClassVar[tuple[int, bytes]] = (200, b'{"id": "%s"}' % (b"0" * 32))

    def __init__(self, target: TargetBinding[MailchimpSettings]) -> None:
        super().__init__(target)
        settings = target.settings
        key = settings.api_key.get_secret_value()
        basic = b64encode(f"relay:{key}".encode("ascii")).decode("ascii")
        self._secrets = (key, basic)
        self._members = f"{settings.api()}/lists/{settings.list_id}/members"
        self._headers = {
            "authorization": f"Basic {basic}",
            "content-type": "application/json",
            "user-agent": target.user_agent,
        }
        self._markers = Markers(
            settings.cancelled_tag, settings.payment_failed_tag, settings.plan_tags
        )

    @classmethod
    def check_mapping(cls, fields: Sequence[str]) -> Mapping[str, str]:
        """Fields are merge tags; EMAIL is the member's address."""
        return wrong_tags(fields)

    def skip(self, event: Event) -> str | None:
        """Test events and deletions do not touch members."""
        return why_no_contact(event, self.facts.title)

    def check(self, assignment: Assignment) -> Flow:
        """Read the audience."""
        url = self._members.removesuffix("/members")
        request = httpx.Request("GET", url, headers=self._headers)
        return asked(request, assignment, RULES, self._secrets)

    def prepare(self, assignment: Assignment) -> Flow | None:
        """Make the merge fields that the audience lacks."""
        if self.target.settings.fields == "standard_only":
            return None
        return self._prepare(assignment)

    def _prepare(self, assignment: Assignment) -> Flow:
        url = f"{self._members.removesuffix('/members')}/merge-fields"
        response = yield listing(f"{url}?count=1000&fields=merge_fields.tag", self._headers)
        if not response.is_success:
            return classify(response, RULES, now=assignment.now, secrets=self._secrets)

        def make(tag: str) -> Making:
            body = strict_json.write(MERGE_FIELDS[tag])
            response = yield httpx.Request("POST", url, headers=self._headers, content=body)
            if response.is_success or is_there(response):
                return response.is_success
            return classify(response, RULES, now=assignment.now, secrets=self._secrets)

        return (yield from make_missing(list(MERGE_FIELDS), merge_tags(response), make))

    def deliver(self, assignment: Assignment) -> Flow:
        """Write the member, then tags and the event where there are any."""
        event = assignment.event
        try:
            member = self._member(event)
        except ExpressionError as error:
            return unusable_mapping(error)
        if member.email is None and not is_hash(assignment.remembered_id):
            return skipped(
                "The event has no e-mail address, and no Mailchimp member is known for it."
            )
        if not member:
            return skipped("The event says nothing that Mailchimp keeps.")
        outcome = yield from self._upsert(member, assignment)
        if outcome.kind is OutcomeKind.DELIVERED and member.markers:
            outcome = yield from self._tag(outcome, member, assignment)
        if outcome.kind is OutcomeKind.DELIVERED and self.target.settings.track_events:
            outcome = yield from self._track(outcome, assignment)
        return outcome

    def _member(self, event: Event) -> Member:
        return member_of(
            event,
            self.target.mapping(event),
            self._markers.changes(event),
            standard=self.target.settings.fields == "standard_only",
        )

    def _upsert(self, member: Member, assignment: Assignment) -> Flow:
        known = assignment.remembered_id
        if member.email is None:
            response = yield from self._write("PATCH", str(known), member)
            if response.status_code == NOT_FOUND:
                reason = "The member is gone from Mailchimp, and the event has no e-mail address."
                return replace(skipped(reason), forget_id=True)
            return self._end(response, member, assignment)
        own = hash_of(member.email)
        response = yield from self._write("PUT", known if is_hash(known) else own, member)
        if response.status_code == NOT_FOUND and is_hash(known) and known != own:
            response = yield from self._write("PUT", own, member)
        return self._end(response, member, assignment)

    def _write(self, method: str, key: str, member: Member) -> _Write:
        response = yield self._member_request(method, key, member)
        if self.target.settings.on_refused_field == "drop":
            names = [name for name in refused_fields(response) if name in member.merge_fields]
            if names:
                member.leave_out(names)
                response = yield self._member_request(method, key, member)
        return response

    def _member_request(self, method: str, key: str, member: Member) -> httpx.Request:
        body = member.fields()
        if method == "PUT":
            body |= {
                "email_address": member.email,
                "status_if_new": self.target.settings.status_if_new,
            }
        return self._request(method, f"/{key}?skip_merge_validation=true", body)

    def _tag(self, written: Outcome, member: Member, assignment: Assignment) -> Flow:
        tags = [
            *({"name": tag, "status": "active"} for tag in member.markers.add),
            *({"name": tag, "status": "inactive"} for tag in member.markers.remove),
        ]
        response = yield self._request("POST", f"/{written.external_id}/tags", {"tags": tags})
        return written if response.is_success else self._failed_after(written, response, assignment)

    def _track(self, written: Outcome, assignment: Assignment) -> Flow:
        event = assignment.event
        name = event_name(event, _LONGEST_EVENT)
        if name is None:
            return written
        document = {
            "name": name,
            "properties": event_details(event),
            "occurred_at": strict_json.rfc3339(event.occurred_at),
        }
        request = self._request("POST", f"/{written.external_id}/events", document)
        response = yield from sent_once(request)
        if response is None:
            return replace(written, reason=MAYBE_SENT)
        return written if response.is_success else self._failed_after(written, response, assignment)

    def _request(self, method: str, path: str, document: Any) -> httpx.Request:
        body = strict_json.write(document)
        return httpx.Request(method, f"{self._members}{path}", headers=self._headers, content=body)

    def _end(self, response: httpx.Response, member: Member, assignment: Assignment) -> Outcome:
        if not response.is_success:
            return classify(response, RULES, now=assignment.now, secrets=self._secrets)
        identifier = member_id(response)
        if identifier is None:
            return retry("Mailchimp answered well, but without a member.")
        refused = ", ".join(member.refused)
        return delivered(
            identifier, f"Written without {refused}, which Mailchimp refused." if refused else ""
        )

    def _failed_after(
        self, written: Outcome, response: httpx.Response, assignment: Assignment
    ) -> Outcome:
        """What a later step ended with; the member that was written is remembered all the same."""
        outcome = classify(response, RULES, now=assignment.now, secrets=self._secrets)
        return replace(outcome, external_id=written.external_id)
