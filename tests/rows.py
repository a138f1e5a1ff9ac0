"""Rows for store tests: the least that makes sense, with everything overridable."""

from __future__ import annotations

import hashlib
from typing import Any, cast

import sqlalchemy as sa

from app.domain.ids import new_id
from app.store import intake, tables, targets
from app.store.database import ReadConnection, WriteConnection
from app.store.intake import NewDelivery, NewEvent
from app.store.results import Ending
from app.store.targets import TargetRecord

NOW = 1_795_435_200_000_000
SECOND = 1_000_000


def ending(delivery_id: str, fence: int, **values: Any) -> Ending:
    """What became of a claim, without a line in the log; it waits where no `status` is given."""
    fields: Ending = {
        "delivery_id": delivery_id,
        "fence": fence,
        "status": None,
        "reason": "",
        "attempts": 1,
        "external_id": None,
        "first_delivery_id": None,
        "due_at": None,
        "single": False,
        "attempt_id": None,
        "number": 1,
        "outcome": "delivered",
        "started_at": NOW,
        "duration_micros": 0,
        "exchanges": "[]",
    }
    return fields | cast("Ending", values)


def target(connection: WriteConnection, target_id: str = "tgt_a", **values: Any) -> str:
    """A webhook target that is active."""
    record = {
        "id": target_id,
        "name": target_id.replace("_", "-"),
        "connector": "webhook",
        "settings": {"url": "https://hooks.example/"},
        "events": ["*"],
        "ordered": False,
        "max_in_flight": 100,
        "created_at": NOW,
        "updated_at": NOW,
    }
    targets.insert(connection, TargetRecord(**(record | values)))
    return target_id


def event(**values: Any) -> NewEvent:
    """An event that has come in now."""
    event_id = new_id("evt")
    digest = hashlib.sha256(event_id.encode()).digest()
    fields = {
        "id": event_id,
        "source_id": "src_a",
        "source": "shop",
        "kind": "ultimate_multisite",
        "type": "payment_received",
        "subject": "shop/customer/2",
        "test": False,
        "external_id": None,
        "hop": 0,
        "occurred_at": NOW,
        "received_at": NOW,
        "content_type": "application/json",
        "headers": None,
        "body": b'{"customer_id":"2"}',
        "dedupe_key": digest,
        "fingerprint": digest,
        "dedupe_expires_at": None,
    }
    return NewEvent(**(fields | values))


def delivery(
    connection: WriteConnection,
    target_id: str = "tgt_a",
    *,
    subject: str | None = None,
    created_at: int = NOW,
    of: NewEvent | None = None,
) -> str:
    """A queued delivery with an event of its own; answers its id."""
    carried = of or event()
    new = NewDelivery(new_id("dlv"), carried.id, target_id, subject, created_at)
    if of is None:
        intake.insert(connection, [carried], [new])
    else:
        intake.insert_deliveries(connection, [new])
    return new.id


def status(connection: ReadConnection, delivery_id: str) -> str:
    """The stored status of a delivery."""
    found: str = connection.execute(
        sa.select(tables.deliveries.c.status).where(tables.deliveries.c.id == delivery_id)
    ).scalar_one()
    return found


def queued(connection: ReadConnection, delivery_id: str) -> sa.Row[Any] | None:
    """The queue's row of a delivery."""
    return connection.execute(
        sa.select(tables.queue).where(tables.queue.c.delivery_id == delivery_id)
    ).one_or_none()
