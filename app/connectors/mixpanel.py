"""Mixpanel: events by strict import, then the profiles of the users they are about.

`/import` takes any time back to 1971, names each record it refuses (400) and keeps the rest, and
recognises a repeat by name, user, time and insert id.
`/engage` answers 200 whatever happens: the `status` in its body says whether it took the profiles.
A lost answer between the two costs a repeat of both, which changes nothing.
Facts: developer.mixpanel.com/reference, Import events and Profile set.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import httpx
from pydantic import Field, model_validator

from app.connectors.analytics import (
    PROFILE_ONLY,
    AnalyticsConnector,
    Prepared,
    Record,
    SendProfile,
)
from app.connectors.analytics_events import Told
from app.connectors.analytics_properties import DEFAULT_MAPPING, wrong_properties
from app.connectors.analytics_steps import TITLES, Step, events_of
from app.connectors.base import BatchFlow, Facts, Flow, Limits, TargetBinding
from app.connectors.classify import Reply, Rule, classify, document_of
from app.connectors.settings import BaseUrl, ConnectorSettings, Credential
from app.connectors.wording import presentable
from app.domain.clock import to_micros
from app.domain.model import Event
from app.domain.outcome import Outcome, OutcomeKind, delivered, rejected

_BAD_REQUEST = 400
_DELIVERED = delivered()
_OWN = frozenset(
    {"time", "distinct_id", "token", "ip", "amount", "currency", "order_id", "products"}
)
#: Mixpanel's own names for what it shows of a person.
_PROFILE_NAMES = {
    "email": "$email",
    "name": "$name",
    "first_name": "$first_name",
    "last_name": "$last_name",
}


class MixpanelSettings(ConnectorSettings):
    """The project, and who imports into it."""

    project_token: Credential = Field(
        description="The project's token (Project settings, Overview)."
    )
    service_account: str | None = Field(
        default=None,
        pattern=r"^[^\s:]+$",
        max_length=200,
        description="User name of a service account, which then imports instead of the token;"
        " needs its secret and the project id.",
    )
    service_account_secret: Credential | None = Field(
        default=None, description="The service account's secret."
    )
    project_id: int | None = Field(default=None, ge=1, description="The project's number.")
    base_url: BaseUrl = Field(
        default="https://api.mixpanel.com",
        description="https://api-eu.mixpanel.com or https://api-in.mixpanel.com for a project"
        " whose data are kept in the EU or in India.",
    )
    send_profile: SendProfile = False

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        account = (self.service_account, self.service_account_secret, self.project_id)
        if any(account) and not all(account):
            raise ValueError(
                "a service account needs service_account, service_account_secret and project_id"
            )
        return self


def _profiles_refused(reply: Reply) -> bool:
    """`0`, or `{"status": 0, "error": …}`: refused, although the status is 200."""
    document = reply.document
    status = document.get("status") if isinstance(document, Mapping) else document
    return status in (0, "error")


_PROFILE_RULES = (
    Rule({200}, lambda reply: rejected(reply.reason("the profile was refused")), _profiles_refused),
)


class Mixpanel(AnalyticsConnector[MixpanelSettings]):
    """Imports what happened and keeps the user's profile."""

    name: ClassVar[str] = "mixpanel"
    names: ClassVar[Mapping[Step, str]] = {**TITLES, Step.CUSTOMER_UPDATED: PROFILE_ONLY}
    facts: ClassVar[Facts] = Facts(
        title="Mixpanel",
        summary="Imports purchases, renewals, refunds (as negative amounts), failed payments,"
        " cancellations, new customers and sites, and sets the profile's plan, status and sign-up"
        " date. A mapping adds properties to the events.",
        authentication="Project token, or a service account, as HTTP Basic.",
        replay_safety="Safe: Mixpanel recognises a repeat by name, user, time and insert id.",
        never_sent="E-mail address and names unless send_profile is on; phone number, postal and"
        " IP address, location.",
        documentation="https://developer.mixpanel.com/reference/import-events",
    )
    Settings = MixpanelSettings
    default_events: ClassVar[tuple[str, ...]] = events_of(*names)
    default_mapping: ClassVar[Mapping[str, str]] = DEFAULT_MAPPING
    #: Mixpanel takes 2000 records and 10 MB; half of the bytes leaves room for profiles.
    limits: ClassVar[Limits] = Limits(batch_size=1000, batch_bytes=5_000_000, max_in_flight=1000)
    event_bytes: ClassVar[int] = 1_000_000

    def __init__(self, target: TargetBinding[MixpanelSettings]) -> None:
        super().__init__(target)
        settings = target.settings
        self.named = settings.send_profile
        self._token = settings.project_token.get_secret_value()
        account, password = settings.service_account, settings.service_account_secret
        secret = password.get_secret_value() if password else ""
        self._secrets = tuple(filter(None, (self._token, secret)))
        query: dict[str, str | int] = {"strict": 1}
        if account and settings.project_id:
            query["project_id"] = settings.project_id
        login = f"{account or self._token}:{secret}".encode()
        self.headers["authorization"] = f"Basic {b64encode(login).decode()}"
        self._import = httpx.URL(f"{settings.base_url}/import", params=query)
        # `ip=0` keeps Mixpanel from placing people where this server is.
        self._engage = httpx.URL(f"{settings.base_url}/engage?ip=0&verbose=1&strict=1#profile-set")

    @classmethod
    def check_mapping(cls, fields: Sequence[str]) -> Mapping[str, str]:
        """Names that begin with $ or mp_ are Mixpanel's."""
        return wrong_properties(fields, cls.facts.title, _OWN, ("$", "mp_"))

    def _send(self, part: Sequence[Prepared]) -> BatchFlow:
        outcomes = dict.fromkeys(range(len(part)), _DELIVERED)
        events = [(i, r) for i, one in enumerate(part) for r in one.records if "event" in r]
        if events:
            response = yield self._post(self._import, [record for _, record in events])
            refused = _refused_records(response, len(events))
            if not response.is_success and not refused:
                return classify(response, now=part[0].now, secrets=self._secrets)
            outcomes |= {events[index][0]: refusal for index, refusal in refused.items()}
        profiles = [
            (i, r)
            for i, one in enumerate(part)
            for r in one.records
            if "$token" in r and outcomes[i].kind is OutcomeKind.DELIVERED
        ]
        if profiles:
            ended = yield from self._set_profiles(part, profiles)
            if ended.kind is OutcomeKind.REJECTED and len(part) > 1:
                return ended
            outcomes |= {i: _after_import(part[i], ended) for i, _ in profiles}
        return [outcomes[position] for position in range(len(part))]

    def _set_profiles(
        self, part: Sequence[Prepared], profiles: Sequence[tuple[int, Record]]
    ) -> Flow:
        """One request; its Outcome is that of all the profiles."""
        response = yield self._post(self._engage, [record for _, record in profiles])
        return classify(response, _PROFILE_RULES, now=part[0].now, secrets=self._secrets)

    def _records(self, told: Told, event: Event) -> list[Record]:
        records = []
        if told.step is not Step.CUSTOMER_UPDATED:
            records.append({"event": self.names[told.step], "properties": _properties(told)})
        profile = {_PROFILE_NAMES.get(name, name): held for name, held in told.profile.items()}
        # One operation for each record: Mixpanel carries out no more.
        for operation, held in (("$set", profile), ("$set_once", told.profile_once)):
            if held:
                whom = {"$token": self._token, "$distinct_id": told.user}
                records.append({**whom, operation: held})
        return records


