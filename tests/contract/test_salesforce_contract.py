"""Salesforce against its contract: requests by schema, every sample reply, tokens, batches."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest
from hypothesis import given

from app.connectors.salesforce import Salesforce
from app.domain.grant import Grant
from app.domain.outcome import Outcome, OutcomeKind
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

HOST = "https://example.my.salesforce.com"
INSTANCE = "https://eu42.salesforce.com"
TOKEN = f"POST {HOST}/services/oauth2/token"
SECRET = "consumer-secret"
ID = "003x0000000001AAAQ"
DATA = "/services/data/v61.0"
UPSERT = f"PATCH {INSTANCE}{DATA}/sobjects/Contact/WaaS_Customer_Id__c/shop%3A2"
READ = f"GET {INSTANCE}{DATA}/sobjects/Contact/WaaS_Customer_Id__c/shop%3A2?fields=Id"
BY_ID = f"PATCH {INSTANCE}{DATA}/sobjects/Contact/{ID}"
COLLECTION = f"PATCH {INSTANCE}{DATA}/composite/sobjects/Contact/WaaS_Customer_Id__c"

SIGN_UP = event("customer_post_create", customer=ADA)
CHECKOUT = event("checkout_completed", customer=ADA, membership=PRO, payment=PAID)
NAMELESS = event("x", customer=replace(ADA, name=None, first_name=None, last_name=None))
ONE_WORD = event("x", customer=replace(ADA, name="Ada", first_name=None, last_name=None))
LOST_MEMBERSHIP = event(
    "membership_status_to_cancelled", membership=replace(PRO, status="cancelled")
)


def salesforce(mapping=None, **settings):
    known = {"base_url": HOST, "client_id": "3MVG9-consumer-key", "client_secret": SECRET}
    return bound(Salesforce, mapping, **{**known, **settings})


def grant_for(connector, token="00Dx!session-1", **changes):
    extra = {"issued_for": connector._authority.issued_for, "instance_url": INSTANCE}
    return Grant(token, None, {**extra, **changes})


def given_token(of=SIGN_UP, connector=None, **changes):
    """A delivery for which a token is there."""
    connector = connector or salesforce()
    return connector.deliver(assignment(of, grant=grant_for(connector), **changes))


def token(name="00Dx!session-2", **more):
    return httpx.Response(200, json={"access_token": name, "instance_url": INSTANCE, **more})


def written(status=200, identifier=ID):
    return httpx.Response(status, json={"id": identifier, "success": True, "errors": []})


def lines(played):
    return [f"{request.method} {request.url}" for request in played.requests]


def settled(sample: Sample):
    """The replies a sample stands for: a refused token is replaced once."""
    reply = LOST if sample.status is None else sample.response()
    return [reply, token(), sample.response()] if sample.status == 401 else [reply]


@pytest.mark.parametrize("sample", samples("salesforce", "upsert"), ids=str)
def test_every_sample_reply_is_classified_as_the_contract_says(sample: Sample):
    outcome = play(given_token(), *settled(sample)).outcome
    assert outcome.kind is KINDS[sample.outcome]


@pytest.mark.parametrize("name", ["created", "updated"])
def test_the_contact_id_of_the_contract_is_remembered(name):
    (sample,) = [s for s in samples("salesforce", "upsert") if s.name == name]
    assert play(given_token(), *settled(sample)).outcome.external_id == ID


def batch(*events, connector=None, **changes):
    connector = connector or salesforce()
    grant = grant_for(connector)
    return connector.deliver_many([assignment(of, grant=grant, **changes) for of in events])


BOB = event("x", customer=replace(ADA, id="3", email="bob@example.com", last_name="Bell"))


@pytest.mark.parametrize("sample", samples("salesforce", "collection"), ids=str)
def test_every_sample_reply_to_a_batch_is_classified_as_the_contract_says(sample: Sample):
    ended = play(batch(SIGN_UP, BOB), *settled(sample)).outcome
    if sample.outcome == "partial":
        assert [one.kind for one in ended] == [OutcomeKind.DELIVERED, OutcomeKind.REJECTED]
        assert ended[0].external_id == ID
        assert "Required fields are missing: [LastName]" in ended[1].reason
    elif sample.outcome == "reject":
        assert ended.kind is OutcomeKind.REJECTED
    elif sample.status is None:
        assert ended.kind is OutcomeKind.RETRY
    else:
        assert {one.kind for one in ended} == {KINDS[sample.outcome]}


@pytest.mark.parametrize(
    ("name", "after"), [("limit", 3600.0), ("row_lock", None), ("unavailable_503", 7.0)]
)
def test_the_wait_is_the_one_the_reply_names_or_the_contract_notes(name, after):
    (sample,) = [s for s in samples("salesforce", "upsert") if s.name == name]
    assert play(given_token(), *settled(sample)).outcome.after == after


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("ambiguous", "make its field unique"),
        ("no_field", 'set fields to "standard_only"'),
        ("duplicates", "allow_duplicates"),
    ],
)
def test_a_refusal_says_what_to_do_beside_the_vendors_words(name, advice):
    (sample,) = [s for s in samples("salesforce", "upsert") if s.name == name]
    assert advice in play(given_token(), *settled(sample)).outcome.reason


def test_an_object_without_the_external_id_field_holds_the_target():
    reply = httpx.Response(404, json=[{"errorCode": "NOT_FOUND", "message": "No such field"}])
    outcome = play(given_token(), reply).outcome
    assert outcome.kind is OutcomeKind.AUTH_FAILED
    assert "external id field" in outcome.reason


def answer(request):
    """Nobody is there yet."""
    if request.url.path.endswith("/token"):
        return token()
    return httpx.Response(404) if request.method == "GET" else written(201)


def check(played):
    for request in played.requests:
        assert request.url.scheme == "https"
    upserts = [r for r in played.requests if "WaaS" in r.url.path and r.method == "PATCH"]
    for request in upserts:
        document = play_json(request)
        operation = "collection" if "composite" in request.url.path else "upsert"
        assert request_errors("salesforce", operation, document) == []
        if operation == "upsert":
            assert {"Id", "WaaS_Customer_Id__c"}.isdisjoint(document)


def play_json(request):
    return httpx.Response(200, content=request.content).json()


@pytest.mark.parametrize("name", catalogue_events())
@pytest.mark.parametrize("kind", ["Contact", "Lead"])
def test_every_event_makes_valid_requests_or_is_skipped_with_a_reason(name, kind):
    connector = salesforce(object=kind, fields="all")
    played = play_by(given_token(catalogue_events()[name], connector), answer)
    check(played)
    if not played.requests:
        assert played.outcome.kind is OutcomeKind.SKIPPED
        assert played.outcome.reason


@given(any_event())
def test_any_event_makes_valid_requests_or_is_skipped_with_a_reason(of):
    for remembered in (None, ID):
        played = play_by(
            given_token(of, salesforce(fields="all"), remembered_id=remembered), answer
        )
        check(played)
        assert played.outcome.kind in {OutcomeKind.DELIVERED, OutcomeKind.SKIPPED}


@given(any_event())
def test_any_event_can_travel_in_a_batch(of):
    def each_taken(request):
        if "composite" not in request.url.path:
            return answer(request)
        count = len(play_json(request)["records"])
        return httpx.Response(200, json=[{"id": ID, "success": True, "errors": []}] * count)

    played = play_by(batch(of, SIGN_UP, of), each_taken)
    check(played)
    assert len(played.outcome) == 3
    assert played.outcome[1].kind is OutcomeKind.DELIVERED


def fields(of, mapping=None, **settings):
    played = play(given_token(of, salesforce(mapping, **settings)), written())
    assert len(played.requests) == 1
    return played.documents[0]


def test_a_customer_is_written_with_what_every_organisation_has():
    assert fields(CHECKOUT) == {
        "LastName": "Lovelace",
        "FirstName": "Ada",
        "Email": "ada@example.com",
    }


def test_custom_fields_are_written_where_they_were_made():
    assert fields(CHECKOUT, fields="all") == {
        **fields(CHECKOUT),
        "Plan__c": "Pro",
        "Signup_Date__c": "2026-01-05",
        "Membership_Status__c": "active",
        "Last_Payment_At__c": "2026-11-23T19:55:00Z",
    }
    failed = event("payment_failed", customer=ADA)
    assert "Last_Payment_Failed_At__c" in fields(failed, fields="all")
    lost = event("membership_expired", customer=ADA, membership=PRO)
    assert "Churned_At__c" in fields(lost, fields="all")


def test_a_lead_has_a_company():
    of = event("x", customer=replace(ADA, company="Analytical Engines"))
    assert fields(of, object="Lead")["Company"] == "Analytical Engines"


def test_the_request_goes_to_the_instance_with_the_token():
    played = play(given_token(connector=salesforce(allow_duplicates=True)), written())
    (request,) = played.requests
    assert lines(played) == [UPSERT]
    assert request.headers["authorization"] == "Bearer 00Dx!session-1"
    assert request.headers["sforce-duplicate-rule-header"] == "allowSave=true"


@pytest.mark.parametrize(
    "instance", ["", "http://eu42.salesforce.com", "ftp://x", "https://u:p@x", "//", "https://a\0b"]
)
def test_an_address_that_cannot_be_the_instance_is_not_used(instance):
    connector = salesforce()
    grant = grant_for(connector, instance_url=instance)
    played = play(connector.deliver(assignment(SIGN_UP, grant=grant)), written())
    assert played.requests[0].url.host == "example.my.salesforce.com"


def test_a_name_that_is_known_is_written_whether_the_contact_is_there_or_not():
    assert lines(play(given_token(remembered_id=ID), written())) == [UPSERT]


@pytest.mark.parametrize(
    ("of", "names"),
    [
        (ONE_WORD, {"LastName": "Ada"}),
        (NAMELESS, {"LastName": "ada"}),
        (
            event("x", customer=replace(ADA, last_name=None, first_name="Ada Maria")),
            {"FirstName": "Ada", "LastName": "Maria"},
        ),
    ],
)
def test_a_name_that_had_to_be_found_is_for_new_contacts_only(of, names):
    played = play(given_token(of), httpx.Response(404), written(201))
    assert lines(played) == [READ, UPSERT]
    assert play_json(played.requests[1]) == {"Email": "ada@example.com", **names}
    there = play(given_token(of), httpx.Response(200, json={"Id": ID}), httpx.Response(204))
    assert lines(there) == [READ, BY_ID]
    assert play_json(there.requests[1]) == {"Email": "ada@example.com"}
    known = play(given_token(of, remembered_id=ID), httpx.Response(204))
    assert lines(known) == [BY_ID]
    assert known.outcome.external_id == ID


def test_an_event_without_a_customer_changes_a_contact_that_is_known():
    connector = salesforce(fields="all")
    played = play(given_token(LOST_MEMBERSHIP, connector, remembered_id=ID), httpx.Response(204))
    assert lines(played) == [BY_ID]
    assert played.documents[0] == {"Plan__c": "Pro", "Membership_Status__c": "cancelled"} | {
        "Churned_At__c": "2026-11-23T19:55:00Z"
    }


def test_an_event_without_a_customer_makes_no_contact():
    played = play(given_token(LOST_MEMBERSHIP, salesforce(fields="all")), httpx.Response(404))
    assert played.outcome.kind is OutcomeKind.SKIPPED


def test_a_contact_that_is_gone_is_made_anew():
    played = play(
        given_token(NAMELESS, remembered_id=ID), httpx.Response(404), written(201, "b" * 18)
    )
    assert lines(played) == [BY_ID, UPSERT]
    assert (played.outcome.external_id, played.outcome.forget_id) == ("b" * 18, False)


def test_the_gone_id_is_forgotten_even_when_the_rest_fails():
    played = play(given_token(NAMELESS, remembered_id=ID), httpx.Response(404), httpx.Response(503))
    assert (played.outcome.kind, played.outcome.forget_id) == (OutcomeKind.RETRY, True)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"id": "../x"}'])
def test_a_success_without_a_record_is_not_believed(body):
    reply = httpx.Response(200, content=body)
    assert play(given_token(), reply).outcome.kind is OutcomeKind.RETRY


def test_values_are_cut_to_what_salesforce_takes():
    long = replace(ADA, first_name="A" * 90, last_name="L" * 90, email=f"{'a' * 80}@example.com")
    assert fields(event("x", customer=long)) == {"FirstName": "A" * 40, "LastName": "L" * 80}


def test_a_mapping_is_written_as_it_is_but_for_the_key_and_what_is_empty():
    mapping = {
        "LastName": "customer.last_name",
        "Seats__c": "3",
        "Vip__c": "true",
        "Birthdate": "customer.signup_date",
        "Since__c": "customer.signup_date",
        "Nothing__c": "null",
        "WaaS_Customer_Id__c": "'forged'",
    }
    assert fields(SIGN_UP, mapping) == {
        "LastName": "Lovelace",
        "Seats__c": 3,
        "Vip__c": True,
        "Birthdate": "2026-01-05",
        "Since__c": "2026-01-05T10:00:00Z",
    }


@pytest.mark.parametrize(
    "field", ["Id", "Name", "HasOptedOutOfEmail", "DoNotCall", "1st", "a-b", "", "x" * 81]
)
def test_a_mapping_to_what_is_no_writable_field_is_named(field):
    assert Salesforce.check_mapping([field, "LastName", "Plan__c"]).keys() == {field}


def test_a_mapping_that_fails_on_an_event_is_rejected_and_says_which_field():
    outcome = play(given_token(connector=salesforce({"LastName": "data.x + 1"}))).outcome
    assert outcome.kind is OutcomeKind.REJECTED
    assert "mapping/LastName" in outcome.reason


def test_the_default_mapping_says_what_is_sent_without_one():
    assert fields(CHECKOUT, Salesforce.default_mapping) == fields(CHECKOUT)


def test_a_batch_is_one_request_with_every_customer_in_it_once():
    again = event("customer_post_update", customer=replace(ADA, last_name="King"))
    reply = [{"id": ID, "success": True, "errors": []}] * 2
    played = play(
        batch(SIGN_UP, BOB, again),
        httpx.Response(200, json=reply),
        httpx.Response(200, json=reply[:1]),
    )
    assert lines(played) == [COLLECTION, COLLECTION]
    first, second = map(play_json, played.requests)
    assert first == {
        "allOrNone": False,
        "records": [
            {
                "attributes": {"type": "Contact"},
                "WaaS_Customer_Id__c": key,
                "LastName": last,
                "FirstName": "Ada",
                "Email": email,
            }
            for key, last, email in [
                ("shop:2", "Lovelace", "ada@example.com"),
                ("shop:3", "Bell", "bob@example.com"),
            ]
        ],
    }
    assert [record["LastName"] for record in second["records"]] == ["King"]
    assert [one.kind for one in played.outcome] == [OutcomeKind.DELIVERED] * 3


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("UNABLE_TO_LOCK_ROW", OutcomeKind.RETRY),
        ("REQUEST_LIMIT_EXCEEDED", OutcomeKind.THROTTLE),
        ("INVALID_EMAIL_ADDRESS", OutcomeKind.REJECTED),
    ],
)
def test_each_record_of_a_batch_has_an_outcome_of_its_own(code, kind):
    failure = {"success": False, "errors": [{"statusCode": code, "message": "no", "fields": []}]}
    reply = httpx.Response(200, json=[{"id": ID, "success": True}, failure])
    ended = play(batch(SIGN_UP, BOB), reply).outcome
    assert [one.kind for one in ended] == [OutcomeKind.DELIVERED, kind]


@pytest.mark.parametrize("reply", [b"", b"<html>", b"[]", b'[{"success":true}]', b"{}"])
def test_a_reply_that_does_not_match_its_batch_is_driven_one_by_one(reply):
    ended = play(batch(SIGN_UP, BOB), httpx.Response(200, content=reply)).outcome
    assert ended.kind is OutcomeKind.REJECTED


def test_a_batch_that_is_refused_as_a_whole_is_driven_one_by_one():
    ended = play(batch(SIGN_UP, BOB), httpx.Response(400)).outcome
    assert ended.kind is OutcomeKind.REJECTED


def test_a_record_that_needs_more_than_one_request_travels_alone():
    connector = salesforce()
    keys = {connector.batch_key(assignment(of)) for of in (SIGN_UP, BOB, CHECKOUT)}
    assert keys == {""}
    for of in (NAMELESS, ONE_WORD, LOST_MEMBERSHIP):
        assert connector.batch_key(assignment(of)) != ""


def test_without_a_token_one_is_fetched_first_and_handed_back():
    played = play(salesforce().deliver(assignment(SIGN_UP)), token(), written())
    assert lines(played) == [TOKEN, UPSERT]
    form = dict(httpx.QueryParams(played.requests[0].content.decode()))
    assert form == {
        "grant_type": "client_credentials",
        "client_id": "3MVG9-consumer-key",
        "client_secret": SECRET,
    }
    assert played.outcome.grant.token == "00Dx!session-2"
    assert played.outcome.grant.extra["instance_url"] == INSTANCE
    assert played.outcome == Outcome(
        OutcomeKind.DELIVERED, external_id=ID, grant=played.outcome.grant
    )


def test_what_is_skipped_asks_for_no_token():
    assert play(salesforce().deliver(assignment(LOST_MEMBERSHIP))).outcome.kind is (
        OutcomeKind.SKIPPED
    )


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (httpx.Response(400, json={"error": "invalid_client"}), OutcomeKind.AUTH_FAILED),
        (httpx.Response(404), OutcomeKind.AUTH_FAILED),
        (httpx.Response(302, headers={"location": "https://x"}), OutcomeKind.AUTH_FAILED),
        (httpx.Response(429), OutcomeKind.THROTTLE),
        (httpx.Response(503), OutcomeKind.RETRY),
        (httpx.Response(200, text="<html>"), OutcomeKind.RETRY),
        (LOST, OutcomeKind.RETRY),
        (UNREACHED, OutcomeKind.RETRY),
    ],
)
def test_without_a_token_the_event_waits_and_is_never_rejected(reply, kind):
    outcome = play(salesforce().deliver(assignment(SIGN_UP)), reply).outcome
    assert (outcome.kind, outcome.grant) == (kind, None)
    assert SECRET not in outcome.reason
