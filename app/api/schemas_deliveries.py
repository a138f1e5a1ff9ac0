"""Deliveries as JSON: their attempts, and the requests within."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from app.api.schemas_common import AnswerBody, with_examples
from app.services.delivery_view import AttemptView, DeliveryStatus, DeliveryView

#: A delivery as it is shown in the documentation.
DELIVERY_EXAMPLE: dict[str, Any] = {
    "id": "dlv_01kr9x7m3c2e4g6j8k0n2q4s6t",
    "event_id": "evt_01kr9x7m2a1c3e5g7h9j1k3m5n",
    "event_type": "payment_received",
    "target_id": "tgt_01kr9x5t2b8w4f6s1p9z3g7e0k",
    "target": "billing",
    "status": "succeeded",
    "reason": None,
    "attempt_count": 1,
    "next_attempt_at": None,
    "external_id": None,
    "first_delivery_id": None,
    "replay_id": None,
    "created_at": "2026-11-23T19:09:31.204817Z",
    "finished_at": "2026-11-23T19:09:31.259120Z",
}
_EXCHANGE: dict[str, Any] = {
    "method": "POST",
    "url": "https://hooks.example.com/relay",
    "status": 204,
    "headers": {},
    "body_excerpt": None,
    "truncated": False,
    "error": None,
    "detail": None,
}
_ATTEMPT: dict[str, Any] = {
    "id": "att_01kr9x7mp5r7t9w1y3a5c7e9g1",
    "number": 1,
    "outcome": "delivered",
    "reason": "",
    "started_at": "2026-11-23T19:09:31.211402Z",
    "duration_ms": 47.718,
    "worker": "relay-1/4711",
    "exchanges": [_EXCHANGE],
}


class DeliveryAnswer(AnswerBody):
    """One event on its way to one target."""

    model_config = with_examples(DELIVERY_EXAMPLE)

    id: str
    event_id: str
    event_type: str | None = Field(description="Null when the event is no longer kept.")
    target_id: str
    target: str | None = Field(description="The target's name; null when it was removed.")
    status: DeliveryStatus = Field(
        description="`pending` waits, `held` waits until its target is active again, `in_flight`"
        " is being sent at this moment, `skipped` was not sent on purpose."
    )
    reason: str | None = Field(description="Why it has this status, in a sentence.")
    attempt_count: int = Field(description="Attempts that counted; throttled ones do not.")
    next_attempt_at: datetime | None = Field(
        description="Set while the delivery is pending, unless another one must be over first."
    )
    external_id: str | None = Field(description="The destination's id of what was sent.")
    first_delivery_id: str | None = Field(
        description="The delivery that had carried out the same effect, where this one was skipped"
        " for it."
    )
    replay_id: str | None = Field(description="The replay that made it.")
    created_at: datetime
    finished_at: datetime | None


class ExchangeAnswer(AnswerBody):
    """One request of an attempt, and what came back; secrets are masked."""

    method: str
    url: str
    status: int | None = Field(description="The HTTP status; null when no answer came back.")
    headers: dict[str, str] = Field(description="The telling header fields of the answer.")
    body_excerpt: str | None = Field(description="How the answer's body begins.")
    truncated: bool = Field(description="True when the body was longer than the excerpt.")
    error: str | None = Field(description="What went wrong when no answer came back.")
    detail: str | None = Field(
        description="The same in a sentence; of a question to the source's own API, what was found."
    )


class AttemptAnswer(AnswerBody):
    """One attempt to deliver."""

    model_config = with_examples(_ATTEMPT)

    id: str
    number: int
    outcome: str = Field(
        description="`delivered`, `dropped`, `skipped`, `retry`, `throttle`, `rejected`,"
        " `auth_failed`, `gone`; `lost` when the worker did not come back, `stale` when it came"
        " back too late."
    )
    reason: str
    started_at: datetime
    duration_ms: float
    worker: str
    exchanges: list[ExchangeAnswer]


class DeliveryWithAttemptsAnswer(DeliveryAnswer):
    """A delivery and the log of its attempts, oldest first."""

    model_config = with_examples({**DELIVERY_EXAMPLE, "attempts": [_ATTEMPT]})

    attempts: list[AttemptAnswer]

    @classmethod
    def of(
        cls, view: DeliveryView, attempts: tuple[AttemptView, ...]
    ) -> DeliveryWithAttemptsAnswer:
        """The delivery with its log."""
        return cls(
            **DeliveryAnswer.model_validate(view).model_dump(),
            attempts=[AttemptAnswer.model_validate(one) for one in attempts],
        )
