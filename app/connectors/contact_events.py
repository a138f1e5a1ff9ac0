"""What happened, as an event in the history of a CRM's contact.

CRMs know no dedupe id for such events: a repeat shows as a second one, and may start an automation
twice.
So they are called by the platform's own event types (a first payment is announced by several, and
each is its own event), and a request that may have arrived is not repeated.
"""

from __future__ import annotations

import re
from collections.abc import Generator

import httpx

from app.connectors.lifecycle import (
    Happening,
    Money,
    happening,
    paid,
    paid_back,
    recurring,
)
from app.domain.model import Event
from app.domain.outcome import TransportFailure

#: Said on the delivery when an event may have arrived and is not sent again.
MAYBE_SENT = "The contact was written; its event may have arrived, and is not sent a second time."

_OTHER = re.compile(r"[^A-Za-z0-9_]")


def event_name(event: Event, longest: int) -> str | None:
    """The event's type in letters, digits and underscores; None when it tells nothing to a CRM."""
    if happening(event.type) is None:
        return None
    return _OTHER.sub("_", event.type)[:longest]


def event_details(event: Event) -> dict[str, str]:
    """What the event says besides, as texts; `event_id` tells repeats from one another."""
    membership = event.membership
    plan = membership.plan if membership else None
    details = {
        "event_id": event.id,
        "plan": plan.name if plan else None,
        "membership_status": membership.status if membership else None,
        "payment_id": event.payment.id if event.payment else None,
    }
    amount = amount_of(event)
    if amount is not None:
        details |= {"value": f"{amount.amount:f}", "currency": amount.currency}
    return {name: value for name, value in details.items() if value}


def amount_of(event: Event) -> Money | None:
    """What was paid, paid back, or is lost each period; None where that is not known."""
    told = happening(event.type)
    if told is Happening.REFUND:
        return paid_back(event)
    if told is Happening.CHURN:
        return recurring(event)
    return paid(event) if told in {Happening.SALE, Happening.PAYMENT_FAILURE} else None


def sent_once(
    request: httpx.Request,
) -> Generator[httpx.Request, httpx.Response, httpx.Response | None]:
    """Send what must not be sent twice; None when it may have arrived and no answer came.

    Raises:
        TransportFailure: the request certainly did not arrive, so that it may be repeated.
    """
    try:
        return (yield request)
    except TransportFailure as failure:
        if not failure.may_have_arrived:
            raise
        return None
