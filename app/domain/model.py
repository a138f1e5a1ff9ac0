"""The event and the people, memberships and payments it speaks of.

A source adapter derives these from the bytes that were received; a connector turns them into
requests.
Ids are strings, whatever the sender used: one platform sends `3` and `"3"` in the same body.
Amounts are decimals in major units (59.99 is 59 dollars 99), times are aware datetimes in UTC.
`None` means that the sender did not say, never that the value is empty.

The groups have no slots: the JSON writer takes a `__dict__` as it is, and asks for slots one by one,
which costs an event's groups 7 µs instead of 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.domain.record import record


@record(frozen=True, kw_only=True)
class Plan:
    """What a membership buys."""

    id: str | None = None
    slug: str | None = None
    name: str | None = None
    price: Decimal | None = None


@record(frozen=True, kw_only=True)
class Customer:
    """A person or firm that has an account on the platform."""

    id: str | None = None
    user_id: str | None = None
    email: str | None = None
    name: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    signup_date: datetime | None = None
    email_verification: str | None = None
    phone: str | None = None
    company: str | None = None
    country: str | None = None
    billing_address: str | None = None
    manage_url: str | None = None


@record(frozen=True, kw_only=True)
class Membership:
    """One subscription of one customer."""

    id: str | None = None
    status: str | None = None
    previous_status: str | None = None
    customer_id: str | None = None
    plan: Plan | None = None
    previous_plan: Plan | None = None
    amount: Decimal | None = None
    initial_amount: Decimal | None = None
    currency: str | None = None
    description: str | None = None
    gateway: str | None = None
    gateway_subscription_id: str | None = None
    created_at: datetime | None = None
    expires_at: datetime | None = None
    cancelled_at: datetime | None = None
    cancellation_reason: str | None = None
    auto_renew: bool | None = None
    times_billed: int | None = None
    reference_code: str | None = None
    manage_url: str | None = None


@record(frozen=True, kw_only=True)
class LineItem:
    """One line of a payment."""

    title: str
    quantity: int = 1
    unit_price: Decimal | None = None
    total: Decimal | None = None
    kind: str | None = None
    product_id: str | None = None


@record(frozen=True, kw_only=True)
class Payment:
    """One payment, finished or not."""

    id: str | None = None
    status: str | None = None
    previous_status: str | None = None
    customer_id: str | None = None
    membership_id: str | None = None
    total: Decimal | None = None
    subtotal: Decimal | None = None
    tax_total: Decimal | None = None
    refund_total: Decimal | None = None
    currency: str | None = None
    product_names: str | None = None
    line_items: tuple[LineItem, ...] = ()
    gateway: str | None = None
    gateway_payment_id: str | None = None
    created_at: datetime | None = None
    reference_code: str | None = None
    manage_url: str | None = None


@record(frozen=True, kw_only=True)
class Site:
    """A site that a customer owns."""

    id: str | None = None
    title: str | None = None
    description: str | None = None
    url: str | None = None
    admin_url: str | None = None


@record(frozen=True, kw_only=True)
class Domain:
    """A domain name mapped to a site."""

    id: str | None = None
    name: str | None = None
    site_id: str | None = None
    stage: str | None = None
    active: bool | None = None
    primary: bool | None = None
    secure: bool | None = None
    created_at: datetime | None = None


@record(frozen=True, slots=True, kw_only=True)
class Context:
    """Browser identifiers, present only where the visitor consented to the purpose they serve."""

    ga_client_id: str | None = None
    ga_session_id: str | None = None
    fbp: str | None = None
    fbc: str | None = None
    user_agent: str | None = None


@record(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a source adapter made of one request.

    `dedupe_id` is the sender's own id of the event, or None when the sender has none.
    `subject` names whom the event is about, unique within its source (`customer/2`).
    `data` is what stood in the body, before normalisation.
    """

    type: str
    data: Mapping[str, Any]
    dedupe_id: str | None = None
    occurred_at: datetime | None = None
    test: bool = False
    subject: str | None = None
    customer: Customer | None = None
    membership: Membership | None = None
    payment: Payment | None = None
    site: Site | None = None
    domain: Domain | None = None
    context: Context | None = None


@record(frozen=True, slots=True, kw_only=True)
class Event:
    """One event as the relay knows it.

    `subject` is unique over all sources (`my-network/customer/2`): deliveries to an ordered
    target run one after another for one subject, and remembered ids are kept by it.
    `trace` is the `traceparent` it came in with.
    """

    id: str
    type: str
    source: str
    occurred_at: datetime
    received_at: datetime
    test: bool
    subject: str | None
    data: Mapping[str, Any]
    customer: Customer | None = None
    membership: Membership | None = None
    payment: Payment | None = None
    site: Site | None = None
    domain: Domain | None = None
    context: Context | None = None
    hop: int = 0
    trace: str | None = None
    #: The types of what the destination was told that happened after this (app.domain.lateness).
    since: frozenset[str] = frozenset()


@record(frozen=True, slots=True, kw_only=True)
class RawRequest:
    """A request as it came in, before anybody trusted it.

    Header names are lower-case; values are latin-1 text, as HTTP hands them over.
    `repeated_headers` names the headers that came more than once (an ambiguity a signature
    check must refuse).
    `event_type` is the one in the path, None where the path has none.
    `kept_since` is when a request first came in that was kept and is read later, None for others.
    `settled` is True for a stored request that is read again: `event_type` is then what the event
    was taken for when it came in, and is not questioned any more.
    `trace` goes before the sender's `traceparent`: the relay's own span, where it is traced.
    """

    headers: Mapping[str, str]
    body: bytes
    received_at: datetime
    event_type: str | None = None
    kept_since: datetime | None = None
    settled: bool = False
    query: Mapping[str, str] = field(default_factory=dict)
    repeated_headers: frozenset[str] = frozenset()
    trace: str | None = None
