"""Segment's HTTP API, which RudderStack speaks as well: one small connector to hundreds of tools.

Names and properties are those of Segment's specifications for e-commerce and identities, so that
the tools behind it understand them.
A 200 does not mean that an event is valid, and the wrong region answers 200 and loses it: what is
sent is checked here, and the region is the operator's to choose.
Facts: segment.com/docs/connections/sources/catalog/libraries/server/http-api.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import httpx
from pydantic import Field

from app.connectors.analytics import (
    PROFILE_ONLY,
    AnalyticsConnector,
    Prepared,
    Record,
    SendProfile,
    records_of,
)
from app.connectors.analytics_events import Told
from app.connectors.analytics_properties import DEFAULT_MAPPING, wrong_properties
from app.connectors.analytics_steps import Step, events_of
from app.connectors.base import BatchFlow, Facts, Limits, TargetBinding
from app.connectors.classify import Reply, Rule, classify
from app.connectors.settings import BaseUrl, CaCertificate, ConnectorSettings, Credential
from app.domain import strict_json
from app.domain.model import Event
from app.domain.outcome import Outcome, throttle

_OWN = frozenset({"order_id", "total", "currency", "products", "value", "revenue"})
#: Segment's names for what everybody knows of a user.
_TRAITS = {"first_name": "firstName", "last_name": "lastName", "signup_date": "createdAt"}
#: An address that belongs to nobody: without it, tools would place people where this server is.
_CONTEXT = {"ip": "0.0.0.0", "library": {"name": "lifecycle-relay", "version": "1"}}  # noqa: S104  no address to listen on


class SegmentSettings(ConnectorSettings):
    """The source that events go to."""

    write_key: Credential = Field(description="The write key of an HTTP API source.")
    base_url: BaseUrl = Field(
        default="https://api.segment.io/v1",
        description="https://events.eu1.segmentapis.com/v1 for a workspace in the EU (the wrong"
        " region answers well and loses the events); https://<data plane>/v1 for RudderStack.",
    )
    send_profile: SendProfile = False
    ca_certificate: CaCertificate = None


def _wait_for_window(reply: Reply) -> Outcome:
    reset = reply.header("x-ratelimit-reset")
    seconds = float(reset) if reset.isascii() and reset.isdigit() and len(reset) < 6 else None  # noqa: PLR2004  a day has five digits
    return throttle(reply.reason(), reply.wait or seconds)


_RULES = (Rule({429}, _wait_for_window),)


class Segment(AnalyticsConnector[SegmentSettings]):
    """Identifies, groups and tracks."""

    name: ClassVar[str] = "segment"
    names: ClassVar[Mapping[Step, str]] = {
        Step.CUSTOMER_CREATED: "Signed Up",
        Step.CUSTOMER_UPDATED: PROFILE_ONLY,
        Step.PURCHASE: "Order Completed",
        Step.RENEWAL: "Order Completed",
        Step.REFUND: "Order Refunded",
        Step.PAYMENT_FAILED: "Payment Failed",
        Step.CANCELLED: "Subscription Cancelled",
        Step.STATUS_CHANGED: "Membership Status Changed",
        Step.PLAN_CHANGED: "Membership Plan Changed",
        Step.SITE_CREATED: "Site Created",
        Step.DOMAIN_CREATED: "Domain Created",
    }
    facts: ClassVar[Facts] = Facts(
        title="Segment",
        summary="Tracks orders, refunds, failed payments, cancellations, new customers and sites"
        " by the names of Segment's specifications, identifies users with plan, status and sign-up"
        " date, and groups them by site. RudderStack takes the same by its own base_url. A mapping"
        " adds properties to the events.",
        authentication="Write key, as HTTP Basic.",
        replay_safety="Safe for about a day: so long Segment drops a message whose id it has seen."
        " What is replayed later is counted again by the tools behind it.",
        never_sent="E-mail address and names unless send_profile is on; phone number, postal and"
        " IP address, location.",
        documentation="https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/",
    )
    Settings = SegmentSettings
    default_events: ClassVar[tuple[str, ...]] = events_of(*names)
    default_mapping: ClassVar[Mapping[str, str]] = DEFAULT_MAPPING
    #: Segment takes 2500 messages and 500 KB; an event is up to three messages.
    limits: ClassVar[Limits] = Limits(batch_size=500, batch_bytes=450_000, max_in_flight=1000)
    event_bytes: ClassVar[int] = 32_000

    def __init__(self, target: TargetBinding[SegmentSettings]) -> None:
        super().__init__(target)
        self.named = target.settings.send_profile
        self._key = target.settings.write_key.get_secret_value()
        self.headers["authorization"] = f"Basic {b64encode(f'{self._key}:'.encode()).decode()}"
        self._url = httpx.URL(f"{target.settings.base_url}/batch")

    @classmethod
    def check_mapping(cls, fields: Sequence[str]) -> Mapping[str, str]:
        """The names of the order are the relay's."""
        return wrong_properties(fields, cls.facts.title, _OWN)

    def _send(self, part: Sequence[Prepared]) -> BatchFlow:
        response = yield self._post(self._url, {"batch": records_of(part)})
        return classify(response, _RULES, now=part[0].now, secrets=(self._key,))

    def _records(self, told: Told, event: Event) -> list[Record]:
        records = []
        traits = {
            _TRAITS.get(name, name): held
            for name, held in (told.profile | told.profile_once).items()
        }
        if traits:
            records.append(_message("identify", told, traits=traits))
        if told.site and told.step is Step.SITE_CREATED:
            records.append(_message("group", told, groupId=told.site, traits=_site_traits(told)))
        if told.step is not Step.CUSTOMER_UPDATED:
            name = self.names[told.step]
            records.append(_message("track", told, event=name, properties=_properties(told)))
        return records


def _message(kind: str, told: Told, **parts: Any) -> Record:
    """One message; its id tells the messages of one event apart."""
    return {
        "type": kind,
        "messageId": f"{told.dedupe_id}-{kind}",
        "userId": told.user,
        **parts,
        "timestamp": strict_json.rfc3339(told.time),
        "context": _CONTEXT,
    }


def _site_traits(told: Told) -> dict[str, Any]:
    names = {"title": "name", "url": "website"}
    return {names.get(name, name): held for name, held in told.site_details.items()}


def _properties(told: Told) -> dict[str, Any]:
    """The order as the e-commerce specification has it; other amounts are a `value`."""
    properties = {**told.properties, **told.mapped}
    if told.amount is not None:
        properties["value" if told.revenue is None else "total"] = told.amount
        properties["currency"] = told.currency
    if told.order_id:
        properties["order_id"] = told.order_id
    if told.products:
        properties["products"] = told.products
    if told.site:
        properties["site"] = told.site
    return properties
