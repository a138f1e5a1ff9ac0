"""Sources as JSON: what is asked, what is answered."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, NotRequired

from pydantic import Field, with_config
from typing_extensions import TypedDict

from app.api.schemas_common import REQUEST_CONFIG, AnswerBody, RequestBody, with_examples
from app.services.api_access import ApiKeys
from app.services.manage_sources import SourceWithCredentials
from app.services.source_definition import SourceDraft
from app.sources.registry import KNOWN_KINDS

_EXAMPLE = {
    "id": "src_01kr9x4e6hq3v8n2m7c5t0b1da",
    "name": "my-network",
    "kind": "ultimate_multisite",
    "strict": False,
    "settings": {"api_url": "https://network.example"},
    "api_access": True,
    "ingest_url": "https://relay.example/webhooks/my-network",
    "created_at": "2026-11-23T19:09:31Z",
    "updated_at": "2026-11-23T19:09:31Z",
}
_CREDENTIALS = {
    "token": "vR0c3Yx1mJp4Tq8LwZs6KdHn2BfGu7Ea",
    "signing_secret": "whsec_bXkgZXhhbXBsZSBzZWNyZXQgb2YgMzIgYnl0ZXMuLi4=",
}

Name = Annotated[
    str,
    Field(
        description="1 to 40 lower-case letters, digits, hyphens and underscores; the segment of"
        " the ingest URL, so it never changes.",
        examples=["my-network"],
        json_schema_extra={"pattern": "^[a-z0-9][a-z0-9_-]{0,39}$"},
    ),
]
Strict = Annotated[
    bool, Field(description="Refuse event types outside the catalogue with 404.", examples=[False])
]
SourceSettingsObject = Annotated[
    dict[str, Any],
    Field(
        description="`dedupe_window`: seconds (0 to 604800) within which the same content from a"
        " sender without ids is one event; absent or null: RELAY_DEDUPE_WINDOW."
        " `rate_per_second`: how fast the sender may send. Some kinds have more, such as `mapping`: docs/senders.md lists them.",
        examples=[{"dedupe_window": 600}],
    ),
]
_FORMS = (
    "`whsec_` and base64 of 24 to 64 bytes for Standard Webhooks; any text of 8 to 512 characters"
    " for `stripe`, `github`, `woocommerce` and `generic_hmac`. It is not answered."
)
ChosenSecret = Annotated[
    str | None,
    Field(
        description="Only when the sender, or its vendor, chose the signing secret: "
        + _FORMS
        + " Absent or null: one is made; Stripe makes its own, which is given later.",
    ),
]
NewSecret = Annotated[
    str,
    Field(
        description="A signing secret that the sender, or its vendor, chose: "
        + _FORMS
        + " The one before stays valid as after a rotation.",
    ),
]


class ApiAccess(RequestBody):
    """The keys to the REST API of the sender's own network. They are kept sealed, never shown."""

    api_key: str = Field(
        description="The API key of the network (Settings, API & Webhooks).",
        examples=["kQ2vXr8LmT4bNc6Zp1Yd"],
    )
    api_secret: str = Field(
        description="The API secret that stands beside it.", examples=["wE5sJ9aHf3Ug7Ri0Ko2M"]
    )
    wp_user: str | None = Field(
        None,
        description="A WordPress user who may list users: for customers' email addresses, which the"
        " network's own API does not tell.",
        examples=["relay"],
    )
    wp_application_password: str | None = Field(
        None, description="An application password of that user, made in the user's profile."
    )

    def keys(self) -> ApiKeys:
        """What the service takes."""
        return ApiKeys(**self.model_dump())


CreatedAccess = Annotated[
    ApiAccess | None,
    Field(
        description="Only for `ultimate_multisite`, together with the setting `api_url`: lets the"
        " relay set the network up, find events that never came, and read customers who are there"
        " already. It is not answered."
    ),
]
ChangedAccess = Annotated[
    ApiAccess | None,
    Field(description="Replaces the keys as a whole; null takes them away. They are not answered."),
]


class CreateSource(RequestBody):
    """A sender to register."""

    name: Name
    kind: str = Field(
        description=f"What the sender is: {', '.join(KNOWN_KINDS)}.",
        examples=["ultimate_multisite"],
    )
    strict: Strict = False
    settings: SourceSettingsObject = Field(default_factory=dict)
    signing_secret: ChosenSecret = None
    api_access: CreatedAccess = None

    def draft(self) -> SourceDraft:
        """What the service takes."""
        return SourceDraft(
            name=self.name,
            kind=self.kind,
            strict=self.strict,
            settings=self.settings,
            signing_secret=self.signing_secret,
            api_access=self.api_access.keys() if self.api_access else None,
        )


@with_config(REQUEST_CONFIG)
class ChangeSource(TypedDict):
    """What to change about a source; what is absent stays."""

    strict: NotRequired[Strict]
    settings: NotRequired[SourceSettingsObject]
    signing_secret: NotRequired[NewSecret]
    api_access: NotRequired[ChangedAccess]


class RotateSource(RequestBody):
    """How to make new credentials."""

    signing_secret: ChosenSecret = None


class SourceAnswer(AnswerBody):
    """A source, without its credentials."""

    model_config = with_examples(_EXAMPLE)

    id: str
    name: str
    kind: str
    strict: bool
    settings: dict[str, Any]
    api_access: bool = Field(
        description="Whether the relay has keys to the REST API of the sender's network."
    )
    ingest_url: str = Field(description="Where the sender posts events; `/<event type>` follows.")
    created_at: datetime
    updated_at: datetime


class SourceWithCredentialsAnswer(SourceAnswer):
    """A source and its new credentials, which are shown this once."""

    model_config = with_examples(_EXAMPLE | _CREDENTIALS)

    token: str | None = Field(
        None,
        description="For senders that cannot sign: `?token=`, `Authorization: Bearer`, or the"
        " password of HTTP Basic. Absent when the kind takes none.",
    )
    signing_secret: str | None = Field(
        None,
        description="For senders that sign. Absent when the kind does not sign, or when the sender"
        " or its vendor chose it.",
    )

    @classmethod
    def of(cls, made: SourceWithCredentials) -> SourceWithCredentialsAnswer:
        """What is answered once."""
        shown = SourceAnswer.model_validate(made.source).model_dump()
        return cls(**shown, token=made.token, signing_secret=made.signing_secret)
