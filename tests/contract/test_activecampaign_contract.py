"""ActiveCampaign against its contract: requests by schema, every sample reply, default mapping."""

from __future__ import annotations

from urllib.parse import parse_qs

import httpx
import pytest
from hypothesis import given
from pydantic import ValidationError

from app.connectors.activecampaign import EVENTS_URL, ActiveCampaign
from app.domain import strict_json
from app.domain.outcome import OutcomeKind
from tests.contract.contacts import bodies
from tests.contract.driving import LOST, UNREACHED, play, play_by
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
from tests.fakes.activecampaign import FIELDS

KEY = "0123456789-secret"
ACCOUNT = {"base_url": "https://example.api-us1.com", "api_key": KEY}
TRACKING = {"event_account": "123456", "event_key": "event-secret"}
NUMBERS = {tag: int(number) for number, tag in FIELDS.items()}
SIGN_UP = event("customer_post_create", customer=ADA)
SALE = event("payment_received", customer=ADA, membership=PRO, payment=PAID)
FAILED = event("payment_failed", customer=ADA)
CREATED = httpx.Response(201, json={"contact": {"id": "10"}})
NO_LISTS = httpx.Response(200, json={"contactLists": []})
#: What brings the flow of a failed payment of a new contact to an operation.
LEADS_TO = {"upsert": [], "add_tag": [CREATED], "list_status": [CREATED, NO_LISTS]}
STEPS = {
    "upsert": {},
    "add_tag": {"payment_failed_tag": 6},
    "list_status": {"subscribe_to_list": 2},
}


def activecampaign(mapping=None, **settings):
    return bound(ActiveCampaign, mapping, **{**ACCOUNT, "field_ids": NUMBERS, **settings})


def play_to(sample: Sample):
    reply = LOST if sample.status is None else sample.response()
    flow = activecampaign(**STEPS[sample.operation]).deliver(assignment(FAILED))
    return play(flow, *LEADS_TO[sample.operation], reply)


@pytest.mark.parametrize("sample", samples("activecampaign"), ids=str)
def test_every_sample_reply_is_classified_as_the_contract_says(sample):
    outcome = play_to(sample).outcome
    assert outcome.kind is KINDS[sample.outcome]
    if sample.outcome == "ok":
        assert outcome.external_id == "10"


@pytest.mark.parametrize(("name", "after"), [("rate", 30.0), ("unavailable_503", 7.0)])
def test_the_wait_is_the_one_the_reply_names(name, after):
    (sample,) = [s for s in samples("activecampaign", "upsert") if s.name == name]
    assert play_to(sample).outcome.after == after


def test_an_account_that_is_not_paid_for_holds_the_target():
    outcome = play(activecampaign().deliver(assignment(FAILED)), httpx.Response(402)).outcome
    assert outcome.kind is OutcomeKind.AUTH_FAILED


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"contact": {"id": "../x"}}'])
def test_a_success_without_a_contact_is_not_trusted(body):
    reply = httpx.Response(200, content=body)
    assert play(activecampaign().deliver(assignment(FAILED)), reply).outcome.kind is (
        OutcomeKind.RETRY
    )


@pytest.mark.parametrize("of", catalogue_events().values(), ids=catalogue_events())
@pytest.mark.parametrize("fields", ["all", "standard_only"])
@pytest.mark.parametrize("numbers", [NUMBERS, {}], ids=["numbers", "looked up"])
def test_every_request_is_valid_by_the_schema(of, fields, numbers):
    connector = all_on(fields=fields, field_ids=numbers)
    for remembered in (None, "10"):
        played = play_by(connector.deliver(assignment(of, remembered_id=remembered)), takes_all)
        check(played)


@given(any_event())
def test_any_event_makes_valid_requests_or_is_skipped_with_a_reason(of):
    connector = all_on(plan_tags={"Pro": 7, "2": 8}, **TRACKING)
    for remembered in (None, "10"):
        played = play_by(connector.deliver(assignment(of, remembered_id=remembered)), takes_all)
        check(played)
        if played.requests:
            assert played.outcome.kind is OutcomeKind.DELIVERED
        else:
            assert played.outcome.kind in {OutcomeKind.SKIPPED, OutcomeKind.DELIVERED}


def all_on(**settings):
    steps = {"cancelled_tag": 5, "payment_failed_tag": 6, "subscribe_to_list": 2}
    return activecampaign(**{**steps, **settings})


def takes_all(request: httpx.Request) -> httpx.Response:
    if str(request.url) == EVENTS_URL:
        return httpx.Response(200, json={"success": 1})
    path = request.url.path.removeprefix("/api/3")
    if path == "/fields":
        fields = [{"id": number, "perstag": tag} for number, tag in FIELDS.items()]
        return httpx.Response(200, json={"fields": fields})
    if path.endswith("/contactTags") and request.method == "GET":
        return httpx.Response(200, json={"contactTags": [{"id": "70", "tag": "6"}]})
    return NO_LISTS if path.endswith("/contactLists") and request.method == "GET" else CREATED


def check(played):
    operations = {"contactTags": "add_tag", "contactLists": "list_status"}
    for request in played.requests:
        if not request.content or str(request.url) == EVENTS_URL:
            continue
        assert request.url.host == "example.api-us1.com"
        document = strict_json.read_strict(request.content)
        operation = operations.get(request.url.path.rpartition("/")[2], "upsert")
        if request.method == "PUT":
            document = {"contact": {"email": "", **document["contact"]}}
        assert request_errors("activecampaign", operation, document) == []


