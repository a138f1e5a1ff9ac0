"""Ultimate Multisite itself: the CRM's contact id is written back to the customer it belongs to.

It listens to one piece of the relay's own news, `relay.contact_linked`, which comes when a CRM's
id of a customer is learnt or has changed, and never again for an id that is known.
The write saves the customer anew, so that the network may report a customer update; that update
reaches the CRM at most once more and finds the id it has: no news, so no second write, and the
circle ends. Besides, the request carries `relay-hop`, by which a bridge can tell the relay's own
write and keep it to itself.
The meta cannot be read back over REST; PHP reads it by `$customer->get_meta('crm_contact_id')`.
Facts: Ultimate Multisite 2.4.10 and 2.4.13, REST API `wu/v2`, as they were run.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import httpx
from pydantic import Field

from app.connectors.base import Assignment, Connector, Facts, Flow, Limits, TargetBinding
from app.connectors.checking import asked
from app.connectors.classify import Reply, Rule, classify, document_of
from app.connectors.settings import BaseUrl, CaCertificate, ConnectorSettings, Credential
from app.domain import strict_json
from app.domain.model import Event
from app.domain.outcome import Outcome, auth_failed, delivered, rejected, retry

_LINKED = "relay.contact_linked"
_NUMBER = re.compile(r"[1-9][0-9]{0,17}")
_SUBJECT = re.compile(r"[^/]+/customer/([1-9][0-9]{0,17})")
_LONGEST_ID = 255
#: What the network says when it has no customer with the number.
_NO_CUSTOMER = "wu_rest_customer_invalid_id"


class UltimateMultisiteSettings(ConnectorSettings):
    """The network, and under which name a customer keeps the id."""

    base_url: BaseUrl = Field(
        description="The address of the network's main site. Use https: the keys travel with every"
        " request.",
        examples=["https://network.example.com"],
    )
    api_key: Credential = Field(
        description="The API key (Settings, API & Webhooks; press Refresh API Credentials once)."
    )
    api_secret: Credential = Field(description="The API secret that stands beside it.")
    meta_key: str = Field(
        default="crm_contact_id",
        pattern=r"^[a-z0-9_][a-z0-9_-]{0,254}$",
        description="The customer's meta key. Use one for each CRM where there are several.",
    )
    from_targets: tuple[str, ...] = Field(
        default=(),
        max_length=100,
        description="Names of the targets whose ids are written; none names all of them.",
        examples=[["hubspot"]],
    )
    credentials: Literal["header", "body"] = Field(
        default="header",
        description="Where the keys stand: `body` for hosts that drop the Authorization header.",
    )
    ca_certificate: CaCertificate = None


class UltimateMultisite(Connector[UltimateMultisiteSettings]):
    """Writes the CRM's contact id to the customer."""

    name: ClassVar[str] = "ultimate_multisite"
    kind: ClassVar[str] = "write_back"
    facts: ClassVar[Facts] = Facts(
        title="Ultimate Multisite",
        summary="Writes the id that a CRM gave a customer back to the customer's meta, for the"
        " sources the target listens to.",
        authentication="API key and secret of the network, by HTTP Basic or in the body.",
        replay_safety="Safe: the same id is written to the same customer.",
        never_sent="Anything but the id.",
        documentation="https://ultimatemultisite.com/docs/developer/rest-api/",
    )
    Settings = UltimateMultisiteSettings
    default_events: ClassVar[tuple[str, ...]] = (_LINKED,)
    #: Each write saves the whole customer in somebody's WordPress.
    limits: ClassVar[Limits] = Limits(max_in_flight=2, per_second=5.0)
    ordered: ClassVar[bool] = True

    def __init__(self, target: TargetBinding[UltimateMultisiteSettings]) -> None:
        super().__init__(target)
        settings = target.settings
        key = settings.api_key.get_secret_value()
        secret = settings.api_secret.get_secret_value()
        basic = b64encode(f"{key}:{secret}".encode("ascii")).decode("ascii")
        self._secrets = (key, secret, basic)
        self._api = f"{settings.base_url}/wp-json/wu/v2"
        self._headers = {"content-type": "application/json", "user-agent": target.user_agent}
        self._own: dict[str, str] = {}
        if settings.credentials == "header":
            self._headers["authorization"] = f"Basic {basic}"
        else:
            self._own = {"api_key": key, "api_secret": secret}

    def skip(self, event: Event) -> str | None:
        """Whatever is not a link of a customer by a target that was asked for."""
        if event.type != _LINKED:
            return "Only relay.contact_linked is written back."
        linked_by, wanted = event.data.get("target"), self.target.settings.from_targets
        if event.data.get("connector") == self.name:
            return "The id comes from the network itself."
        if wanted and linked_by not in wanted:
            return "The id comes from a target that from_targets does not name."
        if _external_id(event) is None:
            return "The news names no id."
        if _customer_number(event) is None:
            return "The link is not of a customer of Ultimate Multisite."
        return None

    def deliver(self, assignment: Assignment) -> Flow:
        """One write of one meta value; never an empty body, which the network fails on."""
        event = assignment.event
        document = {**self._own, "meta": {self.target.settings.meta_key: _external_id(event)}}
        headers = {**self._headers, "relay-hop": str(event.hop + 1)}
        response = yield httpx.Request(
            "PUT",
            f"{self._api}/customer/{_customer_number(event)}",
            headers=headers,
            content=strict_json.write(document),
        )
        if response.is_success and not _is_customer(document_of(response)):
            return retry("The site answered well, but not as the network's API does.")
        return classify(response, _RULES, now=assignment.now, secrets=self._secrets)

    def check(self, assignment: Assignment) -> Flow:
        """Ask whether the keys are right."""
        request = httpx.Request("GET", f"{self._api}/auth", params=self._own, headers=self._headers)
        return asked(request, assignment, _RULES, self._secrets)


def _external_id(event: Event) -> str | None:
    found = event.data.get("external_id")
    text = found.strip() if isinstance(found, str) else ""
    return text if 0 < len(text) <= _LONGEST_ID else None


def _customer_number(event: Event) -> str | None:
    """The number of the customer in the network: not that of the WordPress user."""
    told = event.customer.id if event.customer else None
    if told is not None and _NUMBER.fullmatch(told):
        return told
    found = _SUBJECT.fullmatch(event.subject or "")
    return found[1] if found else None


def _is_customer(document: Any) -> bool:
    return isinstance(document, Mapping) and "id" in document


def _names_no_customer(reply: Reply) -> bool:
    return isinstance(reply.document, Mapping) and reply.document.get("code") == _NO_CUSTOMER


def _no_api(reply: Reply) -> Outcome:
    return auth_failed(
        reply.reason("the network's API is not at this address; is it enabled, and base_url right?")
    )


_RULES: tuple[Rule, ...] = (
    Rule(range(200, 300), lambda _: delivered()),
    Rule({404}, lambda reply: rejected(reply.reason()), _names_no_customer),
    Rule({404}, _no_api),
)
