"""Klaviyo: one profile per customer, and an event in its history for what happened.

`profile-import` creates or updates, whichever is needed, and leaves consent alone.
A remembered profile is written by its id, so that a changed address moves with the person.
Events carry a `unique_id` that is the same on every repeat and for every announcement of one
sale: Klaviyo keeps the first.
Facts: developers.klaviyo.com, revision 2026-07-15.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any, ClassVar

import httpx
from pydantic import Field

from app.connectors.base import Assignment, Connector, Facts, Flow, Limits, TargetBinding
from app.connectors.checking import asked
from app.connectors.classify import Reply, Rule, classify, document_of
from app.connectors.contact_fields import address_of, as_address, facts_of, why_no_contact
from app.connectors.ga4_privacy import user_id
from app.connectors.klaviyo_profile import (
    DEFAULT_MAPPING,
    NAMES,
    attributes,
    event_document,
    metric_of,
    wrong_fields,
)
from app.connectors.mapping import unusable_mapping
from app.connectors.settings import BaseUrl, ConnectorSettings, Credential
from app.domain import strict_json
from app.domain.expressions import ExpressionError
from app.domain.model import Event
from app.domain.outcome import Outcome, delivered, rejected, retry, skipped, throttle

_JSON_API = "application/vnd.api+json"
_LONGEST_BODY = 100_000
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SECONDS = re.compile(r"[0-9]{1,5}")
_NOBODY = "The event has no e-mail address, and no Klaviyo profile is known for it."
_GONE = "The profile is gone from Klaviyo, and the event has no e-mail address."


class KlaviyoSettings(ConnectorSettings):
    """The account, and what the relay tells it."""

    api_key: Credential = Field(
        description="A private API key (pk_…) with full access to profiles and events.",
    )
    base_url: BaseUrl = Field(
        default="https://a.klaviyo.com", description="Klaviyo's API, in every region."
    )
    revision: str = Field(
        default="2026-07-15",
        pattern=r"^\d{4}-\d{2}-\d{2}(\.[a-z]+)?$",
        description="The API's version, by its date.",
    )
    track_events: bool = Field(
        default=True,
        description="Also report sign-ups, purchases, refunds, churn and failed payments as events"
        " (metrics) of the profile, each once.",
    )
    external_id: bool = Field(
        default=False,
        description="Without a mapping: also write the customer's id (`source:id`) as Klaviyo's"
        " external_id. Not where a shop's own integration sets it.",
    )


class Klaviyo(Connector[KlaviyoSettings]):
    """Keeps one profile per customer, with its history."""

    name: ClassVar[str] = "klaviyo"
    kind: ClassVar[str] = "crm"
    facts: ClassVar[Facts] = Facts(
        title="Klaviyo",
        summary="Creates or updates the profile of the customer an event is about, and reports"
        " purchases, refunds, sign-ups, churn and failed payments as its events.",
        authentication="A private API key, in the Authorization header.",
        replay_safety="Safe: the same event writes the same values, and Klaviyo keeps one event per"
        " unique id; a sale has one, whichever events announce it.",
        never_sent="Consent and subscriptions, empty values, postal addresses, IP addresses and"
        " browser identifiers.",
        documentation="https://developers.klaviyo.com/en/reference/api_overview",
    )
    Settings = KlaviyoSettings
    default_events: ClassVar[tuple[str, ...]] = ("*",)
    default_mapping: ClassVar[Mapping[str, str]] = DEFAULT_MAPPING
    #: Profiles: 75 a second, 750 a minute.
    limits: ClassVar[Limits] = Limits(max_in_flight=8, per_second=12.0)
    ordered: ClassVar[bool] = True

    def __init__(self, target: TargetBinding[KlaviyoSettings]) -> None:
        super().__init__(target)
        settings = target.settings
        self._key = settings.api_key.get_secret_value()
        self._headers = {
            "authorization": f"Klaviyo-API-Key {self._key}",
            "revision": settings.revision,
            "content-type": _JSON_API,
            "accept": _JSON_API,
            "user-agent": target.user_agent,
        }

    @classmethod
    def check_mapping(cls, fields: Sequence[str]) -> Mapping[str, str]:
        """Klaviyo's own attributes or names of custom properties; consent is not for mappings."""
        return wrong_fields(fields)

    def skip(self, event: Event) -> str | None:
        """Test events and deletions do not touch profiles."""
        return why_no_contact(event, self.facts.title)

    def check(self, assignment: Assignment) -> Flow:
        """Read one profile."""
        url = f"{self.target.settings.base_url}/api/profiles?page%5Bsize%5D=1"
        request = httpx.Request("GET", url, headers=self._headers)
        return asked(request, assignment, _RULES, (self._key,))

    def deliver(self, assignment: Assignment) -> Flow:
        """Write the profile, then its event."""
        event = assignment.event
        try:
            told = self._attributes(event)
        except ExpressionError as error:
            return unusable_mapping(error)
        email = as_address(told.get("email")) or address_of(event)
        if email is None:
            told.pop("email", None)
        elif told:
            # A mapping may leave the address out; it is what the profile is found by.
            told = {"email": email, **told}
        known = assignment.remembered_id if _is_id(assignment.remembered_id) else None
        if email is None and known is None:
            return skipped(_NOBODY)
        if not told and metric_of(event) is None:
            return skipped("The event says nothing that Klaviyo keeps.")
        outcome = yield from self._import(told, email, known, assignment)
        if outcome.external_id is None or not self.target.settings.track_events:
            return outcome
        return (yield from self._track(outcome, email, assignment))

    def _attributes(self, event: Event) -> dict[str, Any]:
        values = self.target.mapping(event)
        if values is not None:
            return attributes(values)
        facts = facts_of(event, NAMES)
        if self.target.settings.external_id:
            facts["external_id"] = user_id(event)
        return attributes(facts)

    def _import(
        self, told: Mapping[str, Any], email: str | None, known: str | None, assignment: Assignment
    ) -> Flow:
        profile: dict[str, Any] = {"type": "profile", "attributes": told}
        if known is None:
            response = yield from self._post("/api/profile-import", {"data": profile})
            return self._end(response, assignment)
        response = yield from self._post("/api/profile-import", {"data": {**profile, "id": known}})
        if response.status_code != HTTPStatus.NOT_FOUND:
            return self._end(response, assignment, known)
        if email is None:
            return replace(skipped(_GONE), forget_id=True)
        response = yield from self._post("/api/profile-import", {"data": profile})
        outcome = self._end(response, assignment)
        return outcome if outcome.external_id else replace(outcome, forget_id=True)

    def _track(self, written: Outcome, email: str | None, assignment: Assignment) -> Flow:
        metric = metric_of(assignment.event)
        if metric is None:
            return written
        document = event_document(metric, assignment, written.external_id, email)
        response = yield from self._post("/api/events", document)
        if response.is_success:
            return written
        return replace(self._classified(response, assignment), external_id=written.external_id)

    def _post(
        self, path: str, document: Mapping[str, Any]
    ) -> Generator[httpx.Request, httpx.Response, httpx.Response]:
        body = strict_json.write(document)
        if len(body) > _LONGEST_BODY:
            # Klaviyo's own answer, without the way there.
            return httpx.Response(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        url = f"{self.target.settings.base_url}{path}"
        return (yield httpx.Request("POST", url, headers=self._headers, content=body))

    def _end(
        self, response: httpx.Response, assignment: Assignment, known: str | None = None
    ) -> Outcome:
        if not response.is_success:
            return self._classified(response, assignment)
        found = _profile_id(response) or known
        return delivered(found) if found else retry("Klaviyo answered well, but named no profile.")

    def _classified(self, response: httpx.Response, assignment: Assignment) -> Outcome:
        return classify(response, _RULES, now=assignment.now, secrets=(self._key,))


def _is_id(text: str | None) -> bool:
    return text is not None and _ID.fullmatch(text) is not None


def _profile_id(response: httpx.Response) -> str | None:
    document = document_of(response)
    data = document.get("data") if isinstance(document, Mapping) else None
    found = data.get("id") if isinstance(data, Mapping) else None
    return found if isinstance(found, str) and _is_id(found) else None


def _too_large(_reply: Reply) -> Outcome:
    return rejected(f"The event is larger than the {_LONGEST_BODY // 1000} kB Klaviyo takes.")


def _say_who_has_it(reply: Reply) -> Outcome:
    return rejected(reply.reason("another profile has this identifier; merge the two in Klaviyo"))


def _wait_for_window(reply: Reply) -> Outcome:
    reset = reply.header("ratelimit-reset")
    seconds = float(reset) if _SECONDS.fullmatch(reset) else None
    return throttle(reply.reason(), seconds if reply.wait is None else reply.wait)


_RULES: tuple[Rule, ...] = (
    Rule({HTTPStatus.CONFLICT}, _say_who_has_it),
    Rule({HTTPStatus.REQUEST_ENTITY_TOO_LARGE}, _too_large),
    Rule({HTTPStatus.TOO_MANY_REQUESTS}, _wait_for_window),
)