def contact(of, mapping=None, **settings):
    flow = activecampaign(mapping, **settings).deliver(assignment(of))
    return bodies(play(flow, CREATED))[0]["contact"]


def fields_of(of, mapping=None, **settings):
    values = contact(of, mapping, **settings).get("fieldValues", [])
    return {FIELDS.get(one["field"], one["field"]): one["value"] for one in values}


def test_a_contact_is_written_with_what_the_event_says_and_nothing_empty():
    of = event("checkout_completed", customer=ADA, membership=PRO, payment=PAID)
    written = contact(of)
    assert {name: written[name] for name in written if name != "fieldValues"} == {
        "email": "ada@example.com",
        "firstName": "Ada",
        "lastName": "Lovelace",
    }
    assert fields_of(of) == {
        "PLAN": "Pro",
        "SIGNUP_DATE": "2026-01-05",
        "MEMBERSHIP_STATUS": "active",
        "LAST_PAYMENT_AT": "2026-11-23T19:55:00+00:00",
    }


def test_standard_only_writes_no_custom_field_and_looks_none_up():
    assert "fieldValues" not in contact(SALE, fields="standard_only", field_ids={})


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
def test_each_happening_dates_its_own_field(event_type, written):
    of = event(event_type, customer=ADA, membership=PRO, payment=PAID)
    dated = {"CHURNED_AT", "LAST_PAYMENT_FAILED_AT", "LAST_PAYMENT_AT"}
    assert dated & fields_of(of).keys() == ({written} if written else set())


@pytest.mark.parametrize("of", catalogue_events().values(), ids=catalogue_events())
def test_the_default_mapping_says_what_is_sent_without_one(of):
    if of.customer is None:
        pytest.skip("nobody is made of it")
    assert contact(of, ActiveCampaign.default_mapping) == contact(of)


def test_mapped_values_become_texts_under_the_numbers_of_their_fields():
    mapping = {
        "email": "'other@example.com'",
        "phone": "5550199",
        "20": "payment.total",
        "21": "true",
        "22": "['a', 'b']",
        "PLAN": "'Gold'",
        "23": "null",
        "24": "''",
    }
    assert contact(SALE, mapping)["email"] == "other@example.com"
    assert contact(SALE, mapping)["phone"] == "5550199"
    assert fields_of(SALE, mapping) == {
        "20": "59.99",
        "21": "true",
        "22": "||a||b||",
        "PLAN": "Gold",
    }


@pytest.mark.parametrize("field", ["plan", "", "0", "%PLAN%", "first_name", "status"])
def test_a_mapping_to_what_is_no_field_is_named(field):
    assert ActiveCampaign.check_mapping([field, "email", "12", "PLAN"]).keys() == {field}


def test_a_mapping_that_fails_on_an_event_is_rejected_and_says_which_field():
    flow = activecampaign({"PLAN": "'Plan ' + membership.plan.name"}).deliver(assignment(SIGN_UP))
    outcome = play(flow).outcome
    assert outcome.kind is OutcomeKind.REJECTED
    assert "mapping/PLAN" in outcome.reason


@pytest.mark.parametrize(
    "wrong",
    [{"event_account": "1"}, {"event_key": "x"}, {"field_ids": {"PLAN": 0}}, {"api_path": "/.."}],
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ValidationError):
        activecampaign(**wrong)


def test_the_request_carries_the_key_and_no_reason_does():
    refusal = httpx.Response(403, json={"message": f"{KEY} is not valid"})
    played = play(activecampaign().deliver(assignment(FAILED)), refusal)
    assert str(played.requests[0].url) == "https://example.api-us1.com/api/3/contact/sync"
    assert played.requests[0].headers["api-token"] == KEY
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
    assert reason in (activecampaign().skip(of) or "")


def tracked(*replies, of=SALE):
    return play(activecampaign(**TRACKING).deliver(assignment(of)), CREATED, *replies)


def test_an_event_is_reported_as_a_form_with_the_address_of_the_visitor():
    played = tracked(httpx.Response(200, json={"success": 1, "message": "Event spawned"}))
    request = played.requests[1]
    assert str(request.url) == EVENTS_URL
    assert "api-token" not in request.headers
    assert {name: value for name, (value,) in parse_qs(request.content.decode()).items()} == {
        "actid": "123456",
        "key": "event-secret",
        "event": "payment_received",
        "eventdata": "59.99 USD",
        "visit": '{"email":"ada@example.com"}',
    }
    assert played.outcome.kind is OutcomeKind.DELIVERED


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (httpx.Response(200, json={"success": 0, "message": "event-secret"}), "rejected"),
        (httpx.Response(200, html="<p>hello</p>"), "rejected"),
        (httpx.Response(503), "retry"),
        (UNREACHED, "retry"),
        (LOST, "delivered"),
    ],
)
def test_what_becomes_of_the_event_decides_after_the_contact_was_written(reply, kind):
    outcome = tracked(reply).outcome
    assert outcome.kind == kind
    assert "event-secret" not in outcome.reason


def test_what_tells_nothing_is_no_event():
    assert len(tracked(of=event("site_published", customer=ADA)).requests) == 1
