"""FluentCRM against its contract: requests by schema, every sample reply, the default mapping."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import replace
from decimal import Decimal

import httpx
import pytest
from hypothesis import given
from pydantic import ValidationError

from app.connectors.fluentcrm import FluentCrm
from app.domain.outcome import Outcome, OutcomeKind
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

ACCOUNT = {
    "base_url": "https://shop.example",
    "username": "relay",
    "application_password": "abcd efgh ijkl",
}
SIGN_UP = event("customer_post_create", customer=ADA)
LOOKUP = (
    "GET /wp-json/fluent-crm/v2/subscribers/0"
    "?get_by_email=ada%40example.com&with%5B%5D=subscriber.custom_values"
)
CREATE = "POST /wp-json/fluent-crm/v2/subscribers"
FOUND = {"subscriber": {"id": 42, "email": "ada@example.com", "custom_values": {}}}
WRITTEN = {"contact": {"id": 42}}
ABSENT = httpx.Response(422, json={"message": "Subscriber not found"})
#: What brings the flow to an operation.
LEADS_TO = {"get": [], "create": [ABSENT], "update": [httpx.Response(200, json=FOUND)]}
#: What comes after a reply that does not end the flow, and the line that follows it.
GOES_ON = {
    "get-found": ([WRITTEN], "PUT /wp-json/fluent-crm/v2/subscribers/42"),
    "get-absent": ([WRITTEN], CREATE),
    "get-absent_404": ([WRITTEN], CREATE),
    "create-exists": ([FOUND, WRITTEN], LOOKUP),
}


def fluentcrm(mapping=None, **settings):
    return bound(FluentCrm, mapping, **{**ACCOUNT, **settings})


def play_to(sample: Sample, *then: httpx.Response):
    reply = LOST if sample.status is None else sample.response()
    return play(fluentcrm().deliver(assignment(SIGN_UP)), *LEADS_TO[sample.operation], reply, *then)


def settled() -> list[Sample]:
    return [sample for sample in samples("fluentcrm") if str(sample) not in GOES_ON]


@pytest.mark.parametrize("sample", settled(), ids=str)
def test_every_sample_reply_is_classified_as_the_contract_says(sample):
    assert play_to(sample).outcome.kind is KINDS[sample.outcome]


@pytest.mark.parametrize("sample", [s for s in samples("fluentcrm") if str(s) in GOES_ON], ids=str)
def test_where_another_request_is_needed_the_flow_goes_on(sample):
    after, line = GOES_ON[str(sample)]
    played = play_to(sample, *(httpx.Response(200, json=document) for document in after))
    assert played.lines[len(LEADS_TO[sample.operation]) + 1] == line
    assert played.outcome == Outcome(OutcomeKind.DELIVERED, external_id="42")


def test_the_wait_is_the_one_the_reply_names():
    (sample,) = [s for s in samples("fluentcrm", "get") if s.name == "unavailable_503"]
    assert play_to(sample).outcome.after == 7.0


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (httpx.Response(406, html="<h1>Not Acceptable</h1>"), OutcomeKind.RETRY),
        (httpx.Response(404, html="<h1>Not found</h1>"), OutcomeKind.AUTH_FAILED),
        (httpx.Response(200, html="<h1>Coming soon</h1>"), OutcomeKind.RETRY),
        (httpx.Response(200, json=[]), OutcomeKind.RETRY),
        (httpx.Response(200, json={"contact": {"id": 42}}), OutcomeKind.RETRY),
        (httpx.Response(301, headers={"location": "https://www.shop.example"}), "rejected"),
    ],
)
def test_what_stands_in_front_of_the_api_is_told_from_it(reply, kind):
    assert play(fluentcrm().deliver(assignment(SIGN_UP)), reply).outcome.kind == kind


def test_a_site_without_the_plugin_is_named_as_such():
    (sample,) = [s for s in samples("fluentcrm", "get") if s.name == "plugin_off"]
    assert "no FluentCRM at this address" in play_to(sample).outcome.reason


@pytest.mark.parametrize("of", catalogue_events().values(), ids=catalogue_events())
@pytest.mark.parametrize("fields", ["all", "standard_only"])
@pytest.mark.parametrize("found", [True, False])
def test_every_request_is_valid_by_the_schema(of, fields, found):
    connector = fluentcrm(
        fields=fields, cancelled_tag=5, payment_failed_tag=6, plan_tags={"pro": 7}
    )
    played = play_by(connector.deliver(assignment(of)), there if found else nobody_there)
    check(played)


@given(any_event())
def test_any_event_makes_valid_requests_or_is_skipped_with_a_reason(of):
    connector = fluentcrm(cancelled_tag=5, payment_failed_tag=6, plan_tags={"Pro": 7, "2": 8})
    for remembered, respond in ((None, nobody_there), ("42", there)):
        played = play_by(connector.deliver(assignment(of, remembered_id=remembered)), respond)
        check(played)
        if not played.requests:
            assert played.outcome.kind is OutcomeKind.SKIPPED
            assert played.outcome.reason
        else:
            assert played.outcome.kind in {OutcomeKind.DELIVERED, OutcomeKind.REJECTED}


def check(played):
    for request in played.requests:
        assert request.url.host == "shop.example"
        assert request.url.path.startswith("/wp-json/fluent-crm/v2/subscribers")
        if request.method != "GET":
            operation = {"POST": "create", "PUT": "update"}[request.method]
            document = httpx.Response(200, content=request.content).json()
            assert request_errors("fluentcrm", operation, document) == []
            assert "__force_update" not in document


def nobody_there(request: httpx.Request) -> httpx.Response:
    return httpx.Response(422) if request.method == "GET" else httpx.Response(200, json=WRITTEN)


def there(request: httpx.Request) -> httpx.Response:
    email = request.url.params.get("get_by_email", "someone@example.com")
    found = {"id": 42, "email": email, "tags": [], "custom_values": {"theirs": "x"}}
    return httpx.Response(200, json={"subscriber": found} if request.method == "GET" else WRITTEN)


def created(of, mapping=None, **settings):
    flow = fluentcrm(mapping, **settings).deliver(assignment(of))
    return bodies(play(flow, ABSENT, httpx.Response(200, json=WRITTEN)))[0]


def test_a_new_contact_is_made_with_what_the_event_says_and_nothing_empty():
    of = event("checkout_completed", customer=ADA, membership=PRO, payment=PAID)
    assert created(of) == {
        "email": "ada@example.com",
        "first_name": "Ada",
        "last_name": "Lovelace",
        "contact_type": "customer",
        "status": "transactional",
        "custom_values": {
            "plan": "Pro",
            "signup_date": "2026-01-05",
            "membership_status": "active",
            "last_payment_at": "2026-11-23 19:55:00",
        },
    }


def test_a_new_contact_takes_the_status_tags_and_lists_of_the_settings():
    lost = event("membership_status_to_cancelled", customer=ADA, membership=PRO)
    made = created(
        lost,
        new_status="pending",
        double_optin=True,
        new_tags=(1, 5),
        new_lists=(2,),
        cancelled_tag=5,
    )
    assert (made["status"], made["double_optin"]) == ("pending", True)
    assert (made["tags"], made["lists"]) == ([1, 5], [2])


def test_standard_only_writes_no_custom_field():
    of = event("checkout_completed", customer=ADA, membership=PRO, payment=PAID)
    assert "custom_values" not in created(of, fields="standard_only")


@pytest.mark.parametrize(
    ("event_type", "written"),
    [
        ("membership_status_to_cancelled", "churned_at"),
        ("membership_expired", "churned_at"),
        ("payment_failed", "last_payment_failed_at"),
        ("payment_received", "last_payment_at"),
        ("site_published", None),
    ],
)
def test_each_happening_dates_its_own_field(event_type, written):
    dated = {"churned_at", "last_payment_failed_at", "last_payment_at"}
    of = event(event_type, customer=ADA, membership=PRO, payment=PAID)
    assert dated & created(of)["custom_values"].keys() == ({written} if written else set())


@pytest.mark.parametrize("of", catalogue_events().values(), ids=catalogue_events())
def test_the_default_mapping_says_what_is_sent_without_one(of):
    if of.customer is None:
        pytest.skip("nobody is made of it")
    assert created(of, FluentCrm.default_mapping) == created(of)


def test_mapped_columns_are_texts_and_custom_fields_keep_their_kind():
    mapping = {
        "email": "customer.email",
        "phone": "5550199",
        "contact_type": "'friend'",
        "source": "'relay'",
        "total_spent": "payment.total",
        "seats": "3",
        "vip": "true",
        "interests": "['a', 'b']",
        "nothing": "null",
        "cleared": "''",
    }
    made = created(event("payment_received", customer=ADA, payment=PAID), mapping)
    assert (made["phone"], made["source"]) == ("5550199", "relay")
    assert made["contact_type"] == "customer"
    assert made["custom_values"] == {
        "total_spent": 59.99,
        "seats": 3,
        "vip": True,
        "interests": ["a", "b"],
    }


def test_a_mapping_that_fails_on_an_event_is_rejected_and_says_which_field():
    flow = fluentcrm({"plan": "'Plan ' + membership.plan.name"}).deliver(assignment(SIGN_UP))
    outcome = play(flow).outcome
    assert outcome.kind is OutcomeKind.REJECTED
    assert "mapping/plan" in outcome.reason


@pytest.mark.parametrize(
    "field",
    ["status", "double_optin", "__force_update", "tags", "attach_lists", "user_id", "ip", "Plan"],
)
def test_a_mapping_to_consent_groups_or_unknown_names_is_refused(field):
    assert FluentCrm.check_mapping([field, "email", "my-field"]).keys() == {field}


def test_a_consent_mail_needs_the_status_that_waits_for_it():
    with pytest.raises(ValidationError, match="needs new_status pending"):
        fluentcrm(double_optin=True)


@pytest.mark.parametrize("username", ["", "a:b", "a\nb"])
def test_a_user_that_basic_authentication_cannot_carry_is_refused(username):
    with pytest.raises(ValidationError):
        fluentcrm(username=username)


def test_the_request_carries_user_and_password_and_the_path_of_the_settings():
    connector = fluentcrm(base_url="https://shop.example/blog/", api_path="/wp-json/fluent-crm/v3")
    played = play(connector.deliver(assignment(SIGN_UP)), httpx.Response(401))
    (request,) = played.requests
    assert request.url.path == "/blog/wp-json/fluent-crm/v3/subscribers/0"
    scheme, _, basic = request.headers["authorization"].partition(" ")
    assert (scheme, b64decode(basic)) == ("Basic", b"relay:abcd efgh ijkl")


def test_the_password_never_stands_in_a_reason():
    connector = fluentcrm()
    basic = connector._headers["authorization"].removeprefix("Basic ")
    refusal = httpx.Response(401, json={"message": f"abcd efgh ijkl is not {basic}"})
    reason = play(connector.deliver(assignment(SIGN_UP)), refusal).outcome.reason
    assert "abcd" not in reason
    assert basic not in reason


@pytest.mark.parametrize(
    ("of", "reason"),
    [
        (event("customer_post_create", customer=ADA, test=True), "test button"),
        (event("customer_post_delete", customer=ADA), "kept"),
        (event("relay.contact_linked", customer=ADA), "relay's own news"),
    ],
)
def test_what_is_no_contact_is_skipped(of, reason):
    assert reason in (fluentcrm().skip(of) or "")


@pytest.mark.parametrize(
    ("of", "value"),
    [
        (event("payment_received", customer=ADA, payment=PAID), "59.99 USD"),
        (event("payment_failed", customer=ADA), "evt_01kaxm3v5n0000000000000000"),
        (
            event(
                "payment_status_to_refunded",
                customer=ADA,
                payment=replace(PAID, refund_total=Decimal(-20)),
            ),
            "20 USD",
        ),
    ],
)
def test_a_tracked_event_carries_the_amount_where_one_is_known(of, value):
    flow = fluentcrm(track_events=True).deliver(assignment(of))
    played = play(flow, ABSENT, httpx.Response(200, json=WRITTEN), httpx.Response(200, json={}))
    assert bodies(played)[1] == {
        "event_key": of.type,
        "title": of.type.replace("_", " ").capitalize(),
        "value": value,
        "subscriber_id": 42,
        "repeatable": True,
    }
