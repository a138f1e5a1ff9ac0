"""A claimed delivery on its way to a connector: alone, or with others that share its request."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

import structlog

from app.connectors.base import Assignment
from app.domain.clock import from_micros
from app.domain.grant import Grant
from app.domain.model import Event
from app.domain.record import record
from app.services.configuration import BoundTarget
from app.services.events import DeferredEvent
from app.store.claim import ClaimedDelivery

_log = structlog.get_logger(__name__)
_DEDUPE_NAMESPACE = uuid.UUID("6f4bd3f4-7e5b-5e0e-9a57-6d2d1f6c5b11")


@record(frozen=True, slots=True)
class Task:
    """A claimed delivery with its target and event, ready to be sent as part of `trace`."""

    claimed: ClaimedDelivery
    target: BoundTarget
    event: Event
    effect: str | None = None
    trace: str | None = None


def assignment_of(task: Task, now: datetime, grant: Grant | None = None) -> Assignment:
    """What a connector is given to carry a task out."""
    claimed = task.claimed
    event = task.event
    return Assignment(
        event=event,
        body=claimed.body,
        content_type=claimed.content_type,
        message_id="msg" + (claimed.repeats_id or claimed.id)[3:],
        dedupe_id="" if task.target.connector.kind == "webhook" else _dedupe_id(claimed),
        attempt=claimed.attempts + 1,
        now=now,
        remembered_id=claimed.remembered_id,
        grant=grant,
        envelope=event.envelope() if isinstance(event, DeferredEvent) else None,
        trace=task.trace,
    )


def _dedupe_id(claimed: ClaimedDelivery) -> str:
    named = f"{claimed.event_id}:{claimed.target_id}:deliver"
    if is_forced(claimed):
        named += f":{claimed.id}"
    return str(uuid.uuid5(_DEDUPE_NAMESPACE, named))


def is_forced(claimed: ClaimedDelivery) -> bool:
    """Whether a replay is to be taken for something new: with ids of its own, effects included."""
    return claimed.repeats_id == claimed.id


def _batch_key(task: Task) -> str:
    try:
        assignment = assignment_of(task, from_micros(task.claimed.received_at))
        return task.target.connector.batch_key(assignment)
    except Exception:  # noqa: BLE001  what it is shows when it is sent, alone
        _log.exception("delivery.unbatched", delivery=task.claimed.id)
        return task.claimed.id


def grouped(tasks: Sequence[Task]) -> list[list[Task]]:
    """The tasks in groups, one for each request, in the order in which they were claimed."""
    groups: list[list[Task]] = []
    open_groups: dict[tuple[str, str], list[Task]] = {}
    for task in tasks:
        connector = task.target.connector
        size = connector.limits.batch_size
        if size == 1 or task.claimed.single:
            groups.append([task])
            continue
        key = (task.target.id, _batch_key(task))
        group = open_groups.get(key)
        if group is None or len(group) >= size:
            group = open_groups[key] = []
            groups.append(group)
        group.append(task)
    return groups


def unpaid(groups: Sequence[Sequence[Task]], paid: Mapping[str, int]) -> list[tuple[str, int]]:
    """The requests beyond those that were `paid` for: target, how many.

    What goes together is known only when the deliveries are.
    """
    requests = Counter(group[0].target.id for group in groups)
    return [(one, requests[one] - most) for one, most in paid.items() if requests[one] > most]
