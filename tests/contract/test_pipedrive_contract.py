"""Pipedrive against its contract, its order of requests, and a stand-in with its rules."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
from hypothesis import given

from app.connectors.pipedrive import Pipedrive
from app.domain.outcome import OutcomeKind
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
from tests.fakes.pipedrive import FAILED_AT, PLAN, STATUS, FakePipedrive

TOKEN = "token-correct"
SIGN_UP = event("customer_post_create", customer=ADA)
CHECKOUT = event("checkout_completed", customer=ADA, membership=PRO, payment=PAID)
LOST_MEMBERSHIP = event(
    "membership_status_to_cancelled", membership=replace(PRO, status="cancelled")
)
SEARCH = "GET /api/v2/persons/search?term=ada%40example.com&fields=email&exact_match=true&limit=2"
CREATE = "POST /api/v2/persons"
FIELDS = {"plan": PLAN, "membership_status": STATUS, "last_payment_failed_at": FAILED_AT}
MISS = httpx.Response(200, json={"success": True, "data": {"items": []}})


def patch(identifier):
    return f"PATCH /api/v2/persons/{identifier}"


def pipedrive(mapping=None, **settings):
    return bound(Pipedrive, mapping, **{"api_token": TOKEN, **settings})


def person(status=200, identifier=42, **known):
    known = {"emails": [{"value": "ada@example.com", "primary": True}], "label_ids": [], **known}
    return httpx.Response(status, json={"success": True, "data": {"id": identifier, **known}})


def hit(*identifiers, email="Ada@Example.com"):
    items = [{"item": {"id": one, "emails": [email]}} for one in identifiers]
    return httpx.Response(200, json={"success": True, "data": {"items": items}})


def flow(of=SIGN_UP, remembered=None, connector=None, attempt=1):
    known = {"remembered_id": remembered, "attempt": attempt}
    return (connector or pipedrive()).deliver(assignment(of, **known))


#: What brings the flow to an operation, and the remembered id it starts with.
LEADS_TO = {"search": ([], None), "create": ([MISS], None), "update": ([], "42")}


def play_to(sample: Sample, *then):
    before, remembered = LEADS_TO[sample.operation]
    reply = LOST if sample.status is None else sample.response()
    return play(flow(remembered=remembered), *before, reply, *then)


@pytest.mark.parametrize(
    "sample",
    [s for s in samples("pipedrive") if f"{s}" not in {"search-hit", "search-miss", "update-gone"}],
    ids=str,
)
def test_every_sample_reply_is_classified_as_the_contract_says(sample: Sample):
    assert play_to(sample).outcome.kind is KINDS[sample.outcome]


@pytest.mark.parametrize(
    ("name", "then", "line"),
    [
        ("search-hit", [person()], patch(42)),
        ("search-miss", [person(201)], CREATE),
        ("update-gone", [MISS, person(201)], CREATE),
    ],
)
def test_where_another_request_is_needed_the_flow_goes_on(name, then, line):
    (sample,) = [s for s in samples("pipedrive") if f"{s}" == name]
    played = play_to(sample, *then)
    assert played.lines[-1] == line
    assert (played.outcome.kind, played.outcome.external_id) == (OutcomeKind.DELIVERED, "42")


@pytest.mark.parametrize(
    ("name", "after"), [("burst", 2.0), ("daily_budget", 3600.0), ("cf_block", 60.0)]
)
def test_the_wait_is_the_one_the_reply_names_or_the_contract_notes(name, after):
    (sample,) = [s for s in samples("pipedrive", "search") if s.name == name]
    assert play_to(sample).outcome.after == after


def respond(request):
    """Nobody is there, and what is made has neither address nor label."""
    if request.method == "GET":
        return MISS
    return person(201 if request.method == "POST" else 200, emails=[], phones=[])


def check(played):
    for request, document in zip(played.requests, bodies(played), strict=True):
        if request.method != "GET":
            operation = "create" if request.method == "POST" else "update"
            assert request_errors("pipedrive", operation, document) == []


def bodies(played):
    """The body of each request, None where it has none."""
    return [json.loads(request.content or b"null") for request in played.requests]


@pytest.mark.parametrize("name", catalogue_events())
@pytest.mark.parametrize("remembered", [None, "42"])
def test_every_event_makes_valid_requests_or_is_skipped_with_a_reason(name, remembered):
    connector = pipedrive(
        custom_fields=FIELDS, cancelled_label=7, payment_failed_label=8, plan_labels={"pro": 9}
    )
    played = play_by(flow(catalogue_events()[name], remembered, connector), respond)
    check(played)
    if not played.requests:
        assert played.outcome.kind is OutcomeKind.SKIPPED
        assert played.outcome.reason


@given(any_event())
def test_any_event_makes_valid_requests_or_is_skipped_with_a_reason(of):
    for remembered in (None, "42"):
        played = play_by(
            flow(of, remembered, pipedrive(custom_fields=FIELDS, cancelled_label=7)), respond
        )
        check(played)
        kinds = {OutcomeKind.DELIVERED} if played.requests else {OutcomeKind.SKIPPED}
        assert played.outcome.kind in kinds


def created(of, mapping=None, **settings):
    played = play(flow(of, connector=pipedrive(mapping, **settings)), MISS, person(201))
    return bodies(played)[1]


def test_a_person_is_made_with_name_and_address_and_nothing_else_to_set_up():
    assert created(CHECKOUT) == {
        "name": "Ada Lovelace",
        "emails": [{"value": "ada@example.com", "primary": True}],
    }


def test_custom_fields_are_written_under_their_keys():
    of = event("payment_failed", customer=ADA, membership=PRO)
    assert created(of, custom_fields=FIELDS)["custom_fields"] == {
        PLAN: "Pro",
        STATUS: "active",
        FAILED_AT: "2026-11-23",
    }


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "Ada Lovelace"),
        ({"name": None}, "Ada Lovelace"),
        ({"name": None, "last_name": None}, "ada@example.com"),
        ({"name": "", "first_name": "", "last_name": ""}, "ada@example.com"),
    ],
)
def test_a_person_without_a_name_is_called_by_the_address(changes, name):
    assert created(event("x", customer=replace(ADA, **changes)))["name"] == name


@pytest.mark.parametrize("of", catalogue_events().values(), ids=catalogue_events())
def test_the_default_mapping_says_what_is_sent_without_one(of):
    mapped = play_by(flow(of, connector=pipedrive(Pipedrive.default_mapping)), respond)
    assert bodies(mapped) == bodies(play_by(flow(of), respond))


def test_a_remembered_person_takes_one_request():
    played = play(flow(remembered="42"), person())
    assert played.lines == [patch(42)]
    assert played.documents == [{"name": "Ada Lovelace"}]
    assert played.requests[0].headers["x-api-token"] == TOKEN


def test_of_two_persons_with_the_address_the_older_one_is_written():
    assert play(flow(), hit(99, 51), person(identifier=51)).lines == [SEARCH, patch(51)]


def test_a_person_who_only_resembles_is_not_taken():
    assert play(flow(), hit(51, email="ada@example.co"), person(201)).lines == [SEARCH, CREATE]


def test_a_person_the_search_still_shows_but_who_is_gone_is_made_anew():
    played = play(flow(), hit(51), httpx.Response(404), person(201, 52))
    assert played.lines == [SEARCH, patch(51), CREATE]
    assert played.outcome.external_id == "52"


@pytest.mark.parametrize("status", [404, 410])
def test_the_gone_id_is_forgotten_even_when_the_rest_fails(status):
    outcome = play(flow(remembered="51"), httpx.Response(status), httpx.Response(503)).outcome
    assert (outcome.kind, outcome.forget_id) == (OutcomeKind.RETRY, True)


def test_without_an_address_a_remembered_person_is_still_written():
    connector = pipedrive(custom_fields=FIELDS)
    played = play(flow(LOST_MEMBERSHIP, "42", connector), person())
    assert played.documents == [{"custom_fields": {PLAN: "Pro", STATUS: "cancelled"}}]


def test_what_says_nothing_is_skipped():
    assert play(flow(LOST_MEMBERSHIP, "42")).outcome.kind is OutcomeKind.SKIPPED
    assert "No Pipedrive person" not in play(flow(LOST_MEMBERSHIP)).outcome.reason
    assert play(flow(LOST_MEMBERSHIP)).outcome.kind is OutcomeKind.SKIPPED


def test_a_new_address_is_added_before_those_that_are_there():
    moved = event("customer_post_update", customer=replace(ADA, email="countess@example.com"))
    known = [
        {"value": "ada@example.com", "primary": True, "label": "work", "extra": 1},
        {"value": "private@example.com", "primary": False},
    ]
    played = play(flow(moved, "42"), person(emails=known), person())
    assert played.documents[1] == {
        "emails": [
            {"value": "countess@example.com", "primary": True},
            {"value": "ada@example.com", "primary": False, "label": "work"},
            {"value": "private@example.com", "primary": False},
        ]
    }


def test_a_list_the_reply_does_not_show_is_left_alone():
    reply = httpx.Response(200, json={"success": True, "data": {"id": 42}})
    connector = pipedrive(cancelled_label=7)
    of = event("membership_expired", customer=ADA, membership=PRO)
    assert len(play(flow(of, "42", connector), reply).requests) == 1


@pytest.mark.parametrize(
    ("of", "before", "after"),
    [
        (event("membership_expired", customer=ADA, membership=PRO), [1], [1, 7]),
        (event("payment_failed", customer=ADA), [1], [1, 8]),
        (event("payment_failed", customer=ADA), [1, 8], None),
        (CHECKOUT, [7, 1, 8], [1]),
        (CHECKOUT, [1], None),
    ],
)
def test_labels_are_changed_beside_those_that_are_there(of, before, after):
    connector = pipedrive(cancelled_label=7, payment_failed_label=8)
    replies = [person(label_ids=before)] + ([person()] if after else [])
    played = play(flow(of, "42", connector), *replies)
    assert [d.get("label_ids") for d in played.documents[1:]] == ([after] if after else [])


def test_a_label_alone_is_written_after_the_person_was_read():
    connector = pipedrive(cancelled_label=7)
    played = play(flow(LOST_MEMBERSHIP, "42", connector), person(label_ids=[1]), person())
    assert played.lines == ["GET /api/v2/persons/42", patch(42)]
    assert bodies(played)[1] == {"label_ids": [1, 7]}


@pytest.mark.parametrize("lag", [60, 5])
def test_every_second_attempt_only_looks_and_waits_until_the_search_must_know(lag):
    connector = pipedrive(search_lag_seconds=lag)
    played = play(flow(connector=connector, attempt=2), MISS)
    assert (played.outcome.kind, played.outcome.after) == (OutcomeKind.RETRY, lag)
    played = play(flow(connector=connector, attempt=3), MISS, person(201))
    assert played.lines == [SEARCH, CREATE]


def test_what_an_attempt_of_unknown_end_made_is_found_by_the_next():
    played = play(flow(attempt=2), hit(42), person())
    assert (played.lines, played.outcome.external_id) == ([SEARCH, patch(42)], "42")


@pytest.mark.parametrize("failure", [LOST, UNREACHED])
@pytest.mark.parametrize("before", [[], [MISS]])
def test_a_lost_answer_is_tried_again_whatever_the_step(failure, before):
    assert play(flow(), *before, failure).outcome.kind is OutcomeKind.RETRY


def test_mapped_values_go_where_pipedrive_has_them():
    mapping = {
        "name": "customer.name",
        "email": "data.billing_email",
        "phone": "customer.phone",
        "add_time": "customer.signup_date",
        "owner_id": "7",
        "org_id": "'x'",
        PLAN: "membership.plan.name",
        STATUS: "customer.signup_date",
        "c" * 40: "[1, 2]",
        "d" * 40: "true",
    }
    of = event("x", customer=ADA, membership=PRO, data={"billing_email": "b@example.com"})
    assert created(of, mapping) == {
        "name": "Ada Lovelace",
        "emails": [{"value": "b@example.com", "primary": True}],
        "phones": [{"value": "+1 555 0199 321", "primary": True}],
        "add_time": "2026-01-05T10:00:00Z",
        "owner_id": 7,
        "custom_fields": {
            PLAN: "Pro",
            STATUS: "2026-01-05",
            "c" * 40: [1, 2],
            "d" * 40: "true",
        },
    }


def test_the_owner_is_set_once_and_left_to_colleagues():
    connector = pipedrive({"name": "customer.name", "owner_id": "7"})
    assert play(flow(SIGN_UP, "42", connector), person()).documents == [{"name": "Ada Lovelace"}]


def test_a_wrong_key_is_rejected_and_says_where_keys_are():
    (sample,) = [s for s in samples("pipedrive", "update") if s.name == "validation"]
    assert "personFields" in play_to(sample).outcome.reason


@pytest.mark.parametrize(
    "field", ["marketing_status", "label_ids", "Plan", "", "A" * 40, "a" * 39, "id"]
)
def test_a_mapping_to_what_is_no_writable_field_is_named(field):
    assert Pipedrive.check_mapping([field, "email", PLAN]).keys() == {field}


def test_a_mapping_that_fails_on_an_event_is_rejected_and_says_which_field():
    outcome = play(flow(connector=pipedrive({"name": "data.x + 1"}))).outcome
    assert outcome.kind is OutcomeKind.REJECTED
    assert "mapping/name" in outcome.reason


DEAL_SEARCH = "GET /api/v2/deals/search?term=shop+payment+17&fields=title&exact_match=true&limit=2"


def test_a_payment_becomes_a_won_deal_where_the_operator_wants_it():
    connector = pipedrive(won_deals=True)
    played = play(flow(CHECKOUT, "42", connector), person(), MISS, person(201, 90))
    assert played.lines[1:] == [DEAL_SEARCH, "POST /api/v2/deals"]
    assert bodies(played)[2] == {
        "title": "shop payment 17",
        "person_id": 42,
        "status": "won",
        "value": 59.99,
        "currency": "USD",
    }
    assert played.outcome.external_id == "42"


def test_a_deal_that_is_there_is_not_made_again():
    found = {"data": {"items": [{"item": {"id": 90, "title": "shop payment 17"}}]}}
    connector = pipedrive(won_deals=True)
    played = play(flow(CHECKOUT, "42", connector), person(), httpx.Response(200, json=found))
    assert played.outcome.kind is OutcomeKind.DELIVERED


@pytest.mark.parametrize("replies", [[LOST], [httpx.Response(503)]])
def test_a_deal_whose_fate_is_not_known_is_looked_for_later(replies):
    connector = pipedrive(won_deals=True)
    outcome = play(flow(CHECKOUT, "42", connector), person(), MISS, *replies).outcome
    assert (outcome.kind, outcome.external_id) == (OutcomeKind.RETRY, "42")


def test_a_deal_that_may_have_been_made_is_looked_for_once_more():
    connector = pipedrive(won_deals=True)
    outcome = play(flow(CHECKOUT, "42", connector, attempt=2), person(), MISS).outcome
    assert (outcome.kind, outcome.after, outcome.external_id) == (OutcomeKind.RETRY, 60, "42")


def test_one_deal_whichever_events_announce_the_payment():
    connector = pipedrive(won_deals=True)
    for name in ("checkout_completed", "payment_received"):
        assert connector.effect(event(name, payment=PAID)) == "purchase:shop/17"
        assert pipedrive().effect(event(name, payment=PAID)) is None
    assert connector.effect(SIGN_UP) is None


@pytest.fixture
async def account() -> AsyncIterator[FakePipedrive]:
    async with FakePipedrive().serve() as fake:
        yield fake


async def deliver(account, of=SIGN_UP, remembered=None, patience=5.0, **settings):
    connector = pipedrive(base_url=account.base_url, **settings)
    async with loopback_client(timeout=patience) as client:
        return await drive(flow(of, remembered, connector), over(client))


async def test_a_customer_becomes_one_person_although_the_search_lags(account: FakePipedrive):
    account.index_lags = True
    first = await deliver(account, custom_fields={"plan": PLAN})
    await deliver(account, CHECKOUT, first.external_id, custom_fields={"plan": PLAN})
    (found,) = account.persons.values()
    assert (found["name"], found["custom_fields"]) == ("Ada Lovelace", {PLAN: "Pro"})


async def test_a_creation_whose_answer_was_lost_makes_no_second_person(account: FakePipedrive):
    account.stall_next(0)
    account.stall_next()
    assert (await deliver(account, patience=0.2)).kind is OutcomeKind.RETRY
    assert (await deliver(account)).external_id == "42"
    assert account.persons.keys() == {42}


async def test_what_colleagues_wrote_is_kept(account: FakePipedrive):
    identifier = account.add(
        "ada@example.com",
        label_ids=[3],
        phones=[{"value": "1"}],
        custom_fields={STATUS: "vip"},
        marketing_status="unsubscribed",
    )
    of = event("membership_expired", customer=ADA, membership=PRO)
    await deliver(account, of, cancelled_label=7, custom_fields={"plan": PLAN})
    found = account.persons[identifier]
    assert found["label_ids"] == [3, 7]
    assert found["phones"] == [{"value": "1"}]
    assert found["custom_fields"] == {STATUS: "vip", PLAN: "Pro"}
    assert found["marketing_status"] == "unsubscribed"


async def test_a_deal_is_made_once_although_its_answer_was_lost(account: FakePipedrive):
    for _ in range(3):
        account.stall_next(0)
    account.stall_next()
    first = await deliver(account, CHECKOUT, patience=0.2, won_deals=True)
    assert first.kind is OutcomeKind.RETRY
    second = await deliver(account, CHECKOUT, first.external_id, won_deals=True)
    assert second.kind is OutcomeKind.DELIVERED
    assert len(account.deals) == 1


async def test_a_full_window_throttles_and_writes_nothing(account: FakePipedrive):
    account.requests_left = 1
    outcome = await deliver(account)
    assert (outcome.kind, outcome.after) == (OutcomeKind.THROTTLE, 2.0)
    assert account.persons == {}


async def test_a_wrong_token_holds_the_target(account: FakePipedrive):
    outcome = await deliver(account, api_token="wrong-token")
    assert outcome.kind is OutcomeKind.AUTH_FAILED
    assert "unauthorized access" in outcome.reason


async def test_a_key_the_account_does_not_have_is_rejected(account: FakePipedrive):
    outcome = await deliver(account, CHECKOUT, custom_fields={"plan": "e" * 40})
    assert outcome.kind is OutcomeKind.REJECTED
