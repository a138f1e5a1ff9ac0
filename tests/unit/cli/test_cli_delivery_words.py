"""What became of a delivery, in words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.cli.deliveries import in_words
from app.services.delivery_view import DeliveryStatus, DeliveryView

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "attempts", "reason", "words"),
    [
        ("succeeded", 1, None, "it arrived"),
        ("succeeded", 1, "The contact was created.", "The contact was created"),
        ("in_flight", 0, None, "it is being sent at this moment"),
        ("pending", 0, None, "it waits to be sent"),
        ("pending", 0, "Answered 429.", "it waits to be sent: Answered 429"),
        ("pending", 2, None, "it is tried again at 2026-11-23T12:00:00Z"),
        ("pending", 2, "Answered 503.", "it is tried again at 2026-11-23T12:00:00Z: Answered 503"),
        ("held", 0, "The target is paused.", "The target is paused"),
        ("skipped", 0, "It is a test.", "It is a test"),
        ("failed", 10, None, "failed"),
        ("cancelled", 0, "Cancelled by an operator.", "Cancelled by an operator"),
    ],
)
def test_each_status_reads_as_a_clause(status, attempts, reason, words):
    assert in_words(shown(status, attempts, reason, NOW)) == words


def test_a_delivery_that_waits_for_another_says_for_which():
    waiting = shown("pending", 0, "It waits for dlv_0, which comes first.", None)
    assert in_words(waiting) == "it waits for dlv_0, which comes first"


def shown(status: str, attempts: int, reason: str | None, again: datetime | None) -> DeliveryView:
    return DeliveryView(
        id="dlv_1",
        event_id="evt_1",
        event_type="payment_received",
        target_id="tgt_1",
        target="crm",
        status=DeliveryStatus(status),
        reason=reason,
        attempt_count=attempts,
        next_attempt_at=again,
        external_id=None,
        first_delivery_id=None,
        created_at=NOW,
        finished_at=None,
    )
