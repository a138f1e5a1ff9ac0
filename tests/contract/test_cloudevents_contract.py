"""CloudEvents in both modes, against the specification's rules and a broker that checks them."""

from __future__ import annotations

import json
from dataclasses import replace

import httpx
import pytest
from hypothesis import given
from pydantic import ValidationError

from app.connectors.cloudevents import CloudEvents, CloudEventsSettings
from app.domain.outcome import OutcomeKind
from tests.contract.driving import LOST, UNREACHED, drive, over, play
from tests.contract.events import (
    ADA,
    PAID,
    PRO,
    any_event,
    assignment,
    bound,
    catalogue_events,
    event,
)
from tests.fakes import Call, loopback_client
from tests.fakes.event_broker import FakeEventBroker, problems

URL = "https://events.example/"
CHECKOUT = event(
    "checkout_completed",
    customer=ADA,
    membership=PRO,
    payment=PAID,
    data={"payment_id": 17, "verification_link": "https://shop.example/?key=x"},
)


def cloudevents(mapping=None, **settings):
    return bound(CloudEvents, mapping, **{"url": URL, **settings})


def request(of, mapping=None, **settings):
    flow = cloudevents(mapping, **settings).deliver(assignment(of))
    (sent,) = play(flow, httpx.Response(202)).requests
    return sent


def structured(of, mapping=None, **settings):
    return json.loads(request(of, mapping, **settings).content)


def test_structured_mode_is_one_document():
    sent = request(CHECKOUT)
    assert sent.headers["content-type"] == "application/cloudevents+json"
    assert not [name for name in sent.headers if name.startswith("ce-")]
    document = json.loads(sent.content)
    data = document.pop("data")
    assert document == {
        "specversion": "1.0",
        "id": CHECKOUT.id,
        "source": "/sources/shop",
        "type": "checkout_completed",
        "time": "2026-11-23T19:55:00Z",
        "subject": "shop/customer/2",
        "datacontenttype": "application/json",
    }
    assert data["data"] == CHECKOUT.data
    assert data["customer"]["email"] == "ada@example.com"
    assert data["payment"]["total"] == 59.99


def test_binary_mode_has_the_data_as_its_body_and_the_rest_in_headers():
    sent = request(CHECKOUT, mode="binary")
    assert sent.headers["content-type"] == "application/json"
    assert {name: value for name, value in sent.headers.items() if name.startswith("ce-")} == {
        "ce-specversion": "1.0",
        "ce-id": CHECKOUT.id,
        "ce-source": "/sources/shop",
        "ce-type": "checkout_completed",
        "ce-time": "2026-11-23T19:55:00Z",
        "ce-subject": "shop/customer/2",
    }
    assert json.loads(sent.content) == structured(CHECKOUT)["data"]


@pytest.mark.parametrize(
    ("subject", "header"),
    [
        ("Euro € 😀", "Euro%20%E2%82%AC%20%F0%9F%98%80"),
        ('a"b%c', "a%22b%25c"),
        ("!#$&'()*+,-./:;<=>?@[\\]^_`{|}~", "!#$&'()*+,-./:;<=>?@[\\]^_`{|}~"),
        ("a\r\nb\x7f", "a%0D%0Ab%7F"),
    ],
)
def test_values_of_headers_are_percent_encoded(subject, header):
    sent = request(replace(CHECKOUT, subject=subject), mode="binary")
    assert sent.headers["ce-subject"] == header


def test_type_and_source_have_the_operators_prefixes():
    document = structured(
        CHECKOUT, type_prefix="com.example.", source_prefix="https://relay.example/sources/"
    )
    assert document["type"] == "com.example.checkout_completed"
    assert document["source"] == "https://relay.example/sources/shop"


def test_a_test_event_says_so():
    tested = replace(CHECKOUT, test=True)
    assert structured(tested)["relaytest"] is True
    assert request(tested, mode="binary").headers["ce-relaytest"] == "true"
    assert CloudEvents.takes_tests


def test_an_event_about_nobody_has_no_subject():
    nobody = replace(CHECKOUT, subject=None)
    assert "subject" not in structured(nobody)
    assert "ce-subject" not in request(nobody, mode="binary").headers


def test_the_token_and_the_hop_go_along():
    sent = request(replace(CHECKOUT, hop=1), token="tok-123456")
    assert sent.headers["authorization"] == "Bearer tok-123456"
    assert sent.headers["relay-hop"] == "2"
    assert "authorization" not in request(CHECKOUT).headers


