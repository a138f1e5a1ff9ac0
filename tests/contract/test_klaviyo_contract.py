"""Klaviyo against its contract, its order of requests, and a stand-in with its rules."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal

import httpx
import pytest
from hypothesis import given

from app.connectors.klaviyo import Klaviyo
from app.domain.outcome import Outcome, OutcomeKind
from tests.contract.driving import LOST, UNREACHED, drive, over, play, play_by
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
from tests.contract.loading import KINDS, Sample, request_errors, samples
from tests.fakes import loopback_client
from tests.fakes.klaviyo import FakeKlaviyo

KEY = "pk_correct"
IMPORT = "POST /api/profile-import"
TRACK = "POST /api/events"
SCHEMAS = {"/api/profile-import": "upsert", "/api/events": "event"}
SIGN_UP = event("customer_post_create", customer=ADA)
CHECKOUT = event("checkout_completed", customer=ADA, membership=PRO, payment=PAID)
UPDATE = event("customer_post_update", customer=ADA)
LOST_MEMBERSHIP = event(
    "membership_status_to_cancelled",
    membership=replace(PRO, status="cancelled", cancellation_reason="too_expensive"),
)


def klaviyo(mapping=None, **settings):
    return bound(Klaviyo, mapping, **{"api_key": KEY, **settings})


def imported(status=200, identifier="01A"):
    return httpx.Response(status, json={"data": {"type": "profile", "id": identifier}})


def respond(request):
    return imported() if request.url.path == "/api/profile-import" else httpx.Response(202)


def sent(of, mapping=None, remembered=None, **settings):
    """What is sent about an event when all goes well: by the schema."""
    flow = klaviyo(mapping, **settings).deliver(assignment(of, remembered_id=remembered))
    played = play_by(flow, respond)
    for request, document in zip(played.requests, played.documents, strict=True):
        assert request_errors("klaviyo", SCHEMAS[request.url.path], document) == []
    return played


def attributes(of, mapping=None, **options):
    return sent(of, mapping, **options).documents[0]["data"]["attributes"]


@pytest.mark.parametrize("sample", samples("klaviyo"), ids=str)
def test_every_sample_reply_is_classified_as_the_contract_says(sample: Sample):
    reply = LOST if sample.status is None else sample.response()
    before = [imported()] if sample.operation == "event" else []
    of = SIGN_UP if sample.operation == "event" else UPDATE
    played = play(klaviyo().deliver(assignment(of)), *before, reply)
    assert played.outcome.kind is KINDS[sample.outcome]


def test_the_profile_id_of_the_contract_is_remembered():
    (sample,) = [s for s in samples("klaviyo", "upsert") if s.name == "created"]
    played = play(klaviyo().deliver(assignment(UPDATE)), sample.response())
    assert played.outcome == Outcome(
        OutcomeKind.DELIVERED, external_id="01GDDKASAP8TKDDA2GRZDSVP4H"
    )


@pytest.mark.parametrize("name", catalogue_events())
def test_every_event_makes_valid_requests_or_is_skipped_with_a_reason(name):
    of = catalogue_events()[name]
    played = sent(of)
    if not played.requests:
        assert played.outcome.kind is OutcomeKind.SKIPPED
        assert played.outcome.reason


@given(any_event())
def test_any_event_makes_valid_requests_or_is_skipped_with_a_reason(of):
    played = sent(of)
    if not played.requests:
        assert played.outcome.kind is OutcomeKind.SKIPPED
        assert played.outcome.reason
    else:
        assert played.outcome.kind is OutcomeKind.DELIVERED


@given(any_event())
def test_a_known_profile_takes_any_event(of):
    assert sent(of, remembered="01A").outcome.kind in {OutcomeKind.DELIVERED, OutcomeKind.SKIPPED}


def test_a_customer_is_written_with_what_the_event_says():
    assert attributes(CHECKOUT) == {
        "email": "ada@example.com",
        "first_name": "Ada",
        "last_name": "Lovelace",
        "properties": {
            "plan": "Pro",
            "signup_date": "2026-01-05",
            "membership_status": "active",
            "last_payment_at": "2026-11-23T19:55:00Z",
        },
    }


@pytest.mark.parametrize("of", catalogue_events().values(), ids=catalogue_events())
def test_the_default_mapping_says_what_is_sent_without_one(of):
    mapped = sent(of, Klaviyo.default_mapping)
    assert [r.content for r in mapped.requests] == [r.content for r in sent(of).requests]


def test_the_request_carries_the_key_and_the_revision():
    (request,) = sent(UPDATE, revision="2025-01-15").requests
    assert str(request.url) == "https://a.klaviyo.com/api/profile-import"
    assert request.headers["authorization"] == f"Klaviyo-API-Key {KEY}"
    assert request.headers["revision"] == "2025-01-15"
    assert request.headers["content-type"] == "application/vnd.api+json"


def test_a_sale_is_an_event_with_its_value():
    (_, document) = sent(CHECKOUT).documents
    told = document["data"]["attributes"]
    assert told["metric"]["data"]["attributes"]["name"] == "Purchase"
    assert (told["value"], told["value_currency"]) == (59.99, "USD")
    assert told["time"] == "2026-11-23T19:55:00Z"
    assert told["profile"]["data"] == {
        "type": "profile",
        "id": "01A",
        "attributes": {"email": "ada@example.com"},
    }
    assert told["properties"] == {
        "source": "shop",
        "event_type": "checkout_completed",
        "plan": "Pro",
        "membership_status": "active",
        "payment_id": "17",
        "payment_type": "first",
        "items": ["Pro", "Setup Fee"],
    }


METRICS = {
    "sign-up": "Signed Up",
    "checkout": "Purchase",
    "payment": "Purchase",
    "manual payment": "Purchase",
    "renewal": "Purchase",
    "refund": "Refund",
    "cancelled": "Membership Cancelled",
    "expired": "Membership Cancelled",
    "failed": "Payment Failed",
}


@pytest.mark.parametrize("name", catalogue_events())
def test_each_happening_is_an_event_of_its_own_name(name):
    documents = sent(catalogue_events()[name]).documents
    told = [
        document["data"]["attributes"]["metric"]["data"]["attributes"]["name"]
        for document in documents[1:]
    ]
    assert told == ([METRICS[name]] if name in METRICS else [])


def test_a_failed_payment_without_an_amount_names_neither_value_nor_currency():
    (_, document) = sent(event("payment_failed", customer=ADA, membership=PRO)).documents
    assert {"value", "value_currency"}.isdisjoint(document["data"]["attributes"])


def unique_id(of, **changes):
    flow = klaviyo().deliver(assignment(of, **changes))
    return play_by(flow, respond).documents[1]["data"]["attributes"]["unique_id"]


def test_all_announcements_of_one_payment_have_one_unique_id():
    announced = ("checkout_completed", "payment_received", "payment_status_to_completed")
    ids = {
        unique_id(event(name, customer=ADA, payment=PAID), dedupe_id=f"{number}")
        for number, name in enumerate(announced)
    }
    assert len(ids) == 1
    assert ids.isdisjoint(
        {unique_id(event("payment_received", customer=ADA, payment=replace(PAID, id="18")))}
    )


def test_a_failure_is_told_from_another_by_its_delivery():
    failed = event("payment_failed", customer=ADA)
    assert unique_id(failed, dedupe_id="one") != unique_id(failed, dedupe_id="two")
    assert unique_id(failed, dedupe_id="one", attempt=2) == "one"


def test_without_tracking_only_the_profile_is_written():
    assert sent(CHECKOUT, track_events=False).lines == [IMPORT]


def test_the_external_id_is_written_where_the_operator_chose_so():
    assert "external_id" not in attributes(UPDATE)
    assert attributes(UPDATE, external_id=True)["external_id"] == "shop:2"


def test_a_remembered_profile_is_written_by_its_id():
    played = sent(UPDATE, remembered="01B")
    assert played.documents[0]["data"]["id"] == "01B"
    assert played.lines == [IMPORT]


def test_without_an_address_a_remembered_profile_is_still_told():
    played = sent(LOST_MEMBERSHIP, remembered="01B")
    assert played.lines == [IMPORT, TRACK]
    assert played.documents[1]["data"]["attributes"]["profile"]["data"]["attributes"] == {}


def test_a_profile_that_is_gone_is_made_anew():
    played = play(
        klaviyo().deliver(assignment(UPDATE, remembered_id="01B")),
        httpx.Response(404),
        imported(201, "01C"),
    )
    assert [document["data"].get("id") for document in played.documents] == ["01B", None]
    assert (played.outcome.external_id, played.outcome.forget_id) == ("01C", False)


@pytest.mark.parametrize(
    ("of", "replies", "kind"),
    [
        (UPDATE, [404, 503], OutcomeKind.RETRY),
        (LOST_MEMBERSHIP, [404], OutcomeKind.SKIPPED),
    ],
)
def test_a_gone_id_is_forgotten_whatever_follows(of, replies, kind):
    flow = klaviyo().deliver(assignment(of, remembered_id="01B"))
    outcome = play(flow, *map(httpx.Response, replies)).outcome
    assert (outcome.kind, outcome.forget_id) == (kind, True)


def test_an_id_that_cannot_be_one_is_not_sent():
    assert "id" not in sent(UPDATE, remembered="../1").documents[0]["data"]


@pytest.mark.parametrize("failure", [LOST, UNREACHED])
@pytest.mark.parametrize("before", [0, 1])
def test_a_lost_answer_is_tried_again_whatever_the_step(failure, before):
    flow = klaviyo().deliver(assignment(SIGN_UP))
    assert play(flow, *[imported()] * before, failure).outcome.kind is OutcomeKind.RETRY


def test_a_refused_event_still_remembers_the_profile():
    outcome = play(klaviyo().deliver(assignment(SIGN_UP)), imported(), httpx.Response(503)).outcome
    assert (outcome.kind, outcome.external_id) == (OutcomeKind.RETRY, "01A")


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"data": {}}', b'{"data": {"id": "../x"}}'])
def test_a_success_without_a_profile_is_not_believed(body):
    outcome = play(klaviyo().deliver(assignment(UPDATE)), httpx.Response(200, content=body)).outcome
    assert outcome.kind is OutcomeKind.RETRY


@pytest.mark.parametrize(
    ("headers", "after"),
    [
        ({"retry-after": "3", "ratelimit-reset": "9"}, 3.0),
        ({"ratelimit-reset": "9"}, 9.0),
        ({}, None),
        ({"ratelimit-reset": "soon"}, None),
    ],
)
def test_the_wait_is_the_one_klaviyo_names(headers, after):
    reply = httpx.Response(429, headers=headers)
    outcome = play(klaviyo().deliver(assignment(UPDATE)), reply).outcome
    assert (outcome.kind, outcome.after) == (OutcomeKind.THROTTLE, after)


def test_more_than_klaviyo_takes_is_not_sent():
    of = event("customer_post_update", customer=replace(ADA, first_name="A" * 100_000))
    outcome = play(klaviyo().deliver(assignment(of))).outcome
    assert outcome.kind is OutcomeKind.REJECTED
    assert "100 kB" in outcome.reason


def test_mapped_values_are_attributes_or_properties_and_empty_ones_are_left_out():
    mapping = {
        "email": "data.billing_email",
        "organization": "customer.company",
        "phone_number": "customer.phone",
        "spent": "payment.total",
        "since": "customer.signup_date",
        "start_date": "customer.signup_date",
        "vip": "true",
        "tags": "['a', '', 'b']",
        "nothing": "null",
        "cleared": "''",
    }
    of = event(
        "payment_received", customer=ADA, payment=PAID, data={"billing_email": " b@example.com "}
    )
    assert attributes(of, mapping) == {
        "email": "b@example.com",
        "phone_number": "+1 555 0199 321",
        "properties": {
            "spent": 59.99,
            "since": "2026-01-05T10:00:00Z",
            "start_date": "2026-01-05",
            "vip": True,
            "tags": ["a", "b"],
        },
    }


def test_a_profile_is_never_written_without_what_it_is_found_by():
    assert attributes(UPDATE, {"plan": "'Pro'"}) == {
        "email": "ada@example.com",
        "properties": {"plan": "Pro"},
    }


def test_a_mapping_that_fails_on_an_event_is_rejected_and_says_which_field():
    flow = klaviyo({"plan": "'Plan ' + membership.plan.name"}).deliver(assignment(SIGN_UP))
    outcome = play(flow).outcome
    assert outcome.kind is OutcomeKind.REJECTED
    assert "mapping/plan" in outcome.reason


@pytest.mark.parametrize(
    "field", ["subscriptions", "consent", "id", "$email", "", " ", "a\nb", "x" * 256, "location"]
)
def test_a_mapping_to_what_is_no_writable_field_is_named(field):
    assert Klaviyo.check_mapping([field, "email", "Favourite colour"]).keys() == {field}


@pytest.mark.parametrize(
    ("of", "reason"),
    [
        (event("customer_post_create", customer=ADA, test=True), "test button"),
        (event("customer_post_delete", customer=ADA), "kept"),
        (event("relay.contact_linked", customer=ADA), "relay's own news"),
    ],
)
def test_what_is_no_profile_is_skipped(of, reason):
    assert reason in (klaviyo().skip(of) or "")


def test_the_key_never_stands_in_a_reason():
    refusal = httpx.Response(401, json={"errors": [{"detail": f"The key {KEY} is wrong"}]})
    outcome = play(klaviyo().deliver(assignment(UPDATE)), refusal).outcome
    assert outcome.kind is OutcomeKind.AUTH_FAILED
    assert KEY not in outcome.reason


@pytest.fixture
async def account() -> AsyncIterator[FakeKlaviyo]:
    async with FakeKlaviyo().serve() as fake:
        yield fake


async def deliver(account, of=SIGN_UP, remembered=None, patience=5.0, **settings):
    connector = klaviyo(base_url=account.base_url, **settings)
    flow = connector.deliver(assignment(of, remembered_id=remembered))
    async with loopback_client(timeout=patience) as client:
        return await drive(flow, over(client))


async def test_a_customer_becomes_one_profile_however_often_events_come(account: FakeKlaviyo):
    first = await deliver(account)
    await deliver(account, CHECKOUT)
    await deliver(account, LOST_MEMBERSHIP, first.external_id)
    (profile,) = account.profiles.values()
    assert profile["properties"]["membership_status"] == "cancelled"
    assert profile["properties"]["plan"] == "Pro"
    assert account.subscribed == set()


async def test_a_payment_announced_three_times_is_one_purchase(account: FakeKlaviyo):
    for name in ("checkout_completed", "payment_received", "payment_status_to_completed"):
        await deliver(account, event(name, customer=ADA, membership=PRO, payment=PAID))
    (purchase,) = account.counted("Purchase")
    assert purchase["value"] == 59.99


async def test_an_event_whose_answer_was_lost_is_counted_once(account: FakeKlaviyo):
    account.stall_next(0)
    account.stall_next()
    assert (await deliver(account, patience=0.2)).kind is OutcomeKind.RETRY
    assert (await deliver(account)).kind is OutcomeKind.DELIVERED
    assert len(account.counted("Signed Up")) == 1


async def test_a_new_address_moves_with_the_person(account: FakeKlaviyo):
    identifier = account.add(email="ada@example.com")
    moved = event("customer_post_update", customer=replace(ADA, email="countess@example.com"))
    await deliver(account, moved, identifier)
    assert account.profiles[identifier]["email"] == "countess@example.com"
    assert len(account.profiles) == 1


async def test_an_address_that_is_anothers_needs_an_operator(account: FakeKlaviyo):
    identifier = account.add(email="old@example.com")
    account.add(email="ada@example.com")
    outcome = await deliver(account, remembered=identifier)
    assert outcome.kind is OutcomeKind.REJECTED
    assert "merge the two in Klaviyo" in outcome.reason


async def test_what_a_colleague_wrote_is_not_cleared(account: FakeKlaviyo):
    account.add(email="ada@example.com", title="Countess", properties={"plan": "Pro", "vip": True})
    await deliver(account, event("x", customer=replace(ADA, last_name=None, signup_date=None)))
    (profile,) = account.profiles.values()
    assert profile["title"] == "Countess"
    assert profile["properties"] == {"plan": "Pro", "vip": True}


async def test_a_full_window_throttles_and_writes_nothing(account: FakeKlaviyo):
    account.requests_left = 0
    outcome = await deliver(account)
    assert (outcome.kind, outcome.after) == (OutcomeKind.THROTTLE, 1.0)
    assert account.profiles == {}


async def test_a_wrong_key_holds_the_target(account: FakeKlaviyo):
    outcome = await deliver(account, api_key="pk_wrong_key")
    assert outcome.kind is OutcomeKind.AUTH_FAILED


async def test_an_address_that_klaviyo_refuses_is_rejected_in_its_words(account: FakeKlaviyo):
    outcome = await deliver(account, event("x", customer=replace(ADA, email="ada@localhost")))
    assert outcome.kind is OutcomeKind.REJECTED
    assert "Invalid email address" in outcome.reason


async def test_a_refund_is_told_with_what_was_paid_back(account: FakeKlaviyo):
    payment = replace(PAID, status="refunded", refund_total=Decimal(20))
    await deliver(account, event("payment_status_to_refunded", customer=ADA, payment=payment))
    (refund,) = account.counted("Refund")
    assert refund["value"] == 20.0
