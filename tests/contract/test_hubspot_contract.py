"""HubSpot against its contract: requests by schema, every sample reply, the default mapping."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import httpx
import pytest
from hypothesis import given

from app.connectors.classify import classify
from app.connectors.hubspot import HubSpot
from app.connectors.hubspot_replies import RULES
from app.domain.outcome import Outcome, OutcomeKind
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

TOKEN = "pat-eu1-6a1b2c3d-secret"
SIGN_UP = event("customer_post_create", customer=ADA)
#: What brings the flow to an operation, and the remembered id it starts with.
LEADS_TO = {
    "update_by_id": ([], "51"),
    "update_by_email": ([], None),
    "create": ([404], None),
}
#: Where the flow goes on when the reply only says that another request is needed.
GOES_ON = {
    "update_by_id-gone": "PATCH /crm/v3/objects/contacts/ada%40example.com?idProperty=email",
    "update_by_email-absent": "POST /crm/v3/objects/contacts",
    "create-exists": "PATCH /crm/v3/objects/contacts/51",
}
SCHEMAS = {
    "POST": "create",
    "PATCH": "update_by_email",
}


def hubspot(mapping=None, **settings):
    return bound(HubSpot, mapping, token=TOKEN, **settings)


def play_to(sample: Sample, *then: httpx.Response):
    statuses, remembered = LEADS_TO[sample.operation]
    reply = LOST if sample.status is None else sample.response()
    before = [httpx.Response(status) for status in statuses]
    flow = hubspot().deliver(assignment(SIGN_UP, remembered_id=remembered))
    return play(flow, *before, reply, *then)


def final(outcome: str) -> list[Sample]:
    found = samples("hubspot", *LEADS_TO)
    return [sample for sample in found if (sample.outcome == "resolve") is (outcome == "resolve")]


@pytest.mark.parametrize("sample", final("settled"), ids=str)
def test_every_sample_reply_is_classified_as_the_contract_says(sample):
    assert play_to(sample).outcome.kind is KINDS[sample.outcome]


@pytest.mark.parametrize("sample", final("resolve"), ids=str)
def test_where_the_contract_says_resolve_the_flow_goes_on(sample):
    played = play_to(sample, httpx.Response(200, json={"id": "51"}))
    assert played.lines[-1] == GOES_ON[str(sample)]
    assert played.outcome == Outcome(OutcomeKind.DELIVERED, external_id="51")


def refusals_of_a_batch() -> list[Sample]:
    return [s for s in samples("hubspot", "batch_upsert") if s.status and s.status >= 400]


@pytest.mark.parametrize("sample", refusals_of_a_batch(), ids=str)
def test_a_refused_batch_is_classified_by_the_same_rules(sample):
    assert classify(sample.response(), RULES, now=NOW).kind is KINDS[sample.outcome]


@pytest.mark.parametrize(
    ("name", "after"),
    [
        ("locked", 2.0),
        ("rate_10s", 10.0),
        ("rate_daily", 3600.0),
        ("migrating_477", 120.0),
        ("gateway_502", None),
        ("unavailable_503", 7.0),
    ],
)
def test_the_wait_is_the_one_the_reply_names_or_the_contract_notes(name, after):
    (sample,) = [s for s in samples("hubspot", "update_by_email") if s.name == name]
    assert play_to(sample).outcome.after == after


def test_a_second_long_quota_is_waited_out_in_a_second():
    reply = httpx.Response(
        429,
        json={"policyName": "SECONDLY"},
        headers={"X-HubSpot-RateLimit-Interval-Milliseconds": "10000"},
    )
    assert play(hubspot().deliver(assignment(SIGN_UP)), reply).outcome.after == 1.0


@pytest.mark.parametrize("interval", ["", "-1", "1e9", "٣", "99999999"])
def test_an_unusable_interval_waits_out_the_usual_window(interval):
    reply = httpx.Response(
        429, headers=[(b"x-hubspot-ratelimit-interval-milliseconds", interval.encode())]
    )
    assert play(hubspot().deliver(assignment(SIGN_UP)), reply).outcome.after == 10.0


@pytest.mark.parametrize("of", catalogue_events().values(), ids=catalogue_events())
@pytest.mark.parametrize("properties", ["all", "standard_only"])
def test_every_request_is_valid_by_the_schema(of, properties):
    connector = hubspot(properties=properties)
    flow = connector.deliver(assignment(of, remembered_id="51"))
    replies = [httpx.Response(404), httpx.Response(404), httpx.Response(201, json={"id": "51"})]
    if of.customer is None:
        replies = replies[2:] if properties == "all" else []
    played = play(flow, *replies)
    for request, document in zip(played.requests, played.documents, strict=True):
        assert request_errors("hubspot", SCHEMAS[request.method], document) == []


@given(any_event())
def test_any_event_makes_valid_requests_or_is_skipped_with_a_reason(of):
    played = play_by(hubspot().deliver(assignment(of)), nobody_there)
    for request, document in zip(played.requests, played.documents, strict=True):
        assert request.url.host == "api.hubapi.com"
        assert request.url.path.startswith("/crm/v3/objects/contacts")
        assert request_errors("hubspot", SCHEMAS[request.method], document) == []
    if played.requests:
        assert [request.method for request in played.requests] == ["PATCH", "POST"]
        assert played.requests[0].url.query == b"idProperty=email"
        assert played.outcome.kind is OutcomeKind.DELIVERED
    else:
        assert played.outcome.kind is OutcomeKind.SKIPPED
        assert played.outcome.reason


def nobody_there(request: httpx.Request) -> httpx.Response:
    return httpx.Response(404 if request.method == "PATCH" else 201)


def properties_of(of, mapping=None, **settings):
    flow = hubspot(mapping, **settings).deliver(assignment(of, remembered_id="51"))
    played = play(flow, httpx.Response(200))
    return played.documents[0]["properties"]


def test_a_customer_is_written_with_what_the_event_says_and_nothing_empty():
    of = event("checkout_completed", customer=ADA, membership=PRO, payment=PAID)
    assert properties_of(of) == {
        "email": "ada@example.com",
        "firstname": "Ada",
        "lastname": "Lovelace",
        "plan": "Pro",
        "signup_date": "2026-01-05",
        "membership_status": "active",
        "last_payment_at": "2026-11-23T19:55:00Z",
    }


def test_standard_only_writes_what_every_account_has():
    of = event("checkout_completed", customer=ADA, membership=PRO, payment=PAID)
    written = properties_of(of, properties="standard_only")
    assert written.keys() == {"email", "firstname", "lastname"}


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("Ada", "Ada", None),
        ("Ada Lovelace", "Ada", "Lovelace"),
        (" Ada  King of Lovelace ", "Ada", "King of Lovelace"),
        ("", None, None),
        (None, None, None),
    ],
)
def test_a_display_name_is_split_at_its_first_space(name, first, last):
    customer = replace(ADA, first_name=None, last_name=None, name=name)
    written = properties_of(event("customer_post_create", customer=customer))
    assert written.get("firstname") == first
    assert written.get("lastname") == last


@pytest.mark.parametrize(
    ("event_type", "written"),
    [
        ("membership_status_to_cancelled", "churned_at"),
        ("membership_status_to_expired", "churned_at"),
        ("membership_expired", "churned_at"),
        ("payment_failed", "last_payment_failed_at"),
        ("payment_received", "last_payment_at"),
        ("payment_status_to_completed", "last_payment_at"),
        ("payment_post_create", None),
        ("site_published", None),
    ],
)
def test_each_happening_dates_its_own_property(event_type, written):
    dated = {"churned_at", "last_payment_failed_at", "last_payment_at"}
    of = event(event_type, customer=ADA, membership=PRO, payment=PAID)
    found = dated & properties_of(of).keys()
    assert found == ({written} if written else set())


def test_a_trial_is_not_a_payment():
    of = event("payment_received", customer=ADA, payment=replace(PAID, total=Decimal(0)))
    assert "last_payment_at" not in properties_of(of)


@pytest.mark.parametrize("of", catalogue_events().values(), ids=catalogue_events())
def test_the_default_mapping_says_what_is_sent_without_one(of):
    if of.customer is None and of.membership is None:
        pytest.skip("nothing is sent for it")
    assert properties_of(of, HubSpot.default_mapping) == properties_of(of)


def test_mapped_values_become_the_texts_that_hubspot_takes():
    mapping = {
        "signup_date": "customer.signup_date",
        "became_customer_at": "customer.signup_date",
        "total_spent": "payment.total",
        "seats": "3",
        "vip": "true",
        "interests": "['a', 'b']",
        "nothing": "null",
        "cleared": "''",
        "missing": "membership.plan.name",
    }
    of = event("payment_received", customer=ADA, payment=PAID)
    assert properties_of(of, mapping) == {
        "signup_date": "2026-01-05",
        "became_customer_at": "2026-01-05T10:00:00Z",
        "total_spent": "59.99",
        "seats": "3",
        "vip": "true",
        "interests": "a;b",
    }


def test_a_mapping_that_fails_on_an_event_is_rejected_and_says_which_field():
    flow = hubspot({"plan": "'Plan ' + membership.plan.name"}).deliver(assignment(SIGN_UP))
    outcome = play(flow).outcome
    assert outcome.kind is OutcomeKind.REJECTED
    assert "mapping/plan" in outcome.reason


@pytest.mark.parametrize("field", ["Plan", "1st", "plan-x", "", "hs_object_id", "createdate"])
def test_a_mapping_to_what_is_no_writable_property_is_named(field):
    assert HubSpot.check_mapping([field, "email"]).keys() == {field}


def test_the_request_carries_the_token_and_the_dated_path_when_it_is_set():
    connector = hubspot(path_prefix="/crm/objects/2026-03", base_url="https://api-eu1.example/")
    played = play(connector.deliver(assignment(SIGN_UP, remembered_id="51")), httpx.Response(200))
    (request,) = played.requests
    assert str(request.url) == "https://api-eu1.example/crm/objects/2026-03/contacts/51"
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.headers["user-agent"] == "Lifecycle-Relay"


@pytest.mark.parametrize(
    ("of", "reason"),
    [
        (event("customer_post_create", customer=ADA, test=True), "test button"),
        (event("customer_post_delete", customer=ADA), "kept"),
        (event("relay.contact_linked", customer=ADA), "relay's own news"),
    ],
)
def test_what_is_no_contact_is_skipped(of, reason):
    assert reason in (hubspot().skip(of) or "")


def test_a_contact_is_written_for_every_event_about_a_customer():
    kept = [name for name, of in catalogue_events().items() if hubspot().skip(of) is None]
    assert [name for name in catalogue_events() if name not in kept] == ["deleted"]
