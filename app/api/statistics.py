"""`/v1/stats`: how the relay is doing, in one look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from app.api.authentication import ReadAccess
from app.api.management_route import management_router
from app.api.schemas_common import AnswerBody, with_examples
from app.api.services import ServicesOf
from app.services.browse import Statistics
from app.services.delivery_view import DeliveryStatus

router = management_router("stats", "Statistics")

_COUNTS = {status.value: 0 for status in DeliveryStatus}
_EXAMPLE: dict[str, Any] = {
    "events": {
        "last_hour": {"total": 3, "by_type": {"payment_received": 2, "site_published": 1}},
        "last_day": {"total": 41, "by_type": {"payment_received": 30, "site_published": 11}},
    },
    "targets": [
        {
            "id": "tgt_01kr9x5t2b8w4f6s1p9z3g7e0k",
            "name": "billing",
            "status": "active",
            "deliveries": {**_COUNTS, "succeeded": 40, "pending": 1},
            "oldest_waiting_seconds": 4.2,
        }
    ],
    "oldest_waiting_seconds": 4.2,
    "quarantine_open": 0,
}


class EventCounts(AnswerBody):
    """Events of a span of time."""

    total: int
    by_type: dict[str, int]


class EventSpans(AnswerBody):
    """Events of the last hour and of the last 24 hours."""

    last_hour: EventCounts
    last_day: EventCounts


class TargetCounts(AnswerBody):
    """One target's deliveries by status: what waits, and what of the last 24 hours is over."""

    id: str
    name: str
    status: str
    deliveries: dict[DeliveryStatus, int]
    oldest_waiting_seconds: float | None


class StatisticsAnswer(AnswerBody):
    """How the relay is doing."""

    model_config = with_examples(_EXAMPLE)

    events: EventSpans
    targets: list[TargetCounts]
    oldest_waiting_seconds: float | None = Field(
        description="The age of the oldest delivery that waits for an active target."
    )
    quarantine_open: int


@router.get("", summary="How the relay is doing")
async def get_statistics(services: ServicesOf, _access: ReadAccess) -> StatisticsAnswer:
    """Events of the last hour and day by type, deliveries by target and status, what waits."""
    return _document(await services.browse.statistics())


def _document(found: Statistics) -> StatisticsAnswer:
    return StatisticsAnswer(
        events=EventSpans(
            last_hour=_counts(found.events_last_hour),
            last_day=_counts(found.events_last_day),
        ),
        targets=[
            TargetCounts(
                id=one.target_id,
                name=one.target,
                status=one.status,
                deliveries=dict(one.deliveries),
                oldest_waiting_seconds=one.oldest_waiting_seconds,
            )
            for one in found.targets
        ],
        oldest_waiting_seconds=found.oldest_waiting_seconds,
        quarantine_open=found.quarantine_open,
    )


def _counts(by_type: Mapping[str, int]) -> EventCounts:
    return EventCounts(total=sum(by_type.values()), by_type=dict(by_type))