def test_what_was_received_can_be_the_whole_data():
    assert structured(CHECKOUT, data="received")["data"] == CHECKOUT.data


def test_links_that_act_as_a_password_can_be_left_out():
    assert structured(CHECKOUT, withhold_links=True)["data"]["data"] == {"payment_id": 17}


def test_a_mapping_makes_the_data():
    assert structured(CHECKOUT, {"plan": "membership.plan.name"})["data"] == {"plan": "Pro"}


def test_a_mapping_that_fails_on_an_event_is_rejected_and_says_which_field():
    outcome = play(cloudevents({"plan": "data.x + 1"}).deliver(assignment(CHECKOUT))).outcome
    assert outcome.kind is OutcomeKind.REJECTED
    assert "mapping/plan" in outcome.reason


@pytest.mark.parametrize("mode", ["structured", "binary"])
@given(any_event())
def test_any_event_is_a_valid_cloudevent(mode, of):
    sent = request(of, mode=mode)
    call = Call("POST", "/", {}, dict(sent.headers), sent.content)
    broker = FakeEventBroker()
    assert broker.handle(call).status == 202
    assert broker.events.keys() == {(f"/sources/{of.source}", of.id)}


@pytest.mark.parametrize("of", catalogue_events().values(), ids=catalogue_events())
def test_every_event_of_the_platform_is_sent(of):
    assert cloudevents().skip(of) is None
    assert problems(structured(of)) == []


@pytest.mark.parametrize(
    ("reply", "kind", "after"),
    [
        (httpx.Response(200), OutcomeKind.DELIVERED, None),
        (httpx.Response(202), OutcomeKind.DELIVERED, None),
        (httpx.Response(204), OutcomeKind.DELIVERED, None),
        (httpx.Response(307, headers={"location": "/x"}), OutcomeKind.REJECTED, None),
        (httpx.Response(401), OutcomeKind.AUTH_FAILED, None),
        (httpx.Response(410), OutcomeKind.GONE, None),
        (httpx.Response(415), OutcomeKind.REJECTED, None),
        (httpx.Response(429, headers={"retry-after": "7"}), OutcomeKind.THROTTLE, 7.0),
        (httpx.Response(503), OutcomeKind.RETRY, None),
        (LOST, OutcomeKind.RETRY, None),
        (UNREACHED, OutcomeKind.RETRY, None),
    ],
)
def test_what_replies_mean(reply, kind, after):
    outcome = play(cloudevents().deliver(assignment(CHECKOUT)), reply).outcome
    assert (outcome.kind, outcome.after) == (kind, after)


def test_the_token_never_stands_in_a_reason():
    refusal = httpx.Response(401, json={"message": "tok-123456 is wrong"})
    outcome = play(cloudevents(token="tok-123456").deliver(assignment(CHECKOUT)), refusal).outcome
    assert "tok-123456" not in outcome.reason


@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": "batch"},
        {"type_prefix": "com example"},
        {"source_prefix": ""},
        {"source_prefix": "/a b"},
        {"source_prefix": "/<x>"},
        {"source_prefix": "/é"},
        {"token": "a\nb"},
    ],
)
def test_settings_that_make_no_cloudevent_are_refused(wrong):
    with pytest.raises(ValidationError):
        CloudEventsSettings(url=URL, **wrong)


@pytest.mark.parametrize("mode", ["structured", "binary"])
async def test_a_broker_takes_each_event_once(mode):
    async with FakeEventBroker(token="tok-123456").serve() as broker:
        connector = cloudevents(url=broker.base_url, mode=mode, token="tok-123456")
        async with loopback_client() as client:
            for attempt in (1, 2):
                flow = connector.deliver(assignment(CHECKOUT, attempt=attempt))
                outcome = await drive(flow, over(client))
                assert outcome.kind is OutcomeKind.DELIVERED
    (taken,) = broker.events.values()
    assert taken["data"]["customer"]["name"] == "Ada Lovelace"
    assert broker.repeats == 1


@pytest.mark.parametrize("mode", ["structured", "binary"])
async def test_a_check_is_a_ping_whatever_the_mapping(mode):
    ping = event("relay.ping", test=True, data={"message": "A test"})
    async with FakeEventBroker().serve() as broker, loopback_client() as client:
        connector = cloudevents({"x": "data.x + 1"}, url=broker.base_url, mode=mode)
        outcome = await drive(connector.check(assignment(ping)), over(client))
    assert outcome.kind is OutcomeKind.DELIVERED
    (taken,) = broker.events.values()
    assert (taken["type"], taken["data"]["data"]) == ("relay.ping", {"message": "A test"})
