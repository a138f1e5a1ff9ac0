"""The custom webhook against its contract, and against the standard's own library."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import httpx
import pytest
from hypothesis import given

from app.connectors.webhook import Webhook
from app.domain.catalogue import CATALOGUE
from app.domain.outcome import OutcomeKind, delivered
from app.domain.signing import decode_secret
from tests.contract.driving import LOST, drive, over, play
from tests.contract.events import (
    ADA,
    BROWSER,
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
from tests.fakes import Answer, loopback_client
from tests.fakes.webhook_sink import WebhookSink

URL = "https://hooks.example.com/relay?team=a%2Fb"
NEW, OLD = ("whsec_" + base64.b64encode(letter * 32).decode() for letter in (b"n", b"o"))


def webhook(mapping=None, keys=(b"k" * 32,), url=URL, **settings):
    return bound(Webhook, mapping, keys, url=url, **settings)


def sent(connector, of=None, **changes):
    """The one request the connector makes."""
    delivery = assignment(of or event("payment_failed", customer=ADA), **changes)
    (request,) = play(connector.deliver(delivery), httpx.Response(204)).requests
    return request


@pytest.mark.parametrize("sample", samples("webhook"), ids=str)
def test_every_sample_reply_is_classified_as_the_contract_says(sample: Sample):
    # The contract has one word for "hold" and "disable"; a 410 disables.
    expected = OutcomeKind.GONE if sample.status == 410 else KINDS[sample.outcome]
    reply = LOST if sample.status is None else sample.response()
    played = play(webhook().deliver(assignment(event("payment_failed"))), reply)
    assert played.outcome.kind is expected


@pytest.mark.parametrize("of", catalogue_events().values(), ids=catalogue_events())
def test_every_envelope_is_valid_by_the_schema(of):
    played = play(webhook().deliver(assignment(of)), httpx.Response(204))
    assert request_errors("webhook", "deliver", played.documents[0]) == []


@given(any_event())
def test_any_event_makes_a_valid_envelope(of):
    played = play(webhook(withhold_links=True).deliver(assignment(of)), httpx.Response(204))
    assert request_errors("webhook", "deliver", played.documents[0]) == []


def test_the_envelope_holds_the_event_the_data_as_received_and_who_it_is_about():
    data = {"payment_id": "17", "verification_link": "https://shop.example/?key=1"}
    of = event(
        "payment_received", data=data, customer=ADA, membership=PRO, payment=PAID, context=BROWSER
    )
    (document,) = play(webhook().deliver(assignment(of)), httpx.Response(204)).documents
    assert document.pop("customer")["email"] == "ada@example.com"
    assert document.pop("membership")["plan"]["name"] == "Pro"
    assert document.pop("payment")["line_items"][1]["title"] == "Setup Fee"
    assert document == {
        "type": "payment_received",
        "id": of.id,
        "timestamp": "2026-11-23T19:55:00Z",
        "source": "shop",
        "test": False,
        "data": data,
        "site": None,
        "domain": None,
    }


def test_links_that_act_as_a_password_are_withheld_at_any_depth_when_the_target_says_so():
    link = {"verification_link": "https://shop.example/?key=1", "kept": 1}
    of = event("confirm_email_address", data={**link, "payload": {**link, "list": [link]}})
    played = play(webhook(withhold_links=True).deliver(assignment(of)), httpx.Response(204))
    assert played.documents[0]["data"] == {"kept": 1, "payload": {"kept": 1, "list": [{"kept": 1}]}}


def secrets_of_the_catalogue() -> set[str]:
    fields = [field for known in CATALOGUE.values() for field in known.fields["properties"].items()]
    return {name for name, field in fields if field.get("description", "").endswith("a secret")}


def test_every_link_that_the_catalogue_calls_a_secret_is_withheld():
    secrets = secrets_of_the_catalogue()
    of = event("invoice_sent", data=dict.fromkeys(secrets, "https://shop.example/?key=1"))
    played = play(webhook(withhold_links=True).deliver(assignment(of)), httpx.Response(204))
    assert {"verification_link", "payment_url"} <= secrets
    assert played.documents[0]["data"] == {}


def test_a_mapping_makes_the_whole_body():
    mapping = {"text": "'New plan: ' + membership.plan.name", "who": "customer.email"}
    of = event("membership_plan_changed", customer=ADA, membership=PRO)
    played = play(webhook(mapping).deliver(assignment(of)), httpx.Response(204))
    assert played.documents == [{"text": "New plan: Pro", "who": "ada@example.com"}]


def test_a_mapping_that_fails_on_an_event_sends_nothing_and_says_which_field():
    flow = webhook({"text": "'Plan: ' + membership.plan.name"}).deliver(assignment(event("x")))
    outcome = play(flow).outcome
    assert outcome.kind is OutcomeKind.REJECTED
    assert "mapping/text" in outcome.reason


def test_raw_forwards_the_received_bytes_with_their_content_type():
    received = b'{ "a":1.10,\r\n "a2" : "\\u00e9" }\n\xff'
    request = sent(
        webhook(format="raw"), body=received, content_type="application/cloudevents+json"
    )
    assert request.content == received
    assert request.headers["content-type"] == "application/cloudevents+json"


@pytest.mark.parametrize("unfit", ["", "text/plain\r\nX: 1", "text/plain; name=é", "a\0"])
def test_a_content_type_that_no_header_may_hold_is_replaced(unfit):
    request = sent(webhook(format="raw"), content_type=unfit)
    assert request.headers["content-type"] == "application/octet-stream"


def test_the_request_is_complete_and_goes_where_the_target_says():
    request = sent(webhook(headers={"Authorization": "Bearer a", "X-Team": "1"}))
    assert str(request.url) == URL
    assert request.method == "POST"
    headers = dict(request.headers)
    assert headers.pop("webhook-signature").startswith("v1,")
    assert headers == {
        "host": "hooks.example.com",
        "user-agent": "Lifecycle-Relay",
        "authorization": "Bearer a",
        "x-team": "1",
        "content-type": "application/json",
        "content-length": str(len(request.content)),
        "webhook-id": "msg_01kaxm3v5n0000000000000000",
        "webhook-timestamp": str(int(NOW.timestamp())),
        "relay-hop": "1",
    }


def test_each_relay_on_the_way_counts_one_hop():
    assert sent(webhook(), event("x", hop=2)).headers["relay-hop"] == "3"


def test_a_later_attempt_has_the_same_id_and_its_own_time_and_signature():
    first = sent(webhook())
    later = sent(webhook(), attempt=2, now=NOW.replace(hour=21))
    assert first.headers["webhook-id"] == later.headers["webhook-id"]
    assert first.headers["webhook-timestamp"] != later.headers["webhook-timestamp"]
    assert first.headers["webhook-signature"] != later.headers["webhook-signature"]
    assert first.content == later.content


def test_nothing_is_read_from_the_body_of_a_success():
    reply = httpx.Response(200, stream=httpx.ByteStream(b"never read"))
    played = play(webhook().deliver(assignment(event("x"))), reply)
    assert played.outcome == delivered()
    assert not reply.is_closed


def test_the_reason_of_a_refusal_quotes_the_endpoint():
    reply = httpx.Response(400, json={"message": "unknown\u202e team\r\nX"})
    outcome = play(webhook().deliver(assignment(event("x"))), reply).outcome
    assert outcome.reason == ("The destination answered 400 (Bad Request): unknown team X")


@pytest.mark.parametrize("format_", ["envelope", "raw"])
async def test_the_standards_own_library_accepts_the_signature(format_):
    keys = (decode_secret(NEW),)
    delivery = assignment(event("payment_failed", data={"é": "😀"}), now=datetime.now(UTC))
    async with WebhookSink(NEW).serve() as sink, loopback_client() as client:
        flow = webhook(None, keys, sink.url, format=format_).deliver(delivery)
        assert (await drive(flow, over(client))).kind is OutcomeKind.DELIVERED
    assert sink.ids == [delivery.message_id]


@pytest.mark.parametrize("trusted", [NEW, OLD])
async def test_while_a_rotation_overlaps_receivers_with_either_secret_accept(trusted):
    keys = (decode_secret(NEW), decode_secret(OLD))
    delivery = assignment(event("payment_failed"), now=datetime.now(UTC))
    async with WebhookSink(trusted).serve() as sink, loopback_client() as client:
        flow = webhook(None, keys, sink.url).deliver(delivery)
        assert (await drive(flow, over(client))).kind is OutcomeKind.DELIVERED


async def test_a_receiver_that_is_slow_to_answer_gets_the_same_id_again():
    delivery = assignment(event("payment_failed"), now=datetime.now(UTC))
    async with WebhookSink().serve() as sink, loopback_client(timeout=0.2) as client:
        connector = webhook(None, (decode_secret(NEW),), sink.url)
        sink.stall_next()
        sink.answer_next()
        assert (await drive(connector.deliver(delivery), over(client))).kind is OutcomeKind.RETRY
        assert (
            await drive(connector.deliver(delivery), over(client))
        ).kind is OutcomeKind.DELIVERED
    assert sink.ids == [delivery.message_id] * 2


async def test_a_redirect_is_not_followed():
    async with WebhookSink().serve() as sink, loopback_client() as client:
        sink.answer_next(Answer(307, headers={"location": "http://169.254.169.254/latest"}))
        flow = webhook(url=sink.url).deliver(assignment(event("x")))
        outcome = await drive(flow, over(client))
    assert outcome.kind is OutcomeKind.REJECTED
    assert "169.254.169.254" in outcome.reason
    assert len(sink.calls) == 1
