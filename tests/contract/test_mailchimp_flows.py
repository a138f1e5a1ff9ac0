"""Mailchimp's order of requests and its traps, against a stand-in with its rules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from app.connectors.mailchimp import Mailchimp
from app.domain.outcome import OutcomeKind
from tests.contract.contacts import answering, bodies, carried_out, over_http
from tests.contract.driving import LOST, UNREACHED, play, play_by
from tests.contract.events import ADA, PAID, PRO, assignment, bound, event
from tests.fakes.mailchimp import STANDARD, FakeMailchimp, hashed

ADAS = hashed("ada@example.com")
COUNTESS = hashed("countess@example.com")
SIGN_UP = event("customer_post_create", customer=ADA)
MOVED = event("customer_post_update", customer=replace(ADA, email="countess@example.com"))
LOST_ONE = event(
    "membership_status_to_cancelled", customer=ADA, membership=replace(PRO, status="cancelled")
)
FAILED = event("payment_failed", customer=ADA)
SALE = event("payment_received", customer=ADA, membership=PRO, payment=PAID)
NO_ADDRESS = event("membership_status_to_cancelled", membership=replace(PRO, status="cancelled"))
GONE = httpx.Response(404, json={"title": "Resource Not Found", "status": 404})
PREFIX = "/3.0/lists/57afe96172/members/"


def mailchimp(mapping=None, **settings):
    account = {"api_key": "0123456789abcdef-us6", "list_id": "57afe96172"}
    return bound(Mailchimp, mapping, **{**account, **settings})


def flow(of=SIGN_UP, remembered=None, **settings):
    return mailchimp(**settings).deliver(assignment(of, remembered_id=remembered))


def member(identifier=ADAS):
    return httpx.Response(200, json={"id": identifier})


def steps(played):
    paths = (request.url.path.removeprefix(PREFIX) for request in played.requests)
    return [f"{r.method} {path}" for r, path in zip(played.requests, paths, strict=True)]


def test_a_member_takes_one_request_whether_it_is_there_or_not():
    played = play(flow(), member())
    assert steps(played) == [f"PUT {ADAS}"]
    assert played.outcome.external_id == ADAS


def test_capitals_make_no_other_member():
    of = event("customer_post_create", customer=replace(ADA, email="ADA@Example.com"))
    assert steps(play(flow(of), member())) == [f"PUT {ADAS}"]


def test_a_new_address_is_put_to_the_old_hash_and_the_new_one_remembered():
    played = play(flow(MOVED, ADAS), member(COUNTESS))
    assert steps(played) == [f"PUT {ADAS}"]
    assert bodies(played)[0]["email_address"] == "countess@example.com"
    assert played.outcome.external_id == COUNTESS


def test_a_new_address_whose_old_member_is_gone_is_made_anew():
    played = play(flow(MOVED, ADAS), GONE, member(COUNTESS))
    assert steps(played) == [f"PUT {ADAS}", f"PUT {COUNTESS}"]
    assert played.outcome.external_id == COUNTESS


@pytest.mark.parametrize("remembered", ["", "42", ADAS.upper(), f"{ADAS}/tags", "é"])
def test_a_remembered_id_that_is_no_hash_is_not_put_into_a_path(remembered):
    assert steps(play(flow(remembered=remembered), member())) == [f"PUT {ADAS}"]


def test_without_an_address_a_remembered_member_is_still_updated():
    played = play(flow(NO_ADDRESS, ADAS), member(), httpx.Response(204))
    assert steps(played) == [f"PATCH {ADAS}", f"POST {ADAS}/tags"]
    assert bodies(played)[0]["merge_fields"]["MSTATUS"] == "cancelled"


def test_without_an_address_a_gone_member_is_forgotten_and_not_made_anew():
    outcome = play(flow(NO_ADDRESS, ADAS), GONE).outcome
    assert (outcome.kind, outcome.forget_id) == (OutcomeKind.SKIPPED, True)


@pytest.mark.parametrize("email", [None, "", "nobody", "a b@example.com"])
def test_without_an_address_and_without_an_id_nothing_is_sent(email):
    of = event("customer_post_create", customer=replace(ADA, email=email))
    outcome = play(flow(of)).outcome
    assert outcome.kind is OutcomeKind.SKIPPED
    assert "no e-mail address" in outcome.reason


@pytest.mark.parametrize("failure", [LOST, UNREACHED])
@pytest.mark.parametrize("before", [[], [member()]])
def test_a_lost_answer_is_tried_again_whatever_the_step(failure, before):
    assert play(flow(SALE), *before, failure).outcome.kind is OutcomeKind.RETRY


def test_a_tracked_event_that_did_not_arrive_is_tried_again():
    played = play(flow(SALE, track_events=True), member(), httpx.Response(204), UNREACHED)
    assert played.outcome.kind is OutcomeKind.RETRY


def test_a_failing_step_keeps_the_id_and_ends_the_flow():
    outcome = play(flow(SALE, track_events=True), member(), httpx.Response(503)).outcome
    assert (outcome.kind, outcome.external_id) == (OutcomeKind.RETRY, ADAS)


@pytest.fixture
def audience() -> Iterator[FakeMailchimp]:
    fake = FakeMailchimp()
    yield fake
    assert fake.invalid == []


def send(audience, of=SIGN_UP, remembered=None, **settings):
    return carried_out(audience, mailchimp(**settings), of, remembered)


def test_a_customer_becomes_one_member_however_often_events_come(audience: FakeMailchimp):
    first = send(audience)
    send(audience, SALE)
    send(audience, SALE, first.external_id)
    assert list(audience.members) == [ADAS]
    assert audience.members[ADAS]["merge_fields"]["PLAN"] == "Pro"


@pytest.mark.parametrize("status", ["subscribed", "unsubscribed", "cleaned", "pending"])
@pytest.mark.parametrize("if_new", ["subscribed", "pending", "transactional"])
@pytest.mark.parametrize("of", [SIGN_UP, MOVED, SALE, LOST_ONE], ids=lambda of: of.type)
def test_nobody_is_subscribed_unsubscribed_or_asked_again(audience, status, if_new, of):
    audience.add("ada@example.com", status)
    send(audience, of, ADAS, status_if_new=if_new)
    assert [member["status"] for member in audience.members.values()] == [status]
    assert audience.mails == []


def test_a_new_member_is_asked_for_consent_once_where_that_is_set(audience: FakeMailchimp):
    for _ in range(2):
        send(audience, status_if_new="pending")
    assert audience.mails == ["ada@example.com"]


def test_what_a_colleague_wrote_is_not_cleared(audience: FakeMailchimp):
    audience.add("ada@example.com", merge_fields={"LNAME": "Byron", "PHONE": "1"}, tags=["VIP"])
    send(audience, event("x", customer=replace(ADA, last_name=None, signup_date=None)))
    assert audience.members[ADAS]["merge_fields"] == {
        "LNAME": "Byron",
        "PHONE": "1",
        "FNAME": "Ada",
    }
    assert audience.members[ADAS]["tags"] == ["VIP"]


def test_a_changed_address_moves_the_member(audience: FakeMailchimp):
    first = send(audience)
    moved = send(audience, MOVED, first.external_id)
    again = send(audience, MOVED, moved.external_id)
    assert list(audience.members) == [COUNTESS]
    assert again.external_id == COUNTESS


def test_moving_an_address_onto_another_member_needs_an_operator(audience: FakeMailchimp):
    audience.add("ada@example.com")
    audience.add("countess@example.com")
    outcome = send(audience, MOVED, ADAS)
    assert outcome.kind is OutcomeKind.REJECTED
    assert "another member has this address" in outcome.reason


@pytest.mark.parametrize("kept", ["forgotten", "in_compliance"])
def test_who_asked_to_be_left_alone_is_and_nobody_is_alarmed(audience: FakeMailchimp, kept):
    getattr(audience, kept).add("ada@example.com")
    outcome = send(audience)
    assert outcome.kind is OutcomeKind.SKIPPED
    assert "left it" in outcome.reason
    assert audience.members == {}


def test_churn_and_failed_payments_are_tagged_and_a_payment_takes_the_tags_off(audience):
    audience.add("ada@example.com", tags=["VIP"])
    send(audience, FAILED)
    send(audience, LOST_ONE)
    assert audience.members[ADAS]["tags"] == ["VIP", "Payment failed", "Cancelled"]
    send(audience, SALE)
    assert audience.members[ADAS]["tags"] == ["VIP"]


def test_tags_that_are_switched_off_take_no_request(audience: FakeMailchimp):
    send(audience, FAILED, payment_failed_tag=None)
    assert len(audience.calls) == 1


def test_an_audience_without_the_lifecycle_fields_takes_the_rest_and_that_is_said(audience):
    audience.merge_fields = STANDARD
    outcome = send(audience, LOST_ONE)
    assert outcome.kind is OutcomeKind.DELIVERED
    assert "Written without PLAN, SIGNUP, MSTATUS, CHURNED" in outcome.reason
    assert audience.members[ADAS]["merge_fields"] == {"FNAME": "Ada", "LNAME": "Lovelace"}
    assert audience.members[ADAS]["tags"] == ["Cancelled"]


def test_a_refused_field_rejects_the_member_where_that_is_set(audience: FakeMailchimp):
    audience.merge_fields = STANDARD
    outcome = send(audience, SALE, on_refused_field="reject")
    assert outcome.kind is OutcomeKind.REJECTED
    assert audience.members == {}


def test_a_creation_whose_answer_was_lost_makes_no_second_member_and_no_second_mail(audience):
    connector = mailchimp(status_if_new="pending")
    lost = play_by(connector.deliver(assignment(SIGN_UP)), answering(audience, lost={0}))
    assert lost.outcome.kind is OutcomeKind.RETRY
    assert carried_out(audience, connector, SIGN_UP).external_id == ADAS
    assert audience.mails == ["ada@example.com"]


def test_the_limiter_throttles(audience: FakeMailchimp):
    audience.requests_left = 1
    outcome = send(audience, SALE)
    assert (outcome.kind, outcome.external_id) == (OutcomeKind.THROTTLE, ADAS)


@pytest.mark.parametrize("wrong", [{"api_key": "wrong-us6"}, {"list_id": "ffffffffff"}])
def test_a_wrong_key_or_audience_holds_the_target(audience: FakeMailchimp, wrong):
    assert send(audience, **wrong).kind is OutcomeKind.AUTH_FAILED


def test_events_are_tracked_where_that_is_wanted(audience: FakeMailchimp):
    send(audience, SALE, track_events=True)
    send(audience, event("site_published", customer=ADA), track_events=True)
    assert [tracked["name"] for _, tracked in audience.events] == ["payment_received"]


async def test_it_works_over_http(audience: FakeMailchimp):
    async with audience.serve():
        outcome = await over_http(mailchimp(base_url=audience.base_url), LOST_ONE, 5.0)
    assert outcome.external_id == ADAS
    assert audience.members[ADAS]["tags"] == ["Cancelled"]
