"""Events in the history of a contact: their names, what they say, and that they go out once."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal

import httpx
import pytest
from hypothesis import given

from app.connectors.contact_events import amount_of, event_details, event_name, sent_once
from app.connectors.lifecycle import Happening, Money, types_of
from tests.contract.driving import LOST, UNREACHED, play
from tests.contract.events import ADA, PAID, PRO, any_event, event

REQUEST = httpx.Request("POST", "https://crm.example/events")


@pytest.mark.parametrize("event_type", types_of(*Happening))
def test_what_happened_is_called_by_its_type(event_type):
    assert event_name(event(event_type), 30) == event_type


@pytest.mark.parametrize("event_type", ["site_published", "customer_post_update", "relay.x"])
def test_what_tells_a_crm_nothing_has_no_name(event_type):
    assert event_name(event(event_type), 30) is None


@given(any_event())
def test_a_name_is_short_and_plain(of):
    name = event_name(of, 20)
    assert name is None or re.fullmatch(r"[A-Za-z0-9_]{2,20}", name)


@pytest.mark.parametrize(
    ("of", "amount"),
    [
        (event("payment_received", payment=PAID), Money(Decimal("59.99"), "USD")),
        (
            event("payment_status_to_refunded", payment=replace(PAID, refund_total=Decimal(-5))),
            Money(Decimal(5), "USD"),
        ),
        (event("membership_expired", membership=PRO), Money(Decimal("49.00"), "USD")),
        (event("payment_failed"), None),
        (event("customer_post_create", customer=ADA, payment=PAID), None),
    ],
)
def test_the_amount_is_what_was_paid_paid_back_or_lost(of, amount):
    assert amount_of(of) == amount


def test_details_are_texts_without_empty_ones():
    of = event("payment_received", customer=ADA, membership=PRO, payment=PAID)
    assert event_details(of) == {
        "event_id": of.id,
        "plan": "Pro",
        "membership_status": "active",
        "payment_id": "17",
        "value": "59.99",
        "currency": "USD",
    }
    assert event_details(event("payment_failed")) == {"event_id": of.id}


def test_an_answer_is_handed_on():
    answer = httpx.Response(204)
    assert play(sent_once(REQUEST), answer).outcome is answer


def test_what_may_have_arrived_is_not_sent_again():
    assert play(sent_once(REQUEST), LOST).outcome is None


def test_what_did_not_arrive_may_be_sent_again():
    assert play(sent_once(REQUEST), UNREACHED).outcome.kind == "retry"
