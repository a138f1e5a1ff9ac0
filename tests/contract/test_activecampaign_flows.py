"""ActiveCampaign's order of requests and its consent, against a stand-in with its rules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from app.connectors.activecampaign import ActiveCampaign
from app.domain.outcome import OutcomeKind
from tests.contract.contacts import answering, bodies, carried_out, over_http
from tests.contract.driving import LOST, UNREACHED, play, play_by
from tests.contract.events import ADA, PAID, PRO, assignment, bound, event
from tests.fakes.activecampaign import FIELDS, FakeActiveCampaign

SIGN_UP = event("customer_post_create", customer=ADA)
MOVED = event("customer_post_update", customer=replace(ADA, email="countess@example.com"))
LOST_ONE = event(
    "membership_status_to_cancelled", customer=ADA, membership=replace(PRO, status="cancelled")
)
FAILED = event("payment_failed", customer=ADA)
SALE = event("payment_received", customer=ADA, membership=PRO, payment=PAID)
NO_ADDRESS = event("membership_status_to_cancelled", membership=replace(PRO, status="cancelled"))
NUMBERS = {tag: int(number) for number, tag in FIELDS.items()}
TAGS = {"cancelled_tag": 5, "payment_failed_tag": 6}
CREATED = httpx.Response(201, json={"contact": {"id": "10"}})
UPDATED = httpx.Response(200, json={"contact": {"id": "10"}})
GONE = httpx.Response(404, json={"message": "No Result found"})
TAGGED = httpx.Response(200, json={"contactTags": [{"id": "70", "contact": "10", "tag": "6"}]})


def activecampaign(mapping=None, **settings):
    account = {"base_url": "https://ac.example", "api_key": "ac-correct", "field_ids": NUMBERS}
    return bound(ActiveCampaign, mapping, **{**account, **settings})


def flow(of=SIGN_UP, remembered=None, **settings):
    return activecampaign(**settings).deliver(assignment(of, remembered_id=remembered))


def lines(played):
    return [line.replace("/api/3", "") for line in played.lines]


def test_a_new_contact_takes_one_request():
    played = play(flow(), CREATED)
    assert lines(played) == ["POST /contact/sync"]
    assert played.outcome.external_id == "10"


def test_a_remembered_contact_is_written_by_its_id():
    assert lines(play(flow(remembered="10"), UPDATED)) == ["PUT /contacts/10"]


def test_fields_without_a_number_are_looked_up_first():
    fields = httpx.Response(200, json={"fields": [{"id": "9", "perstag": "SIGNUP_DATE"}]})
    played = play(flow(field_ids={}), fields, CREATED)
    assert lines(played) == ["GET /fields?limit=100", "POST /contact/sync"]
    assert bodies(played)[0]["contact"]["fieldValues"] == [{"field": "9", "value": "2026-01-05"}]


def test_a_contact_that_is_gone_is_made_anew_under_a_new_id():
    played = play(flow(remembered="7"), GONE, CREATED)
    assert lines(played) == ["PUT /contacts/7", "POST /contact/sync"]
    assert (played.outcome.external_id, played.outcome.forget_id) == ("10", False)


def test_the_gone_id_is_forgotten_even_when_the_rest_fails():
    outcome = play(flow(remembered="7"), GONE, httpx.Response(503)).outcome
    assert (outcome.kind, outcome.forget_id) == (OutcomeKind.RETRY, True)


def test_without_an_address_a_remembered_contact_is_still_updated():
    played = play(flow(NO_ADDRESS, "10"), UPDATED)
    assert "email" not in bodies(played)[0]["contact"]


def test_without_an_address_a_gone_contact_is_forgotten_and_not_made_anew():
    outcome = play(flow(NO_ADDRESS, "10"), GONE).outcome
    assert (outcome.kind, outcome.forget_id) == (OutcomeKind.SKIPPED, True)


@pytest.mark.parametrize("email", [None, "", "nobody", "a b@example.com"])
def test_without_an_address_and_without_an_id_nothing_is_sent(email):
    of = event("customer_post_create", customer=replace(ADA, email=email))
    outcome = play(flow(of)).outcome
    assert outcome.kind is OutcomeKind.SKIPPED
    assert "no e-mail address" in outcome.reason


@pytest.mark.parametrize("remembered", ["0", "..", "1/0", "", "é"])
def test_a_remembered_id_that_cannot_be_one_is_not_put_into_a_path(remembered):
    assert lines(play(flow(remembered=remembered), CREATED)) == ["POST /contact/sync"]


@pytest.mark.parametrize("failure", [LOST, UNREACHED, httpx.Response(503)])
@pytest.mark.parametrize(
    "before", [[], [CREATED], [CREATED, TAGGED]], ids=["write", "look at tags", "take off"]
)
def test_a_lost_answer_is_tried_again_whatever_the_step(failure, before):
    outcome = play(flow(SALE, **TAGS), *before, failure).outcome
    assert outcome.kind is OutcomeKind.RETRY


def test_a_failing_step_keeps_the_id_and_ends_the_flow():
    outcome = play(flow(FAILED, subscribe_to_list=2, **TAGS), CREATED, GONE).outcome
    assert (outcome.kind, outcome.external_id) == (OutcomeKind.REJECTED, "10")


def test_a_tag_that_somebody_took_off_meanwhile_is_off():
    played = play(flow(SALE, **TAGS), CREATED, TAGGED, GONE)
    assert lines(played)[-1] == "DELETE /contactTags/70"
    assert played.outcome.kind is OutcomeKind.DELIVERED


@pytest.fixture
def account() -> Iterator[FakeActiveCampaign]:
    fake = FakeActiveCampaign()
    yield fake
    assert fake.invalid == []


def send(account, of=SIGN_UP, remembered=None, **settings):
    return carried_out(account, activecampaign(**settings), of, remembered)


def test_a_customer_becomes_one_contact_however_often_events_come(account: FakeActiveCampaign):
    first = send(account)
    send(account, SALE)
    send(account, SALE, first.external_id)
    assert list(account.contacts) == ["10"]
    assert account.contacts["10"]["fields"] == {
        "PLAN": "Pro",
        "SIGNUP_DATE": "2026-01-05",
        "MEMBERSHIP_STATUS": "active",
        "LAST_PAYMENT_AT": "2026-11-23T19:55:00+00:00",
    }


@pytest.mark.parametrize("status", [1, 2, 3], ids=["subscribed", "unsubscribed", "bounced"])
@pytest.mark.parametrize("remembered", [None, "10"])
@pytest.mark.parametrize("of", [SIGN_UP, SALE, LOST_ONE], ids=lambda of: of.type)
def test_nobody_who_stands_in_a_list_is_subscribed_to_it_again(account, of, remembered, status):
    account.add("ada@example.com", lists={"2": status})
    send(account, of, remembered, subscribe_to_list=2)
    assert account.contacts["10"]["lists"] == {"2": status}


@pytest.mark.parametrize("of", [SIGN_UP, SALE], ids=lambda of: of.type)
def test_a_new_contact_is_subscribed_where_that_is_set(account: FakeActiveCampaign, of):
    send(account, of, subscribe_to_list=2)
    assert account.contacts["10"]["lists"] == {"2": 1}


def test_a_contact_that_is_there_is_not_subscribed_by_a_sale(account: FakeActiveCampaign):
    account.add("ada@example.com")
    send(account, SALE, subscribe_to_list=2)
    assert account.contacts["10"]["lists"] == {}


def test_no_list_is_touched_without_the_setting(account: FakeActiveCampaign):
    send(account)
    assert account.contacts["10"]["lists"] == {}


def test_a_new_address_is_written_to_the_remembered_contact(account: FakeActiveCampaign):
    first = send(account)
    send(account, MOVED, first.external_id)
    assert [contact["email"] for contact in account.contacts.values()] == ["countess@example.com"]


def test_moving_an_address_onto_another_contact_needs_an_operator(account: FakeActiveCampaign):
    account.add("ada@example.com")
    account.add("countess@example.com")
    outcome = send(account, MOVED, "10")
    assert outcome.kind is OutcomeKind.REJECTED
    assert "merge the two in ActiveCampaign" in outcome.reason


def test_what_a_colleague_wrote_is_not_cleared(account: FakeActiveCampaign):
    account.add("ada@example.com", lastName="Byron", fields={"SHOE": "39"})
    send(account, event("x", customer=replace(ADA, last_name=None, signup_date=None)))
    assert account.contacts["10"]["lastName"] == "Byron"
    assert account.contacts["10"]["fields"] == {"SHOE": "39"}


def test_churn_and_failed_payments_are_tagged_and_a_payment_takes_the_tags_off(account):
    account.add("ada@example.com")
    account.taggings["1"] = ("10", "7")
    for _ in range(2):
        send(account, FAILED, **TAGS)
        send(account, LOST_ONE, **TAGS)
    assert account.tags_of("10") == ["7", "6", "5"]
    send(account, SALE, **TAGS)
    assert account.tags_of("10") == ["7"]


def test_a_tag_that_is_not_there_is_rejected_after_the_contact_was_written(account):
    outcome = send(account, FAILED, payment_failed_tag=99)
    assert (outcome.kind, outcome.external_id) == (OutcomeKind.REJECTED, "10")


def test_an_account_without_the_fields_takes_the_rest_and_that_is_said(account):
    account.fields = {"1": "%PLAN%"}
    outcome = send(account, SALE, field_ids={})
    assert outcome.kind is OutcomeKind.DELIVERED
    assert "Written without SIGNUP_DATE, MEMBERSHIP_STATUS, LAST_PAYMENT_AT" in outcome.reason
    assert account.contacts["10"]["fields"] == {"%PLAN%": "Pro"}


def test_a_creation_whose_answer_was_lost_makes_no_second_contact(account: FakeActiveCampaign):
    connector = activecampaign(subscribe_to_list=2)
    lost = play_by(connector.deliver(assignment(SIGN_UP)), answering(account, lost={0}))
    assert lost.outcome.kind is OutcomeKind.RETRY
    assert carried_out(account, connector, SIGN_UP).external_id == "10"
    assert list(account.contacts) == ["10"]
    assert account.contacts["10"]["lists"] == {"2": 1}


def test_a_full_window_throttles_for_as_long_as_it_says(account: FakeActiveCampaign):
    account.requests_left = 1
    outcome = send(account, FAILED, **TAGS)
    assert (outcome.kind, outcome.after) == (OutcomeKind.THROTTLE, 30.0)


def test_a_wrong_key_holds_the_target(account: FakeActiveCampaign):
    assert send(account, api_key="wrong").kind is OutcomeKind.AUTH_FAILED


async def test_it_works_over_http(account: FakeActiveCampaign):
    async with account.serve():
        outcome = await over_http(activecampaign(base_url=account.base_url, **TAGS), LOST_ONE, 5.0)
    assert outcome.external_id == "10"
    assert account.tags_of("10") == ["5"]
