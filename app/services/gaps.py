"""What never arrived: the records of a platform, held against what its events told.

Pure: a record of the API, what the kept events of its customer say, and the span of time that is
looked at give the event that is missing, or None.
Only what cannot have arrived counts. A record that changed moments ago is left alone, since its
event may still be on its way; so is one from before the span, whose events may have been removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.connectors.lifecycle import Happening, happening
from app.domain.catalogue_rows import MEMBERSHIP_STATUSES
from app.domain.model import Event, Payment
from app.sources.ultimate_multisite_records import (
    Record,
    event_id,
    membership_of,
    payment_of,
    record_id,
    record_moment,
)

#: The part of an event's id that says who made it, and the value of its `relay-origin`.
ORIGIN = "reconcile"

_CREATED = ("date_created", "date_registered")
_CHANGED = ("date_modified", "date_created", "date_registered")
#: When a membership came into a status; the platform keeps a time of its own for some of them.
_STATUS_SINCE = {
    "active": ("date_activated",),
    "cancelled": ("date_cancellation",),
    "expired": ("date_expiration",),
    "on-hold": ("date_modified",),
}


@dataclass(frozen=True, slots=True)
class Span:
    """The records that are looked at: from `since` on, and settled at `until`.

    `read_at` is when they were read.
    """

    since: datetime
    until: datetime
    read_at: datetime

    def holds(self, moment: datetime | None) -> bool:
        """True for a time within it."""
        return moment is not None and moment >= self.since


@dataclass(frozen=True, slots=True)
class Heard:
    """The newest status of a membership that events told, when it happened and when it came."""

    status: str
    occurred_at: datetime
    received_at: datetime


@dataclass(slots=True)
class Told:
    """What the kept events of some customers say; `hear` takes them in the order they came."""

    customers: set[str] = field(default_factory=set)
    payments: set[str] = field(default_factory=set)
    sales: set[str] = field(default_factory=set)
    refunds: set[str] = field(default_factory=set)
    checkouts: set[str] = field(default_factory=set)
    memberships: dict[str, Heard] = field(default_factory=dict)

    def hear(self, event: Event) -> None:
        """Take one event in; a test tells nothing."""
        if event.test:
            return
        if event.customer is not None and event.customer.id is not None:
            self.customers.add(event.customer.id)
        if event.payment is not None and event.payment.id is not None:
            self._hear_payment(event, event.payment.id, event.payment)
        membership = event.membership
        if membership is None or membership.id is None:
            return
        if event.type == "checkout_completed":
            self.checkouts.add(_checkout(None, membership.id))
        heard = self.memberships.get(membership.id)
        if membership.status and (heard is None or heard.occurred_at <= event.occurred_at):
            self.memberships[membership.id] = Heard(
                membership.status, event.occurred_at, event.received_at
            )

    def _hear_payment(self, event: Event, payment_id: str, payment: Payment) -> None:
        self.payments.add(payment_id)
        told = happening(event.type)
        if told is Happening.SALE and payment.status == "completed":
            self.sales.add(payment_id)
        if told is Happening.REFUND:
            self.refunds.add(payment_id)
        if event.type == "checkout_completed":
            self.checkouts.add(_checkout(payment_id, None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """An event that never arrived; the ids say whose records it is made of."""

    type: str
    identifier: str
    occurred_at: datetime
    customer_id: str | None = None
    membership_id: str | None = None
    payment_id: str | None = None
    previous_status: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


def customer_gap(record: Record, told: Told, span: Span) -> Gap | None:
    """`customer_post_create` for a customer that no event names."""
    customer_id = record_id(record)
    created = record_moment(record, "date_registered", "date_created")
    if customer_id is None or customer_id in told.customers or created is None:
        return None
    if not span.holds(created) or created > span.until:
        return None
    return Gap(
        type="customer_post_create",
        identifier=event_id(ORIGIN, "customer", customer_id),
        occurred_at=created,
        customer_id=customer_id,
    )


def membership_gap(record: Record, told: Told, span: Span) -> Gap | None:
    """`membership_status_to_<status>` for a membership whose newest told status is another."""
    membership = membership_of(record)
    if membership.id is None or membership.status not in MEMBERSHIP_STATUSES:
        return None
    heard = told.memberships.get(membership.id)
    if heard is not None and (
        heard.status == membership.status or heard.received_at > span.read_at
    ):
        return None
    if not _settled(record, span):
        return None
    moment = _status_moment(record, membership.status, heard, span)
    if not span.holds(moment) or moment is None:
        return None
    stamp = moment.strftime("%Y%m%d%H%M%S")
    return Gap(
        type=f"membership_status_to_{membership.status}",
        identifier=event_id(ORIGIN, "membership", membership.id, membership.status, stamp),
        occurred_at=moment,
        customer_id=membership.customer_id,
        membership_id=membership.id,
        previous_status=None if heard is None else heard.status,
    )


def payment_gap(record: Record, told: Told, span: Span) -> Gap | None:
    """`payment_received` for money that no event told of, and the refund of a payment that one did.

    A payment that the relay heard of while it was pending happened when its record changed last;
    any other when it was made.
    """
    payment = payment_of(record)
    if payment.id is None or not _settled(record, span):
        return None
    known = payment.id in told.payments
    moment = _payment_moment(record, known=known, span=span)
    if moment is None or not span.holds(moment):
        return None
    if payment.status == "completed" and payment.total is not None and payment.total > 0:
        kind, missing = "payment_received", payment.id not in told.sales
    elif payment.status == "refunded":
        # What was never told as paid need not be told as paid back.
        kind, missing = "payment_status_to_refunded", payment.id in told.sales - told.refunds
    else:
        return None
    if not missing:
        return None
    return Gap(
        type=kind,
        identifier=event_id(ORIGIN, "payment", payment.id, payment.status),
        # The platform writes some times in the network's own zone: none may lie in the future.
        occurred_at=min(moment, span.read_at),
        customer_id=payment.customer_id,
        membership_id=payment.membership_id,
        payment_id=payment.id,
    )


def checkout_gap(record: Record, told: Told, span: Span) -> Gap | None:
    """`checkout_completed` for a row of the platform's own log of events."""
    payload = payload_of(record)
    payment_id = record_id(payload, "payment_id")
    membership_id = record_id(payload, "membership_id")
    moment = record_moment(record, "date_created")
    if record.get("slug") != "checkout_completed" or not (payment_id or membership_id):
        return None
    if moment is None or not span.holds(moment) or moment > span.until:
        return None
    if _checkout(payment_id, membership_id) in told.checkouts:
        return None
    details = {
        name: payload[name] for name in ("cart_type", "gateway", "is_free") if name in payload
    }
    return Gap(
        type="checkout_completed",
        identifier=event_id(ORIGIN, "checkout", _checkout(payment_id, membership_id)),
        occurred_at=moment,
        customer_id=record_id(payload, "customer_id"),
        membership_id=membership_id,
        payment_id=payment_id,
        details=details,
    )


