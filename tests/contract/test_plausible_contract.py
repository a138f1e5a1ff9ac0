"""Plausible against its contract, and against a stand-in that counts visitors as it does."""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from hypothesis import given
from pydantic import ValidationError

from app.connectors.plausible import Plausible, PlausibleSettings
from app.domain.expressions import compile_mapping, variables_of
from app.domain.model import Context
from app.domain.outcome import OutcomeKind
from tests.contract.analytics import assignments, texts
from tests.contract.driving import LOST, UNREACHED, drive, over, play
from tests.contract.events import (
    ADA,
    NOW,
    PAID,
    PRO,
    any_event,
    assignment,
    bound,
    catalogue_events,
    event,
)
from tests.contract.loading import KINDS, Sample, request_errors, samples
from tests.fakes import loopback_client
from tests.fakes.plausible import FakePlausible

TAKEN = httpx.Response(202, text="ok")
CHECKOUT = event("checkout_completed", customer=ADA, membership=PRO, payment=PAID)
FAILED = catalogue_events()["failed"]
#: What is sent for each event of the catalogue; the rest is skipped.
SENT = {
    "sign-up": "Customer Created",
    "checkout": "Purchase",
    "payment": "Purchase",
    "manual payment": "Purchase",
    "renewal": "Payment Received",
    "refund": "Payment Refunded",
    "cancelled": "Subscription Cancelled",
    "expired": "Subscription Cancelled",
    "no customer": "Subscription Cancelled",
    "failed": "Payment Failed",
    "site": "Site Created",
    "domain": "Domain Created",
}


def plausible(mapping=None, **settings):
    return bound(Plausible, mapping, **{"domain": "shop.example.com", **settings})


def request(of, mapping=None, **settings):
    (sent,) = play(plausible(mapping, **settings).deliver(assignment(of)), TAKEN).requests
    assert request_errors("plausible", "event", json.loads(sent.content)) == []
    return sent


def document(of, mapping=None, **settings):
    return json.loads(request(of, mapping, **settings).content)


def test_a_purchase_is_sent_whole():
    assert document(CHECKOUT) == {
        "domain": "shop.example.com",
        "url": "https://shop.example.com/",
        "interactive": False,
        "name": "Purchase",
        "props": {"plan": "Pro", "membership_status": "active"},
        "revenue": {"currency": "USD", "amount": 59.99},
    }


@pytest.mark.parametrize("name", catalogue_events())
def test_every_event_is_sent_by_the_schema_or_skipped_with_a_reason(name):
    of = catalogue_events()[name]
    if name in SENT:
        assert document(of)["name"] == SENT[name]
        assert ("revenue" in document(of)) is (SENT[name] in {"Purchase", "Payment Received"})
    else:
        assert play(plausible().deliver(assignment(of))).outcome.kind is OutcomeKind.SKIPPED
        assert plausible().skip(of)


@pytest.mark.parametrize("name", SENT)
def test_the_default_mapping_says_which_properties_are_sent(name):
    of = catalogue_events()[name]
    said = compile_mapping(Plausible.default_mapping).evaluate(variables_of(of))
    assert document(of).get("props", {}).items() >= said.items()


@given(any_event())
def test_any_event_makes_a_valid_request_without_a_person_in_it_or_is_skipped(of):
    fresh = replace(of, occurred_at=NOW)
    if plausible().skip(fresh):
        assert play(plausible().deliver(assignment(fresh))).outcome.kind is OutcomeKind.SKIPPED
        return
    found = [text for text in texts(document(fresh)) if re.search(r"[^@\s]@[^@\s]", text)]
    assert found == []


@pytest.mark.parametrize("sample", samples("plausible"), ids=str)
def test_every_sample_reply_is_classified_as_the_contract_says(sample: Sample):
    reply = UNREACHED if sample.status is None else sample.response()
    outcome = play(plausible().deliver(assignment(CHECKOUT)), reply).outcome
    assert outcome.kind is KINDS[sample.outcome]


def test_what_may_have_arrived_is_not_sent_again_because_it_would_be_counted_twice():
    outcome = play(plausible().deliver(assignment(CHECKOUT)), LOST).outcome
    assert outcome.kind is OutcomeKind.DROPPED
    assert "may have arrived" in outcome.reason


