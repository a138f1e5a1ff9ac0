"""Brevo's order of requests and what it must not undo, against a stand-in with its rules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from app.connectors.brevo import Brevo
from app.domain.outcome import OutcomeKind
from tests.contract.contacts import answering, bodies, carried_out, over_http
from tests.contract.driving import LOST, UNREACHED, play, play_by
from tests.contract.events import ADA, PAID, PRO, assignment, bound, event
from tests.fakes.brevo import STANDARD, FakeBrevo

SIGN_UP = event("customer_post_create", customer=ADA)
MOVED = event("customer_post_update", customer=replace(ADA, email="countess@example.com"))
LOST_ONE = event(
    "membership_status_to_cancelled", customer=ADA, membership=replace(PRO, status="cancelled")
)
FAILED = event("payment_failed", customer=ADA)
SALE = event("payment_received", customer=ADA, membership=PRO, payment=PAID)
CHECKOUT = event("checkout_completed", customer=ADA, membership=PRO, payment=PAID)
NO_ADDRESS = event("membership_status_to_cancelled", membership=replace(PRO, status="cancelled"))
CREATED = httpx.Response(201, json={"id": 9021})
DONE = httpx.Response(204)
GONE = httpx.Response(404, json={"code": "document_not_found", "message": "Contact does not exist"})
LISTS = {"cancelled_list": 5, "payment_failed_list": 6}


def brevo(mapping=None, **settings):
    return bound(Brevo, mapping, **{"api_key": "xkeysib-correct", **settings})


def flow(of=SIGN_UP, remembered=None, **settings):
    return brevo(**settings).deliver(assignment(of, remembered_id=remembered))


def found(**more):
    known = {"id": 9021, "email": "ada@example.com", "emailBlacklisted": False, "listIds": []}
    return httpx.Response(200, json={**known, **more})


def test_a_new_contact_takes_one_request():
    played = play(flow(), CREATED)
    assert played.lines == ["POST /v3/contacts"]
    assert played.outcome.external_id == "9021"


def test_a_remembered_contact_is_looked_at_and_written_by_its_id():
    played = play(flow(remembered="9021"), found(), DONE)
    assert played.lines == ["GET /v3/contacts/9021", "PUT /v3/contacts/9021"]
    assert "EMAIL" not in bodies(played)[0]["attributes"]
    assert played.outcome.external_id == "9021"


def test_without_an_address_there_is_nothing_to_look_for():
    assert play(flow(NO_ADDRESS, "9021"), DONE).lines == ["PUT /v3/contacts/9021"]


def test_the_id_of_a_contact_that_was_there_is_asked_for_once():
    played = play(flow(), DONE, found(id=77))
    assert played.lines == ["POST /v3/contacts", "GET /v3/contacts/ada%40example.com"]
    assert played.outcome.external_id == "77"


def test_a_contact_that_is_gone_is_made_anew_under_a_new_id():
    played = play(flow(remembered="7"), GONE, CREATED)
    assert played.lines == ["GET /v3/contacts/7", "POST /v3/contacts"]
    assert (played.outcome.external_id, played.outcome.forget_id) == ("9021", False)


def test_the_gone_id_is_forgotten_even_when_the_rest_fails():
    outcome = play(flow(remembered="7"), GONE, httpx.Response(503)).outcome
    assert (outcome.kind, outcome.forget_id) == (OutcomeKind.RETRY, True)


def test_a_contact_removed_between_look_and_write_is_made():
    played = play(flow(FAILED, **LISTS), found(), GONE, CREATED)
    assert [request.method for request in played.requests] == ["GET", "PUT", "POST"]
    assert played.outcome.external_id == "9021"


def test_without_an_address_a_remembered_contact_is_still_updated():
    played = play(flow(NO_ADDRESS, "9021"), DONE)
    assert bodies(played)[0]["attributes"]["MEMBERSHIP_STATUS"] == "cancelled"


def test_without_an_address_a_gone_contact_is_forgotten_and_not_made_anew():
    outcome = play(flow(NO_ADDRESS, "9021"), GONE).outcome
    assert (outcome.kind, outcome.forget_id) == (OutcomeKind.SKIPPED, True)


@pytest.mark.parametrize("email", [None, "", "nobody", "a b@example.com"])
def test_without_an_address_and_without_an_id_nothing_is_sent(email):
    of = event("customer_post_create", customer=replace(ADA, email=email))
    outcome = play(flow(of)).outcome
    assert outcome.kind is OutcomeKind.SKIPPED
    assert "no e-mail address" in outcome.reason


@pytest.mark.parametrize("remembered", ["0", "..", "9/1", "", "é", "ada@example.com"])
def test_a_remembered_id_that_cannot_be_one_is_not_put_into_a_path(remembered):
    assert play(flow(remembered=remembered), CREATED).lines == ["POST /v3/contacts"]


def test_an_address_is_one_segment_of_the_path():
    of = event("customer_post_create", customer=replace(ADA, email="a/b?c#d@example.com"))
    played = play(flow(of), DONE, found())
    assert played.lines[1] == "GET /v3/contacts/a%2Fb%3Fc%23d%40example.com"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"id": "../x"}'])
def test_a_look_that_shows_no_contact_is_not_trusted(body):
    outcome = play(flow(MOVED, "9021"), httpx.Response(200, content=body)).outcome
    assert outcome.kind is OutcomeKind.RETRY


@pytest.mark.parametrize("failure", [LOST, UNREACHED])
@pytest.mark.parametrize("before", [[], [found()]])
def test_a_lost_answer_is_tried_again_whatever_the_step(failure, before):
    assert play(flow(FAILED, **LISTS), *before, failure).outcome.kind is OutcomeKind.RETRY


def test_a_lost_order_is_tried_again_since_it_goes_by_its_id():
    assert play(flow(SALE, orders=True), CREATED, LOST).outcome.kind is OutcomeKind.RETRY


def test_an_event_that_did_not_arrive_is_tried_again():
    played = play(flow(SALE, track_events=True), CREATED, UNREACHED)
    assert played.outcome.kind is OutcomeKind.RETRY


def test_a_failing_step_keeps_the_id_and_ends_the_flow():
    steps = {"orders": True, "track_events": True}
    outcome = play(flow(SALE, **steps), CREATED, httpx.Response(503)).outcome
    assert (outcome.kind, outcome.external_id) == (OutcomeKind.RETRY, "9021")


@pytest.fixture
def account() -> Iterator[FakeBrevo]:
    fake = FakeBrevo()
    yield fake
    assert fake.invalid == []


def send(account, of=SIGN_UP, remembered=None, **settings):
    return carried_out(account, brevo(**settings), of, remembered)


def test_a_customer_becomes_one_contact_however_often_events_come(account: FakeBrevo):
    first = send(account)
    send(account, SALE)
    send(account, SALE, first.external_id)
    assert list(account.contacts) == [9021]
    assert account.contacts[9021]["attributes"] == {
        "FIRSTNAME": "Ada",
        "LASTNAME": "Lovelace",
        "PLAN": "Pro",
        "SIGNUP_DATE": "2026-01-05",
        "MEMBERSHIP_STATUS": "active",
        "LAST_PAYMENT_AT": "2026-11-23",
    }


@pytest.mark.parametrize("remembered", [None, "9021"])
@pytest.mark.parametrize("of", [SIGN_UP, MOVED, SALE, LOST_ONE, FAILED], ids=lambda of: of.type)
def test_nobody_is_taken_off_the_blocklist_or_put_back_on_a_list(account, of, remembered):
    account.add("ada@example.com", emailBlacklisted=True, listUnsubscribed=[2, 5, 6])
    if remembered is None and of is MOVED:
        account.add("countess@example.com", emailBlacklisted=True, listUnsubscribed=[2])
    send(account, of, remembered, new_lists=(2,), **LISTS)
    assert all(contact["emailBlacklisted"] for contact in account.contacts.values())
    assert account.contacts[9021]["listUnsubscribed"] == [2, 5, 6]


@pytest.mark.parametrize("of", [MOVED, SALE, FAILED], ids=lambda of: of.type)
def test_a_new_address_is_written_whichever_event_brings_it(account: FakeBrevo, of):
    first = send(account)
    send(account, replace(of, customer=MOVED.customer), first.external_id)
    assert [contact["email"] for contact in account.contacts.values()] == ["countess@example.com"]


def test_a_blocklisted_contact_keeps_its_address_and_that_is_said(account: FakeBrevo):
    account.add("ada@example.com", emailBlacklisted=True)
    outcome = send(account, MOVED, "9021")
    assert account.contacts[9021]["email"] == "ada@example.com"
    assert account.contacts[9021]["attributes"]["FIRSTNAME"] == "Ada"
    assert "The address was not changed" in outcome.reason


def test_moving_an_address_onto_another_contact_is_rejected(account: FakeBrevo):
    account.add("ada@example.com")
    account.add("countess@example.com")
    outcome = send(account, MOVED, "9021")
    assert outcome.kind is OutcomeKind.REJECTED
    assert "Contact already exist" in outcome.reason


def test_what_a_colleague_wrote_is_not_cleared(account: FakeBrevo):
    account.add("ada@example.com", attributes={"LASTNAME": "Byron", "SHOE": "39"}, listIds=[1])
    send(account, event("x", customer=replace(ADA, last_name=None, signup_date=None)))
    assert account.contacts[9021]["attributes"] == {
        "LASTNAME": "Byron",
        "SHOE": "39",
        "FIRSTNAME": "Ada",
    }
    assert account.contacts[9021]["listIds"] == [1]


@pytest.mark.parametrize("remembered", [None, "9021"])
def test_churn_and_failed_payments_move_between_lists_and_a_payment_moves_back(account, remembered):
    account.add("ada@example.com", listIds=[1])
    send(account, FAILED, remembered, **LISTS)
    send(account, LOST_ONE, remembered, **LISTS)
    assert account.contacts[9021]["listIds"] == [1, 6, 5]
    send(account, SALE, remembered, **LISTS)
    assert account.contacts[9021]["listIds"] == [1]


def test_lists_for_new_contacts_are_not_for_those_that_are_there(account: FakeBrevo):
    account.add("ada@example.com")
    send(account, new_lists=(2,))
    assert account.contacts[9021]["listIds"] == []
    send(account, MOVED, new_lists=(2,))
    assert account.contacts[9022]["listIds"] == [2]


def test_an_account_without_the_attributes_takes_the_rest(account: FakeBrevo):
    account.known = STANDARD
    assert send(account, SALE).kind is OutcomeKind.DELIVERED
    assert account.contacts[9021]["attributes"] == {"FIRSTNAME": "Ada", "LASTNAME": "Lovelace"}


def test_one_payment_is_one_order_whatever_announces_it(account: FakeBrevo):
    for of in (CHECKOUT, SALE, SALE, CHECKOUT):
        send(account, of, orders=True)
    assert list(account.orders) == ["shop:17"]


def test_a_creation_whose_answer_was_lost_makes_no_second_contact(account: FakeBrevo):
    lost = play_by(brevo().deliver(assignment(SIGN_UP)), answering(account, lost={0}))
    assert lost.outcome.kind is OutcomeKind.RETRY
    assert send(account).external_id == "9021"
    assert list(account.contacts) == [9021]


def test_a_full_window_throttles_for_as_long_as_brevo_says(account: FakeBrevo):
    account.requests_left = 0
    outcome = send(account)
    assert (outcome.kind, outcome.after) == (OutcomeKind.THROTTLE, 3.0)


def test_a_wrong_key_holds_the_target(account: FakeBrevo):
    assert send(account, api_key="xkeysib-wrong").kind is OutcomeKind.AUTH_FAILED


async def test_it_works_over_http(account: FakeBrevo):
    account.add("ada@example.com")
    async with account.serve():
        connector = brevo(base_url=account.base_url, track_events=True, **LISTS)
        outcome = await over_http(connector, LOST_ONE, 5.0)
    assert outcome.external_id == "9021"
    assert account.contacts[9021]["listIds"] == [5]
    assert [tracked["event_name"] for tracked in account.events] == [LOST_ONE.type]
