"""Google Analytics 4 by the Measurement Protocol: sales, refunds, and the steps of a customer.

The collecting server answers 204 to everything, a wrong secret included: "delivered" means that
Google has received it.
It removes a `purchase` whose transaction id it has seen, and nothing else; so a request that may
have arrived is repeated for a purchase only.
It takes events up to 72 hours late; an older one is left out, never shifted in time.
Facts: developers.google.com/analytics, Measurement Protocol reference; support.google.com 12313109.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Literal

import httpx
from pydantic import Field

from app.connectors.analytics_steps import effect_name, events_of
from app.connectors.base import Assignment, Connector, Facts, Flow, Limits, TargetBinding
from app.connectors.classify import classify, document_of
from app.connectors.ga4_events import (
    LONGEST_PROPERTY,
    STEPS,
    Measured,
    is_sale,
    measured,
    plan_of,
    why_nothing,
    with_mapped,
    wrong_params,
)
from app.connectors.ga4_privacy import (
    browser_client_id,
    names_a_person,
    session_id,
    stand_in_client_id,
    user_id,
)
from app.connectors.mapping import unusable_mapping
from app.connectors.settings import BaseUrl, ConnectorSettings, Credential
from app.connectors.wording import presentable
from app.domain import strict_json
from app.domain.clock import to_micros
from app.domain.expressions import ExpressionError
from app.domain.model import Event
from app.domain.outcome import (
    Outcome,
    TransportFailure,
    delivered,
    dropped,
    rejected,
    skipped,
)

_LEFT_OPEN = "Google would take the example; it tells nobody whether id and secret are right."

Consent = Literal["GRANTED", "DENIED"]

_OLDEST = timedelta(hours=72)
_NO_BROWSER = (
    "No browser id came with the event: it is counted under an id made from the customer,"
    " without a session."
)


class Ga4Settings(ConnectorSettings):
    """The data stream, and what Google may use the events for."""

    measurement_id: str = Field(
        pattern=r"^G-[A-Z0-9]+$",
        max_length=32,
        description="The web data stream's id.",
        examples=["G-ABCDE12345"],
    )
    api_secret: Credential = Field(
        description="A Measurement Protocol API secret of the stream (Admin, Data streams).",
    )
    base_url: BaseUrl = Field(
        default="https://www.google-analytics.com",
        description="https://region1.google-analytics.com keeps collection in the EU.",
    )
    ad_user_data: Consent = Field(
        default="DENIED", description="Consent to send user data to Google for advertising."
    )
    ad_personalization: Consent = Field(
        default="DENIED", description="Consent to personalised advertising."
    )
    resend_non_purchase_after_timeout: bool = Field(
        default=False,
        description="Send other events than purchases again when the first request may have"
        " arrived; GA4 then may count them twice.",
    )


class Ga4(Connector[Ga4Settings]):
    """Reports what happened, one event per request."""

    name: ClassVar[str] = "ga4"
    kind: ClassVar[str] = "analytics"
    facts: ClassVar[Facts] = Facts(
        title="Google Analytics 4",
        summary="Reports purchases, refunds, sign-ups, lost memberships, failed payments, other"
        " changes of a membership's status, and new sites and domains. A mapping adds parameters"
        " to them.",
        authentication="Measurement id and API secret, in the query of the request.",
        replay_safety="Purchases are counted once per payment; other events may be counted again"
        " when they are replayed. Events older than 72 hours are not sent.",
        never_sent="E-mail address, name, phone number, postal or IP address, nor ids that hold"
        " them.",
        documentation="https://developers.google.com/analytics/devguides/collection/protocol/ga4",
    )
    Settings = Ga4Settings
    default_events: ClassVar[tuple[str, ...]] = events_of(*STEPS)
    limits: ClassVar[Limits] = Limits(max_age_seconds=_OLDEST.total_seconds())
    check_event: ClassVar[str] = "payment_received"
    secret_query: ClassVar[frozenset[str]] = frozenset({"api_secret"})

    def __init__(self, target: TargetBinding[Ga4Settings]) -> None:
        super().__init__(target)
        settings = target.settings
        self._secret = settings.api_secret.get_secret_value()
        query = {"measurement_id": settings.measurement_id, "api_secret": self._secret}
        self._collect = httpx.URL(f"{settings.base_url}/mp/collect", params=query)
        self._debug = httpx.URL(f"{settings.base_url}/debug/mp/collect", params=query)
        self._headers = {"content-type": "application/json", "user-agent": target.user_agent}
        self._consent = {
            "ad_user_data": settings.ad_user_data,
            "ad_personalization": settings.ad_personalization,
        }

    @classmethod
    def check_mapping(cls, fields: Sequence[str]) -> Mapping[str, str]:
        """Parameters have a form, and some are Google's or the relay's."""
        return wrong_params(fields)

    def skip(self, event: Event) -> str | None:
        """Test events, and what GA4 has no event for."""
        if event.test:
            return "Events from a test button are not sent to GA4."
        return why_nothing(event)

    def effect(self, event: Event) -> str | None:
        """A sale or a site is counted once, whichever events announce it."""
        return effect_name(event)

    def deliver(self, assignment: Assignment) -> Flow:
        """One request; an older event than GA4 takes is left out."""
        event = assignment.event
        nothing = self.skip(event) or _too_old(assignment)
        if nothing:
            return skipped(nothing)
        try:
            document = self._document(assignment)
        except ExpressionError as error:
            return unusable_mapping(error)
        try:
            response = yield self._request(self._collect, document)
        except TransportFailure as failure:
            if self._may_repeat(event, failure):
                raise
            return dropped(
                "The request may have arrived, and GA4 would count a second one:"
                f" it is not sent again ({failure.reason})"
            )
        if response.is_success:
            return delivered(reason="" if browser_client_id(event) else _NO_BROWSER)
        return classify(response, now=assignment.now, secrets=(self._secret,))

    def check(self, assignment: Assignment) -> Flow:
        """Have an example validated; the credential itself cannot be checked, Google never does."""
        outcome = yield from self.validate(assignment)
        return delivered(reason=_LEFT_OPEN) if outcome == delivered() else outcome

    def validate(self, assignment: Assignment) -> Flow:
        """Ask Google's validation server about the event; it records nothing, and checks no secret."""
        document = self._document(assignment)
        document["validation_behavior"] = "ENFORCE_RECOMMENDATIONS"
        response = yield self._request(self._debug, document)
        if not response.is_success:
            return classify(response, now=assignment.now, secrets=(self._secret,))
        return _verdict(document_of(response))

    def _may_repeat(self, event: Event, failure: TransportFailure) -> bool:
        return (
            not failure.may_have_arrived
            or is_sale(event)
            or self.target.settings.resend_non_purchase_after_timeout
        )

    def _document(self, assignment: Assignment) -> dict[str, Any]:
        event = assignment.event
        document: dict[str, Any] = {
            "client_id": browser_client_id(event) or stand_in_client_id(event)
        }
        whom = user_id(event)
        if whom:
            document["user_id"] = whom
        if event.occurred_at <= assignment.now:
            document["timestamp_micros"] = to_micros(event.occurred_at)
        document["consent"] = self._consent
        plan = plan_of(event)
        if plan and not names_a_person(plan, event.customer):
            document["user_properties"] = {"plan": {"value": plan[:LONGEST_PROPERTY]}}
        told = self._measured(event)
        document["events"] = [{"name": told.name, "params": told.params}]
        return document

    def _measured(self, event: Event) -> Measured:
        told = measured(event)
        session = session_id(event) if browser_client_id(event) else None
        if session:
            # Without an engagement time GA4 leaves the user out of its real-time reports.
            told.params.update({"session_id": session, "engagement_time_msec": 1})
        values = self.target.mapping(event)
        return told if values is None else with_mapped(told, values, event.customer)

    def _request(self, url: httpx.URL, document: Mapping[str, Any]) -> httpx.Request:
        body = strict_json.write(document)
        return httpx.Request("POST", url, headers=self._headers, content=body)


def _too_old(assignment: Assignment) -> str | None:
    if assignment.now - assignment.event.occurred_at > _OLDEST:
        return "Expired: the event is older than 72 hours, and GA4 takes none that old."
    return None


def _verdict(document: Any) -> Outcome:
    """What the validation server thinks: `validationMessages`, empty when all is well."""
    messages = document.get("validationMessages") if isinstance(document, Mapping) else None
    if not isinstance(messages, list) or not messages:
        return delivered()
    said = [
        f"{message.get('validationCode')}: {message.get('description')}"
        for message in messages
        if isinstance(message, Mapping)
    ]
    return rejected("GA4 would not take the event: " + presentable("; ".join(said)))
