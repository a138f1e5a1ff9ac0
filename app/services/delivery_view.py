"""A delivery as the operator sees it: its status in one word, and the reason for it in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from app.domain.clock import from_micros
from app.store.deliveries import ACTIVE, AttemptRecord, DeliveryRecord


class DeliveryStatus(StrEnum):
    """The shown status of a delivery.

    `held` waits until its target is active again; `skipped` was not sent on purpose.
    """

    PENDING = "pending"
    IN_FLIGHT = "in_flight"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    HELD = "held"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryView:
    """One event on its way to one target.

    `target` is the target's name, None when it was removed; `event_type` is None when the event
    was removed.
    `next_attempt_at` is set while the delivery is pending, unless another one must be over first.
    `replay_id` is the replay that made it.
    """

    id: str
    event_id: str
    event_type: str | None
    target_id: str
    target: str | None
    status: DeliveryStatus
    reason: str | None
    attempt_count: int
    next_attempt_at: datetime | None
    external_id: str | None
    first_delivery_id: str | None
    replay_id: str | None = None
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptView:
    """One attempt, with the requests that were sent and what was answered (secrets masked)."""

    id: str
    number: int
    outcome: str
    reason: str
    started_at: datetime
    duration_ms: float
    worker: str
    exchanges: Sequence[dict[str, Any]]


def status_of(record: DeliveryRecord) -> DeliveryStatus:
    """The status to show: whether a pending delivery is held is its target's to say."""
    if record.status != DeliveryStatus.PENDING:
        return DeliveryStatus(record.status)
    if record.lease_until is not None:
        return DeliveryStatus.IN_FLIGHT
    return DeliveryStatus.PENDING if record.target_status == ACTIVE else DeliveryStatus.HELD


def view(record: DeliveryRecord) -> DeliveryView:
    """The delivery as the operator sees it."""
    status = status_of(record)
    pending = status is DeliveryStatus.PENDING
    return DeliveryView(
        id=record.id,
        event_id=record.event_id,
        event_type=record.event_type,
        target_id=record.target_id,
        target=record.target,
        status=status,
        reason=_reason(record, status),
        attempt_count=record.attempts,
        next_attempt_at=_next_attempt(record) if pending and not record.behind else None,
        external_id=record.external_id,
        first_delivery_id=record.first_delivery_id,
        replay_id=record.replay_id,
        created_at=from_micros(record.created_at),
        finished_at=None if record.finished_at is None else from_micros(record.finished_at),
    )


def _reason(record: DeliveryRecord, status: DeliveryStatus) -> str | None:
    if status is DeliveryStatus.HELD:
        return _why_held(record)
    if status is DeliveryStatus.PENDING and record.behind:
        return f"It waits for {record.behind}, which comes first for the same subject."
    return record.reason


def _why_held(record: DeliveryRecord) -> str:
    if record.target_status is None:
        return "The target was removed."
    why = f": {record.target_status_reason}" if record.target_status_reason else "."
    return f"The target is {record.target_status}{why}"


def _next_attempt(record: DeliveryRecord) -> datetime | None:
    if record.due_at is None:
        return None
    return from_micros(max(record.due_at, record.throttled_until or 0))


def attempt_view(record: AttemptRecord) -> AttemptView:
    """The attempt as the operator sees it."""
    return AttemptView(
        id=record.id,
        number=record.number,
        outcome=record.outcome,
        reason=record.reason,
        started_at=from_micros(record.started_at),
        duration_ms=record.duration_micros / 1000,
        worker=record.worker,
        exchanges=[_exchange(exchange) for exchange in record.exchanges],
    )


def _exchange(stored: dict[str, Any]) -> dict[str, Any]:
    """A stored exchange under the names the API shows; `error` is set when nothing came back."""
    return {
        "method": stored.get("method", ""),
        "url": stored.get("url", ""),
        "status": stored.get("status"),
        "headers": stored.get("headers", {}),
        "body_excerpt": stored.get("body"),
        "truncated": bool(stored.get("truncated")),
        "error": stored.get("error"),
        "detail": stored.get("detail"),
    }