@pytest.mark.parametrize(
    ("age", "settings", "sent"),
    [
        (timedelta(minutes=15), {}, True),
        (timedelta(minutes=15, seconds=1), {}, False),
        (timedelta(minutes=15, seconds=1), {"max_age_seconds": 3600}, True),
        (timedelta(seconds=61), {"max_age_seconds": 60}, False),
    ],
)
def test_an_event_that_is_no_longer_fresh_expires(age, settings, sent):
    flow = plausible(**settings).deliver(assignment(CHECKOUT, now=CHECKOUT.occurred_at + age))
    if sent:
        assert play(flow, TAKEN).outcome.kind is OutcomeKind.DELIVERED
    else:
        outcome = play(flow).outcome
        assert outcome.kind is OutcomeKind.SKIPPED
        assert outcome.reason.startswith("Expired:")


def test_every_customer_has_an_address_that_nobody_has():
    first, again = request(CHECKOUT), request(FAILED)
    other = request(replace(CHECKOUT, customer=replace(ADA, id="9")))
    addresses = [sent.headers["x-forwarded-for"] for sent in (first, again, other)]
    assert addresses[0] == addresses[1] != addresses[2]
    documentation = ipaddress.ip_network("2001:db8::/32")
    assert all(ipaddress.ip_address(address) in documentation for address in addresses)


@pytest.mark.parametrize(
    ("agent", "sent"),
    [
        ("Mozilla/5.0 (X11)", "Mozilla/5.0 (X11)"),
        (None, "Lifecycle-Relay"),
        ("a\r\nb", "Lifecycle-Relay"),
        ("é", "Lifecycle-Relay"),
        ("M" * 900, "M" * 500),
    ],
)
def test_the_browser_is_the_customers_where_it_is_known(agent, sent):
    of = replace(CHECKOUT, context=Context(user_agent=agent))
    assert request(of).headers["user-agent"] == sent


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, "https://shop.example.com/"),
        ({"url": "https://shop.example.com/checkout"}, "https://shop.example.com/checkout"),
    ],
)
def test_the_page_is_a_setting(settings, url):
    assert document(CHECKOUT, **settings)["url"] == url


def test_a_mapping_adds_properties_and_may_change_the_relays_own():
    mapping = {"plan": "'Team'", "total": "payment.total", "cart": "[1, 2]", "x": "null"}
    assert document(CHECKOUT, mapping)["props"] == {
        "plan": "Team",
        "total": 59.99,
        "cart": "[1,2]",
        "membership_status": "active",
    }


def test_no_more_properties_are_sent_than_are_taken():
    props = document(CHECKOUT, {f"p{number}": "1" for number in range(40)})["props"]
    assert len(props) == 30


def test_a_mapped_value_that_names_somebody_is_left_out_and_that_is_said():
    played = play(plausible({"who": "customer.email"}).deliver(assignment(CHECKOUT)), TAKEN)
    assert "who" not in played.documents[0]["props"]
    assert "names a person: who" in played.outcome.reason


@pytest.mark.parametrize("field", ["", "url", "x" * 300])
def test_a_mapping_to_what_is_no_property_is_named(field):
    assert Plausible.check_mapping([field, "coupon"]).keys() == {field}


@pytest.mark.parametrize("domain", ["", "https://shop.example.com", "a b", "a@b"])
def test_what_is_no_site_is_refused(domain):
    with pytest.raises(ValidationError):
        PlausibleSettings(domain=domain)


async def send(fake, *events, **settings):
    connector = plausible(base_url=fake.base_url, **settings)
    async with loopback_client(timeout=2) as client:
        return [await drive(connector.deliver(one), over(client)) for one in assignments(*events)]


async def test_everything_arrives_and_visitors_are_customers():
    other = replace(FAILED, customer=replace(ADA, id="9"))
    async with FakePlausible().serve() as fake:
        outcomes = await send(fake, CHECKOUT, FAILED, other)
    assert {outcome.kind for outcome in outcomes} == {OutcomeKind.DELIVERED}
    assert len({found["visitor"] for found in fake.events}) == 2


async def test_what_is_thrown_away_is_said():
    async with FakePlausible().serve() as fake:
        (outcome,) = await send(fake, CHECKOUT, domain="other.example.com")
    assert outcome.kind is OutcomeKind.DROPPED
    assert fake.events == []


async def test_a_lost_answer_makes_no_second_event():
    async with FakePlausible().serve() as fake:
        fake.stall_next()
        connector = plausible(base_url=fake.base_url)
        async with loopback_client(timeout=0.2) as client:
            outcome = await drive(connector.deliver(assignment(CHECKOUT)), over(client))
    assert outcome.kind is OutcomeKind.DROPPED
    assert len(fake.events) == 1
