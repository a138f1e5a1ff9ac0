"""Brevo against its contract: requests by schema, every sample reply, the default mapping."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import httpx
import pytest
from hypothesis import given
from pydantic import ValidationError

from app.connectors.brevo import Brevo
from app.domain.outcome import OutcomeKind
from tests.contract.contacts import bodies
from tests.contract.driving import LOST, play, play_by
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

KEY = "xkeysib-0123456789-secret"
SIGN_UP = event("customer_post_create", customer=ADA)
SALE = event("payment_received", customer=ADA, membership=PRO, payment=PAID)
CREATED = httpx.Response(201, json={"id": 9021})
UPDATED = httpx.Response(204)
THERE = httpx.Response(200, json={"id": 9021, "email": "ada@example.com"})
#: What brings the flow of a sign-up to an operation, and the remembered id it starts with.
LEADS_TO = {
    "upsert": ([], None),
    "get": ([UPDATED], None),
    "update": ([THERE], "9021"),
    "event": ([CREATED], None),
}
#: What comes after a reply that does not end the flow, and the line that follows it.
GOES_ON = {
    "upsert-updated": (
        [httpx.Response(200, json={"id": 9021})],
        "GET /v3/contacts/ada%40example.com",
    ),
    "update-absent": ([CREATED], "POST /v3/contacts"),
}
#: Where an event may have arrived, it is not sent again.
SENT_ONCE = "event-timeout"


def brevo(mapping=None, **settings):
    return bound(Brevo, mapping, **{"api_key": KEY, **settings})


def play_to(sample: Sample, *then: httpx.Response):
    before, remembered = LEADS_TO[sample.operation]
    reply = LOST if sample.status is None else sample.response()
    connector = brevo(track_events=sample.operation == "event")
    flow = connector.deliver(assignment(SIGN_UP, remembered_id=remembered))
    return play(flow, *before, reply, *then)


def settled() -> list[Sample]:
    return [s for s in samples("brevo") if str(s) not in {*GOES_ON, SENT_ONCE, "get-absent"}]


@pytest.mark.parametrize("sample", settled(), ids=str)
def test_every_sample_reply_is_classified_as_the_contract_says(sample):
    assert play_to(sample).outcome.kind is KINDS[sample.outcome]


@pytest.mark.parametrize("sample", [s for s in samples("brevo") if str(s) in GOES_ON], ids=str)
def test_where_another_request_is_needed_the_flow_goes_on(sample):
    after, line = GOES_ON[str(sample)]
    played = play_to(sample, *after)
    assert played.lines[-1] == line
    assert (played.outcome.kind, played.outcome.external_id) == (OutcomeKind.DELIVERED, "9021")


def test_a_contact_that_was_written_and_is_not_found_yet_is_delivered_without_an_id():
    (sample,) = [s for s in samples("brevo", "get") if s.name == "absent"]
    outcome = play_to(sample).outcome
    assert (outcome.kind, outcome.external_id) == (OutcomeKind.DELIVERED, None)


def test_a_contact_that_is_looked_for_and_absent_is_made():
    (sample,) = [s for s in samples("brevo", "get") if s.name == "absent"]
    flow = brevo(new_lists=(2,)).deliver(assignment(SIGN_UP))
    played = play(flow, sample.response(), CREATED)
    assert played.lines == ["GET /v3/contacts/ada%40example.com", "POST /v3/contacts"]
    assert bodies(played)[0]["listIds"] == [2]


def test_an_event_that_may_have_arrived_is_not_sent_again():
    (sample,) = [s for s in samples("brevo", "event") if str(s) == SENT_ONCE]
    outcome = play_to(sample).outcome
    assert (outcome.kind, outcome.external_id) == (OutcomeKind.DELIVERED, "9021")
    assert "not sent a second time" in outcome.reason


def test_the_words_about_an_unknown_ip_address_are_shown_as_they_are():
    (sample,) = [s for s in samples("brevo", "upsert") if s.name == "ip_blocked"]
    assert "We have detected you are using an unrecognised IP" in play_to(sample).outcome.reason


@pytest.mark.parametrize(
    ("headers", "after"),
    [
        ({"x-sib-ratelimit-reset": "3"}, 3.0),
        ({"x-sib-ratelimit-reset": "٣", "retry-after": "7"}, 7.0),
        ({"x-sib-ratelimit-reset": "-1"}, None),
        ({}, None),
    ],
)
def test_the_wait_is_the_one_the_reply_names(headers, after):
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    outcome = play(brevo().deliver(assignment(SIGN_UP)), httpx.Response(429, headers=raw)).outcome
    assert (outcome.kind, outcome.after) == (OutcomeKind.THROTTLE, after)


@pytest.mark.parametrize("status", [400, 403])
def test_an_account_under_validation_holds_the_target(status):
    refusal = httpx.Response(status, json={"code": "account_under_validation", "message": "Wait"})
    outcome = play(brevo().deliver(assignment(SIGN_UP)), refusal).outcome
    assert outcome.kind is OutcomeKind.AUTH_FAILED


@pytest.mark.parametrize("of", catalogue_events().values(), ids=catalogue_events())
@pytest.mark.parametrize("fields", ["all", "standard_only"])
@pytest.mark.parametrize("respond", ["there", "nobody_there"])
def test_every_request_is_valid_by_the_schema(of, fields, respond):
    connector = all_on(fields=fields)
    for remembered in (None, "9021"):
        flow = connector.deliver(assignment(of, remembered_id=remembered))
        check(play_by(flow, {"there": there, "nobody_there": nobody_there}[respond]))


@given(any_event())
def test_any_event_makes_valid_requests_or_is_skipped_with_a_reason(of):
    connector = all_on(plan_lists={"Pro": 7, "2": 8})
    for remembered, respond in ((None, nobody_there), ("9021", there)):
        played = play_by(connector.deliver(assignment(of, remembered_id=remembered)), respond)
        check(played)
        if played.requests:
            assert played.outcome.kind is OutcomeKind.DELIVERED
        else:
            assert played.outcome.kind in {OutcomeKind.SKIPPED, OutcomeKind.DELIVERED}


def all_on(**settings):
    lists = {"cancelled_list": 5, "payment_failed_list": 6}
    return brevo(**{**lists, "track_events": True, "orders": True, **settings})


def nobody_there(request: httpx.Request) -> httpx.Response:
    return httpx.Response(404) if request.method in {"GET", "PUT"} else CREATED


def there(request: httpx.Request) -> httpx.Response:
    found = {"id": 9021, "email": "x@example.com", "emailBlacklisted": False, "listIds": [5, 6]}
    return httpx.Response(200, json=found) if request.method == "GET" else UPDATED


def check(played):
    sending = [request for request in played.requests if request.content]
    for request, document in zip(sending, bodies(played), strict=True):
        assert request.url.host == "api.brevo.com"
        path = request.url.path.removeprefix("/v3")
        assert "emailBlacklisted" not in document
        if path == "/orders/status":
            assert document["amount"] > 0
            assert document["products"]
            continue
        operation = {"/contacts": "upsert", "/events": "event"}.get(path, "update")
        assert request_errors("brevo", operation, document) == []


def made(of, mapping=None, **settings):
    return bodies(play(brevo(mapping, **settings).deliver(assignment(of)), CREATED))[0]


def test_a_contact_is_made_with_what_the_event_says_and_nothing_empty():
    of = event("checkout_completed", customer=ADA, membership=PRO, payment=PAID)
    assert made(of) == {
        "email": "ada@example.com",
        "updateEnabled": True,
        "attributes": {
            "FIRSTNAME": "Ada",
            "LASTNAME": "Lovelace",
            "PLAN": "Pro",
            "SIGNUP_DATE": "2026-01-05",
            "MEMBERSHIP_STATUS": "active",
            "LAST_PAYMENT_AT": "2026-11-23",
        },
    }


def test_names_go_by_the_attributes_of_the_account():
    settings = {"first_name_attribute": "PRENOM", "last_name_attribute": "NOM"}
    assert made(SALE, fields="standard_only", **settings)["attributes"] == {
        "PRENOM": "Ada",
        "NOM": "Lovelace",
    }


@pytest.mark.parametrize(
    ("event_type", "written"),
    [
        ("membership_status_to_cancelled", "CHURNED_AT"),
        ("membership_expired", "CHURNED_AT"),
        ("payment_failed", "LAST_PAYMENT_FAILED_AT"),
        ("payment_received", "LAST_PAYMENT_AT"),
        ("site_published", None),
    ],
)
def test_each_happening_dates_its_own_attribute(event_type, written):
    of = event(event_type, customer=ADA, membership=PRO, payment=PAID)
    dated = {"CHURNED_AT", "LAST_PAYMENT_FAILED_AT", "LAST_PAYMENT_AT"}
    assert dated & made(of)["attributes"].keys() == ({written} if written else set())


@pytest.mark.parametrize("of", catalogue_events().values(), ids=catalogue_events())
def test_the_default_mapping_says_what_is_sent_without_one(of):
    if of.customer is None:
        pytest.skip("nobody is made of it")
    assert made(of, Brevo.default_mapping) == made(of)


def test_mapped_values_keep_their_kind_since_brevo_ignores_another():
    mapping = {
        "EMAIL": "'other@example.com'",
        "SPENT": "payment.total",
        "SEATS": "3",
        "VIP": "true",
        "LIKES": "['a', 2]",
        "WHEN": "customer.signup_date",
        "NOTHING": "null",
        "CLEARED": "''",
    }
    body = made(SALE, mapping)
    assert body["email"] == "other@example.com"
    assert body["attributes"] == {
        "SPENT": 59.99,
        "SEATS": 3,
        "VIP": True,
        "LIKES": ["a", "2"],
        "WHEN": "2026-01-05",
    }


@pytest.mark.parametrize("field", ["plan", "", "A-B", "X" * 51])
def test_a_mapping_to_what_is_no_attribute_is_named(field):
    assert Brevo.check_mapping([field, "EMAIL", "PLAN"]).keys() == {field}


def test_a_mapping_that_fails_on_an_event_is_rejected_and_says_which_field():
    flow = brevo({"PLAN": "'Plan ' + membership.plan.name"}).deliver(assignment(SIGN_UP))
    outcome = play(flow).outcome
    assert outcome.kind is OutcomeKind.REJECTED
    assert "mapping/PLAN" in outcome.reason


@pytest.mark.parametrize(
    "wrong",
    [{"first_name_attribute": "Prenom"}, {"api_version": "../v3"}, {"new_lists": [0]}],
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ValidationError):
        brevo(**wrong)


def test_the_request_carries_the_key_and_no_reason_does():
    connector = brevo(base_url="https://brevo.example/")
    refusal = httpx.Response(401, json={"code": "unauthorized", "message": f"{KEY} not found"})
    played = play(connector.deliver(assignment(SIGN_UP)), refusal)
    assert str(played.requests[0].url) == "https://brevo.example/v3/contacts"
    assert played.requests[0].headers["api-key"] == KEY
    assert KEY not in played.outcome.reason


@pytest.mark.parametrize(
    ("of", "reason"),
    [
        (event("customer_post_create", customer=ADA, test=True), "test button"),
        (event("customer_post_delete", customer=ADA), "kept"),
        (event("relay.contact_linked", customer=ADA), "relay's own news"),
    ],
)
def test_what_is_no_contact_is_skipped(of, reason):
    assert reason in (brevo().skip(of) or "")


def order(of):
    return bodies(play(brevo(orders=True).deliver(assignment(of)), CREATED, UPDATED))[1]


def test_a_sale_becomes_an_order_that_goes_by_its_payment():
    assert order(SALE) == {
        "id": "shop:17",
        "createdAt": "2026-11-23T19:55:00Z",
        "updatedAt": "2026-11-23T19:55:00Z",
        "status": "completed",
        "amount": 59.99,
        "products": [
            {"productId": "4", "quantity": 1, "price": 49.99},
            {"productId": "Setup Fee", "quantity": 1, "price": 10.0},
        ],
        "identifiers": {"email_id": "ada@example.com"},
    }


def test_a_refund_marks_the_order_of_its_payment():
    payment = replace(PAID, status="refunded", refund_total=Decimal(-20))
    found = order(event("payment_status_to_refunded", customer=ADA, payment=payment))
    assert (found["id"], found["status"], found["amount"]) == ("shop:17", "refunded", 59.99)


def test_the_order_keeps_its_amount_when_the_platform_tells_a_total_of_nought():
    whole = {"status": "refunded", "total": Decimal(0), "refund_total": Decimal("-59.99")}
    for lines in (PAID.line_items, ()):
        payment = replace(PAID, **whole, line_items=lines)
        found = order(event("payment_status_to_refunded", customer=ADA, payment=payment))
        assert (found["id"], found["status"], found["amount"]) == ("shop:17", "refunded", 59.99)
        assert sum(product["price"] for product in found["products"]) == pytest.approx(59.99)


@pytest.mark.parametrize("name", ["sign-up", "trial", "pending", "failed", "cancelled", "site"])
def test_what_is_no_sale_and_no_refund_makes_no_order(name):
    flow = brevo(orders=True).deliver(assignment(catalogue_events()[name]))
    assert play(flow, CREATED).outcome.kind is OutcomeKind.DELIVERED


def test_a_tracked_event_goes_by_the_id_of_the_contact():
    flow = brevo(track_events=True).deliver(assignment(SALE))
    document = bodies(play(flow, CREATED, UPDATED))[1]
    assert document["identifiers"] == {"contact_id": 9021}
    assert document["event_name"] == "payment_received"
    assert document["event_date"] == "2026-11-23T19:55:00Z"
    assert document["event_properties"]["value"] == "59.99"
