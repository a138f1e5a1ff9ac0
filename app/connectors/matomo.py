"""Matomo: orders, events and goals by the bulk tracking API of an installation or of the cloud.

An order is known by its `ec_id`, which Matomo counts once for each site; an event is known by
nothing, so a request that may have arrived is repeated for orders only.
Requests stand in the order of time, and carry the token in the body: without it Matomo says that
something was invalid, but not what.
There is no currency: everything is counted in the site's own.
Facts: developer.matomo.org/api-reference/tracking-api; matomo plugins/BulkTracking.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import quote, urlencode

import httpx
from pydantic import Field, SecretStr, field_validator

from app.connectors.analytics import AnalyticsConnector, Prepared, Record, records_of
from app.connectors.analytics_events import Told
from app.connectors.analytics_steps import SALES, Step, events_of, step_of
from app.connectors.base import BatchFlow, Facts, Limits, TargetBinding
from app.connectors.classify import Reply, classify, document_of
from app.connectors.lifecycle import paid
from app.connectors.settings import BaseUrl, CaCertificate, ConnectorSettings, Credential
from app.domain import strict_json
from app.domain.clock import to_micros
from app.domain.model import Event
from app.domain.outcome import Outcome, TransportFailure, delivered, dropped, rejected, retry

_DELIVERED = delivered()
_INVALID = rejected("Matomo found the request invalid; its own log says why.")
_TOKEN = re.compile(r"[0-9a-f]{32}")
_DIMENSION = re.compile(r"dimension[1-9][0-9]{0,3}")


class MatomoSettings(ConnectorSettings):
    """The installation, and the site in it."""

    base_url: BaseUrl = Field(
        description="Where Matomo is installed, without matomo.php.",
        examples=["https://matomo.example.com"],
    )
    site_id: int = Field(ge=1, description="The site's number in Matomo.", examples=[1])
    token_auth: Credential = Field(
        description="A token of a user who may write to the site (Settings, Security): 32"
        " characters. It is sent in the body, so it may be one that is allowed there only.",
        examples=["0123456789abcdef0123456789abcdef"],
    )
    site_url: BaseUrl = Field(
        description="The address of the site, under which everything is reported.",
        examples=["https://shop.example.com"],
    )
    currency: str | None = Field(
        default=None,
        pattern=r"^[A-Z]{3}$",
        description="The site's currency in Matomo, which has no other. Payments in another one"
        " are then left out, and so are the amounts of other events; without it all are counted as"
        " if they were in the site's.",
    )
    resend_events_after_timeout: bool = Field(
        default=False,
        description="Send other events than orders again when the first request may have arrived;"
        " Matomo then may count them twice.",
    )
    ca_certificate: CaCertificate = None

    @field_validator("base_url")
    @classmethod
    def _names_no_script(cls, url: str) -> str:
        if url.endswith(".php"):
            raise ValueError("must be the folder that matomo.php is in")
        return url

    @field_validator("token_auth")
    @classmethod
    def _is_token(cls, token: SecretStr) -> SecretStr:
        if not _TOKEN.fullmatch(token.get_secret_value()):
            raise ValueError("must be 32 characters of 0-9 and a-f")
        return token


class Matomo(AnalyticsConnector[MatomoSettings]):
    """Tracks orders and what happens to subscriptions."""

    name: ClassVar[str] = "matomo"
    #: An event's category and action; a sale is an order.
    names: ClassVar[Mapping[Step, str]] = {
        Step.CUSTOMER_CREATED: "Customer/Created",
        Step.PURCHASE: "Order",
        Step.RENEWAL: "Order",
        Step.REFUND: "Payment/Refunded",
        Step.PAYMENT_FAILED: "Payment/Failed",
        Step.CANCELLED: "Subscription/Cancelled",
        Step.STATUS_CHANGED: "Subscription/Status Changed",
        Step.PLAN_CHANGED: "Subscription/Plan Changed",
        Step.SITE_CREATED: "Site/Created",
        Step.DOMAIN_CREATED: "Domain/Created",
    }
    facts: ClassVar[Facts] = Facts(
        title="Matomo",
        summary="Tracks purchases and renewals as e-commerce orders, and new customers, refunds,"
        " failed payments, cancellations and sites as events. A mapping fills custom dimensions"
        " (dimension1, dimension2). Reports of past days show them after they are processed anew.",
        authentication="A user's token, in the body of the request.",
        replay_safety="Orders are counted once per payment; other events are counted again when"
        " they are replayed.",
        never_sent="E-mail address, name, phone number, postal address; the IP address that is"
        " sent belongs to nobody.",
        documentation="https://developer.matomo.org/api-reference/tracking-api",
    )
    Settings = MatomoSettings
    default_events: ClassVar[tuple[str, ...]] = events_of(*names)
    #: PHP works through a request one by one: few at a time, and one such request.
    limits: ClassVar[Limits] = Limits(batch_size=100, batch_bytes=1_000_000, max_in_flight=100)
    event_bytes: ClassVar[int] = 100_000

    def __init__(self, target: TargetBinding[MatomoSettings]) -> None:
        super().__init__(target)
        settings = target.settings
        self._token = settings.token_auth.get_secret_value()
        self._url = httpx.URL(f"{settings.base_url}/matomo.php")
        self._common = {
            "idsite": settings.site_id,
            "rec": 1,
            "apiv": 1,
            "send_image": 0,
            "url": settings.site_url,
            # With the token Matomo believes this address: it places nobody where this server is.
            "cip": "0.0.0.0",  # noqa: S104  no address to listen on
        }

    @classmethod
    def check_mapping(cls, fields: Sequence[str]) -> Mapping[str, str]:
        """Custom dimensions are all that can be added."""
        return {
            field: "A Matomo field is a custom dimension of the action or visit: dimension1, …"
            for field in fields
            if not _DIMENSION.fullmatch(field)
        }

    def skip(self, event: Event) -> str | None:
        """Besides: a payment in a currency that Matomo would take for another."""
        nothing = super().skip(event)
        expected = self.target.settings.currency
        sold = paid(event) if expected and step_of(event) in SALES else None
        if nothing or sold is None or sold.currency == expected:
            return nothing
        return f"Matomo counts in {expected}, and the payment is in {sold.currency}."

    def _parts(self, ready: Sequence[Prepared]) -> Iterator[list[Prepared]]:
        """Matomo builds visits from what follows on one another."""
        return super()._parts(sorted(ready, key=lambda one: one.told.time))

    def _send(self, part: Sequence[Prepared]) -> BatchFlow:
        queries = ["?" + urlencode(record, quote_via=quote) for record in records_of(part)]
        document = {"requests": queries, "token_auth": self._token}
        response = yield self._post(self._url, document)
        if not response.is_success:
            return classify(response, now=part[0].now, secrets=(self._token,))
        reply = document_of(response)
        if not isinstance(reply, Mapping):
            return [self._tracked(one) for one in part]
        if reply.get("status") == "error":
            said = Reply(response, part[0].now, (self._token,))
            return retry(said.reason("Matomo stopped on the way"))
        invalid = _invalid(reply, len(part))
        if invalid is None:
            return _INVALID
        return [
            _INVALID if place in invalid else self._tracked(one) for place, one in enumerate(part)
        ]

    def _is_foreign(self, told: Told) -> bool:
        expected = self.target.settings.currency
        return expected is not None and told.currency not in {None, expected}

    def _tracked(self, one: Prepared) -> Outcome:
        if self._is_foreign(one.told):
            return delivered(
                reason=f"Told without its amount: it is in {one.told.currency}, and Matomo counts in"
                f" {self.target.settings.currency}."
            )
        if one.told.revenue is None or self.target.settings.currency:
            return _DELIVERED
        return delivered(
            reason=f"Counted in the site's currency; the event is in {one.told.currency}."
        )

    def _lost(self, one: Prepared, failure: TransportFailure) -> Outcome:
        repeatable = one.told.step in SALES or self.target.settings.resend_events_after_timeout
        if repeatable or not failure.may_have_arrived:
            return retry(failure.reason)
        return dropped(
            "The request may have arrived, and Matomo would count a second one:"
            f" it is not sent again ({failure.reason})"
        )

    def _records(self, told: Told, event: Event) -> list[Record]:
        digest = hashlib.sha256(told.user.encode("utf-8", "surrogatepass")).hexdigest()
        known = {
            **self._common,
            "uid": told.user,
            "_id": digest[:16],
            "cdt": to_micros(told.time) // 1_000_000,
            "rand": told.dedupe_id,
            **self._told(told),
            **{name: _text(value) for name, value in told.mapped.items()},
        }
        agent = event.context.user_agent if event.context else None
        return [known | {"ua": agent} if agent else known]

    def _told(self, told: Told) -> Record:
        if told.step in SALES:
            return _order(told)
        record = _event(told, self.names[told.step])
        if self._is_foreign(told):
            record.pop("e_v", None)
        return record


def _order(told: Told) -> Record:
    items = [
        [
            product.get("product_id", ""),
            product.get("name", ""),
            product.get("category", ""),
            product.get("price", 0),
            product["quantity"],
        ]
        for product in told.products
    ]
    known = {
        "idgoal": 0,
        "ec_id": told.order_id,
        "revenue": told.revenue,
        "ec_items": strict_json.write(items).decode(),
        "ec_tx": told.properties.get("tax"),
    }
    return {name: value for name, value in known.items() if value is not None}


def _event(told: Told, name: str) -> Record:
    """A category, an action, the plan it is about, and an amount; `ca` makes it no page view."""
    category, _, action = name.partition("/")
    known = {
        "e_c": category,
        "e_a": action,
        "e_n": told.properties.get("plan"),
        "e_v": told.amount if told.revenue is None else told.revenue,
        "ca": 1,
    }
    return {name: value for name, value in known.items() if value is not None}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else strict_json.write(value).decode()


def _invalid(reply: Mapping[str, Any], count: int) -> set[int] | None:
    """The places of the requests that Matomo refused; None when it does not say which."""
    refused = reply.get("invalid")
    if not isinstance(refused, int) or refused <= 0:
        return set()
    named = reply.get("invalid_indices")
    places = {place for place in named if type(place) is int} if isinstance(named, list) else set()
    if not places and count == 1:
        return {0}
    return places or None