def _properties(told: Told) -> Record:
    properties = {**told.properties, **told.mapped}
    if told.amount is not None:
        properties["amount"] = told.amount if told.revenue is None else told.revenue
        properties["currency"] = told.currency
    if told.order_id:
        properties["order_id"] = told.order_id
    if told.products:
        properties["products"] = told.products
    if told.site:
        properties["site"] = told.site
    return {
        **properties,
        "time": to_micros(told.time) // 1000,
        "distinct_id": told.user,
        "$insert_id": told.dedupe_id,
        "ip": "0",
    }


def _refused_records(response: httpx.Response, count: int) -> dict[int, Outcome]:
    """The records that a 400 names, by their place in the request; the others were imported."""
    document = document_of(response) if response.status_code == _BAD_REQUEST else None
    failed = document.get("failed_records") if isinstance(document, Mapping) else None
    refused = {}
    for record in failed if isinstance(failed, list) else ():
        index = record.get("index") if isinstance(record, Mapping) else None
        if isinstance(index, int) and 0 <= index < count:
            said = presentable(str(record.get("message") or record.get("field") or "no reason"))
            refused[index] = rejected(f"Mixpanel refused the event: {said}")
    return refused


def _after_import(one: Prepared, ended: Outcome) -> Outcome:
    """A refused profile does not take back the event, which must not be imported once more."""
    imported = any("event" in record for record in one.records)
    if imported and ended.kind is OutcomeKind.REJECTED:
        return delivered(reason=f"The event was imported. {ended.reason}")
    return ended
