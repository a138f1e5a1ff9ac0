"""Matomo against its contract, and against a stand-in that knows orders by their id and no events."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qsl

import httpx
import pytest
from hypothesis import given
from pydantic import ValidationError

from app.connectors.matomo import Matomo, MatomoSettings
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
from tests.fakes.matomo import TOKEN, FakeMatomo

SETTINGS = {
    "base_url": "https://matomo.example.com",
    "site_id": 1,
    "token_auth": TOKEN,
    "site_url": "https://shop.example.com",
}
OK = httpx.Response(200, json={"status": "success", "tracked": 1, "invalid": 0})
CHECKOUT = event("checkout_completed", customer=ADA, membership=PRO, payment=PAID)
LOST_MEMBERSHIP = catalogue_events()["cancelled"]
FAILED = catalogue_events()["failed"]


def matomo(mapping=None, **settings):
    return bound(Matomo, mapping, **{**SETTINGS, **settings})


def queries(document):
    assert request_errors("matomo", "bulk", document) == []
    return [dict(parse_qsl(line.removeprefix("?"))) for line in document["requests"]]


def query(of, mapping=None, **settings):
    (document,) = play(matomo(mapping, **settings).deliver(assignment(of)), OK).documents
    (found,) = queries(document)
    return found


def kinds(ended):
    return [outcome.kind for outcome in ended]


def test_a_purchase_is_an_order():
    found = query(CHECKOUT)
    assert json.loads(found.pop("ec_items")) == [
        ["4", "Pro", "subscription", 49.99, 1],
        ["", "Setup Fee", "fee", 10.0, 1],
    ]
    assert found == {
        "idsite": "1",
        "rec": "1",
        "apiv": "1",
        "send_image": "0",
        "url": "https://shop.example.com",
        "cip": "0.0.0.0",
        "uid": "shop:2",
        "_id": "1d288bd8ae673d74",
        "cdt": "1795463700",
        "rand": "e0beeaaa-2ff8-51d5-8388-5c47fde8c6ce",
        "idgoal": "0",
        "ec_id": "shop:17",
        "revenue": "59.99",
        "ec_tx": "9.58",
    }


def test_the_token_stands_in_the_body_and_nowhere_else():
    (request,) = play(matomo().deliver(assignment(CHECKOUT)), OK).requests
    assert str(request.url) == "https://matomo.example.com/matomo.php"
    assert json.loads(request.content)["token_auth"] == TOKEN
    assert TOKEN not in str(request.headers)


EVENTS = {
    "sign-up": ("Customer", "Created", None, None),
    "refund": ("Payment", "Refunded", None, "-59.99"),
    "cancelled": ("Subscription", "Cancelled", "Pro", "49.0"),
    "expired": ("Subscription", "Cancelled", "Pro", "49.0"),
    "no customer": ("Subscription", "Cancelled", "Pro", "49.0"),
    "failed": ("Payment", "Failed", None, None),
    "site": ("Site", "Created", "Pro", None),
    "domain": ("Domain", "Created", None, None),
}
ORDERS = {"checkout", "payment", "manual payment", "renewal"}


@pytest.mark.parametrize("name", catalogue_events())
def test_every_event_is_an_order_an_event_or_skipped_with_a_reason(name):
    of = catalogue_events()[name]
    if name in EVENTS:
        found = query(of)
        assert tuple(found.get(key) for key in ("e_c", "e_a", "e_n", "e_v")) == EVENTS[name]
        assert found["ca"] == "1"
    elif name in ORDERS:
        assert query(of)["ec_id"] == "shop:17"
    else:
        assert play(matomo().deliver(assignment(of))).outcome.kind is OutcomeKind.SKIPPED
        assert matomo().skip(of)


@given(any_event())
def test_any_event_makes_a_valid_request_without_a_person_in_it_or_is_skipped(of):
    flow = matomo().deliver(assignment(of))
    if matomo().skip(of):
        assert play(flow).outcome.kind is OutcomeKind.SKIPPED
        return
    (document,) = play(flow, OK).documents
    assert [t for t in texts(queries(document)) if re.search(r"[^@\s]@[^@\s]", t)] == []


@pytest.mark.parametrize(
    "sample", [s for s in samples("matomo") if s.outcome != "partial"], ids=str
)
def test_every_sample_reply_is_classified_as_the_contract_says(sample: Sample):
    reply = LOST if sample.status is None else sample.response()
    outcome = play(matomo().deliver(assignment(CHECKOUT)), reply).outcome
    assert outcome.kind is KINDS[sample.outcome]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("some_bad", [OutcomeKind.DELIVERED, OutcomeKind.REJECTED]),
        ("some_bad_anonymous", OutcomeKind.REJECTED),
    ],
)
def test_what_was_invalid_is_told_apart_or_everything_goes_again_alone(name, expected):
    (sample,) = [found for found in samples("matomo") if found.name == name]
    ended = play(matomo().deliver_many(assignments(CHECKOUT, FAILED)), sample.response()).outcome
    assert (ended.kind if isinstance(expected, OutcomeKind) else kinds(ended)) == expected
    alone = play(matomo().deliver(assignment(CHECKOUT)), _invalid(sample)).outcome
    assert alone.kind is OutcomeKind.REJECTED


def _invalid(sample):
    body = {**sample.body, "tracked": 0}
    if "invalid_indices" in body:
        body["invalid_indices"] = [0]
    return httpx.Response(200, json=body)


@pytest.mark.parametrize(
    "reply",
    [
        httpx.Response(204),
        httpx.Response(200, text="GIF89a"),
        httpx.Response(200, json={"status": "success"}),
        httpx.Response(200, json={"status": "success", "invalid": "0"}),
    ],
)
def test_an_answer_that_complains_of_nothing_is_a_good_one(reply):
    outcome = play(matomo().deliver(assignment(CHECKOUT)), reply).outcome
    assert outcome.kind is OutcomeKind.DELIVERED


def test_an_error_behind_a_200_is_tried_again():
    reply = httpx.Response(200, json={"status": "error", "tracked": 0})
    assert play(matomo().deliver(assignment(CHECKOUT)), reply).outcome.kind is OutcomeKind.RETRY


def test_a_batch_stands_in_the_order_of_time_and_its_outcomes_do_not():
    newer, older = replace(FAILED, occurred_at=NOW), LOST_MEMBERSHIP
    reply = httpx.Response(200, json={"status": "success", "invalid": 1, "invalid_indices": [0]})
    played = play(matomo().deliver_many(assignments(newer, older)), reply)
    assert [found["e_c"] for found in queries(played.documents[0])] == ["Subscription", "Payment"]
    assert kinds(played.outcome) == [OutcomeKind.DELIVERED, OutcomeKind.REJECTED]


def test_only_an_order_is_sent_again_when_it_may_have_arrived():
    ended = play(matomo().deliver_many(assignments(CHECKOUT, LOST_MEMBERSHIP)), LOST).outcome
    assert kinds(ended) == [OutcomeKind.RETRY, OutcomeKind.DROPPED]
    assert "not sent again" in ended[1].reason


@pytest.mark.parametrize(
    ("settings", "failure"), [({}, UNREACHED), ({"resend_events_after_timeout": True}, LOST)]
)
def test_an_event_is_sent_again_when_it_never_arrived_or_the_operator_chose_so(settings, failure):
    outcome = play(matomo(**settings).deliver(assignment(FAILED)), failure).outcome
    assert outcome.kind is OutcomeKind.RETRY


def test_a_payment_in_another_currency_than_the_site_is_left_out():
    assert matomo(currency="USD").skip(CHECKOUT) is None
    assert matomo(currency="EUR").skip(CHECKOUT) == (
        "Matomo counts in EUR, and the payment is in USD."
    )
    assert matomo(currency="EUR").skip(LOST_MEMBERSHIP) is None


@pytest.mark.parametrize("of", [catalogue_events()["refund"], LOST_MEMBERSHIP])
def test_an_amount_in_another_currency_than_the_site_is_not_told(of):
    assert "e_v" in query(of, currency="USD")
    assert "e_v" not in query(of, currency="EUR")
    outcome = play(matomo(currency="EUR").deliver(assignment(of)), OK).outcome
    assert outcome.kind is OutcomeKind.DELIVERED
    assert "it is in USD, and Matomo counts in EUR" in outcome.reason


def test_an_unknown_currency_of_the_site_is_said():
    sold = play(matomo().deliver(assignment(CHECKOUT)), OK).outcome
    assert "the event is in USD" in sold.reason
    assert play(matomo(currency="USD").deliver(assignment(CHECKOUT)), OK).outcome.reason == ""
    assert play(matomo().deliver(assignment(FAILED)), OK).outcome.reason == ""


def test_a_mapping_fills_custom_dimensions():
    mapping = {"dimension1": "membership.plan.name", "dimension2": "payment.total", "dimension3": "null"}  # fmt: skip
    found = query(CHECKOUT, mapping)
    assert (found["dimension1"], found["dimension2"]) == ("Pro", "59.99")
    assert "dimension3" not in found


@pytest.mark.parametrize("field", ["", "dimension0", "dimension", "dimension10000", "plan", "cip"])
def test_a_mapping_to_anything_else_is_named(field):
    assert Matomo.check_mapping([field, "dimension12"]).keys() == {field}


def test_the_browser_is_told_where_it_is_known():
    of = replace(CHECKOUT, context=Context(user_agent="Mozilla/5.0 (X11)"))
    assert query(of)["ua"] == "Mozilla/5.0 (X11)"
    assert "ua" not in query(CHECKOUT)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("token_auth", "abc"),
        ("token_auth", "x" * 32),
        ("base_url", "https://matomo.example.com/matomo.php"),
        ("site_id", 0),
        ("currency", "usd"),
    ],
)
def test_settings_that_cannot_work_are_refused(name, value):
    with pytest.raises(ValidationError) as refusal:
        MatomoSettings(**{**SETTINGS, name: value})
    if name == "token_auth":
        assert value not in str(refusal.value)


async def send(fake, *events, **settings):
    connector = matomo(base_url=fake.base_url, **settings)
    async with loopback_client(timeout=2) as client:
        return await drive(connector.deliver_many(assignments(*events)), over(client))


def fake_matomo():
    return FakeMatomo(clock=NOW.timestamp)


async def test_a_payment_announced_three_times_is_one_order():
    announced = [
        event(name, customer=ADA, membership=PRO, payment=PAID)
        for name in ("checkout_completed", "payment_received", "payment_status_to_completed")
    ]
    async with fake_matomo().serve() as fake:
        await send(fake, *announced)
        await send(fake, announced[1])
    assert [order["revenue"] for order in fake.orders.values()] == ["59.99"]


async def test_events_of_long_ago_are_taken_with_their_own_time():
    old = replace(CHECKOUT, occurred_at=NOW - timedelta(days=400))
    async with fake_matomo().serve() as fake:
        (outcome,) = await send(fake, old)
    assert outcome.kind is OutcomeKind.DELIVERED
    (order,) = fake.orders.values()
    assert int(order["cdt"]) == int(old.occurred_at.timestamp())


async def test_one_site_that_does_not_exist_rejects_what_goes_there():
    async with fake_matomo().serve() as fake:
        outcomes = await send(fake, CHECKOUT, FAILED, site_id=3)
        fake.tells_indices = False
        whole = await send(fake, CHECKOUT, FAILED, site_id=3)
    assert kinds(outcomes) == [OutcomeKind.REJECTED] * 2
    assert whole.kind is OutcomeKind.REJECTED


async def test_a_token_that_does_not_work_is_said_so():
    async with fake_matomo().serve() as fake:
        fake.knows_token = False
        (outcome,) = await send(fake, FAILED)
    assert outcome.kind is OutcomeKind.AUTH_FAILED


async def test_a_lost_answer_makes_neither_a_second_order_nor_a_second_event():
    async with fake_matomo().serve() as fake:
        fake.stall_next()
        connector = matomo(base_url=fake.base_url)
        async with loopback_client(timeout=0.2) as client:
            many = assignments(CHECKOUT, LOST_MEMBERSHIP)
            first = await drive(connector.deliver_many(many), over(client))
        (second,) = await send(fake, CHECKOUT)
    assert kinds(first) == [OutcomeKind.RETRY, OutcomeKind.DROPPED]
    assert second.kind is OutcomeKind.DELIVERED
    assert (len(fake.orders), len(fake.actions)) == (1, 1)
