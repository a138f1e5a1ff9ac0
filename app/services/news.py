"""The relay's own news, as ordinary events: `relay.delivery_failed`, `relay.contact_linked` and the like."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.domain import strict_json
from app.domain.clock import from_micros, to_micros
from app.domain.ids import new_id
from app.domain.model import Event
from app.services.configuration import Configuration
from app.services.planning import Plan
from app.services.routing_events import plan_deliveries
from app.store.intake import NewEvent

SOURCE_ID = "src_relay"
SOURCE = "relay"
KIND = "relay"


def news(
    configuration: Configuration,
    *,
    event_type: str,
    now: int,
    data: Mapping[str, Any],
    about: Event | None = None,
) -> Plan:
    """One event of the relay's own, about another event where there is one.

    It is routed as if it came from the source of the event it is about.
    """
    moment = from_micros(now)
    test = about is not None and about.test
    if about is not None:
        # The body is the truth: what is not in it is gone when the event is read again.
        data = {**data, "source": about.source, "subject": about.subject, **_customer(about)}
    body = strict_json.write(
        {"type": event_type, "timestamp": _rfc3339(moment), "test": test, "data": data}
    )
    event = Event(
        id=new_id("evt"),
        type=event_type,
        source=about.source if about else SOURCE,
        occurred_at=moment,
        received_at=moment,
        test=test,
        subject=about.subject if about else None,
        data=data,
        customer=about.customer if about else None,
    )
    new = NewEvent(
        id=event.id,
        source_id=SOURCE_ID,
        source=event.source,
        kind=KIND,
        type=event_type,
        subject=event.subject,
        test=event.test,
        external_id=None,
        hop=0,
        occurred_at=to_micros(moment),
        received_at=to_micros(moment),
        content_type="application/json",
        headers=None,
        body=body,
    )
    return Plan(new, plan_deliveries(configuration, event))


def _customer(about: Event) -> dict[str, Any]:
    customer = about.customer
    if customer is None:
        return {}
    return {"customer": {"id": customer.id, "email": customer.email, "name": customer.name}}


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def delivery_failed(
    configuration: Configuration,
    *,
    now: int,
    delivery_id: str,
    target: str,
    reason: str,
    about: Event,
) -> Plan:
    """A delivery has failed for good."""
    data = {
        "delivery_id": delivery_id,
        "event_id": about.id,
        "event_type": about.type,
        "target": target,
        "reason": reason,
    }
    return news(configuration, event_type="relay.delivery_failed", now=now, data=data, about=about)


def contact_linked(
    configuration: Configuration,
    *,
    now: int,
    target: str,
    connector: str,
    external_id: str,
    about: Event,
) -> Plan:
    """A destination's id is now known for the event's subject."""
    data = {"external_id": external_id, "target": target, "connector": connector}
    return news(configuration, event_type="relay.contact_linked", now=now, data=data, about=about)


def target_disabled(
    configuration: Configuration, *, now: int, target_id: str, target: str, reason: str
) -> Plan:
    """A target was switched off by the relay."""
    data = {"target_id": target_id, "target": target, "reason": reason}
    return news(configuration, event_type="relay.target_disabled", now=now, data=data)
