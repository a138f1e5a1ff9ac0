"""Mailchimp against its contract: requests by schema, every sample reply, the default mapping."""

from __future__ import annotations

from base64 import b64decode

import httpx
import pytest
from hypothesis import given
from pydantic import ValidationError

from app.connectors.classify import classify
from app.connectors.mailchimp import Mailchimp
from app.connectors.mailchimp_replies import RULES
from app.domain.outcome import OutcomeKind
from tests.contract.contacts import bodies
from tests.contract.driving import LOST, play, play_by
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
from tests.fakes.mailchimp import hashed

KEY = "0123456789abcdef-us6"
ADAS = hashed("ada@example.com")
MEMBER = httpx.Response(200, json={"id": ADAS})
SALE = event("payment_received", customer=ADA, membership=PRO, payment=PAID)
#: What brings the flow of a sale, with tags and tracking, to an operation.
LEADS_TO = {"upsert": [], "tags": [MEMBER], "event": [MEMBER, httpx.Response(204)]}
#: Refusals that the contract's note wants recorded as skipped, without an alert.
LEFT_ALONE = {"compliance", "forgotten"}
#: Where an event may have arrived, it is not sent again.
SENT_ONCE = "event-timeout"


def mailchimp(mapping=None, **settings):
    return bound(Mailchimp, mapping, **{"api_key": KEY, "list_id": "57afe96172", **settings})


def play_to(sample: Sample):
    reply = LOST if sample.status is None else sample.response()
    then = [httpx.Response(204)] * (2 - len(LEADS_TO[sample.operation]))
    after = then if sample.outcome == "ok" else []
    connector = mailchimp(track_events=True, on_refused_field="reject")
    flow = connector.deliver(assignment(SALE))
    return play(flow, *LEADS_TO[sample.operation], reply, *after)


@pytest.mark.parametrize("sample", samples("mailchimp", *LEADS_TO), ids=str)
def test_every_sample_reply_is_classified_as_the_contract_says(sample):
    outcome = play_to(sample).outcome
    if sample.name in LEFT_ALONE:
        assert outcome.kind is OutcomeKind.SKIPPED
    elif str(sample) == SENT_ONCE:
        assert outcome.kind is OutcomeKind.DELIVERED
        assert "not sent a second time" in outcome.reason
    else:
        assert outcome.kind is KINDS[sample.outcome]


def refusals_of_a_batch() -> list[Sample]:
    return [s for s in samples("mailchimp", "batch") if s.status and s.status >= 400]


@pytest.mark.parametrize("sample", refusals_of_a_batch(), ids=str)
def test_a_refused_batch_would_be_classified_by_the_same_rules(sample):
    kind = classify(sample.response(), RULES, now=NOW).kind
    expected = OutcomeKind.SKIPPED if sample.name in LEFT_ALONE else KINDS[sample.outcome]
    assert kind is expected


def test_no_batch_is_declared_since_it_decides_about_the_status_of_all_in_it():
    assert Mailchimp.limits.batch_size == 1


@pytest.mark.parametrize("status", [403, 429])
@pytest.mark.parametrize("body", [b"", b"<html>Slow down</html>", b"slow down"])
def test_a_refusal_without_json_is_the_limiters(status, body):
    flow = mailchimp().deliver(assignment(SALE))
    outcome = play(flow, httpx.Response(status, content=body)).outcome
    assert (outcome.kind, outcome.after) == (OutcomeKind.THROTTLE, None)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"id": "../x"}', b'{"id": 7}'])
def test_a_success_without_a_member_is_not_trusted(body):
    outcome = play(mailchimp().deliver(assignment(SALE)), httpx.Response(200, content=body)).outcome
    assert outcome.kind is OutcomeKind.RETRY


@pytest.mark.parametrize("of", catalogue_events().values(), ids=catalogue_events())
@pytest.mark.parametrize("fields", ["all", "standard_only"])
def test_every_request_is_valid_by_the_schema(of, fields):
    connector = mailchimp(fields=fields, plan_tags={"pro": "Pro"}, track_events=True)
    played = play_by(connector.deliver(assignment(of, remembered_id=ADAS)), takes_all)
    check(played)
    assert played.outcome.kind is OutcomeKind.DELIVERED


