"""Zoho CRM against its contract: requests by schema, every sample reply, batches, addresses."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from hypothesis import given

from app.connectors.zoho_crm import ZohoCrm
from app.domain.grant import Grant
from app.domain.outcome import OutcomeKind
from tests.contract.driving import LOST, UNREACHED, play, play_by
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
from tests.contract.loading import KINDS, Sample, contract, request_errors, samples

ID = "724445000000424003"
UPSERT = "POST /crm/v8/Contacts/upsert"
UPDATE = "PUT /crm/v8/Contacts"
SEARCH = "GET /crm/v8/Contacts/search?email=ada%40example.com"
SECRETS = {"client_secret": "client-secret", "refresh_token": "1000.refresh-token"}

SIGN_UP = event("customer_post_create", customer=ADA)
CHECKOUT = event("checkout_completed", customer=ADA, membership=PRO, payment=PAID)
NAMELESS = event("x", customer=replace(ADA, name=None, first_name=None, last_name=None))
ONE_WORD = event("x", customer=replace(ADA, name="Ada", first_name=None, last_name=None))
BOB = event("x", customer=replace(ADA, id="3", email="bob@example.com", last_name="Bell"))
LOST_MEMBERSHIP = event(
    "membership_status_to_cancelled", membership=replace(PRO, status="cancelled")
)


def zoho(mapping=None, **settings):
    return bound(ZohoCrm, mapping, **{"client_id": "1000.CLIENT", **SECRETS, **settings})


def grant_for(connector):
    extra = {"issued_for": connector._authority.issued_for}
    return Grant("1000.access-1", NOW + timedelta(minutes=30), extra)


def given_token(of=SIGN_UP, connector=None, **changes):
    """A delivery for which a token is there."""
    connector = connector or zoho()
    return connector.deliver(assignment(of, grant=grant_for(connector), **changes))


def batch(*pairs, connector=None):
    """A batch of events, each with the id that is remembered for it."""
    connector = connector or zoho()
    grant = grant_for(connector)
    return connector.deliver_many(
        [assignment(of, grant=grant, remembered_id=known) for of, known in pairs]
    )


def token():
    return httpx.Response(200, json={"access_token": "1000.access-2", "expires_in": 3600})


def success(identifier=ID):
    return {"code": "SUCCESS", "status": "success", "details": {"id": identifier}}


def failure(code, message="no", **details):
    return {"code": code, "status": "error", "message": message, "details": details}


GONE = failure("INVALID_DATA", "the id given seems to be invalid", api_name="id")


def written(*entries, status=200):
    return httpx.Response(status, json={"data": list(entries or [success()])})


def settled(sample: Sample):
    """The replies a sample stands for: a refused token is replaced once."""
    reply = LOST if sample.status is None else sample.response()
    return [reply, token(), sample.response()] if sample.status == 401 else [reply]


@pytest.mark.parametrize("remembered", [None, ID])
@pytest.mark.parametrize("sample", samples("zoho_crm"), ids=str)
def test_every_sample_reply_is_classified_as_the_contract_says(sample: Sample, remembered):
    outcome = play(given_token(remembered_id=remembered), *settled(sample)).outcome
    expected = "reject" if sample.outcome == "partial" else sample.outcome
    assert outcome.kind is KINDS[expected]


@pytest.mark.parametrize("name", ["inserted", "updated"])
def test_the_contact_id_of_the_contract_is_remembered(name):
    (sample,) = [s for s in samples("zoho_crm") if s.name == name]
    assert play(given_token(), *settled(sample)).outcome.external_id == ID


def test_a_failure_in_a_success_is_quoted():
    (sample,) = [s for s in samples("zoho_crm") if s.name == "mixed"]
    for status in (200, 201, 202, 207, 400):
        reply = httpx.Response(status, json=sample.body)
        reason = play(given_token(), reply).outcome.reason
        assert "MANDATORY_NOT_FOUND: required field not found (Last_Name)" in reason


@pytest.mark.parametrize(
    ("headers", "after"),
    [({"X-API-CREDITS-REMAINING": "0"}, 3600.0), ({"retry-after": "9"}, 9.0), ({}, None)],
)
def test_used_up_credits_wait_an_hour_and_too_many_calls_a_moment(headers, after):
    reply = httpx.Response(429, headers=headers, json={"code": "TOO_MANY_REQUESTS"})
    outcome = play(given_token(), reply).outcome
    assert (outcome.kind, outcome.after) == (OutcomeKind.THROTTLE, after)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("MANDATORY_NOT_FOUND", OutcomeKind.REJECTED),
        ("INVALID_DATA", OutcomeKind.REJECTED),
        ("DUPLICATE_DATA", OutcomeKind.REJECTED),
        ("INTERNAL_ERROR", OutcomeKind.RETRY),
        ("RECORD_LOCKED", OutcomeKind.RETRY),
        ("TOO_MANY_REQUESTS", OutcomeKind.THROTTLE),
        ("NO_PERMISSION", OutcomeKind.AUTH_FAILED),
    ],
)
def test_each_record_of_a_batch_has_an_outcome_of_its_own(code, kind):
    reply = written(success(), failure(code), status=207)
    ended = play(batch((SIGN_UP, None), (BOB, None)), reply).outcome
    assert [one.kind for one in ended] == [OutcomeKind.DELIVERED, kind]


def answer(request):
    """Nobody is there yet, and everything is taken."""
    if request.method == "GET":
        return httpx.Response(204)
    return written(*[success()] * len(json.loads(request.content)["data"]))


def check(played):
    for request in played.requests:
        if request.method == "POST":
            document = json.loads(request.content)
            assert request_errors("zoho_crm", "upsert", document) == []
            assert document["trigger"] == []


@pytest.mark.parametrize("name", catalogue_events())
@pytest.mark.parametrize("module", ["Contacts", "Leads"])
@pytest.mark.parametrize("remembered", [None, ID])
def test_every_event_makes_valid_requests_or_is_skipped_with_a_reason(name, module, remembered):
    flow = given_token(catalogue_events()[name], zoho(module=module), remembered_id=remembered)
    played = play_by(flow, answer)
    check(played)
    if not played.requests:
        assert played.outcome.kind is OutcomeKind.SKIPPED
        assert played.outcome.reason


@given(any_event())
def test_any_event_makes_valid_requests_or_is_skipped_with_a_reason(of):
    for remembered in (None, ID):
        played = play_by(given_token(of, remembered_id=remembered), answer)
        check(played)
        kinds = {OutcomeKind.DELIVERED} if played.requests else {OutcomeKind.SKIPPED}
        assert played.outcome.kind in kinds


@given(any_event())
def test_any_event_can_travel_in_a_batch(of):
    played = play_by(batch((of, None), (SIGN_UP, None), (of, ID), (BOB, ID)), answer)
    check(played)
    assert len(played.outcome) == 4
    assert played.outcome[1].kind is OutcomeKind.DELIVERED


def fields(of, mapping=None, **settings):
    (document,) = play(given_token(of, zoho(mapping, **settings)), written()).documents
    return document["data"][0]


def test_a_customer_is_written_with_what_the_event_says():
    assert fields(CHECKOUT) == {
        "Email": "ada@example.com",
        "First_Name": "Ada",
        "Last_Name": "Lovelace",
        "Plan": "Pro",
        "Signup_Date": "2026-01-05",
        "Membership_Status": "active",
        "Last_Payment_At": "2026-11-23T19:55:00+00:00",
    }


def test_standard_only_writes_what_every_organisation_has():
    assert fields(CHECKOUT, fields="standard_only").keys() == {"Email", "First_Name", "Last_Name"}


@pytest.mark.parametrize(
    ("of", "name"),
    [
        (event("membership_expired", customer=ADA, membership=PRO), "Churned_At"),
        (event("payment_failed", customer=ADA), "Last_Payment_Failed_At"),
    ],
)
def test_churn_and_failed_payments_have_fields_of_their_own(of, name):
    assert fields(of)[name] == "2026-11-23T19:55:00+00:00"


def test_automations_are_started_only_where_the_operator_chose_so():
    (document,) = play(given_token(connector=zoho(trigger=["workflow"])), written()).documents
    assert document["trigger"] == ["workflow"]
    assert document["duplicate_check_fields"] == ["Email"]


@pytest.mark.parametrize("of", catalogue_events().values(), ids=catalogue_events())
def test_the_default_mapping_says_what_is_sent_without_one(of):
    mapped = play_by(given_token(of, zoho(ZohoCrm.default_mapping)), answer)
    plain = play_by(given_token(of), answer)
    assert [r.content for r in mapped.requests] == [r.content for r in plain.requests]


def test_the_request_carries_the_token_in_zohos_own_way():
    (request,) = play(given_token(), written()).requests
    assert str(request.url) == "https://www.zohoapis.com/crm/v8/Contacts/upsert"
    assert request.headers["authorization"] == "Zoho-oauthtoken 1000.access-1"


def test_a_remembered_record_is_written_by_its_id():
    played = play(given_token(remembered_id=ID), written())
    assert played.lines == [UPDATE]
    assert played.documents[0]["data"][0]["id"] == ID


@pytest.mark.parametrize(
    ("of", "names"),
    [
        (ONE_WORD, {"Last_Name": "Ada"}),
        (NAMELESS, {"Last_Name": "ada"}),
    ],
)
def test_a_name_that_had_to_be_found_is_for_new_records_only(of, names):
    made = play(given_token(of), httpx.Response(204), written())
    assert made.lines == [SEARCH, UPSERT]
    assert json.loads(made.requests[1].content)["data"][0].items() >= names.items()
    there = play(given_token(of), httpx.Response(200, json={"data": [{"id": ID}]}), written())
    assert there.lines == [SEARCH, UPDATE]
    assert "Last_Name" not in json.loads(there.requests[1].content)["data"][0]
    assert "First_Name" not in json.loads(there.requests[1].content)["data"][0]


def test_an_event_without_an_address_changes_a_record_that_is_known():
    played = play(given_token(LOST_MEMBERSHIP, remembered_id=ID), written())
    assert played.documents[0]["data"][0]["Membership_Status"] == "cancelled"
    assert play(given_token(LOST_MEMBERSHIP)).outcome.kind is OutcomeKind.SKIPPED


def test_a_record_that_is_gone_is_made_anew():
    played = play(
        given_token(remembered_id=ID), written(GONE, status=400), written(success("9" * 18))
    )
    assert played.lines == [UPDATE, UPSERT]
    assert (played.outcome.external_id, played.outcome.forget_id) == ("9" * 18, False)


@pytest.mark.parametrize(("of", "then"), [(SIGN_UP, [httpx.Response(503)]), (LOST_MEMBERSHIP, [])])
def test_the_gone_id_is_forgotten_whatever_follows(of, then):
    outcome = play(given_token(of, remembered_id=ID), written(GONE), *then).outcome
    assert (outcome.kind, outcome.forget_id) == (OutcomeKind.RETRY, True)


def test_a_record_that_is_gone_in_a_batch_is_looked_for_the_next_time():
    ended = play(batch((SIGN_UP, ID), (BOB, "8" * 18)), written(GONE, success())).outcome
    assert [(one.kind, one.forget_id) for one in ended] == [
        (OutcomeKind.RETRY, True),
        (OutcomeKind.DELIVERED, False),
    ]


def test_a_batch_names_every_address_once_in_a_request():
    again = event("y", customer=replace(ADA, email="ADA@example.com", last_name="King"))
    played = play(
        batch((SIGN_UP, None), (BOB, None), (again, None)),
        written(success(), success()),
        written(success()),
    )
    assert played.lines == [UPSERT, UPSERT]
    assert [[r["Last_Name"] for r in d["data"]] for d in played.documents] == [
        ["Lovelace", "Bell"],
        ["King"],
    ]


def test_what_can_share_a_request_has_the_same_key():
    connector = zoho()
    assert connector.batch_key(assignment(NAMELESS, remembered_id=ID)) == "update"
    assert connector.batch_key(assignment(SIGN_UP)) == "upsert"
    assert connector.batch_key(assignment(NAMELESS)) not in {"update", "upsert"}


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"data":[]}', b'{"data":{}}'])
def test_a_reply_that_does_not_match_is_not_believed(body):
    reply = httpx.Response(200, content=body)
    assert play(given_token(), reply).outcome.kind is OutcomeKind.RETRY
    ended = play(batch((SIGN_UP, None), (BOB, None)), reply).outcome
    assert ended.kind is OutcomeKind.REJECTED


def test_a_batch_that_is_refused_as_a_whole_is_driven_one_by_one():
    ended = play(batch((SIGN_UP, None), (BOB, None)), httpx.Response(400)).outcome
    assert ended.kind is OutcomeKind.REJECTED


@pytest.mark.parametrize("failed", [LOST, UNREACHED])
def test_a_lost_answer_is_tried_again(failed):
    assert play(given_token(), failed).outcome.kind is OutcomeKind.RETRY
    assert play(batch((SIGN_UP, None), (BOB, None)), failed).outcome.kind is OutcomeKind.RETRY


def test_values_are_cut_to_what_zoho_takes():
    long = replace(ADA, first_name="A" * 90, last_name="L" * 90)
    told = fields(event("x", customer=long))
    assert (told["First_Name"], told["Last_Name"]) == ("A" * 40, "L" * 80)
    too_long = event("x", customer=replace(ADA, email=f"{'a' * 100}@example.com"))
    assert play(given_token(too_long)).outcome.kind is OutcomeKind.SKIPPED


def test_a_mapping_is_written_as_it_is_but_for_what_is_empty():
    mapping = {
        "Last_Name": "customer.last_name",
        "Seats": "3",
        "Vip": "true",
        "Start_Date": "customer.signup_date",
        "Since": "customer.signup_date",
        "Interests": "['a', 'b']",
        "Nothing": "null",
        "Cleared": "''",
    }
    assert fields(SIGN_UP, mapping) == {
        "Email": "ada@example.com",
        "Last_Name": "Lovelace",
        "Seats": 3,
        "Vip": True,
        "Start_Date": "2026-01-05",
        "Since": "2026-01-05T10:00:00+00:00",
        "Interests": ["a", "b"],
    }


@pytest.mark.parametrize(
    "field", ["id", "$status", "Email_Opt_Out", "Full_Name", "1st", "a-b", "", "x" * 101]
)
def test_a_mapping_to_what_is_no_writable_field_is_named(field):
    assert ZohoCrm.check_mapping([field, "Last_Name", "Plan"]).keys() == {field}


def test_a_mapping_that_fails_on_an_event_is_rejected_and_says_which_field():
    outcome = play(given_token(connector=zoho({"Plan": "data.x + 1"}))).outcome
    assert outcome.kind is OutcomeKind.REJECTED
    assert "mapping/Plan" in outcome.reason


@pytest.mark.parametrize(
    ("base_url", "accounts"),
    [
        ("https://www.zohoapis.com", "https://accounts.zoho.com"),
        ("https://www.zohoapis.eu", "https://accounts.zoho.eu"),
        ("https://www.zohoapis.in/", "https://accounts.zoho.in"),
        ("https://www.zohoapis.com.au", "https://accounts.zoho.com.au"),
        ("https://www.zohoapis.jp", "https://accounts.zoho.jp"),
        ("https://www.zohoapis.ca", "https://accounts.zohocloud.ca"),
        ("https://sandbox.zohoapis.sa", "https://accounts.zoho.sa"),
        ("https://www.zohoapis.com.cn", "https://accounts.zoho.com.cn"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("https://www.zohoapis.com.evil.example", "https://www.zohoapis.com.evil.example"),
    ],
)
def test_tokens_come_from_the_data_centre_of_the_api(base_url, accounts):
    played = play(zoho(base_url=base_url).deliver(assignment(SIGN_UP)), token(), written())
    assert str(played.requests[0].url) == f"{accounts}/oauth/v2/token"


def test_every_host_of_the_contract_has_its_accounts_host():
    for base_url in contract("zoho_crm")["base_urls"]:
        played = play(zoho(base_url=base_url).deliver(assignment(SIGN_UP)), token(), written())
        assert played.requests[0].url.host.startswith("accounts.zoho")


def test_a_token_lives_as_long_as_zoho_says():
    played = play(zoho().deliver(assignment(SIGN_UP)), token(), written())
    assert played.outcome.grant.expires_at == NOW + timedelta(hours=1)
    form = dict(httpx.QueryParams(played.requests[0].content.decode()))
    assert form == {"grant_type": "refresh_token", "client_id": "1000.CLIENT", **SECRETS}


@pytest.mark.parametrize(
    ("reply", "kind", "after"),
    [
        (httpx.Response(200, json={"error": "invalid_code"}), OutcomeKind.AUTH_FAILED, None),
        (
            httpx.Response(
                400,
                json={
                    "error": "Access Denied",
                    "error_description": "You have made too many requests continuously.",
                },
            ),
            OutcomeKind.THROTTLE,
            600.0,
        ),
        (httpx.Response(503), OutcomeKind.RETRY, None),
    ],
)
def test_without_a_token_the_event_waits_and_is_never_rejected(reply, kind, after):
    outcome = play(zoho().deliver(assignment(SIGN_UP)), reply).outcome
    assert (outcome.kind, outcome.after) == (kind, after)
