"""A custom webhook target: any HTTPS endpoint, signed by the Standard Webhooks specification.

https://www.standardwebhooks.com: `webhook-id` is the same on every attempt, `webhook-timestamp` is
the time of the attempt, `webhook-signature` covers both and the body, and holds two signatures
while a rotation overlaps.
This is the busiest connector: what does not change between deliveries is made once per target.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import httpx
from pydantic import Field

from app.connectors.base import Assignment, Connector, Facts, Flow, Limits, TargetBinding
from app.connectors.classify import Rule, classify
from app.connectors.mapping import no_mapping, unusable_mapping
from app.connectors.settings import CaCertificate, ConnectorSettings
from app.connectors.whole_request import WholeRequest
from app.domain import strict_json
from app.domain.envelope import envelope_of
from app.domain.expressions import ExpressionError
from app.domain.header_rules import credentials_in
from app.domain.outcome import Outcome, delivered, gone
from app.domain.signing import sign
from app.domain.trace import HEADER

#: Keys of a body whose links log somebody in or open somebody's bill.
LINK_KEYS = frozenset(
    {"verification_link", "default_payment_url", "payment_url", "payment_invoice_url"}
)

_RULES = (Rule({410}, lambda reply: gone(reply.reason("it wants no more events"))),)
_DELIVERED = delivered()
_JSON = b"application/json"
_OCTETS = b"application/octet-stream"


class WebhookSettings(ConnectorSettings):
    """Where a custom webhook target is, and in which form it wants events."""

    url: str = Field(
        description="Where events are sent, by POST.", examples=["https://hooks.example.com/relay"]
    )
    format: Literal["envelope", "raw"] = Field(
        default="envelope",
        description="`envelope` sends the event as JSON, or what the target's mapping makes of it;"
        " `raw` forwards the received bytes untouched, with the content type they came with, and"
        " uses no mapping.",
    )
    headers: dict[str, str] = Field(
        default_factory=dict, description="Header fields to send along with every request."
    )
    withhold_links: bool = Field(
        default=False,
        description="Leave links that act as a password out of the envelope's `data`:"
        " `verification_link`, `default_payment_url`, `payment_url` and `payment_invoice_url`.",
    )
    ca_certificate: CaCertificate = None


class Webhook(Connector[WebhookSettings]):
    """Sends each event as one signed request."""

    name: ClassVar[str] = "webhook"
    kind: ClassVar[str] = "webhook"
    facts: ClassVar[Facts] = Facts(
        title="Custom webhook",
        summary="Sends every event, signed, to an HTTP endpoint of yours; the data stand in it as"
        " they were received, links that act as a password included unless `withhold_links` is on.",
        authentication="Standard Webhooks v1: HMAC-SHA256 with the target's signing secret; two"
        " signatures while a rotation overlaps. Own header fields can be added.",
        replay_safety="`webhook-id` is the same on every attempt and replay of a delivery; drop"
        " the ids you have seen.",
        never_sent="Browser identifiers (the event's context) and credentials of the sender.",
        documentation="https://www.standardwebhooks.com",
    )
    Settings = WebhookSettings
    default_events: ClassVar[tuple[str, ...]] = ("*",)
    limits: ClassVar[Limits] = Limits(max_in_flight=50)
    takes_tests: ClassVar[bool] = True

    def __init__(self, target: TargetBinding[WebhookSettings]) -> None:
        super().__init__(target)
        settings = target.settings
        self._url = httpx.URL(settings.url)
        self._raw = settings.format == "raw"
        self._withheld = LINK_KEYS if settings.withhold_links else frozenset[str]()
        self.sends_envelope = not self._raw and not self._withheld and target.mapping is no_mapping
        # An operator's own header field goes before the sender's.
        self._traced = any(name.lower() == HEADER for name in settings.headers)
        # Some endpoints repeat the credential they refuse.
        self._secrets = credentials_in(settings.headers)
        self._headers = [
            (b"host", self._url.netloc),
            (b"user-agent", target.user_agent.encode("ascii")),
            *(
                (name.encode("ascii"), value.encode("ascii"))
                for name, value in settings.headers.items()
            ),
        ]

    def deliver(self, assignment: Assignment) -> Flow:
        """One request, whose status alone decides: nothing is read from the reply's body."""
        event = assignment.event
        if self._raw:
            body, content_type = assignment.body, _header_value(assignment.content_type)
        else:
            try:
                values = self.target.mapping(event)
            except ExpressionError as error:
                return unusable_mapping(error)
            body = self._envelope(assignment) if values is None else strict_json.write(values)
            content_type = _JSON
        response = yield self._request(assignment, body, content_type)
        return self._outcome(response, assignment)

    def check(self, assignment: Assignment) -> Flow:
        """Send a signed ping, whatever the mapping."""
        body = assignment.body if self._raw else self._envelope(assignment)
        response = yield self._request(assignment, body, _JSON)
        return self._outcome(response, assignment)

    def _request(self, assignment: Assignment, body: bytes, content_type: bytes) -> httpx.Request:
        timestamp = int(assignment.now.timestamp())
        signature = sign(assignment.message_id, timestamp, body, self.target.signing_keys)
        return WholeRequest(
            self._url,
            [
                *self._headers,
                (b"content-type", content_type),
                (b"content-length", b"%d" % len(body)),
                (b"webhook-id", assignment.message_id.encode("ascii")),
                (b"webhook-timestamp", b"%d" % timestamp),
                (b"webhook-signature", signature.encode("ascii")),
                (b"relay-hop", b"%d" % (assignment.event.hop + 1)),
                *self._trace(assignment),
            ],
            body,
        )

    def _trace(self, assignment: Assignment) -> tuple[tuple[bytes, bytes], ...]:
        trace = assignment.trace or assignment.event.trace
        if trace is None or self._traced:
            return ()
        return ((b"traceparent", trace.encode("ascii")),)

    def _outcome(self, response: httpx.Response, assignment: Assignment) -> Outcome:
        if response.is_success:
            return _DELIVERED
        return classify(response, _RULES, now=assignment.now, secrets=self._secrets)

    def _envelope(self, assignment: Assignment) -> bytes:
        if assignment.envelope is not None and not self._withheld:
            return assignment.envelope
        envelope = envelope_of(assignment.event)
        if self._withheld:
            envelope["data"] = without_keys(envelope["data"], self._withheld)
        return strict_json.write(envelope)


def without_keys(value: Any, keys: frozenset[str]) -> Any:
    """A copy without these keys, at any depth: a bridge nests what a built-in webhook does not."""
    if isinstance(value, Mapping):
        return {key: without_keys(held, keys) for key, held in value.items() if key not in keys}
    if isinstance(value, list):
        return [without_keys(held, keys) for held in value]
    return value


def _header_value(content_type: str) -> bytes:
    """The sender's content type, unless it holds what no header may."""
    if content_type and content_type.isascii() and content_type.isprintable():
        return content_type.encode("ascii")
    return _OCTETS