@given(any_event())
def test_any_event_makes_valid_requests_or_is_skipped_with_a_reason(of):
    connector = mailchimp(plan_tags={"Pro": "Pro", "2": "Two"}, track_events=True)
    for remembered in (None, ADAS):
        played = play_by(connector.deliver(assignment(of, remembered_id=remembered)), takes_all)
        check(played)
        if played.requests:
            assert played.outcome.kind is OutcomeKind.DELIVERED
        else:
            assert played.outcome.kind is OutcomeKind.SKIPPED
            assert played.outcome.reason


def takes_all(request: httpx.Request) -> httpx.Response:
    return httpx.Response(204) if request.method == "POST" else MEMBER


def check(played):
    for request, document in zip(played.requests, bodies(played), strict=True):
        assert request.url.host == "us6.api.mailchimp.com"
        action = request.url.path.rpartition("/")[2]
        operation = {"tags": "tags", "events": "event"}.get(action, "upsert")
        # A patch is the same body without what only a new member needs.
        needed = {"email_address": "", "status_if_new": "pending"}
        whole = needed | document if request.method == "PATCH" else document
        assert request_errors("mailchimp", operation, whole) == []
        assert "status" not in document


def member(of, mapping=None, **settings):
    flow = mailchimp(mapping, cancelled_tag=None, payment_failed_tag=None, **settings)
    return bodies(play(flow.deliver(assignment(of)), MEMBER))[0]


def test_a_member_is_written_with_what_the_event_says_and_nothing_empty():
    of = event("checkout_completed", customer=ADA, membership=PRO, payment=PAID)
    assert member(of) == {
        "email_address": "ada@example.com",
        "status_if_new": "transactional",
        "merge_fields": {
            "FNAME": "Ada",
            "LNAME": "Lovelace",
            "PLAN": "Pro",
            "SIGNUP": "2026-01-05",
            "MSTATUS": "active",
            "LASTPAID": "2026-11-23",
        },
    }


def test_standard_only_writes_the_name():
    assert member(SALE, fields="standard_only")["merge_fields"].keys() == {"FNAME", "LNAME"}


@pytest.mark.parametrize(
    ("event_type", "written"),
    [
        ("membership_status_to_cancelled", "CHURNED"),
        ("membership_expired", "CHURNED"),
        ("payment_failed", "PAYFAILED"),
        ("payment_received", "LASTPAID"),
        ("site_published", None),
    ],
)
def test_each_happening_dates_its_own_field(event_type, written):
    of = event(event_type, customer=ADA, membership=PRO, payment=PAID)
    found = {"CHURNED", "PAYFAILED", "LASTPAID"} & member(of)["merge_fields"].keys()
    assert found == ({written} if written else set())


@pytest.mark.parametrize("of", catalogue_events().values(), ids=catalogue_events())
def test_the_default_mapping_says_what_is_sent_without_one(of):
    if of.customer is None:
        pytest.skip("nobody is made of it")
    assert member(of, Mailchimp.default_mapping) == member(of)


def test_mapped_values_become_what_merge_fields_take():
    mapping = {
        "EMAIL": "'other@example.com'",
        "SPENT": "payment.total",
        "SEATS": "3",
        "VIP": "true",
        "LIKES": "['a', 'b']",
        "LONG": "'" + "x" * 300 + "'",
        "ADDRESS": "{'addr1': '1 Main St', 'city': 'Berlin', 'state': 'BE', 'zip': '10115'}",
        "HALF": "{'addr1': '1 Main St', 'city': 'Berlin'}",
        "NOTHING": "null",
        "CLEARED": "''",
    }
    written = member(SALE, mapping)
    assert written["email_address"] == "other@example.com"
    assert written["merge_fields"] == {
        "SPENT": 59.99,
        "SEATS": 3,
        "VIP": "true",
        "LIKES": "a, b",
        "LONG": "x" * 255,
        "ADDRESS": {"addr1": "1 Main St", "city": "Berlin", "state": "BE", "zip": "10115"},
    }


