"""What never arrived: a record, what events told of it, and the event that is missing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.catalogue_rows import MEMBERSHIP_STATUSES, PAYMENT_STATUSES
from app.domain.model import Customer, Event, Membership, Payment
from app.services.gaps import FINDERS, Gap, Span, Told, payload_of, subjects_of

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SPAN = Span(NOW - timedelta(days=7), NOW - timedelta(minutes=15), NOW)


def written(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"


def ago(hours: float) -> str:
    return f"{NOW - timedelta(hours=hours):%Y-%m-%d %H:%M:%S}"


def told_by(event_type: str, hours: float = 24, **parts: Any) -> Event:
    """An event that happened, and came, so many hours ago."""
    moment = NOW - timedelta(hours=hours)
    return Event(
        id="evt_1",
        type=event_type,
        source="shop",
        occurred_at=moment,
        received_at=moment,
        test=False,
        subject="shop/customer/5",
        data={},
        **parts,
    )


def heard(*events: Event) -> Told:
    told = Told()
    for event in events:
        told.hear(event)
    return told


def event_of(gap: Gap, record: dict[str, Any]) -> Event:
    """The event that fills a gap, as the relay stores it at once."""
    status = record.get("status")
    payment = gap.payment_id and Payment(
        id=gap.payment_id, status=None if gap.type == "checkout_completed" else status
    )
    membership = gap.membership_id and Membership(
        id=gap.membership_id, status=status if gap.type.startswith("membership_") else None
    )
    return replace(
        told_by(gap.type),
        occurred_at=gap.occurred_at,
        received_at=NOW,
        customer=Customer(id=gap.customer_id) if gap.customer_id else None,
        membership=membership or None,
        payment=payment or None,
    )


CUSTOMER = {"id": "5", "user_id": "6", "date_registered": ago(24), "date_created": ""}
MEMBERSHIP = {"id": 7, "customer_id": "5", "status": "active", "date_created": ago(24)}
PAYMENT = {
    "id": "9",
    "customer_id": 5,
    "membership_id": "7",
    "status": "completed",
    "total": "20.0000",
    "date_created": ago(24),
}
CHECKOUT = {
    "id": "3",
    "slug": "checkout_completed",
    "date_created": ago(24),
    "payload": {"customer_id": 5, "membership_id": "7", "payment_id": 9, "cart_type": "new"},
}
RECORDS = {
    "customer": CUSTOMER,
    "membership": MEMBERSHIP,
    "payment": PAYMENT,
    "event": CHECKOUT,
}


@pytest.mark.parametrize(
    ("collection", "event_type", "identifier"),
    [
        ("customer", "customer_post_create", "reconcile-customer-5"),
        (
            "membership",
            "membership_status_to_active",
            "reconcile-membership-7-active-20261122120000",
        ),
        ("payment", "payment_received", "reconcile-payment-9-completed"),
        ("event", "checkout_completed", "reconcile-checkout-payment_9"),
    ],
)
def test_what_nobody_told_of_is_missing(collection: str, event_type: str, identifier: str) -> None:
    gap = FINDERS[collection](RECORDS[collection], Told(), SPAN)
    assert gap is not None
    assert (gap.type, gap.identifier) == (event_type, identifier)
    assert gap.occurred_at == NOW - timedelta(hours=24)
    assert gap.customer_id == "5"


MEMBER = Membership(id="7", status="active")
PAID = Payment(id="9", status="completed")


@pytest.mark.parametrize(
    ("collection", "event"),
    [
        ("customer", told_by("confirm_email_address", customer=Customer(id="5"))),
        ("membership", told_by("payment_received", membership=MEMBER)),
        ("payment", told_by("payment_received", payment=PAID)),
        ("payment", told_by("checkout_completed", payment=PAID)),
        ("payment", told_by("payment_status_to_completed", payment=PAID)),
        ("payment", told_by("membership_renewed", payment=PAID)),
        ("event", told_by("checkout_completed", payment=PAID)),
    ],
)
def test_what_an_event_told_is_not_missing(collection: str, event: Event) -> None:
    assert FINDERS[collection](RECORDS[collection], heard(event), SPAN) is None


@pytest.mark.parametrize(
    ("collection", "event"),
    [
        ("customer", told_by("payment_received", customer=Customer(id="6"))),
        ("membership", told_by("x", membership=Membership(id="7", status="pending"))),
        ("membership", told_by("x", membership=Membership(id="8", status="active"))),
        ("payment", told_by("payment_received", payment=Payment(id="9", status="pending"))),
        ("payment", told_by("payment_post_create", payment=PAID)),
        ("payment", told_by("payment_received", payment=Payment(id="8", status="completed"))),
        ("event", told_by("payment_received", payment=PAID)),
    ],
)
def test_what_another_event_told_is_still_missing(collection: str, event: Event) -> None:
    assert FINDERS[collection](RECORDS[collection], heard(event), SPAN) is not None


def test_a_test_button_tells_nothing() -> None:
    event = replace(told_by("payment_received", customer=Customer(id="5")), test=True)
    assert FINDERS["customer"](CUSTOMER, heard(event), SPAN) is not None


@pytest.mark.parametrize(
    ("collection", "changes"),
    [
        ("customer", {"date_registered": ago(24 * 8)}),
        ("customer", {"date_registered": ago(0.1)}),
        ("customer", {"date_registered": None}),
        ("customer", {"id": 0}),
        ("membership", {"date_created": ago(24 * 8)}),
        ("membership", {"date_modified": ago(0.1)}),
        ("membership", {"status": "imagined"}),
        ("membership", {"status": None}),
        ("payment", {"date_created": ago(24 * 8), "date_modified": ago(3)}),
        ("payment", {"date_modified": ago(0.1)}),
        ("payment", {"total": "0.0000"}),
        ("payment", {"total": "$ 20.00"}),
        ("payment", {"status": "pending"}),
        ("payment", {"status": "refunded"}),
        ("event", {"slug": "checkout_started"}),
        ("event", {"payload": []}),
        ("event", {"date_created": ago(24 * 8)}),
    ],
)
def test_what_is_old_or_unsettled_or_no_event_is_left_alone(
    collection: str, changes: dict[str, Any]
) -> None:
    assert FINDERS[collection]({**RECORDS[collection], **changes}, Told(), SPAN) is None


@pytest.mark.parametrize(
    ("status", "dates", "moment"),
    [
        ("cancelled", {"date_cancellation": ago(5)}, ago(5)),
        ("active", {"date_activated": ago(6)}, ago(6)),
        ("expired", {"date_expiration": ago(7)}, ago(7)),
        ("on-hold", {"date_modified": ago(8)}, ago(8)),
        ("trialing", {"date_modified": ago(8)}, ago(24)),
        # By the network's own clock on the wall it lies in the future.
        ("cancelled", {"date_cancellation": ago(-5)}, ago(24)),
    ],
)
def test_a_status_has_the_time_that_the_platform_keeps_for_it(
    status: str, dates: dict[str, str], moment: str
) -> None:
    gap = FINDERS["membership"]({**MEMBERSHIP, "status": status, **dates}, Told(), SPAN)
    assert gap is not None
    assert written(gap.occurred_at) == moment


def test_an_event_that_came_while_the_record_was_read_is_newer_than_it() -> None:
    event = replace(
        told_by("x", membership=Membership(id="7", status="cancelled")),
        received_at=NOW + timedelta(seconds=1),
    )
    assert FINDERS["membership"](MEMBERSHIP, heard(event), SPAN) is None


def test_the_status_that_happened_last_counts_not_the_one_that_came_last() -> None:
    newer = told_by("x", 2, membership=MEMBER)
    older = told_by("x", 3, membership=Membership(id="7", status="pending"))
    assert FINDERS["membership"](MEMBERSHIP, heard(newer, older), SPAN) is None


def test_the_status_before_is_told_where_it_is_known() -> None:
    event = told_by("x", membership=Membership(id="7", status="trialing"))
    gap = FINDERS["membership"](MEMBERSHIP, heard(event), SPAN)
    assert gap is not None
    assert gap.previous_status == "trialing"


def test_a_free_checkout_is_known_by_its_membership() -> None:
    record = {**CHECKOUT, "payload": {**payload_of(CHECKOUT), "payment_id": 0}}
    gap = FINDERS["event"](record, Told(), SPAN)
    assert gap is not None
    assert (gap.identifier, gap.payment_id) == ("reconcile-checkout-membership_7", None)
    assert gap.details == {"cart_type": "new"}


@pytest.mark.parametrize(
    ("collection", "subjects"),
    [
        ("customer", ["customer/5"]),
        ("membership", ["customer/5", "membership/7"]),
        ("payment", ["customer/5", "membership/7"]),
        ("event", ["customer/5", "membership/7"]),
    ],
)
def test_the_subjects_of_records_are_those_whose_events_tell_of_them(
    collection: str, subjects: list[str]
) -> None:
    assert subjects_of([RECORDS[collection]] * 2, collection) == subjects


MOMENTS = st.none() | st.datetimes(datetime(2026, 11, 10), datetime(2026, 11, 25)).map(written)  # noqa: DTZ001  the platform's times have no zone
DATES = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        [
            "date_created",
            "date_registered",
            "date_modified",
            "date_activated",
            "date_cancellation",
            "date_expiration",
        ],
        MOMENTS,
    ),
)
EVENTS = st.lists(
    st.builds(
        told_by,
        st.sampled_from(["payment_received", "payment_post_create", "membership_post_update"]),
        st.floats(0.5, 300),
        membership=st.builds(
            Membership, id=st.just("7"), status=st.sampled_from(MEMBERSHIP_STATUSES)
        ),
        payment=st.none()
        | st.builds(Payment, id=st.just("9"), status=st.sampled_from(PAYMENT_STATUSES)),
    ),
    max_size=4,
)


@pytest.mark.parametrize("collection", FINDERS)
@given(
    dates=DATES,
    status=st.sampled_from([*MEMBERSHIP_STATUSES, *PAYMENT_STATUSES]),
    events=EVENTS,
)
def test_what_was_brought_in_is_not_missing_any_more(
    collection: str, dates: dict[str, Any], status: str, events: list[Event]
) -> None:
    record = {**RECORDS[collection], **dates}
    if collection in {"membership", "payment"}:
        record["status"] = status
    told = heard(*events)
    gap = FINDERS[collection](record, told, SPAN)
    if gap is None:
        return
    assert SPAN.since <= gap.occurred_at <= SPAN.read_at
    told.hear(event_of(gap, record))
    later = replace(SPAN, read_at=NOW + timedelta(seconds=1))
    assert FINDERS[collection](record, told, later) is None
