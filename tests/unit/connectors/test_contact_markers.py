"""Which tags and lists an event puts on a contact and takes off."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from pydantic import TypeAdapter, ValidationError

from app.connectors.contact_markers import MarkerChanges, MarkerId, Markers
from app.domain.model import Plan
from tests.contract.events import ADA, PAID, PRO, any_event, event

CANCELLED, FAILED, BASIC_PLAN, PRO_PLAN = 1, 2, 3, 4
MARKERS = Markers(CANCELLED, FAILED)
PLANS = Markers(plans={"basic": BASIC_PLAN, "Pro": PRO_PLAN})


@pytest.mark.parametrize(
    ("event_type", "add", "remove"),
    [
        ("membership_status_to_cancelled", (CANCELLED,), ()),
        ("membership_status_to_expired", (CANCELLED,), ()),
        ("membership_expired", (CANCELLED,), ()),
        ("payment_failed", (FAILED,), ()),
        ("payment_status_to_failed", (FAILED,), ()),
        ("payment_received", (), (FAILED, CANCELLED)),
        ("checkout_completed", (), (FAILED, CANCELLED)),
        ("membership_status_to_active", (), (CANCELLED,)),
        ("customer_post_update", (), ()),
    ],
)
def test_each_happening_changes_its_own_markers(event_type, add, remove):
    of = event(event_type, customer=ADA, membership=PRO, payment=PAID)
    assert MARKERS.changes(of) == MarkerChanges(add, remove)


@pytest.mark.parametrize(
    ("event_type", "since", "add", "remove"),
    [
        ("membership_status_to_cancelled", "membership_status_to_active", (), ()),
        ("membership_status_to_cancelled", "payment_received", (), ()),
        ("membership_status_to_cancelled", "payment_failed", (CANCELLED,), ()),
        ("payment_failed", "payment_received", (), ()),
        ("payment_failed", "membership_expired", (FAILED,), ()),
        ("payment_received", "payment_failed", (), (CANCELLED,)),
        ("payment_received", "membership_expired", (), (FAILED,)),
        ("membership_status_to_active", "membership_expired", (), ()),
    ],
)
def test_what_comes_late_leaves_the_markers_as_they_are_since(event_type, since, add, remove):
    of = event(event_type, customer=ADA, membership=PRO, payment=PAID)
    late = replace(of, since=frozenset({since}))
    assert MARKERS.changes(late) == MarkerChanges(add, remove)


@pytest.mark.parametrize(
    "payment", [replace(PAID, total=Decimal(0)), replace(PAID, status="pending"), None]
)
def test_only_a_completed_payment_takes_markers_off(payment):
    assert not MARKERS.changes(event("payment_received", customer=ADA, payment=payment))


@pytest.mark.parametrize(
    ("membership", "event_type", "add", "remove"),
    [
        (PRO, "membership_post_create", (PRO_PLAN,), ()),
        (replace(PRO, status="trialing"), "membership_post_create", (PRO_PLAN,), ()),
        (replace(PRO, status="pending"), "membership_post_create", (), ()),
        (replace(PRO, status="on-hold"), "membership_post_update", (), ()),
        (PRO, "membership_status_to_cancelled", (), (PRO_PLAN,)),
        (
            replace(PRO, previous_plan=Plan(slug="basic")),
            "membership_plan_changed",
            (PRO_PLAN,),
            (BASIC_PLAN,),
        ),
        (
            replace(PRO, previous_plan=Plan(name="Pro")),
            "membership_plan_changed",
            (PRO_PLAN,),
            (),
        ),
        (replace(PRO, plan=Plan(name="Gold")), "membership_post_create", (), ()),
        (replace(PRO, plan=None), "membership_status_to_cancelled", (), ()),
    ],
)
def test_the_marker_of_a_plan_follows_the_membership(membership, event_type, add, remove):
    assert PLANS.changes(event(event_type, membership=membership)) == MarkerChanges(add, remove)


def test_a_plan_is_known_by_slug_id_or_name_in_that_order():
    plan = Plan(id="4", slug="pro", name="Pro")
    of = event("x", membership=replace(PRO, plan=plan))
    assert Markers(plans={"Pro": 1, "4": 2, "pro": 3}).changes(of).add == (3,)
    assert Markers(plans={"Pro": 1, "4": 2}).changes(of).add == (2,)
    assert Markers(plans={"Pro": 1}).changes(of).add == (1,)


def test_one_marker_for_two_things_is_put_on_once():
    markers = Markers(cancelled=1, plans={"pro": 1})
    of = event("membership_status_to_cancelled", membership=PRO)
    assert markers.changes(of) == MarkerChanges((1,), ())


@given(any_event())
def test_no_marker_is_put_on_and_taken_off_at_once(of):
    markers = Markers("left", "failed", {"Pro": "left", "2": "two", "": "none"})
    changes = markers.changes(of)
    assert not set(changes.add) & set(changes.remove)
    assert not Markers().changes(of)


@pytest.mark.parametrize("number", [0, -1, 2**31, "x", 1.5])
def test_a_number_of_a_tag_is_a_positive_integer(number):
    with pytest.raises(ValidationError):
        TypeAdapter(MarkerId).validate_python(number)