def payload_of(record: Record) -> Record:
    """What a row of the platform's log carries; an empty object where that is none."""
    payload = record.get("payload")
    return payload if isinstance(payload, Mapping) else {}


def subjects_of(records: Iterable[Record], collection: str) -> list[str]:
    """Whose events tell of these records: the subjects, without the source's name."""
    found: dict[str, None] = {}
    for record in records:
        row = payload_of(record) if collection == "event" else record
        customer = record_id(row, "id" if collection == "customer" else "customer_id")
        membership = record_id(row, "id" if collection == "membership" else "membership_id")
        if customer is not None:
            found[f"customer/{customer}"] = None
        if membership is not None and collection != "customer":
            found[f"membership/{membership}"] = None
    return list(found)


#: By the name of the API's collection, in the order in which they are looked at.
FINDERS = {
    "customer": customer_gap,
    "membership": membership_gap,
    "payment": payment_gap,
    "event": checkout_gap,
}


def _checkout(payment_id: str | None, membership_id: str | None) -> str:
    return f"payment_{payment_id}" if payment_id else f"membership_{membership_id}"


def _settled(record: Record, span: Span) -> bool:
    changed = record_moment(record, *_CHANGED)
    return changed is None or changed <= span.until


def _status_moment(record: Record, status: str, heard: Heard | None, span: Span) -> datetime | None:
    """When the membership came into its status.

    After a status that was told it is a time later than that, so that the newer one counts; the
    platform writes some times in the network's own zone, hence none may lie in the future.
    """
    names = (*_STATUS_SINCE.get(status, ()), *(_CREATED if heard is None else _CHANGED))
    for name in names:
        moment = record_moment(record, name)
        if moment is None or moment > span.read_at:
            continue
        if heard is None or moment > heard.occurred_at:
            return moment
    return None if heard is None else span.read_at


def _payment_moment(record: Record, *, known: bool, span: Span) -> datetime | None:
    created = record_moment(record, *_CREATED)
    if known:
        return record_moment(record, *_CHANGED)
    return created if span.holds(created) else None
