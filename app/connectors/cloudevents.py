"""CloudEvents 1.0 over HTTP: each event as one request, in structured or binary mode.

`source` and `id` together are the event's identity, the same on every attempt and replay: a
receiver drops what it has seen.
In structured mode the body is the whole event; in binary mode the body is its data, and what
describes it stands in `ce-` headers, percent-encoded.
Facts: github.com/cloudevents/spec, JSON event format, HTTP protocol binding, HTTP webhook.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal
from urllib.parse import quote

import httpx
from pydantic import Field

from app.connectors.base import Assignment, Connector, Facts, Flow, Limits, TargetBinding
from app.connectors.classify import Rule, classify
from app.connectors.mapping import unusable_mapping
from app.connectors.settings import CaCertificate, ConnectorSettings, Credential
from app.connectors.webhook import LINK_KEYS, without_keys
from app.domain import strict_json
from app.domain.expressions import ExpressionError
from app.domain.model import Event
from app.domain.outcome import delivered, gone

_RULES = (Rule({410}, lambda reply: gone(reply.reason("it wants no more events"))),)
_DELIVERED = delivered()
_STRUCTURED = "application/cloudevents+json"
_JSON = "application/json"
#: What stands in a header as it is: visible ASCII but the quotation mark and the percent sign.
_AS_IT_IS = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')


class CloudEventsSettings(ConnectorSettings):
    """Where events are sent, and what they are called there."""

    url: str = Field(
        description="Where events are sent, by POST.", examples=["https://events.example.com/"]
    )
    mode: Literal["structured", "binary"] = Field(
        default="structured",
        description="`structured` sends one JSON document; `binary` sends the data as the body and"
        " the rest in ce- headers.",
    )
    type_prefix: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9._-]{0,100}$",
        description="Put before the event's type, as reverse-DNS names are.",
        examples=["com.example.shop."],
    )
    source_prefix: str = Field(
        default="/sources/",
        pattern=r"^[\x21\x23-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7e]{1,500}$",
        description="Put before the name of the event's source to make the `source`, a URI or the"
        " path of one.",
        examples=["https://relay.example.com/sources/"],
    )
    data: Literal["envelope", "received"] = Field(
        default="envelope",
        description="Without a mapping: `envelope` sends what was received beside the customer,"
        " membership, payment, site and domain it speaks of; `received` only what was received.",
    )
    token: Credential | None = Field(
        default=None, description="A bearer token, where the receiver wants one."
    )
    withhold_links: bool = Field(
        default=False,
        description="Leave links that act as a password out of the data: `verification_link`,"
        " `default_payment_url`, `payment_url` and `payment_invoice_url`.",
    )
    ca_certificate: CaCertificate = None


class CloudEvents(Connector[CloudEventsSettings]):
    """Sends each event as a CloudEvent."""

    name: ClassVar[str] = "cloudevents"
    kind: ClassVar[str] = "message"
    facts: ClassVar[Facts] = Facts(
        title="CloudEvents",
        summary="Sends every event as a CloudEvent 1.0 to an HTTP endpoint, such as an event"
        " broker; links that act as a password stand in it unless `withhold_links` is on.",
        authentication="A bearer token, or none.",
        replay_safety="`source` and `id` are the same on every attempt and replay; drop the pairs"
        " you have seen.",
        never_sent="Browser identifiers (the event's context) and credentials of the sender.",
        documentation="https://github.com/cloudevents/spec/blob/main/cloudevents/bindings/http-protocol-binding.md",
    )
    Settings = CloudEventsSettings
    default_events: ClassVar[tuple[str, ...]] = ("*",)
    limits: ClassVar[Limits] = Limits(max_in_flight=50)
    takes_tests: ClassVar[bool] = True

    def __init__(self, target: TargetBinding[CloudEventsSettings]) -> None:
        super().__init__(target)
        settings = target.settings
        self._url = httpx.URL(settings.url)
        self._withheld = LINK_KEYS if settings.withhold_links else frozenset[str]()
        token = settings.token.get_secret_value() if settings.token else ""
        self._secrets = (token,)
        self._headers = {"user-agent": target.user_agent}
        if token:
            self._headers["authorization"] = f"Bearer {token}"

    def deliver(self, assignment: Assignment) -> Flow:
        """One request, whose status alone decides."""
        event = assignment.event
        try:
            values = self.target.mapping(event)
        except ExpressionError as error:
            return unusable_mapping(error)
        return (yield from self._send(self._data(event) if values is None else values, assignment))

    def check(self, assignment: Assignment) -> Flow:
        """Send a ping, whatever the mapping."""
        return self._send(self._data(assignment.event), assignment)

    def _send(self, data: Any, assignment: Assignment) -> Flow:
        response = yield self._request(assignment.event, data)
        if response.is_success:
            return _DELIVERED
        return classify(response, _RULES, now=assignment.now, secrets=self._secrets)

    def _request(self, event: Event, data: Any) -> httpx.Request:
        attributes = self._attributes(event)
        headers = {**self._headers, "relay-hop": str(event.hop + 1)}
        if self.target.settings.mode == "structured":
            headers["content-type"] = _STRUCTURED
            document = {**attributes, "datacontenttype": _JSON, "data": data}
            if event.test:
                document["relaytest"] = True
        else:
            # The type of the data is the Content-Type, and must not stand in a ce- header as well.
            headers["content-type"] = _JSON
            headers |= {f"ce-{name}": _header_value(value) for name, value in attributes.items()}
            if event.test:
                headers["ce-relaytest"] = "true"
            document = data
        body = strict_json.write(document)
        return httpx.Request("POST", self._url, headers=headers, content=body)

    def _attributes(self, event: Event) -> dict[str, str]:
        settings = self.target.settings
        attributes: dict[str, str] = {
            "specversion": "1.0",
            "id": event.id,
            "source": f"{settings.source_prefix}{event.source}",
            "type": f"{settings.type_prefix}{event.type}",
            "time": strict_json.rfc3339(event.occurred_at),
        }
        if event.subject:
            attributes["subject"] = event.subject
        return attributes

    def _data(self, event: Event) -> Mapping[str, Any]:
        received = without_keys(event.data, self._withheld) if self._withheld else event.data
        if self.target.settings.data == "received":
            found: Mapping[str, Any] = received
            return found
        return {
            "data": received,
            "customer": event.customer,
            "membership": event.membership,
            "payment": event.payment,
            "site": event.site,
            "domain": event.domain,
        }


def _header_value(value: str) -> str:
    """As the HTTP binding writes attributes: percent-encoded UTF-8."""
    return quote(value, safe=_AS_IT_IS)
