"""Meta's Conversions API against its contract: hashes, consent, and one bad event that fails all."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.connectors.meta_capi import MetaCapi, MetaCapiSettings
from app.connectors.meta_people import user_data
from app.domain.model import Context, Customer, Site
from app.domain.outcome import OutcomeKind
from tests.contract.analytics import assignments, texts
from tests.contract.driving import LOST, drive, over, play
from tests.contract.events import (
    ADA,
    NOW,
    PAID,
    PRO,
    any_customer,
    any_event,
    assignment,
    bound,
    catalogue_events,
    event,
)
from tests.contract.loading import KINDS, Sample, request_errors, samples
from tests.fakes import loopback_client
from tests.fakes.meta_capi import FakeMeta

TEXTS = st.none() | st.text(max_size=40) | st.just("fb.1.1596403881668.1116446470")
SETTINGS = {"dataset_id": "1234567890123456", "access_token": "EAAcorrect"}
RECEIVED = httpx.Response(200, json={"events_received": 1, "messages": [], "fbtrace_id": "A1b2"})
BROWSER = Context(
    fbp="fb.1.1596403881668.1116446470",
    fbc="fb.1.1554763741205.AbCdEfGhIjKlMnOpQrStUvWxYz1234567890",
    user_agent="Mozilla/5.0 (X11)",
)
CHECKOUT = event("checkout_completed", customer=ADA, membership=PRO, payment=PAID, context=BROWSER)
SIGN_UP = event("customer_post_create", customer=ADA, context=BROWSER)
ACTIVE = event("membership_status_to_active", customer=ADA, membership=PRO, context=BROWSER)
RENEWAL = event("membership_renewed", customer=ADA, membership=PRO, payment=PAID, context=BROWSER)


def meta(mapping=None, **settings):
    return bound(MetaCapi, mapping, **{**SETTINGS, **settings})


def told(of, mapping=None, **settings):
    """The one event that is sent."""
    (document,) = play(meta(mapping, **settings).deliver(assignment(of)), RECEIVED).documents
    assert request_errors("meta_capi", "events", document) == []
    (found,) = document["data"]
    return found


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


def test_a_purchase_is_sent_whole():
    assert told(CHECKOUT, event_source_url="https://shop.example.com/checkout") == {
        "event_name": "Purchase",
        "event_time": 1795463700,
        "event_id": "shop:17",
        "action_source": "website",
        "event_source_url": "https://shop.example.com/checkout",
        "user_data": {
            "external_id": [sha("shop:2")],
            "em": [sha("ada@example.com")],
            "ph": [sha("15550199321")],
            "fn": [sha("ada")],
            "ln": [sha("lovelace")],
            "fbp": BROWSER.fbp,
            "fbc": BROWSER.fbc,
            "client_user_agent": "Mozilla/5.0 (X11)",
        },
        "custom_data": {
            "value": 59.99,
            "currency": "USD",
            "order_id": "shop:17",
            "content_type": "product",
            "contents": [
                {"id": "4", "quantity": 1, "item_price": 49.99},
                {"id": "Setup Fee", "quantity": 1, "item_price": 10.0},
            ],
        },
    }


def test_the_request_goes_to_the_dataset_with_the_token_in_a_query_that_is_masked():
    (request,) = play(meta().deliver(assignment(CHECKOUT)), RECEIVED).requests
    assert str(request.url) == (
        "https://graph.facebook.com/v24.0/1234567890123456/events?access_token=EAAcorrect"
    )
    assert "access_token" in MetaCapi.secret_query


def test_the_version_and_the_host_are_settings():
    connector = meta(api_version="v25.0", base_url="https://graph.example.com")
    (request,) = play(connector.deliver(assignment(CHECKOUT)), RECEIVED).requests
    assert str(request.url).startswith("https://graph.example.com/v25.0/")


@pytest.mark.parametrize("sample", samples("meta_capi"), ids=str)
def test_every_sample_reply_is_classified_as_the_contract_says(sample: Sample):
    reply = LOST if sample.status is None else sample.response()
    outcome = play(meta().deliver(assignment(CHECKOUT)), reply).outcome
    assert outcome.kind is KINDS[sample.outcome]


@pytest.mark.parametrize("sample", [s for s in samples("meta_capi") if s.outcome == "reject"])
def test_a_batch_that_is_refused_for_one_event_is_sent_again_one_by_one(sample: Sample):
    ended = play(meta().deliver_many(assignments(CHECKOUT, SIGN_UP)), sample.response()).outcome
    assert ended.kind is OutcomeKind.REJECTED


def error(status=400, **parts):
    return httpx.Response(status, json={"error": {"message": "no", **parts}})


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (error(code=32), OutcomeKind.THROTTLE),
        (error(code=613), OutcomeKind.THROTTLE),
        (error(code=80004, is_transient=True), OutcomeKind.THROTTLE),
        (error(code=10), OutcomeKind.AUTH_FAILED),
        (error(code=3), OutcomeKind.AUTH_FAILED),
        (error(code=341), OutcomeKind.RETRY),
        (error(code=5000), OutcomeKind.RETRY),
        (error(code=99999, is_transient=True), OutcomeKind.RETRY),
        (error(code=99999), OutcomeKind.REJECTED),
        (error(500, code=100), OutcomeKind.REJECTED),
        (error(code=[190]), OutcomeKind.REJECTED),
        (error(code=None), OutcomeKind.REJECTED),
        (httpx.Response(400, json={"error": "x"}), OutcomeKind.REJECTED),
        (httpx.Response(400, json=[1]), OutcomeKind.REJECTED),
        (httpx.Response(413), OutcomeKind.REJECTED),
    ],
)
def test_the_error_code_decides_whatever_the_status_says(reply, kind):
    assert play(meta().deliver(assignment(CHECKOUT)), reply).outcome.kind is kind


@pytest.mark.parametrize("name", catalogue_events())
def test_every_event_is_sent_by_the_schema_or_skipped_with_a_reason(name):
    of = replace(catalogue_events()[name], context=BROWSER)
    expected = {
        "sign-up": "CompleteRegistration",
        "checkout": "Purchase",
        "payment": "Purchase",
        "manual payment": "Purchase",
    }
    if name in expected:
        assert told(of)["event_name"] == expected[name]
    else:
        outcome = play(meta().deliver(assignment(of))).outcome
        assert outcome.kind is OutcomeKind.SKIPPED
        assert outcome.reason == meta().skip(of)


@given(any_event())
def test_any_event_makes_a_valid_request_without_a_person_in_it_or_is_skipped(of):
    connector = meta(consent="given", report_renewals=True, report_subscriptions=True)
    if connector.skip(of):
        assert play(connector.deliver(assignment(of))).outcome.kind is OutcomeKind.SKIPPED
        return
    (document,) = play(connector.deliver(assignment(of)), RECEIVED).documents
    assert request_errors("meta_capi", "events", document) == []
    assert [t for t in texts(document) if re.search(r"[^@\s]@[^@\s]", t)] == []


@given(any_customer(), st.builds(Context, fbp=TEXTS, fbc=TEXTS, user_agent=TEXTS))
def test_whatever_is_known_of_a_person_is_hashes_and_browser_identifiers(customer, context):
    found = user_data("shop:2", customer, context)
    for name in ("external_id", "em", "ph", "fn", "ln", "country"):
        assert all(re.fullmatch("[0-9a-f]{64}", value) for value in found.pop(name, []))
    assert found.keys() <= {"fbp", "fbc", "client_user_agent"}
    assert all(found.get(name, "fb.").startswith("fb.") for name in ("fbp", "fbc"))


@pytest.mark.parametrize(
    ("context", "sent"),
    [
        (None, False),
        (Context(), False),
        (Context(ga_client_id="1.2", user_agent="Mozilla"), False),
        (Context(fbp=BROWSER.fbp), True),
        (Context(fbc=BROWSER.fbc), True),
        (Context(fbp="ada@example.com"), False),
        (Context(fbc=""), False),
    ],
)
def test_without_a_sign_of_consent_nothing_is_sent_unless_the_operator_has_it(context, sent):
    of = replace(CHECKOUT, context=context)
    assert (meta().skip(of) is None) is sent
    assert meta(consent="given").skip(of) is None


@pytest.mark.parametrize(
    ("of", "setting", "name"),
    [
        (RENEWAL, "report_renewals", "Purchase"),
        (ACTIVE, "report_subscriptions", "Subscribe"),
        (replace(ACTIVE, type="membership_status_to_trialing"), "report_subscriptions", "StartTrial"),
    ],
)  # fmt: skip
def test_renewals_and_subscriptions_are_reported_on_request(of, setting, name):
    assert setting in (meta().skip(of) or "")
    assert told(of, **{setting: True})["event_name"] == name


@pytest.mark.parametrize(
    "event_type",
    ["membership_status_to_cancelled", "membership_status_to_on-hold", "payment_failed", "payment_status_to_refunded", "site_published"],
)  # fmt: skip
def test_losses_failures_and_refunds_are_never_sent(event_type):
    of = event(event_type, customer=ADA, membership=PRO, payment=PAID, site=Site(id="3"), context=BROWSER)  # fmt: skip
    reason = f"Meta Conversions API has no event for {event_type}."
    assert meta(report_subscriptions=True).skip(of) == reason


def test_a_renewal_is_generated_by_a_system_even_when_a_browser_is_known():
    found = told(RENEWAL, report_renewals=True, event_source_url="https://shop.example.com")
    assert found["action_source"] == "system_generated"
    assert "event_source_url" not in found


@pytest.mark.parametrize("of", [replace(CHECKOUT, context=Context(fbp=BROWSER.fbp)), CHECKOUT])
def test_the_website_is_named_only_where_page_and_browser_are_known(of):
    assert told(of)["action_source"] == "system_generated"


@pytest.mark.parametrize(
    ("customer", "expected"),
    [
        (Customer(email="  ADA@Example.com "), {"em": "ada@example.com"}),
        (Customer(email="not an address"), {}),
        (Customer(first_name="Anne-Marie", last_name="O'Neill"), {"fn": "annemarie", "ln": "oneill"}),
        (Customer(name="Ada King Lovelace"), {"fn": "ada", "ln": "kinglovelace"}),
        (Customer(name="Ada"), {"fn": "ada"}),
        (Customer(first_name="Ångström"), {"fn": "ångström"}),
        (Customer(phone="+49 (30) 123-456"), {"ph": "4930123456"}),
        (Customer(phone="0049 30 123456"), {"ph": "4930123456"}),
        (Customer(phone="030 123456"), {}),
        (Customer(phone="+1"), {}),
        (Customer(country="US"), {"country": "us"}),
        (Customer(country="Germany"), {}),
        (Customer(billing_address="1 Main St"), {}),
    ],
)  # fmt: skip
def test_people_are_normalised_before_they_are_hashed(customer, expected):
    found = user_data("shop:2", customer, None)
    assert found == {
        "external_id": [sha("shop:2")],
        **{name: [sha(value)] for name, value in expected.items()},
    }


def test_nothing_of_a_person_stands_in_the_clear():
    named = replace(CHECKOUT, customer=replace(ADA, id="ada@example.com"))
    sent = json.dumps(told(named, {"who": "customer.name", "mail": "customer.email"})).lower()
    for clear in ("ada@", "lovelace", "5550199321", "main st"):
        assert clear not in sent


def test_a_mapping_adds_custom_data():
    data = told(CHECKOUT, {"plan": "membership.plan.name", "value2": "1"})["custom_data"]
    assert (data["plan"], data["value2"], data["value"]) == ("Pro", 1, 59.99)


@pytest.mark.parametrize("field", ["", "value", "currency", "order_id", "contents", "$x"])
def test_a_mapping_to_what_is_the_relays_is_named(field):
    assert MetaCapi.check_mapping([field, "plan"]).keys() == {field}


def test_limited_data_use_and_the_test_code_are_settings():
    found = told(CHECKOUT, limited_data_use=True)
    assert found["data_processing_options"] == ["LDU"]
    assert found["data_processing_options_country"] == 0
    connector = meta(test_event_code="TEST123")
    (document,) = play(connector.deliver(assignment(CHECKOUT)), RECEIVED).documents
    assert document["test_event_code"] == "TEST123"


def test_what_meta_remarks_is_shown():
    reply = httpx.Response(200, json={"events_received": 1, "messages": ["no fbp", 7]})
    outcome = play(meta().deliver(assignment(CHECKOUT)), reply).outcome
    assert (outcome.kind, outcome.reason) == (OutcomeKind.DELIVERED, "no fbp; 7")


@pytest.mark.parametrize(
    ("age", "sent"), [(timedelta(days=7), True), (timedelta(days=7, seconds=1), False)]
)
def test_an_event_of_more_than_seven_days_expires_and_does_not_fail_the_others(age, sent):
    old = replace(CHECKOUT, occurred_at=NOW - age)
    played = play(meta().deliver_many(assignments(SIGN_UP, old)), RECEIVED)
    assert len(played.documents[0]["data"]) == (2 if sent else 1)
    if not sent:
        assert played.outcome[1].kind is OutcomeKind.SKIPPED
        assert played.outcome[1].reason.startswith("Expired:")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dataset_id", "act_1"),
        ("dataset_id", "../1"),
        ("api_version", "24"),
        ("consent", "yes"),
        ("test_event_code", "a b"),
    ],
)
def test_settings_that_cannot_work_are_refused(name, value):
    with pytest.raises(ValidationError):
        MetaCapiSettings(**{**SETTINGS, name: value})


async def send(fake, *events, **settings):
    connector = meta(base_url=fake.base_url, **settings)
    async with loopback_client(timeout=2) as client:
        return await drive(connector.deliver_many(assignments(*events)), over(client))


def fake_meta():
    return FakeMeta(clock=NOW.timestamp)


async def test_a_payment_announced_three_times_is_one_purchase():
    announced = [
        event(name, customer=ADA, membership=PRO, payment=PAID, context=BROWSER)
        for name in ("checkout_completed", "payment_received", "payment_status_to_completed")
    ]
    async with fake_meta().serve() as fake:
        outcomes = await send(fake, *announced)
        await send(fake, announced[0])
    assert {outcome.kind for outcome in outcomes} == {OutcomeKind.DELIVERED}
    assert [found["custom_data"]["value"] for found in fake.events] == [59.99]


async def test_one_event_that_meta_will_not_take_leaves_the_others_to_be_sent_alone():
    future = replace(SIGN_UP, occurred_at=NOW + timedelta(days=1))
    async with fake_meta().serve() as fake:
        together = await send(fake, CHECKOUT, future)
        alone = [await send(fake, of) for of in (CHECKOUT, future)]
    assert together.kind is OutcomeKind.REJECTED
    assert [outcome.kind for (outcome,) in alone] == [
        OutcomeKind.DELIVERED,
        OutcomeKind.REJECTED,
    ]
    assert len(fake.events) == 1


async def test_the_window_of_the_application_is_waited_for():
    async with fake_meta().serve() as fake:
        fake.requests_left = 0
        (outcome,) = await send(fake, CHECKOUT)
    assert outcome.kind is OutcomeKind.THROTTLE


@pytest.mark.parametrize(
    "settings", [{"access_token": "EAAwrong_token"}, {"dataset_id": "99999999999"}]
)
async def test_a_wrong_token_and_a_wrong_dataset_are_said(settings):
    async with fake_meta().serve() as fake:
        (outcome,) = await send(fake, CHECKOUT, **settings)
    assert outcome.kind is OutcomeKind.AUTH_FAILED
    assert "EAAwrong_token" not in outcome.reason


async def test_a_lost_answer_makes_no_second_purchase():
    async with fake_meta().serve() as fake:
        fake.stall_next()
        connector = meta(base_url=fake.base_url)
        async with loopback_client(timeout=0.2) as client:
            first = await drive(connector.deliver(assignment(CHECKOUT)), over(client))
        (second,) = await send(fake, CHECKOUT)
    assert (first.kind, second.kind) == (OutcomeKind.RETRY, OutcomeKind.DELIVERED)
    assert len(fake.events) == 1
