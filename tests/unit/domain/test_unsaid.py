"""What an event leaves unsaid, what is asked for it, and what an answer changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from app.domain.model import Customer, Event, Membership, Plan
from app.domain.unsaid import About, Question, filled, in_words, questions

SIGNED_UP = datetime(2026, 1, 5, 10, tzinfo=UTC)
PRO = Plan(id="5", slug="pro", name="Pro", price=Decimal(20))
WHO = Question(About.CUSTOMER, "2")
WHAT = Question(About.MEMBERSHIP, "7")
THEIRS = Question(About.THEIR_MEMBERSHIP, "2")
JANE = Customer(id="2", email="jane@customer.example")
HELD = Membership(id="7", customer_id="2", status="active")


def event(event_type: str = "payment_received", **parts: Any) -> Event:
    moment = datetime(2026, 11, 23, tzinfo=UTC)
    return Event(
        id="evt_1",
        type=event_type,
        source="shop",
        occurred_at=moment,
        received_at=moment,
        test=False,
        subject=None,
        data={},
        **parts,
    )


@pytest.mark.parametrize(
    ("told", "asked"),
    [
        (event(customer=JANE, membership=HELD), [WHO, WHAT]),
        (event(customer=replace(JANE, signup_date=SIGNED_UP), membership=HELD), [WHAT]),
        (event(customer=JANE, membership=replace(HELD, plan=PRO)), [WHO]),
        (event(customer=JANE, membership=replace(HELD, plan=Plan(id="5"))), [WHO, WHAT]),
        (event("invoice_sent", customer=JANE), [WHO, THEIRS]),
        (event("customer_post_create", customer=JANE), [WHO]),
        (event("customer_post_delete", customer=JANE), [WHO]),
        (event(customer=replace(JANE, id=None), membership=replace(HELD, id=None)), []),
        (event(customer=replace(JANE, id="cus_4/../5")), []),
        (event(), []),
    ],
)
def test_only_what_an_event_does_not_say_is_asked_for(told: Event, asked: list[Question]):
    assert [*questions(told, plan=True)] == asked


def test_without_an_interest_in_the_plan_only_the_signup_date_is_asked_for():
    assert [*questions(event(customer=JANE, membership=HELD), plan=False)] == [WHO]


def test_answers_stand_where_the_event_said_nothing():
    known = Customer(id="2", signup_date=SIGNED_UP, company="Acme", email="other@customer.example")
    answers = {WHO: known, WHAT: replace(HELD, plan=PRO, status="cancelled")}
    made = filled(event(customer=JANE, membership=HELD), answers)
    assert made.customer == replace(JANE, signup_date=SIGNED_UP)
    assert made.membership == replace(HELD, plan=PRO)


def test_what_the_sender_said_is_never_changed():
    told = event(
        customer=replace(JANE, signup_date=SIGNED_UP),
        membership=replace(HELD, plan=Plan(id="4", name="Basic")),
    )
    later = Customer(id="2", signup_date=datetime(2020, 1, 1, tzinfo=UTC))
    assert filled(told, {WHO: later, WHAT: replace(HELD, plan=PRO)}) == told


def test_a_plan_that_was_named_by_its_number_only_gets_its_name():
    told = event(customer=JANE, membership=replace(HELD, plan=Plan(id="5", price=Decimal(9))))
    made = filled(told, {WHAT: replace(HELD, plan=PRO)})
    assert made.membership is not None
    assert made.membership.plan == replace(PRO, price=Decimal(9))


def test_an_event_without_a_membership_gets_its_plan_and_no_status():
    made = filled(event("invoice_sent", customer=JANE), {THEIRS: replace(HELD, plan=PRO)})
    assert made.membership == Membership(id="7", customer_id="2", plan=PRO)


@pytest.mark.parametrize("answers", [{}, {WHO: None, WHAT: None}, {WHO: Customer(), WHAT: HELD}])
def test_nothing_that_was_found_changes_nothing(answers: dict[Question, Any]):
    told = event(customer=JANE, membership=HELD)
    assert filled(told, answers) == told


@pytest.mark.parametrize(
    ("question", "found", "sentence"),
    [
        (WHO, Customer(signup_date=SIGNED_UP), "The customer signed up on 2026-01-05."),
        (WHO, None, "There is no customer with this number."),
        (WHO, JANE, "The customer is there, but does not say what was asked for."),
        (WHAT, replace(HELD, plan=PRO), "The plan is 'Pro'."),
        (THEIRS, None, "The customer has no running membership, or several."),
    ],
)
def test_the_log_says_what_was_found(question: Question, found: Any, sentence: str):
    assert in_words(question, found) == sentence
