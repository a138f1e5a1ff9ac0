"""Amplitude against its contract, and against a stand-in that takes all of a request or nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest
from pydantic import ValidationError

from app.connectors.amplitude import AmplitudeSettings
from app.domain.outcome import OutcomeKind
from tests.contract.analytics import VENDORS, assignments
from tests.contract.driving import LOST, drive, over, play
from tests.contract.events import ADA, PAID, PRO, assignment, catalogue_events, event
from tests.contract.loading import Sample, request_errors, samples
from tests.fakes import loopback_client
from tests.fakes.amplitude import FakeAmplitude

OK = httpx.Response(200, json={"code": 200, "events_ingested": 1})
CHECKOUT = event("checkout_completed", customer=ADA, membership=PRO, payment=PAID)
FAILED = catalogue_events()["failed"]
DELIVERED, REJECTED = OutcomeKind.DELIVERED, OutcomeKind.REJECTED


def amplitude(mapping=None, **settings):
    return VENDORS["amplitude"].bind(mapping, **settings)


def record(of, **settings):
    (sent,) = play(amplitude(**settings).deliver(assignment(of)), OK).documents
    assert request_errors("amplitude", "httpapi", sent) == []
    (found,) = sent["events"]
    return found


def refusal(**places):
    return httpx.Response(400, json={"code": 400, "error": "Invalid field values", **places})


def kinds(ended):
    return [outcome.kind for outcome in ended]


def test_a_purchase_is_sent_whole():
    assert record(CHECKOUT) == {
        "user_id": "shop:2",
        "event_type": "Purchase",
        "time": 1795463700000,
        "insert_id": "e0beeaaa-2ff8-51d5-8388-5c47fde8c6ce",
        "ip": "",
        "event_properties": {
            "source": "shop",
            "plan": "Pro",
            "plan_id": "4",
            "membership_status": "active",
            "times_billed": 1,
            "tax": 9.58,
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
        },
        "user_properties": {
            "$set": {"plan": "Pro", "membership_status": "active"},
            "$setOnce": {"signup_date": "2026-01-05T10:00:00Z"},
        },
        "revenue": 59.99,
        "currency": "USD",
        "revenueType": "purchase",
        "productId": "4",
    }


def test_short_ids_are_allowed_by_every_request():
    (sent,) = play(amplitude().deliver(assignment(CHECKOUT)), OK).documents
    assert sent["options"] == {"min_id_length": 1}
    assert sent["api_key"] == "amp_correct"


@pytest.mark.parametrize(
    ("name", "revenue", "kind"),
    [("renewal", 59.99, "renewal"), ("refund", -59.99, "refund"), ("cancelled", None, None)],
)
def test_revenue_says_what_it_is(name, revenue, kind):
    found = record(catalogue_events()[name])
    assert (found.get("revenue"), found.get("revenueType")) == (revenue, kind)


def test_a_customer_update_is_an_identify():
    found = record(event("customer_post_update", customer=ADA), send_profile=True)
    assert found["event_type"] == "$identify"
    assert found["user_properties"]["$set"]["email"] == "ada@example.com"
    assert "event_properties" not in found


def test_a_site_is_a_group():
    assert record(catalogue_events()["site"])["groups"] == {"site": "shop:3"}


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, "https://api2.amplitude.com/2/httpapi"),
        ({"base_url": "https://api.eu.amplitude.com"}, "https://api.eu.amplitude.com/2/httpapi"),
        ({"path": "/batch"}, "https://api2.amplitude.com/batch"),
    ],
)
def test_region_and_api_are_settings(settings, url):
    (request,) = play(amplitude(**settings).deliver(assignment(FAILED)), OK).requests
    assert (request.method, str(request.url)) == ("POST", url)


def test_another_api_is_refused():
    with pytest.raises(ValidationError):
        AmplitudeSettings(api_key="k", path="/identify")


@pytest.mark.parametrize("sample", [s for s in samples("amplitude") if s.outcome == "partial"])
def test_a_partial_refusal_of_a_single_event_rejects_it(sample: Sample):
    outcome = play(amplitude().deliver(assignment(FAILED)), sample.response()).outcome
    assert outcome.kind is REJECTED


def test_the_sample_refusal_rejects_both_events_it_names_and_sends_the_third_again():
    (sample,) = [found for found in samples("amplitude") if found.name == "some_bad"]
    many = assignments(FAILED, FAILED, FAILED)
    played = play(amplitude().deliver_many(many), sample.response(), OK)
    assert kinds(played.outcome) == [REJECTED, REJECTED, DELIVERED]
    assert [len(sent["events"]) for sent in played.documents] == [3, 1]
    assert played.documents[1]["events"] == [played.documents[0]["events"][2]]
    assert "(event_type)" in played.outcome[0].reason
    assert "(time)" in played.outcome[1].reason


def test_silenced_events_are_rejected():
    many = assignments(FAILED, FAILED)
    played = play(amplitude().deliver_many(many), refusal(silenced_events=[0]), OK)
    assert kinds(played.outcome) == [REJECTED, DELIVERED]


def test_places_are_those_of_the_request_they_answer():
    many = assignments(*[FAILED] * 4)
    first = refusal(events_with_invalid_fields={"time": [1]})
    second = refusal(events_with_invalid_fields={"time": [1]})
    played = play(amplitude().deliver_many(many), first, second, OK)
    assert kinds(played.outcome) == [DELIVERED, REJECTED, REJECTED, DELIVERED]


def test_a_refusal_without_end_is_given_up_and_tried_later():
    many = assignments(*[FAILED] * 5)
    again = [refusal(events_with_invalid_fields={"time": [0]})] * 3
    played = play(amplitude().deliver_many(many), *again)
    assert kinds(played.outcome) == [REJECTED] * 3 + [OutcomeKind.RETRY] * 2


@pytest.mark.parametrize(
    "places",
    [
        {},
        {"events_with_invalid_fields": {"time": [9]}},
        {"events_with_invalid_fields": {"time": "0"}},
        {"events_with_invalid_fields": [0]},
        {"silenced_events": {"0": 1}},
        {"silenced_events": [True]},
    ],
)
def test_a_400_that_names_no_event_is_about_the_whole_request(places):
    ended = play(amplitude().deliver_many(assignments(FAILED, FAILED)), refusal(**places)).outcome
    assert ended.kind is REJECTED


def test_a_second_request_that_fails_leaves_its_own_events_waiting():
    many = assignments(FAILED, FAILED)
    first = refusal(silenced_events=[0])
    ended = play(amplitude().deliver_many(many), first, httpx.Response(503)).outcome
    assert kinds(ended) == [REJECTED, OutcomeKind.RETRY]


def test_a_lost_answer_after_a_refusal_repeats_everything_which_costs_nothing():
    many = assignments(FAILED, FAILED)
    ended = play(amplitude().deliver_many(many), refusal(silenced_events=[0]), LOST).outcome
    assert kinds(ended) == [OutcomeKind.RETRY] * 2


@pytest.mark.parametrize(("headers", "after"), [({}, 30.0), ({"retry-after": "7"}, 7.0)])
def test_a_busy_user_costs_half_a_minute(headers, after):
    reply = httpx.Response(429, json={"code": 429, "throttled_events": [0]}, headers=headers)
    outcome = play(amplitude().deliver(assignment(FAILED)), reply).outcome
    assert (outcome.kind, outcome.after) == (OutcomeKind.THROTTLE, after)


@pytest.mark.parametrize("field", ["$id", "[Amplitude] x", "revenue", "order_id"])
def test_what_amplitude_and_the_relay_keep_to_themselves_is_no_property(field):
    assert VENDORS["amplitude"].connector.check_mapping([field]).keys() == {field}


async def send(fake, *events, **settings):
    connector = amplitude(base_url=fake.base_url, **settings)
    async with loopback_client(timeout=2) as client:
        return await drive(connector.deliver_many(assignments(*events)), over(client))


async def test_one_bad_event_does_not_hold_up_the_others():
    bad = replace(FAILED, occurred_at=datetime(2300, 1, 1, tzinfo=UTC))
    async with FakeAmplitude().serve() as fake:
        outcomes = await send(fake, CHECKOUT, bad, FAILED)
    assert kinds(outcomes) == [DELIVERED, REJECTED, DELIVERED]
    assert [found["event_type"] for found in fake.events] == ["Purchase", "Payment Failed"]


async def test_a_user_of_whom_no_more_is_taken_today_is_rejected_and_the_others_wait():
    other = replace(FAILED, customer=replace(ADA, id="9"))
    async with FakeAmplitude().serve() as fake:
        fake.used_up = {"shop:2"}
        outcomes = await send(fake, FAILED, other)
        (again,) = await send(fake, other)
    assert kinds(outcomes) == [REJECTED, OutcomeKind.THROTTLE]
    assert again.kind is DELIVERED


async def test_ids_of_one_character_are_taken():
    async with FakeAmplitude().serve() as fake:
        await send(fake, replace(FAILED, source="s", customer=replace(ADA, id="1")))
    assert [found["user_id"] for found in fake.events] == ["s:1"]


async def test_more_events_than_it_takes_are_divided():
    async with FakeAmplitude(most_events=1).serve() as fake:
        ended = await send(fake, FAILED, FAILED)
    assert [outcome.kind for outcome in ended] == [OutcomeKind.DELIVERED] * 2
