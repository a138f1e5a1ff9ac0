"""What a batch of plans comes to: the first event of each dedupe key is stored, the rest are repeats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.domain.errors import Conflict, RelayError
from app.domain.record import record
from app.services.planning import Plan
from app.store import intake
from app.store.database import WriteConnection
from app.store.intake import Known, NewDelivery, NewEvent


@record(frozen=True, slots=True)
class Receipt:
    """What the sender is told: the event's id, and whether it was known already.

    Of a batch this is the first event, and `events` are all of them, the first included.
    """

    id: str
    type: str
    duplicate: bool
    events: tuple[Receipt, ...] = ()


@record(frozen=True, slots=True)
class Stored:
    """What a batch came to: the first event of each dedupe key, and the keys known before."""

    firsts: Mapping[tuple[str, bytes], NewEvent]
    known: Mapping[tuple[str, bytes], Known]
    queued: bool


def store_firsts(
    connection: WriteConnection, plans: Sequence[Plan | RelayError], version: int, now: int
) -> Stored | None:
    """Store the first plan of each dedupe key; None when the routes have moved."""
    firsts: dict[tuple[str, bytes], NewEvent] = {}
    events: list[NewEvent] = []
    deliveries: list[NewDelivery] = []
    for plan in plans:
        if isinstance(plan, RelayError):
            continue
        event = plan.event
        if event.dedupe_key is not None:
            first = firsts.setdefault((event.source_id, event.dedupe_key), event)
            if first is not event:
                continue
        events.append(event)
        deliveries += plan.deliveries
    if not events:
        return Stored({}, {}, queued=False)
    known = intake.store(connection, events, deliveries, version=version, now=now)
    if known is None:
        return None
    old = {firsts[key].id for key in known}
    queued = any(one.reason is None and one.event_id not in old for one in deliveries)
    return Stored(firsts, known, queued=queued)


def receipt_of(plan: Plan | RelayError, stored: Stored) -> Receipt | RelayError:
    """What the sender of a plan is told: new, a repeat, or a Conflict (same id, other content)."""
    if isinstance(plan, RelayError):
        return plan
    event = plan.event
    if event.dedupe_key is None:
        return Receipt(event.id, event.type, duplicate=False)
    key = (event.source_id, event.dedupe_key)
    earlier = stored.known.get(key)
    if earlier is None:
        first = stored.firsts[key]
        if first is event:
            return Receipt(event.id, event.type, duplicate=False)
        earlier = Known(first.id, first.fingerprint or b"")
    if earlier.fingerprint != event.fingerprint:
        return Conflict(
            f"The id {event.external_id!r} was used for {earlier.event_id} with another body;"
            " give the event an id of its own."
        )
    return Receipt(earlier.event_id, event.type, duplicate=True)
