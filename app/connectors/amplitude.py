"""Amplitude: events by the HTTP V2 API, or by the batch API for large backfills.

A 400 names the events it refuses by their place, and takes none of the others: those are sent
again at once, under the same insert ids.
Ids shorter than five characters are refused unless the request says otherwise, so it does.
Facts: amplitude.com/docs/apis/analytics/http-v2; amplitude/Amplitude-Python, response processor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

import httpx
from pydantic import Field

from app.connectors.analytics import AnalyticsConnector, Prepared, Record, SendProfile, records_of
from app.connectors.analytics_events import Told
from app.connectors.analytics_properties import DEFAULT_MAPPING, wrong_properties
from app.connectors.analytics_steps import TITLES, Step, events_of
from app.connectors.base import BatchFlow, Facts, Limits, TargetBinding
from app.connectors.classify import Reply, Rule, classify, document_of
from app.connectors.settings import BaseUrl, ConnectorSettings, Credential
from app.connectors.wording import presentable
from app.domain.clock import to_micros
from app.domain.model import Event
from app.domain.outcome import (
    Outcome,
    OutcomeKind,
    auth_failed,
    delivered,
    rejected,
    retry,
    throttle,
)

_BAD_REQUEST = 400
_TOO_MANY = 429
_THROTTLE_SECONDS = 30.0
#: Each round leaves out what the one before refused; a fourth would mean that it never ends.
_MOST_ROUNDS = 3
_DELIVERED = delivered()
_OWN = frozenset({"amount", "currency", "order_id", "products", "revenue"})
_REFUSALS = (
    "events_with_invalid_fields",
    "events_with_missing_fields",
    "events_with_invalid_id_lengths",
)
_QUOTAS = ("exceeded_daily_quota_users", "exceeded_daily_quota_devices")
_REVENUE_TYPES = {Step.PURCHASE: "purchase", Step.RENEWAL: "renewal", Step.REFUND: "refund"}


class AmplitudeSettings(ConnectorSettings):
    """The project."""

    api_key: Credential = Field(description="The project's API key (not its secret key).")
    base_url: BaseUrl = Field(
        default="https://api2.amplitude.com",
        description="https://api.eu.amplitude.com for a project whose data are kept in the EU.",
    )
    path: Literal["/2/httpapi", "/batch"] = Field(
        default="/2/httpapi",
        description="`/batch` bears more at once and shows events later: for large backfills.",
    )
    send_profile: SendProfile = False


def _about_the_key(reply: Reply) -> bool:
    said = str(_mapping(reply.document).get("error", ""))
    return said.lower().startswith("invalid api key")


_RULES = (
    Rule({_BAD_REQUEST}, lambda reply: auth_failed(reply.reason()), _about_the_key),
    Rule({_TOO_MANY}, lambda reply: throttle(reply.reason(), reply.wait or _THROTTLE_SECONDS)),
)


class Amplitude(AnalyticsConnector[AmplitudeSettings]):
    """Reports what happened, with the user's properties."""

    name: ClassVar[str] = "amplitude"
    names: ClassVar[Mapping[Step, str]] = {**TITLES, Step.CUSTOMER_UPDATED: "$identify"}
    facts: ClassVar[Facts] = Facts(
        title="Amplitude",
        summary="Reports purchases, renewals, refunds (as negative revenue), failed payments,"
        " cancellations, new customers and sites, and sets the user's plan, status and sign-up"
        " date. A mapping adds event properties.",
        authentication="API key, in the body of the request.",
        replay_safety="Safe for seven days: so long Amplitude drops an event whose insert id it"
        " has seen. What is replayed later is counted again.",
        never_sent="E-mail address and names unless send_profile is on; phone number, postal and"
        " IP address, location.",
        documentation="https://amplitude.com/docs/apis/analytics/http-v2",
    )
    Settings = AmplitudeSettings
    default_events: ClassVar[tuple[str, ...]] = events_of(*names)
    default_mapping: ClassVar[Mapping[str, str]] = DEFAULT_MAPPING
    #: Amplitude takes 2000 events and 1 MiB.
    limits: ClassVar[Limits] = Limits(batch_size=500, batch_bytes=900_000, max_in_flight=1000)
    event_bytes: ClassVar[int] = 900_000

    def __init__(self, target: TargetBinding[AmplitudeSettings]) -> None:
        super().__init__(target)
        settings = target.settings
        self.named = settings.send_profile
        self._key = settings.api_key.get_secret_value()
        self._url = httpx.URL(f"{settings.base_url}{settings.path}")

    @classmethod
    def check_mapping(cls, fields: Sequence[str]) -> Mapping[str, str]:
        """Names that begin with $ or [ are Amplitude's."""
        return wrong_properties(fields, cls.facts.title, _OWN, ("$", "["))

    def _send(self, part: Sequence[Prepared]) -> BatchFlow:
        outcomes: dict[int, Outcome] = {}
        left = list(range(len(part)))
        for _ in range(_MOST_ROUNDS):
            response = yield self._request([part[i] for i in left])
            if response.is_success:
                return [outcomes.get(i, _DELIVERED) for i in range(len(part))]
            refused = _refused_events(response, [part[i] for i in left])
            outcomes |= {left[i]: outcome for i, outcome in refused.items()}
            if not refused or response.status_code == _TOO_MANY:
                whole = classify(response, _RULES, now=part[0].now, secrets=(self._key,))
                if not outcomes or (whole.kind is OutcomeKind.REJECTED and len(left) > 1):
                    return whole
                return [outcomes.get(i, whole) for i in range(len(part))]
            left = [i for i in left if i not in outcomes]
            if not left:
                break
        again = retry("Amplitude refused one event of the batch after another.")
        return [outcomes.get(i, again) for i in range(len(part))]

    def _request(self, part: Sequence[Prepared]) -> httpx.Request:
        document = {
            "api_key": self._key,
            "options": {"min_id_length": 1},
            "events": records_of(part),
        }
        return self._post(self._url, document)

    def _records(self, told: Told, event: Event) -> list[Record]:
        user = {"$set": told.profile, "$setOnce": told.profile_once}
        changes = {name: held for name, held in user.items() if held}
        if told.step is Step.CUSTOMER_UPDATED and not changes:
            return []
        record: Record = {
            "user_id": told.user,
            "event_type": self.names[told.step],
            "time": to_micros(told.time) // 1000,
            "insert_id": told.dedupe_id,
            # An empty address keeps Amplitude from placing people where this server is.
            "ip": "",
        }
        if told.step is not Step.CUSTOMER_UPDATED:
            record["event_properties"] = _properties(told)
        if changes:
            record["user_properties"] = changes
        if told.site:
            record["groups"] = {"site": told.site}
        if told.revenue is not None:
            record |= _revenue(told)
        return [record]


