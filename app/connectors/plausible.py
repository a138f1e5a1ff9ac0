"""Plausible: custom events with revenue, in the cloud or self-hosted.

There is no time in a request, no credential and nothing to recognise a repeat by: an event is sent
while it is fresh, and once.
Visitors are told apart by address and browser; the relay knows no address, so one that belongs to
nobody stands for each customer, and tells nothing of where anybody is.
The answer is always 202; a header says when the event was thrown away.
Facts: plausible.io/docs/events-api.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

import httpx
from pydantic import Field

from app.connectors.analytics import AnalyticsConnector, Prepared, Record
from app.connectors.analytics_events import Told
from app.connectors.analytics_properties import wrong_properties
from app.connectors.analytics_steps import SALES, Step, events_of
from app.connectors.base import BatchFlow, Facts, Limits, TargetBinding
from app.connectors.classify import classify
from app.connectors.settings import BaseUrl, CaCertificate, ConnectorSettings
from app.domain import strict_json
from app.domain.model import Event
from app.domain.outcome import Outcome, TransportFailure, delivered, dropped, retry

_FRESH_SECONDS = 900
_MOST_PROPS = 30
_LONGEST_VALUE = 2000
_LONGEST_AGENT = 500
#: 2001:db8::/32 is kept for documentation (RFC 3849): nobody has such an address.
_NOBODYS_NETWORK = 0x20010DB8 << 96
_OWN = frozenset({"url"})
_DISCARDED = "Plausible discarded the event as that of a bot or a data centre."
_MAPPING: Mapping[str, str] = {
    "plan": "membership.plan.name",
    "membership_status": "membership.status",
}


class PlausibleSettings(ConnectorSettings):
    """The site."""

    domain: str = Field(
        pattern=r"^[A-Za-z0-9.-]+(/[A-Za-z0-9._~/-]*)?$",
        max_length=253,
        description="The site as it is called in Plausible.",
        examples=["shop.example.com"],
    )
    base_url: BaseUrl = Field(
        default="https://plausible.io", description="Or the address of your own installation."
    )
    url: BaseUrl | None = Field(
        default=None,
        description="The page that events are reported for; the site's first page by default.",
    )
    max_age_seconds: int = Field(
        default=_FRESH_SECONDS,
        ge=1,
        le=86_400,
        description="Events that are older are left out: Plausible takes everything for present.",
    )
    ca_certificate: CaCertificate = None


class Plausible(AnalyticsConnector[PlausibleSettings]):
    """Reports events that goals can be made of."""

    name: ClassVar[str] = "plausible"
    names: ClassVar[Mapping[Step, str]] = {
        Step.CUSTOMER_CREATED: "Customer Created",
        Step.PURCHASE: "Purchase",
        Step.RENEWAL: "Payment Received",
        Step.REFUND: "Payment Refunded",
        Step.PAYMENT_FAILED: "Payment Failed",
        Step.CANCELLED: "Subscription Cancelled",
        Step.STATUS_CHANGED: "Membership Status Changed",
        Step.PLAN_CHANGED: "Membership Plan Changed",
        Step.SITE_CREATED: "Site Created",
        Step.DOMAIN_CREATED: "Domain Created",
    }
    facts: ClassVar[Facts] = Facts(
        title="Plausible",
        summary="Reports purchases and renewals with their revenue, refunds, failed payments,"
        " cancellations, new customers and sites. Make a goal of each name in Plausible, with"
        " revenue for Purchase and Payment Received. A mapping adds custom properties.",
        authentication="None: the site's name is all that Plausible asks for.",
        replay_safety="Not safe: Plausible knows no repeats and no times. Events older than 15"
        " minutes (max_age_seconds) are not sent, and none whose answer was lost is sent again. One"
        " may be counted twice where a gateway answers 502 or 504, or the relay dies before it has"
        " written the answer down.",
        never_sent="E-mail address, name, phone number, postal address, ids; the IP address that"
        " is sent belongs to nobody.",
        documentation="https://plausible.io/docs/events-api",
    )
    Settings = PlausibleSettings
    default_events: ClassVar[tuple[str, ...]] = events_of(*names)
    default_mapping: ClassVar[Mapping[str, str]] = _MAPPING
    limits: ClassVar[Limits] = Limits(max_age_seconds=_FRESH_SECONDS)

    def __init__(self, target: TargetBinding[PlausibleSettings]) -> None:
        super().__init__(target)
        settings = target.settings
        self.oldest = timedelta(seconds=settings.max_age_seconds)
        self._url = httpx.URL(f"{settings.base_url}/api/event")
        self._common = {
            "domain": settings.domain,
            "url": settings.url or f"https://{settings.domain}/",
            # What a server reports is no visit, and must not change the bounce rate.
            "interactive": False,
        }

    @classmethod
    def check_mapping(cls, fields: Sequence[str]) -> Mapping[str, str]:
        """A property may have any name but that of the page."""
        return wrong_properties(fields, cls.facts.title, _OWN)

    def _send(self, part: Sequence[Prepared]) -> BatchFlow:
        (one,) = part
        request = self._post(self._url, one.records[0])
        request.headers["x-forwarded-for"] = _nobodys_address(one.told.user)
        context = one.assignment.event.context
        agent = (context.user_agent or "") if context else ""
        if agent and agent.isascii() and agent.isprintable():
            request.headers["user-agent"] = agent[:_LONGEST_AGENT]
        response = yield request
        if not response.is_success:
            return classify(response, now=one.now)
        if response.headers.get("x-plausible-dropped") == "1":
            return dropped(_DISCARDED)
        return delivered()

    def _lost(self, one: Prepared, failure: TransportFailure) -> Outcome:
        if not failure.may_have_arrived:
            return retry(failure.reason)
        return dropped(
            "The request may have arrived, and Plausible would count a second one:"
            f" it is not sent again ({failure.reason})"
        )

    def _records(self, told: Told, event: Event) -> list[Record]:
        known = {name: told.properties.get(name) for name in (*_MAPPING, "payment_type", "reason")}
        props = {
            name: fitted
            for name, value in {**told.mapped, **_missing_from(told.mapped, known)}.items()
            if (fitted := _scalar(value)) is not None
        }
        record: Record = {**self._common, "name": self.names[told.step]}
        if props:
            record["props"] = dict(list(props.items())[:_MOST_PROPS])
        if told.step in SALES and told.amount is not None:
            record["revenue"] = {"currency": told.currency, "amount": told.amount}
        return [record]


def _missing_from(mapped: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """The relay's own properties that the operator did not set."""
    return {name: value for name, value in known.items() if name not in mapped}


def _scalar(value: Any) -> str | float | None:
    """A value as Plausible takes it; what is none becomes its JSON."""
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else strict_json.write(value).decode()
    return text[:_LONGEST_VALUE]


def _nobodys_address(user: str) -> str:
    """Always the same for one customer, so that customers are counted and not requests."""
    digest = hashlib.sha256(user.encode("utf-8", "surrogatepass")).digest()
    return str(ipaddress.IPv6Address(_NOBODYS_NETWORK | int.from_bytes(digest[:12], "big")))
