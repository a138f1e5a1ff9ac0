"""Targets as JSON: what is asked, what is answered."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field, with_config
from typing_extensions import TypedDict

from app.api.schemas_common import REQUEST_CONFIG, AnswerBody, RequestBody, with_examples
from app.services.target_definition import MOST_IN_FLIGHT, RateLimit, RetrySetting, TargetDraft
from app.services.target_secrets import MASK
from app.services.target_views import TargetWithSecret

_EXAMPLE = {
    "id": "tgt_01kr9x5t2b8w4f6s1p9z3g7e0k",
    "name": "billing",
    "connector": "webhook",
    "settings": {"url": "https://hooks.example.com/relay"},
    "events": ["payment_*"],
    "sources": None,
    "filter": "payment.total > 100.0",
    "mapping": None,
    "ordered": False,
    "retry": None,
    "rate_limit": None,
    "max_in_flight": 50,
    "status": "active",
    "status_reason": None,
    "created_at": "2026-11-23T19:09:31Z",
    "updated_at": "2026-11-23T19:09:31Z",
}
_SECRET = {"signing_secret": "whsec_bXkgZXhhbXBsZSBzZWNyZXQgb2YgMzIgYnl0ZXMuLi4="}
_LINK = {
    "subject": "my-network/customer/2",
    "external_id": "401",
    "created_at": "2026-11-23T19:09:31Z",
    "updated_at": "2026-11-23T19:09:31Z",
}

Name = Annotated[
    str,
    Field(
        description="1 to 40 lower-case letters, digits, hyphens and underscores; used once.",
        examples=["billing"],
        json_schema_extra={"pattern": "^[a-z0-9][a-z0-9_-]{0,39}$"},
    ),
]
SettingsObject = Annotated[
    dict[str, Any],
    Field(
        description="What the connector needs; `/v1/connectors` has the schema of each. Secrets"
        f" are sealed, and shown as `{MASK}` from then on.",
        examples=[{"url": "https://hooks.example.com/relay"}],
    ),
]
Events = Annotated[
    list[str],
    Field(
        description="Event types, or patterns with `*`. The relay's own news are matched only by"
        " patterns that begin with `relay.`.",
        examples=[["payment_received", "membership_*"]],
    ),
]
Sources = Annotated[
    list[str] | None,
    Field(
        description="Names of the sources it listens to; null for all.", examples=[["my-network"]]
    ),
]
FilterText = Annotated[
    str | None,
    Field(
        description="A CEL condition on the event; null to let all pass.",
        examples=["payment.total > 100.0"],
    ),
]
MappingObject = Annotated[
    dict[str, str] | None,
    Field(
        description="Destination field to CEL expression; null for what the connector does by"
        " itself.",
        examples=[{"plan": "membership.plan.name"}],
    ),
]
Ordered = Annotated[
    bool | None,
    Field(
        description="Deliver the events of one customer one after another; null for the"
        " connector's default.",
        examples=[True],
    ),
]
Retry = Annotated[
    RetrySetting | None,
    Field(description="Its own retry schedule; null for the usual one, three days in all."),
]
Rate = Annotated[
    RateLimit | None, Field(description="Its speed limit; null for the connector's default.")
]
MaxInFlight = Annotated[
    int | None,
    Field(
        ge=1,
        le=MOST_IN_FLIGHT,
        description="Most deliveries at one time; null for the connector's default.",
        examples=[50],
    ),
]


class CreateTarget(RequestBody):
    """A destination to register."""

    name: Name
    connector: str = Field(
        description="Which connector: `webhook`, `hubspot`, `ga4`… (`/v1/connectors`).",
        examples=["webhook"],
    )
    settings: SettingsObject
    events: Events = Field(default=["*"])
    sources: Sources = None
    filter: FilterText = None
    mapping: MappingObject = None
    ordered: Ordered = None
    retry: Retry = None
    rate_limit: Rate = None
    max_in_flight: MaxInFlight = None

    def draft(self) -> TargetDraft:
        """What the service takes."""
        return TargetDraft(**{name: getattr(self, name) for name in type(self).model_fields})


@with_config(REQUEST_CONFIG)
class ChangeTarget(TypedDict):
    """What to change about a target; what is absent stays."""

    name: NotRequired[Name]
    settings: NotRequired[SettingsObject]
    events: NotRequired[Events]
    sources: NotRequired[Sources]
    filter: NotRequired[FilterText]
    mapping: NotRequired[MappingObject]
    ordered: NotRequired[Ordered]
    retry: NotRequired[Retry]
    rate_limit: NotRequired[Rate]
    max_in_flight: NotRequired[MaxInFlight]


class TargetAnswer(AnswerBody):
    """A target; secret settings are masked."""

    model_config = with_examples(_EXAMPLE)

    id: str
    name: str
    connector: str
    settings: dict[str, Any]
    events: list[str]
    sources: list[str] | None
    filter: str | None
    mapping: dict[str, str] | None
    ordered: bool
    retry: RetrySetting | None
    rate_limit: RateLimit | None
    max_in_flight: int
    status: Literal["active", "paused", "disabled"] = Field(
        description="Deliveries of a target that is not active are held until it is resumed."
    )
    status_reason: str | None = Field(description="Why it is not active.")
    created_at: datetime
    updated_at: datetime


class TargetWithSecretAnswer(TargetAnswer):
    """A target and its new signing secret, which is shown this once."""

    model_config = with_examples(_EXAMPLE | _SECRET)

    signing_secret: str | None = Field(
        None,
        description="What `webhook-signature` is made with (Standard Webhooks). Absent when the"
        " connector does not sign.",
    )

    @classmethod
    def of(cls, made: TargetWithSecret) -> TargetWithSecretAnswer:
        """What is answered once."""
        shown = TargetAnswer.model_validate(made.target).model_dump()
        return cls(**shown, signing_secret=made.signing_secret)


class LinkAnswer(AnswerBody):
    """What a destination calls one subject, such as a CRM's contact id."""

    model_config = with_examples(_LINK)

    subject: str
    external_id: str
    created_at: datetime
    updated_at: datetime
