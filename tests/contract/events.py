"""Events as the platform's sources make them, targets to send them to, and any event at all."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from app.connectors.base import Assignment, Connector, TargetBinding
from app.connectors.mapping import bind_mapping
from app.domain import strict_json
from app.domain.model import (
    Context,
    Customer,
    Domain,
    Event,
    LineItem,
    Membership,
    Payment,
    Plan,
    Site,
)
from tests.documents import documents

NOW = datetime(2026, 11, 23, 20, 0, tzinfo=UTC)
OCCURRED = NOW - timedelta(minutes=5)

ADA = Customer(
    id="2",
    user_id="3",
    email="ada@example.com",
    name="Ada Lovelace",
    first_name="Ada",
    last_name="Lovelace",
    signup_date=datetime(2026, 1, 5, 10, 0, tzinfo=UTC),
    phone="+1 555 0199 321",
    billing_address="1 Main St",
)
PRO = Membership(
    id="7",
    status="active",
    customer_id="2",
    plan=Plan(id="4", slug="pro", name="Pro", price=Decimal("49.00")),
    amount=Decimal("49.00"),
    currency="USD",
    expires_at=datetime(2026, 12, 23, 23, 59, 59, tzinfo=UTC),
    times_billed=1,
)
PAID = Payment(
    id="17",
    status="completed",
    customer_id="2",
    membership_id="7",
    total=Decimal("59.99"),
    tax_total=Decimal("9.58"),
    currency="USD",
    product_names="Pro, Setup Fee",
    line_items=(
        LineItem(title="Pro", unit_price=Decimal("49.99"), kind="product", product_id="4"),
        LineItem(title="Setup Fee", unit_price=Decimal("10.00"), kind="fee"),
    ),
)
BROWSER = Context(ga_client_id="1234567890.1767607200", ga_session_id="1767607000")


def event(event_type: str, **parts: Any) -> Event:
    """An event of this type about `parts`."""
    known = {
        "id": "evt_01kaxm3v5n0000000000000000",
        "type": event_type,
        "source": "shop",
        "occurred_at": OCCURRED,
        "received_at": OCCURRED,
        "test": False,
        "subject": "shop/customer/2",
        "data": {},
    }
    return Event(**{**known, **parts})


def catalogue_events() -> dict[str, Event]:
    """One event for each way the platform speaks of a customer: full, partial, and odd ones."""
    failed = replace(PRO, status="cancelled", plan=None)
    lost = replace(
        PRO, status="cancelled", cancelled_at=OCCURRED, cancellation_reason="too_expensive"
    )
    free = replace(PAID, total=Decimal(0), line_items=())
    return {
        "sign-up": event("customer_post_create", customer=ADA),
        "no plan yet": event("confirm_email_address", customer=replace(ADA, signup_date=None)),
        "checkout": event(
            "checkout_completed", customer=ADA, membership=PRO, payment=PAID, context=BROWSER
        ),
        "payment": event("payment_received", customer=ADA, membership=PRO, payment=PAID),
        "trial": event("payment_received", customer=ADA, membership=PRO, payment=free),
        "pending": event(
            "renewal_payment_created", customer=ADA, payment=replace(PAID, status="pending")
        ),
        "manual payment": event("payment_status_to_completed", customer=ADA, payment=PAID),
        "renewal": event("membership_renewed", customer=ADA, membership=PRO, payment=PAID),
        "refund": event(
            "payment_status_to_refunded",
            customer=ADA,
            payment=replace(PAID, status="refunded", refund_total=Decimal("59.99")),
        ),
        "cancelled": event("membership_status_to_cancelled", customer=ADA, membership=lost),
        "expired": event(
            "membership_expired", customer=ADA, membership=replace(PRO, status="expired")
        ),
        "failed": event("payment_failed", customer=ADA, membership=failed),
        "site": event(
            "site_published", customer=ADA, membership=PRO, site=Site(id="3", title="Shop")
        ),
        "domain": event("domain_created", customer=ADA, domain=Domain(id="1", name="a.example")),
        "deleted": event("customer_post_delete", customer=ADA),
        "no customer": event("membership_status_to_cancelled", membership=lost),
        "add-on": event("ticket.opened", customer=ADA),
    }


def assignment(of: Event, **changes: Any) -> Assignment:
    """One delivery of the event."""
    known = {
        "event": of,
        "body": strict_json.write(of.data),
        "content_type": "application/json",
        "message_id": "msg_01kaxm3v5n0000000000000000",
        "dedupe_id": "6f1c1c0e-3b43-5e2c-9d2f-6f8a7d3d2a10",
        "attempt": 1,
        "now": NOW,
    }
    return Assignment(**{**known, **changes})


def bound(
    connector: type[Connector[Any]],
    mapping: Mapping[str, str] | None = None,
    keys: tuple[bytes, ...] = (b"k" * 32,),
    **settings: Any,
) -> Any:
    """A connector bound to a target with these settings."""
    target = TargetBinding(
        id="tgt_01kaxm3v5n0000000000000000",
        name="test",
        settings=connector.Settings(**settings),
        mapping=bind_mapping(mapping),
        signing_keys=keys,
    )
    return connector(target)


_TEXTS = (
    st.none()
    | st.sampled_from(["", " ", "2", "Pro", "completed", "USD", "usd", "€"])
    | st.text(max_size=130)
)
# Hypothesis pays for each choice, and its own decimals, datetimes, emails and recursive values take
# five to ten of them: these reach as far with one or two, and a hundred events take half the time.
_AMOUNTS = (
    st.none()
    | st.just(Decimal("49.99"))
    | st.builds(
        lambda digits, places: Decimal(digits).scaleb(-places),
        st.integers(-(10**28), 10**28),
        st.integers(0, 28),
    )
)


def _moments(first: datetime, days: int) -> st.SearchStrategy[datetime]:
    return st.builds(
        lambda day, microseconds: first + timedelta(days=day, microseconds=microseconds),
        st.integers(0, days - 1),
        st.integers(0, 86_400_000_000 - 1),
    )


_TIMES = st.none() | _moments(datetime.min.replace(tzinfo=UTC), date.max.toordinal())
_JSON = documents(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    st.text(max_size=10),
    members=3,
)
_EMAILS = (
    st.none()
    | st.builds(
        "{}@{}.{}".format,
        st.text(
            string.ascii_letters + string.digits + "!#$%&'*+-/=^_`{|}~.", min_size=1, max_size=64
        ),
        st.text(string.ascii_letters + string.digits + "-.", min_size=1, max_size=60),
        st.sampled_from(["com", "example", "museum", "xn--p1ai"]),
    )
    | st.text(max_size=40)
    | st.sampled_from(["..", "a/b@c.d", "a?b#c@d.e", "é@ü.example"])
)
_IDS = st.none() | st.text(max_size=30) | st.sampled_from(["2", "a/b", "ada@example.com"])
_PLANS = st.none() | st.builds(Plan, id=_IDS, slug=_TEXTS, name=_TEXTS, price=_AMOUNTS)


def any_customer() -> st.SearchStrategy[Customer]:
    """Any customer a source could make out of anything."""
    return st.builds(
        Customer,
        id=_IDS,
        email=_EMAILS,
        name=_TEXTS,
        first_name=_TEXTS,
        last_name=_TEXTS,
        signup_date=_TIMES,
        phone=_TEXTS,
    )


def any_event() -> st.SearchStrategy[Event]:
    """Any event: every field missing, empty, odd or right."""
    membership = st.builds(
        Membership,
        id=_IDS,
        status=_TEXTS,
        customer_id=_IDS,
        plan=_PLANS,
        amount=_AMOUNTS,
        currency=_TEXTS,
        expires_at=_TIMES,
        cancellation_reason=_TEXTS,
        times_billed=st.none() | st.integers(0, 99),
    )
    line = st.builds(
        LineItem,
        title=st.text(max_size=130),
        quantity=st.integers(-(10**12), 10**12),
        unit_price=_AMOUNTS,
        total=_AMOUNTS,
        kind=_TEXTS,
        product_id=_IDS,
    )
    payment = st.builds(
        Payment,
        id=_IDS,
        status=_TEXTS | st.just("completed"),
        customer_id=_IDS,
        total=_AMOUNTS,
        tax_total=_AMOUNTS,
        refund_total=_AMOUNTS,
        currency=_TEXTS,
        product_names=_TEXTS,
        line_items=st.lists(line, max_size=3).map(tuple),
    )
    types = st.sampled_from(sorted({known.type for known in catalogue_events().values()}))
    return st.builds(
        Event,
        id=st.just("evt_01kaxm3v5n0000000000000000"),
        type=types | st.text(string.ascii_lowercase + "_", min_size=1, max_size=64),
        source=st.sampled_from(["shop", "my-network-2"]),
        occurred_at=_moments(NOW - timedelta(days=5), 6),
        received_at=st.just(NOW),
        test=st.just(False),
        subject=st.none() | st.just("shop/customer/2"),
        data=st.dictionaries(st.text(max_size=10), _JSON, max_size=4),
        customer=st.none() | any_customer(),
        membership=st.none() | membership,
        payment=st.none() | payment,
        context=st.none() | st.builds(Context, ga_client_id=_TEXTS, ga_session_id=_TEXTS),
    )
