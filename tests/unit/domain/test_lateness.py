"""What an event that comes late still says, and what newer events have settled."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from app.domain.lateness import up_to_date
from app.domain.model import Customer, Event, Membership, Plan

ADA = Customer(id="2", email="ada@old.example", first_name="Ada", country="GB")
BASIC = Membership(id="9", status="active", plan=Plan(name="Basic"), times_billed=1)


def told(kind: str, hour: int, **parts: object) -> Event:
    moment = datetime(2026, 11, 23, hour, tzinfo=UTC)
    return Event(
        id=f"evt_{hour}",
        type=kind,
        source="shop",
        occurred_at=moment,
        received_at=moment,
        test=False,
        subject="shop/customer/2",
        data={},
        **parts,  # type: ignore[arg-type]  # the parts of an event
    )


LATE = told("membership_plan_changed", 1, customer=ADA, membership=BASIC)
MOVED = told("customer_post_update", 2, customer=Customer(id="2", email="ada@new.example"))
GREW = told("membership_plan_changed", 3, membership=replace(BASIC, plan=Plan(name="Pro")))
LEFT = told("membership_status_to_cancelled", 4, membership=Membership(id="9", status="cancelled"))


def test_the_plan_status_and_address_are_those_of_today():
    event = up_to_date(LATE, [LEFT, GREW, MOVED])
    assert event.customer == replace(ADA, email="ada@new.example")
    assert event.membership == replace(BASIC, status="cancelled", plan=Plan(name="Pro"))


def test_of_two_newer_events_the_newest_decides():
    largest = replace(GREW, membership=replace(BASIC, plan=Plan(name="Premium")))
    membership = up_to_date(LATE, [largest, GREW]).membership
    assert membership is not None
    assert membership.plan == Plan(name="Premium")


def test_what_happened_stays_what_happened():
    event = up_to_date(LATE, [LEFT, MOVED])
    assert (event.id, event.type, event.occurred_at) == (LATE.id, LATE.type, LATE.occurred_at)
    assert event.since == {"membership_status_to_cancelled", "customer_post_update"}


def test_what_an_event_never_told_is_not_added():
    event = up_to_date(replace(LATE, customer=None, membership=None), [LEFT, GREW, MOVED])
    assert (event.customer, event.membership) == (None, None)


@pytest.mark.parametrize(("status", "plan"), [("active", "Pro"), ("cancelled", "Basic")])
def test_a_lost_membership_is_not_made_to_look_like_another_one(status: str, plan: str):
    other = replace(GREW, membership=Membership(id="10", status="active", plan=Plan(name="Pro")))
    late = replace(LATE, membership=replace(BASIC, status=status))
    membership = up_to_date(late, [other]).membership
    assert membership is not None
    assert (membership.id, membership.plan) == ("9", Plan(name=plan))
