"""Segment and RudderStack against the contract, and against a stand-in that loses what is invalid."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import replace

import httpx
import pytest

from app.connectors.segment import Segment
from app.domain.model import Site
from app.domain.outcome import OutcomeKind
from tests.contract.analytics import VENDORS, assignments
from tests.contract.driving import drive, over, play
from tests.contract.events import ADA, PAID, PRO, assignment, catalogue_events, event
from tests.contract.loading import request_errors
from tests.fakes import loopback_client
from tests.fakes.segment import FakeSegment

OK = httpx.Response(200, json={"success": True})
CHECKOUT = event("checkout_completed", customer=ADA, membership=PRO, payment=PAID)
FAILED = catalogue_events()["failed"]
CONTEXT = {"ip": "0.0.0.0", "library": {"name": "lifecycle-relay", "version": "1"}}


def segment(mapping=None, **settings):
    return VENDORS["segment"].bind(mapping, **settings)


def messages(of, **settings):
    (sent,) = play(segment(**settings).deliver(assignment(of)), OK).documents
    assert request_errors("segment", "batch", sent) == []
    return sent["batch"]


def test_a_checkout_identifies_the_user_and_tracks_the_order():
    identify, track = messages(CHECKOUT)
    assert identify == {
        "type": "identify",
        "messageId": "e0beeaaa-2ff8-51d5-8388-5c47fde8c6ce-identify",
        "userId": "shop:2",
        "traits": {
            "plan": "Pro",
            "membership_status": "active",
            "createdAt": "2026-01-05T10:00:00Z",
        },
        "timestamp": "2026-11-23T19:55:00Z",
        "context": CONTEXT,
    }
    assert track == {
        "type": "track",
        "messageId": "e0beeaaa-2ff8-51d5-8388-5c47fde8c6ce-track",
        "userId": "shop:2",
        "event": "Order Completed",
        "properties": {
            "source": "shop",
            "plan": "Pro",
            "plan_id": "4",
            "membership_status": "active",
            "times_billed": 1,
            "tax": 9.58,
            "total": 59.99,
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
        "timestamp": "2026-11-23T19:55:00Z",
        "context": CONTEXT,
    }


def test_the_write_key_is_the_user_name():
    (request,) = play(segment().deliver(assignment(FAILED)), OK).requests
    assert str(request.url) == "https://api.segment.io/v1/batch"
    scheme, _, encoded = request.headers["authorization"].partition(" ")
    assert (scheme, b64decode(encoded).decode()) == ("Basic", "wk_correct:")


@pytest.mark.parametrize(
    "base_url", ["https://events.eu1.segmentapis.com/v1", "https://rudder.example.com/v1"]
)
def test_the_eu_and_rudderstack_are_a_setting_away(base_url):
    connector = segment(base_url=base_url)
    (request,) = play(connector.deliver(assignment(FAILED)), OK).requests
    assert str(request.url) == f"{base_url}/batch"


def test_traits_have_the_names_of_the_specification():
    (identify,) = messages(event("customer_post_update", customer=ADA), send_profile=True)
    assert identify["type"] == "identify"
    assert identify["traits"] == {
        "email": "ada@example.com",
        "name": "Ada Lovelace",
        "firstName": "Ada",
        "lastName": "Lovelace",
        "createdAt": "2026-01-05T10:00:00Z",
    }


def test_a_new_site_is_a_group_and_an_event():
    site = Site(id="3", title="Shop", url="https://shop.example")
    group, track = messages(event("site_published", customer=ADA, site=site), send_profile=True)
    assert (group["type"], group["groupId"]) == ("group", "shop:3")
    assert group["traits"] == {"name": "Shop", "website": "https://shop.example"}
    assert track["properties"]["site"] == "shop:3"


def test_the_messages_of_one_event_have_ids_of_their_own_under_a_hundred_characters():
    identifiers = [message["messageId"] for message in messages(CHECKOUT)]
    assert len(set(identifiers)) == len(identifiers)
    assert all(len(identifier) < 100 for identifier in identifiers)


def test_a_refund_names_the_order_and_what_was_paid_back():
    (track,) = messages(catalogue_events()["refund"])
    assert track["event"] == "Order Refunded"
    assert (track["properties"]["order_id"], track["properties"]["total"]) == ("shop:17", 59.99)


def test_a_renewal_is_an_order_that_says_so():
    (track,) = messages(catalogue_events()["renewal"])
    assert (track["event"], track["properties"]["payment_type"]) == ("Order Completed", "renewal")


def test_a_cancellation_has_a_value_and_no_total():
    _, track = messages(catalogue_events()["cancelled"])
    assert (track["properties"]["value"], track["properties"]["currency"]) == (49.0, "USD")
    assert "total" not in track["properties"]


@pytest.mark.parametrize(
    ("headers", "after"),
    [
        ({"retry-after": "5"}, 5.0),
        ({"x-ratelimit-reset": "9"}, 9.0),
        ({"retry-after": "5", "x-ratelimit-reset": "9"}, 5.0),
        ({"x-ratelimit-reset": "1767607200"}, None),
        ({"x-ratelimit-reset": "soon"}, None),
        ({}, None),
    ],
)
def test_a_rate_limit_says_how_long_to_wait(headers, after):
    outcome = play(
        segment().deliver(assignment(FAILED)), httpx.Response(429, headers=headers)
    ).outcome
    assert (outcome.kind, outcome.after) == (OutcomeKind.THROTTLE, after)


def test_no_event_is_larger_than_a_message_may_be():
    assert Segment.event_bytes < 32_768
    large = replace(FAILED, data={"note": "x" * 33_000})
    outcome = play(segment({"note": "data.note"}).deliver(assignment(large))).outcome
    assert outcome.kind is OutcomeKind.REJECTED


async def send(fake, *events, **settings):
    connector = segment(base_url=f"{fake.base_url}/v1", **settings)
    async with loopback_client(timeout=2) as client:
        return await drive(connector.deliver_many(assignments(*events)), over(client))


async def test_nothing_that_is_answered_200_is_lost():
    async with FakeSegment().serve() as fake:
        await send(fake, *(of for of in catalogue_events().values() if segment().skip(of) is None))
    assert fake.lost == []
    assert len(fake.tracked("Order Completed")) == 1


async def test_a_repeat_is_dropped_by_its_message_id():
    async with FakeSegment().serve() as fake:
        await send(fake, CHECKOUT)
        await send(fake, CHECKOUT)
    assert len(fake.messages) == 2


async def test_rudderstack_refuses_a_wrong_key_and_segment_loses_the_events():
    for rudder, kind in ((True, OutcomeKind.AUTH_FAILED), (False, OutcomeKind.DELIVERED)):
        async with FakeSegment(rudder=rudder).serve() as fake:
            (outcome,) = await send(fake, FAILED, write_key="wk_wrong")
        assert outcome.kind is kind
        assert fake.messages == {}


async def test_the_rate_window_is_waited_for():
    async with FakeSegment().serve() as fake:
        fake.requests_left = 0
        outcomes = await send(fake, FAILED, CHECKOUT)
    assert [(outcome.kind, outcome.after) for outcome in outcomes] == [
        (OutcomeKind.THROTTLE, 5.0)
    ] * 2
