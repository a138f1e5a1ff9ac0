"""PostHog: product analytics, in the cloud (US, EU) or self-hosted.

Every event of a batch has a uuid; PostHog merges events whose uuid, name, time and person are the
same, some time after they arrive.
So all four are the same on every attempt, and `sent_at`, by which PostHog would shift times, is
never sent.
A batch is taken or refused as a whole; refusals are plain text.
Facts: posthog.com/docs/api/capture; PostHog/posthog rust/capture.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

import httpx
from pydantic import Field, field_validator

from app.connectors.analytics import (
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
from app.connectors.classify import classify, document_of
from app.connectors.settings import BaseUrl, CaCertificate, ConnectorSettings, Credential
from app.domain import strict_json
from app.domain.model import Event
from app.domain.outcome import delivered, dropped

#: Older events go a way of their own, so that they do not hold up those of today.
_HISTORICAL = timedelta(hours=48)
_OWN = frozenset({"revenue", "amount", "currency", "order_id", "products", "distinct_id"})
_NOT_FOR_EVENTS = frozenset({"us.posthog.com", "eu.posthog.com", "app.posthog.com"})


class PostHogSettings(ConnectorSettings):
    """The project."""

    project_api_key: Credential = Field(
        description="The project's API key (Settings, Project): it begins with phc_.",
    )
    base_url: BaseUrl = Field(
        default="https://us.i.posthog.com",
        description="https://eu.i.posthog.com for a project in the EU, or your own installation.",
    )
    send_profile: SendProfile = False
    ca_certificate: CaCertificate = None

    @field_validator("base_url")
    @classmethod
    def _takes_events(cls, url: str) -> str:
        host = httpx.URL(url).host
        if host in _NOT_FOR_EVENTS:
            raise ValueError(f"{host} shows events and takes none; use *.i.posthog.com")
        return url


class PostHog(AnalyticsConnector[PostHogSettings]):
    """Captures what happened and keeps the person's properties."""

    name: ClassVar[str] = "posthog"
    names: ClassVar[Mapping[Step, str]] = {
        Step.CUSTOMER_CREATED: "customer created",
        Step.CUSTOMER_UPDATED: "$set",
        Step.PURCHASE: "purchase",
        Step.RENEWAL: "payment received",
        Step.REFUND: "payment refunded",
        Step.PAYMENT_FAILED: "payment failed",
        Step.CANCELLED: "subscription cancelled",
        Step.STATUS_CHANGED: "membership status changed",
        Step.PLAN_CHANGED: "membership plan changed",
        Step.SITE_CREATED: "site created",
        Step.DOMAIN_CREATED: "domain created",
    }
    facts: ClassVar[Facts] = Facts(
        title="PostHog",
        summary="Captures purchases, renewals, refunds, failed payments, cancellations, new"
        " customers and sites, and sets the person's plan, status and sign-up date. A mapping adds"
        " properties to the events.",
        authentication="Project API key, in the body of the request.",
        replay_safety="Safe: PostHog merges events with the same uuid, name, time and person, and"
        " the same event has the same ones every time.",
        never_sent="E-mail address and names unless send_profile is on; phone number, postal and"
        " IP address, location.",
        documentation="https://posthog.com/docs/api/capture",
    )
    Settings = PostHogSettings
    default_events: ClassVar[tuple[str, ...]] = events_of(*names)
    default_mapping: ClassVar[Mapping[str, str]] = DEFAULT_MAPPING
    #: PostHog takes 20 MiB; a batch that is refused is sent again one by one.
    limits: ClassVar[Limits] = Limits(batch_size=500, batch_bytes=10_000_000, max_in_flight=1000)
    event_bytes: ClassVar[int] = 900_000

    def __init__(self, target: TargetBinding[PostHogSettings]) -> None:
        super().__init__(target)
        self.named = target.settings.send_profile
        self._key = target.settings.project_api_key.get_secret_value()
        self._url = httpx.URL(f"{target.settings.base_url}/batch/")

    @classmethod
    def check_mapping(cls, fields: Sequence[str]) -> Mapping[str, str]:
        """Names that begin with $ are PostHog's."""
        return wrong_properties(fields, cls.facts.title, _OWN)

    def _parts(self, ready: Sequence[Prepared]) -> Iterator[list[Prepared]]:
        """Events of long ago and of today do not share a request."""
        for historical in (False, True):
            yield from super()._parts([one for one in ready if _is_old(one) is historical])

    def _send(self, part: Sequence[Prepared]) -> BatchFlow:
        document = {
            "api_key": self._key,
            "historical_migration": _is_old(part[0]),
            "batch": records_of(part),
        }
        response = yield self._post(self._url, document)
        if not response.is_success:
            return classify(response, now=part[0].now, secrets=(self._key,))
        if "events" in _over_quota(document_of(response)):
            return dropped("PostHog discarded the event: the project's quota of events is used up.")
        return delivered()

    def _records(self, told: Told, event: Event) -> list[Record]:
        properties: dict[str, Any] = {**_properties(told), **told.mapped}
        if told.profile:
            properties["$set"] = told.profile
        if told.profile_once:
            properties["$set_once"] = told.profile_once
        if told.step is Step.CUSTOMER_UPDATED and not (told.profile or told.profile_once):
            return []
        if told.site:
            properties["$groups"] = {"site": told.site}
        records = [_record(self.names[told.step], told.dedupe_id, told, properties)]
        if told.site and told.step is Step.SITE_CREATED:
            records.append(_group(told, told.site))
        return records


def _is_old(one: Prepared) -> bool:
    return one.now - one.told.time > _HISTORICAL


def _over_quota(document: Any) -> list[Any]:
    """The kinds of data that PostHog takes and throws away until the quota is raised."""
    limited = document.get("quota_limited") if isinstance(document, Mapping) else None
    return limited if isinstance(limited, list) else []


def _properties(told: Told) -> dict[str, Any]:
    """Revenue is a number of its own name, so that nothing but payments is summed up."""
    properties = dict(told.properties)
    if told.amount is not None:
        name = "amount" if told.revenue is None else "revenue"
        properties[name] = told.amount if told.revenue is None else told.revenue
        properties["currency"] = told.currency
    if told.order_id:
        properties["order_id"] = told.order_id
    if told.products:
        properties["products"] = told.products
    return properties


def _group(told: Told, site: str) -> Record:
    identity = str(uuid.uuid5(uuid.UUID(told.dedupe_id), "group"))
    known = {"$group_type": "site", "$group_key": site, "$group_set": told.site_details}
    return _record("$groupidentify", identity, told, known)


def _record(name: str, identity: str, told: Told, properties: Mapping[str, Any]) -> Record:
    return {
        "uuid": identity,
        "event": name,
        "distinct_id": told.user,
        "timestamp": strict_json.rfc3339(told.time),
        "properties": {
            **properties,
            # Without these two, people would be where this server is.
            "$ip": "",
            "$geoip_disable": True,
            "$process_person_profile": True,
            "$lib": "lifecycle-relay",
        },
    }
