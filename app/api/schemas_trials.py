"""Previews and checks of targets as JSON."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from app.api.schemas_common import AnswerBody, RequestBody, with_examples

_REQUEST = {
    "method": "PATCH",
    "url": "https://api.hubapi.com/crm/v3/objects/contacts/ada%40example.com?idProperty=email",
    "headers": {"authorization": "Bearer ***", "content-type": "application/json"},
    "body": '{"properties":{"email":"ada@example.com","plan":"Pro"}}',
    "truncated": False,
    "assumed_status": 200,
}
_PREVIEW = {
    "event_id": None,
    "event_type": "payment_received",
    "source": "my-network",
    "subject": "my-network/customer/2",
    "skipped": None,
    "held": None,
    "mapping": {"origin": "target", "values": {"email": "ada@example.com", "plan": "Pro"}},
    "requests": [_REQUEST],
    "outcome": "delivered",
    "reason": "",
}
_CHECK = {
    "ok": True,
    "verdict": "The check went well.",
    "exchanges": [
        {
            "method": "GET",
            "url": "https://api.hubapi.com/crm/v3/objects/contacts?limit=1",
            "status": 200,
            "headers": {"content-type": "application/json"},
        }
    ],
}


class PreviewTargetRequest(RequestBody):
    """Which event to show the requests of: one of the two."""

    event_id: str | None = Field(
        default=None,
        description="A stored event.",
        examples=["evt_01kr9x7m2a1c3e5g7h9j1k3m5n"],
    )
    event_type: str | None = Field(
        default=None,
        description="A type of the catalogue, by its example.",
        examples=["payment_received"],
    )
    model_config = with_examples({"event_type": "payment_received"})


class PreviewedRequestAnswer(AnswerBody):
    """One request that would be sent, its secrets masked."""

    method: str
    url: str
    headers: dict[str, str] = Field(
        description="Values that are, or may be, credentials or signatures are `***`."
    )
    body: str
    truncated: bool = Field(description="True when the body is longer than what is shown.")
    assumed_status: int = Field(
        description="The status of the reply that was assumed so that the next request could be"
        " shown: what is written is taken, what is looked for is not there yet. The real reply"
        " decides what really follows."
    )


class PreviewedMappingAnswer(AnswerBody):
    """What a mapping makes of the event."""

    origin: Literal["target", "connector"] = Field(
        description="`target` for the operator's mapping, `connector` for the default one."
    )
    values: dict[str, Any]


class PreviewAnswer(AnswerBody):
    """What would be sent, and what not and why."""

    model_config = with_examples(_PREVIEW)

    event_id: str | None
    event_type: str
    source: str
    subject: str | None
    skipped: str | None = Field(description="Why nothing would be sent; null when something is.")
    held: str | None = Field(description="Why it would wait; null when it would not.")
    mapping: PreviewedMappingAnswer | None
    requests: list[PreviewedRequestAnswer]
    outcome: str | None = Field(
        description="How the delivery would end if the replies were as assumed."
    )
    reason: str


class CheckAnswer(AnswerBody):
    """Whether a target's settings work."""

    model_config = with_examples(_CHECK)

    ok: bool | None = Field(description="Null when nothing could be checked.")
    verdict: str = Field(description="What was found, in words.")
    exchanges: list[dict[str, Any]] = Field(
        description="What was asked and answered; of good answers the status alone."
    )
