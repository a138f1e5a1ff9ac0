"""Mixpanel against its contract, and against a stand-in that keeps what is good of a request."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from pydantic import ValidationError

from app.connectors.mixpanel import MixpanelSettings
from app.domain.outcome import OutcomeKind
from tests.contract.analytics import VENDORS, assignments
from tests.contract.driving import LOST, drive, over, play
from tests.contract.events import ADA, NOW, PAID, PRO, assignment, catalogue_events, event
from tests.contract.loading import KINDS, Sample, request_errors, samples
from tests.fakes import loopback_client
from tests.fakes.mixpanel import FakeMixpanel

IMPORTED = httpx.Response(200, json={"code": 200, "num_records_imported": 1, "status": "OK"})
SET = httpx.Response(200, json={"status": 1, "error": None})
REFUSED = httpx.Response(200, json={"status": 0, "error": "some data points failed validation"})
CHECKOUT = event("checkout_completed", customer=ADA, membership=PRO, payment=PAID)
FAILED = catalogue_events()["failed"]
UPDATED = event("customer_post_update", customer=ADA, membership=PRO)
ACCOUNT = {
    "service_account": "relay.123.mp-service-account",
    "service_account_secret": "acc_secret",
    "project_id": 4711,
}


def mixpanel(mapping=None, **settings):
    return VENDORS["mixpanel"].bind(mapping, **settings)


def failed_records(*indexes):
    failed = [
        {"index": index, "field": "properties.time", "message": "'properties.time' is invalid"}
        for index in indexes
    ]
    return httpx.Response(400, json={"code": 400, "error": "some", "failed_records": failed})


def test_a_purchase_is_an_event_and_the_profile_of_its_user():
    played = play(mixpanel(send_profile=True).deliver(assignment(CHECKOUT)), IMPORTED, SET)
    assert played.lines == ["POST /import?strict=1", "POST /engage?ip=0&verbose=1&strict=1"]
    events, profiles = played.documents
    assert request_errors("mixpanel", "import", events) == []
    assert request_errors("mixpanel", "engage", profiles) == []
    assert events[0]["event"] == "Purchase"
    assert events[0]["properties"] == {
        "source": "shop",
        "plan": "Pro",
        "plan_id": "4",
        "membership_status": "active",
        "times_billed": 1,
        "tax": 9.58,
        "amount": 59.99,
        "currency": "USD",
        "order_id": "shop:17",
        "products": [
            {
                "product_id": "4",
                "name": "Pro",
                "category": "subscription",
                "price": 49.99,
                "quantity": 1,
            },
            {"name": "Setup Fee", "category": "fee", "price": 10.0, "quantity": 1},
        ],
        "time": 1795463700000,
        "distinct_id": "shop:2",
        "$insert_id": "e0beeaaa-2ff8-51d5-8388-5c47fde8c6ce",
        "ip": "0",
    }
    assert profiles == [
        {
            "$token": "tok_correct",
            "$distinct_id": "shop:2",
            "$set": {
                "plan": "Pro",
                "membership_status": "active",
                "$email": "ada@example.com",
                "$name": "Ada Lovelace",
                "$first_name": "Ada",
                "$last_name": "Lovelace",
            },
        },
        {
            "$token": "tok_correct",
            "$distinct_id": "shop:2",
            "$set_once": {"signup_date": "2026-01-05T10:00:00Z"},
        },
    ]


@pytest.mark.parametrize(
    ("settings", "login", "query"),
    [
        ({}, "tok_correct:", "strict=1"),
        (ACCOUNT, "relay.123.mp-service-account:acc_secret", "strict=1&project_id=4711"),
    ],
)
def test_the_token_or_a_service_account_imports(settings, login, query):
    (request,) = play(mixpanel(**settings).deliver(assignment(FAILED)), IMPORTED).requests
    scheme, _, encoded = request.headers["authorization"].partition(" ")
    assert (scheme, b64decode(encoded).decode()) == ("Basic", login)
    assert request.url.query.decode() == query


@pytest.mark.parametrize("missing", ACCOUNT)
def test_half_a_service_account_is_refused(missing):
    half = {name: value for name, value in ACCOUNT.items() if name != missing}
    with pytest.raises(ValidationError, match="a service account needs"):
        MixpanelSettings(project_token="t", **half)


@pytest.mark.parametrize("sample", [s for s in samples("mixpanel", "import")], ids=str)  # noqa: C416  reads as the other tables
def test_every_reply_to_an_import_is_understood_for_one_event(sample: Sample):
    reply = LOST if sample.status is None else sample.response()
    outcome = play(mixpanel().deliver(assignment(FAILED)), reply).outcome
    assert outcome.kind is KINDS.get(sample.outcome, OutcomeKind.REJECTED)


@pytest.mark.parametrize("sample", [s for s in samples("mixpanel", "engage")], ids=str)  # noqa: C416  reads as the other tables
def test_every_reply_to_a_profile_is_understood(sample: Sample):
    reply = LOST if sample.status is None else sample.response()
    outcome = play(mixpanel().deliver(assignment(UPDATED)), reply).outcome
    assert outcome.kind is KINDS.get(sample.outcome, OutcomeKind.REJECTED)


@pytest.mark.parametrize("body", ["0", '{"status": 0}', '{"status": "error"}'])
def test_a_profile_that_is_refused_with_a_200_is_refused(body):
    reply = httpx.Response(200, text=body)
    assert play(mixpanel().deliver(assignment(UPDATED)), reply).outcome.kind is OutcomeKind.REJECTED


@pytest.mark.parametrize("body", ["1", '{"status": 1}', "", "ok"])
def test_any_other_200_is_taken(body):
    reply = httpx.Response(200, text=body)
    assert play(mixpanel().deliver(assignment(UPDATED)), reply).outcome.kind is (
        OutcomeKind.DELIVERED
    )


def test_the_records_of_a_partial_refusal_are_told_apart():
    played = play(mixpanel().deliver_many(assignments(FAILED, FAILED, FAILED)), failed_records(1))
    assert [outcome.kind for outcome in played.outcome] == [
        OutcomeKind.DELIVERED,
        OutcomeKind.REJECTED,
        OutcomeKind.DELIVERED,
    ]
    assert "'properties.time' is invalid" in played.outcome[1].reason


def test_a_place_among_the_events_is_not_one_among_the_deliveries():
    many = assignments(UPDATED, FAILED, UPDATED, FAILED)
    played = play(mixpanel().deliver_many(many), failed_records(1), SET)
    kinds = [outcome.kind for outcome in played.outcome]
    assert kinds == [OutcomeKind.DELIVERED] * 3 + [OutcomeKind.REJECTED]


def test_a_refused_event_sets_no_profile():
    played = play(mixpanel().deliver(assignment(CHECKOUT)), failed_records(0))
    assert played.outcome.kind is OutcomeKind.REJECTED
    assert len(played.requests) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"failed_records": []},
        {"failed_records": [{"index": 7}]},
        {"failed_records": [{"index": "0"}]},
        {"failed_records": "all"},
        [],
    ],
)
def test_a_400_that_names_no_record_is_about_the_whole_request(body):
    reply = httpx.Response(400, json=body)
    assert play(mixpanel().deliver_many(assignments(FAILED, FAILED)), reply).outcome.kind is (
        OutcomeKind.REJECTED
    )


def test_a_refused_profile_does_not_take_back_the_event():
    outcome = play(mixpanel().deliver(assignment(CHECKOUT)), IMPORTED, REFUSED).outcome
    assert outcome.kind is OutcomeKind.DELIVERED
    assert "The event was imported" in outcome.reason
    assert "the profile was refused" in outcome.reason


def test_profiles_that_are_refused_together_are_sent_again_alone():
    many = assignments(CHECKOUT, UPDATED)
    ended = play(mixpanel().deliver_many(many), IMPORTED, REFUSED).outcome
    assert ended.kind is OutcomeKind.REJECTED


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (LOST, OutcomeKind.RETRY),
        (httpx.Response(503), OutcomeKind.RETRY),
        (httpx.Response(429), OutcomeKind.THROTTLE),
        (httpx.Response(401), OutcomeKind.AUTH_FAILED),
    ],
)
def test_trouble_after_the_import_repeats_both_requests_later(reply, kind):
    outcome = play(mixpanel().deliver(assignment(CHECKOUT)), IMPORTED, reply).outcome
    assert outcome.kind is kind


def test_a_customer_update_is_a_profile_and_no_event():
    played = play(mixpanel().deliver(assignment(UPDATED)), SET)
    assert played.lines == ["POST /engage?ip=0&verbose=1&strict=1"]


def test_a_refund_is_a_negative_amount():
    played = play(mixpanel().deliver(assignment(catalogue_events()["refund"])), IMPORTED)
    assert played.documents[0][0]["properties"]["amount"] == -59.99


@pytest.mark.parametrize("field", ["mp_lib", "$city", "time", "distinct_id", "token", "ip"])
def test_what_mixpanel_keeps_to_itself_is_no_property(field):
    assert VENDORS["mixpanel"].connector.check_mapping([field]).keys() == {field}


async def send(fake, *events, **settings):
    connector = mixpanel(base_url=fake.base_url, **settings)
    async with loopback_client(timeout=2) as client:
        return await drive(connector.deliver_many(assignments(*events)), over(client))


def fake_mixpanel(**settings):
    return FakeMixpanel(clock=NOW.timestamp, **settings)


async def test_the_good_records_of_a_request_are_kept():
    future = replace(FAILED, occurred_at=NOW + timedelta(days=1))
    async with fake_mixpanel().serve() as fake:
        outcomes = await send(fake, CHECKOUT, future, FAILED)
    assert [outcome.kind for outcome in outcomes] == [
        OutcomeKind.DELIVERED,
        OutcomeKind.REJECTED,
        OutcomeKind.DELIVERED,
    ]
    assert [found["event"] for found in fake.events] == ["Purchase", "Payment Failed"]
    assert fake.people["shop:2"]["plan"] == "Pro"


async def test_a_service_account_is_let_in():
    account = (ACCOUNT["service_account"], ACCOUNT["service_account_secret"], "4711")
    async with fake_mixpanel(account=account).serve() as fake:
        (outcome,) = await send(fake, CHECKOUT, **ACCOUNT)
    assert outcome.kind is OutcomeKind.DELIVERED


async def test_a_profile_that_does_not_work_costs_no_second_event():
    async with fake_mixpanel().serve() as fake:
        fake.profiles_work = False
        (first,) = await send(fake, CHECKOUT)
        fake.profiles_work = True
        (second,) = await send(fake, CHECKOUT)
    assert (first.kind, second.kind) == (OutcomeKind.DELIVERED, OutcomeKind.DELIVERED)
    assert len(fake.events) == 1


async def test_a_rate_window_that_closes_between_the_two_requests_loses_nothing():
    async with fake_mixpanel().serve() as fake:
        fake.requests_left = 1
        (first,) = await send(fake, CHECKOUT)
        fake.requests_left = None
        await send(fake, CHECKOUT)
    assert first.kind is OutcomeKind.THROTTLE
    assert len(fake.events) == 1
    assert fake.people["shop:2"]["plan"] == "Pro"


async def test_a_request_over_the_limit_is_divided():
    async with fake_mixpanel(most_bytes=500).serve() as fake:
        ended = await send(fake, FAILED, FAILED)
    assert [outcome.kind for outcome in ended] == [OutcomeKind.DELIVERED] * 2