def _revenue(told: Told) -> Record:
    product = told.products[0] if told.products else {}
    identifier = product.get("product_id") or product.get("name")
    known = {
        "revenue": told.revenue,
        "currency": told.currency,
        "revenueType": _REVENUE_TYPES[told.step],
        "productId": identifier,
    }
    return {name: value for name, value in known.items() if value is not None}


def _properties(told: Told) -> Record:
    properties = {**told.properties, **told.mapped}
    if told.amount is not None and told.revenue is None:
        properties["amount"] = told.amount
    if told.currency:
        properties["currency"] = told.currency
    if told.order_id:
        properties["order_id"] = told.order_id
    if told.products:
        properties["products"] = told.products
    return properties


def _refused_events(response: httpx.Response, part: Sequence[Prepared]) -> dict[int, Outcome]:
    """The events that a refusal is about, by their place in the request."""
    document = document_of(response)
    if not isinstance(document, Mapping):
        return {}
    if response.status_code == _TOO_MANY:
        reason = "Amplitude takes no more events of this user today."
        beyond = {user for quota in _QUOTAS for user in _mapping(document.get(quota))}
        return {i: rejected(reason) for i, one in enumerate(part) if one.told.user in beyond}
    if response.status_code != _BAD_REQUEST:
        return {}
    error = presentable(str(document.get("error", "invalid")))
    found = {}
    for index, why in _places(document):
        if 0 <= index < len(part):
            found[index] = rejected(f"Amplitude refused the event: {error}{why}")
    return found


def _places(document: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    """Each place that a 400 names, and the field it complains about there."""
    for kind in _REFUSALS:
        for field, indexes in _mapping(document.get(kind)).items():
            yield from ((index, f" ({presentable(str(field))})") for index in _integers(indexes))
    yield from ((index, " (silenced)") for index in _integers(document.get("silenced_events")))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _integers(value: Any) -> list[int]:
    return [item for item in value if type(item) is int] if isinstance(value, list) else []