@pytest.mark.parametrize("field", ["fname", "", "TOOLONGATAG", "A-B", "status"])
def test_a_mapping_to_what_is_no_merge_tag_is_named(field):
    assert Mailchimp.check_mapping([field, "EMAIL", "PLAN"]).keys() == {field}


def test_a_mapping_that_fails_on_an_event_is_rejected_and_says_which_field():
    of = event("customer_post_create", customer=ADA)
    flow = mailchimp({"PLAN": "'Plan ' + membership.plan.name"}).deliver(assignment(of))
    outcome = play(flow).outcome
    assert outcome.kind is OutcomeKind.REJECTED
    assert "mapping/PLAN" in outcome.reason


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, "https://us6.api.mailchimp.com/3.0/lists/57afe96172/members/"),
        ({"api_key": "a-b-us21"}, "https://us21.api.mailchimp.com/3.0/lists/57afe96172/members/"),
        (
            {"api_key": "abc", "base_url": "https://m.example/", "api_version": "3.1"},
            "https://m.example/3.1/lists/57afe96172/members/",
        ),
    ],
)
def test_the_data_centre_in_the_key_decides_unless_a_base_url_is_given(settings, url):
    (request,) = play(mailchimp(**settings).deliver(assignment(SALE)), httpx.Response(401)).requests
    assert str(request.url) == f"{url}{ADAS}?skip_merge_validation=true"


@pytest.mark.parametrize("key", ["abc", "abc-", "abc-us6.evil.example", "abc-../x"])
def test_a_key_without_a_data_centre_is_refused_and_not_repeated(key):
    with pytest.raises(ValidationError) as refusal:
        mailchimp(api_key=key)
    assert key not in str(refusal.value)


@pytest.mark.parametrize("list_id", ["", "../x", "57afe96172/members", "a b"])
def test_what_is_no_audience_is_refused(list_id):
    with pytest.raises(ValidationError):
        mailchimp(list_id=list_id)


def test_the_request_carries_the_key_and_no_reason_does():
    connector = mailchimp()
    refusal = httpx.Response(401, json={"title": "API Key Invalid", "detail": f"{KEY} is unknown"})
    played = play(connector.deliver(assignment(SALE)), refusal)
    scheme, _, basic = played.requests[0].headers["authorization"].partition(" ")
    assert (scheme, b64decode(basic)) == ("Basic", f"relay:{KEY}".encode())
    assert KEY not in played.outcome.reason


@pytest.mark.parametrize(
    ("of", "reason"),
    [
        (event("customer_post_create", customer=ADA, test=True), "test button"),
        (event("customer_post_delete", customer=ADA), "kept"),
        (event("relay.contact_linked", customer=ADA), "relay's own news"),
    ],
)
def test_what_is_no_member_is_skipped(of, reason):
    assert reason in (mailchimp().skip(of) or "")


def test_a_tracked_event_says_when_and_how_much_as_texts():
    flow = mailchimp(track_events=True).deliver(assignment(SALE))
    played = play(flow, MEMBER, httpx.Response(204), httpx.Response(204))
    assert bodies(played)[2] == {
        "name": "payment_received",
        "occurred_at": "2026-11-23T19:55:00Z",
        "properties": {
            "event_id": "evt_01kaxm3v5n0000000000000000",
            "plan": "Pro",
            "membership_status": "active",
            "payment_id": "17",
            "value": "59.99",
            "currency": "USD",
        },
    }


def test_the_longest_type_of_the_platform_is_a_name_mailchimp_takes():
    of = event("membership_status_to_cancelled", customer=ADA, membership=PRO)
    flow = mailchimp(track_events=True).deliver(assignment(of))
    played = play(flow, MEMBER, httpx.Response(204), httpx.Response(204))
    assert bodies(played)[2]["name"] == "membership_status_to_cancelled"
