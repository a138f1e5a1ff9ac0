"""FluentCRM's order of requests, and its three traps, against a stand-in that has them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from app.connectors.fluentcrm import FluentCrm
from app.domain.model import Plan
from app.domain.outcome import OutcomeKind
from tests.contract.contacts import bodies, carried_out, over_http
from tests.contract.driving import LOST, UNREACHED, play
from tests.contract.events import ADA, PAID, PRO, assignment, bound, event
from tests.fakes.fluentcrm import FakeFluentCrm

SIGN_UP = event("customer_post_create", customer=ADA)
MOVED = event("customer_post_update", customer=replace(ADA, email="countess@example.com"))
LOST_ONE = event(
    "membership_status_to_cancelled", customer=ADA, membership=replace(PRO, status="cancelled")
)
FAILED = event("payment_failed", customer=ADA)
SALE = event("payment_received", customer=ADA, membership=PRO, payment=PAID)
ABSENT = httpx.Response(422, json={"message": "Subscriber not found"})
WRITTEN = httpx.Response(200, json={"contact": {"id": 42}})
TAKEN = httpx.Response(422, json={"email": {"unique": "Déjà pris."}})


def fluentcrm(mapping=None, **settings):
    account = {"username": "relay", "application_password": "abcd efgh ijkl"}
    return bound(FluentCrm, mapping, **{"base_url": "https://s.example", **account, **settings})


def flow(of=SIGN_UP, remembered=None, **settings):
    return fluentcrm(**settings).deliver(assignment(of, remembered_id=remembered))


def found(identifier=42, email="ada@example.com", **more):
    known = {"id": identifier, "email": email, "custom_values": {}, "tags": []}
    return httpx.Response(200, json={"subscriber": {**known, **more}})


def methods(played):
    paths = (r.url.path.removeprefix("/wp-json/fluent-crm/v2/subscribers") for r in played.requests)
    return [f"{r.method} {path}" for r, path in zip(played.requests, paths, strict=True)]


def test_a_remembered_contact_is_read_and_updated_by_its_id():
    played = play(flow(remembered="42"), found(), WRITTEN)
    assert methods(played) == ["GET /42", "PUT /42"]


def test_an_unknown_customer_is_looked_for_by_address_then_made():
    played = play(flow(), ABSENT, WRITTEN)
    assert methods(played) == ["GET /0", "POST "]


def test_a_contact_that_is_as_it_should_be_is_not_written():
    standing = found(
        first_name="Ada", last_name="Lovelace", custom_values={"signup_date": "2026-01-05"}
    )
    played = play(flow(), standing)
    assert methods(played) == ["GET /0"]
    assert (played.outcome.kind, played.outcome.external_id) == (OutcomeKind.DELIVERED, "42")


@pytest.mark.parametrize("wrap", [lambda d: d, lambda d: {"errors": d}, lambda d: {"data": d}])
def test_a_lost_race_to_create_updates_the_contact_that_won(wrap):
    taken = httpx.Response(422, json=wrap({"email": {"unique": "Déjà pris."}}))
    played = play(flow(), ABSENT, taken, found(77), httpx.Response(200, json={}))
    assert methods(played) == ["GET /0", "POST ", "GET /0", "PUT /77"]
    assert played.outcome.external_id == "77"


def test_an_address_that_fluentcrm_refuses_is_rejected():
    refused = httpx.Response(422, json={"email": {"email": "The email must be valid."}})
    assert play(flow(), ABSENT, refused).outcome.kind is OutcomeKind.REJECTED


def test_a_contact_deleted_between_the_requests_gets_a_second_round():
    gone = httpx.Response(404, json={"message": "No query results"})
    played = play(flow(), found(), gone, ABSENT, WRITTEN)
    assert methods(played) == ["GET /0", "PUT /42", "GET /0", "POST "]


def test_a_contradiction_that_lasts_is_tried_again_later():
    played = play(flow(), ABSENT, TAKEN, ABSENT, TAKEN)
    assert played.outcome.kind is OutcomeKind.RETRY


def test_a_gone_contact_is_found_or_made_anew_under_a_new_id():
    played = play(flow(remembered="7"), ABSENT, ABSENT, WRITTEN)
    assert methods(played) == ["GET /7", "GET /0", "POST "]
    assert (played.outcome.external_id, played.outcome.forget_id) == ("42", False)


def test_the_gone_id_is_forgotten_even_when_the_rest_fails():
    outcome = play(flow(remembered="7"), ABSENT, httpx.Response(503)).outcome
    assert (outcome.kind, outcome.forget_id) == (OutcomeKind.RETRY, True)


def test_without_an_address_a_remembered_contact_is_still_updated():
    lost = event("membership_status_to_cancelled", membership=replace(PRO, status="cancelled"))
    played = play(flow(lost, "42"), found(), WRITTEN)
    assert bodies(played)[0]["custom_values"]["membership_status"] == "cancelled"


def test_without_an_address_a_gone_contact_is_forgotten_and_not_made_anew():
    lost = event("membership_status_to_cancelled", membership=PRO)
    outcome = play(flow(lost, "42"), ABSENT).outcome
    assert (outcome.kind, outcome.forget_id) == (OutcomeKind.SKIPPED, True)


@pytest.mark.parametrize("email", [None, "", "nobody", "a b@example.com"])
def test_without_an_address_and_without_an_id_nothing_is_sent(email):
    of = event("customer_post_create", customer=replace(ADA, email=email))
    outcome = play(flow(of)).outcome
    assert outcome.kind is OutcomeKind.SKIPPED
    assert "no e-mail address" in outcome.reason


@pytest.mark.parametrize("remembered", ["0", "..", "4/2", "", "é", "-1"])
def test_a_remembered_id_that_cannot_be_one_is_not_put_into_a_path(remembered):
    assert methods(play(flow(remembered=remembered), ABSENT, WRITTEN))[0] == "GET /0"


def test_a_contact_with_another_address_than_was_asked_for_is_not_written():
    outcome = play(flow(), found(email="somebody@else.example")).outcome
    assert outcome.kind is OutcomeKind.REJECTED


def test_an_address_is_compared_without_regard_to_case():
    played = play(flow(), found(email="Ada@Example.com"), WRITTEN)
    assert "email" not in bodies(played)[0]


def test_custom_values_that_are_not_told_are_not_overwritten():
    silent = httpx.Response(200, json={"subscriber": {"id": 42, "email": "ada@example.com"}})
    played = play(flow(), silent, WRITTEN)
    assert "custom_values" not in bodies(played)[0]
    assert "would erase" in played.outcome.reason


@pytest.mark.parametrize("failure", [LOST, UNREACHED])
@pytest.mark.parametrize("before", [[], [ABSENT], [found()], [ABSENT, TAKEN]])
def test_a_lost_answer_is_tried_again_whatever_the_step(failure, before):
    assert play(flow(), *before, failure).outcome.kind is OutcomeKind.RETRY


def test_a_tracked_event_that_may_have_arrived_is_not_sent_again():
    outcome = play(flow(track_events=True), ABSENT, WRITTEN, LOST).outcome
    assert (outcome.kind, outcome.external_id) == (OutcomeKind.DELIVERED, "42")
    assert "not sent a second time" in outcome.reason


def test_a_tracked_event_that_did_not_arrive_is_tried_again():
    played = play(flow(track_events=True), ABSENT, WRITTEN, UNREACHED)
    assert played.outcome.kind is OutcomeKind.RETRY


def test_a_refused_tracked_event_is_told_and_the_contact_remembered():
    outcome = play(flow(track_events=True), ABSENT, WRITTEN, httpx.Response(503)).outcome
    assert (outcome.kind, outcome.external_id) == (OutcomeKind.RETRY, "42")


@pytest.fixture
def site() -> Iterator[FakeFluentCrm]:
    fake = FakeFluentCrm()
    yield fake
    assert fake.invalid == []


def send(site, of=SIGN_UP, remembered=None, **settings):
    return carried_out(site, fluentcrm(**settings), of, remembered)


def test_a_customer_becomes_one_contact_however_often_events_come(site: FakeFluentCrm):
    first = send(site)
    send(site, SALE)
    send(site, SALE, first.external_id)
    assert list(site.contacts) == [42]
    assert site.contacts[42]["custom_values"] == {
        "plan": "Pro",
        "signup_date": "2026-01-05",
        "membership_status": "active",
        "last_payment_at": "2026-11-23 19:55:00",
    }


@pytest.mark.parametrize("status", ["unsubscribed", "pending", "bounced", "complained"])
@pytest.mark.parametrize("remembered", [None, "42"])
@pytest.mark.parametrize("of", [SIGN_UP, MOVED, SALE, LOST_ONE], ids=lambda of: of.type)
def test_trap_1_and_3_nobody_is_resubscribed_or_asked_again(
    site: FakeFluentCrm, status, remembered, of
):
    site.add("ada@example.com", status)
    if of is MOVED and remembered is None:
        site.add("countess@example.com", status)
    send(site, of, remembered, new_status="subscribed")
    assert {contact["status"] for contact in site.contacts.values()} == {status}
    assert site.mails == []


def test_trap_1_a_lost_race_does_not_resubscribe(site: FakeFluentCrm):
    site.meanwhile = lambda: site.add("ADA@example.com", "unsubscribed")
    outcome = send(site, new_status="subscribed")
    assert outcome.external_id == "42"
    assert site.contacts[42]["status"] == "unsubscribed"
    assert site.contacts[42]["first_name"] == "Ada"


def test_trap_2_custom_fields_of_others_are_not_erased(site: FakeFluentCrm):
    theirs = {"shoe_size": "39", "interests": ["a", "b"]}
    site.add("ada@example.com", custom_values=dict(theirs))
    send(site, SALE)
    assert theirs.items() <= site.contacts[42]["custom_values"].items()
    assert site.contacts[42]["custom_values"]["plan"] == "Pro"


def test_trap_3_a_new_contact_is_asked_for_consent_once(site: FakeFluentCrm):
    settings = {"new_status": "pending", "double_optin": True}
    first = send(site, **settings)
    send(site, SALE, first.external_id, **settings)
    send(site, SALE, **settings)
    assert site.mails == ["ada@example.com"]


def test_a_contact_stays_tied_to_its_wordpress_user(site: FakeFluentCrm):
    site.add("ada@example.com", user_id=9)
    send(site, SALE)
    assert site.contacts[42]["user_id"] == 9


def test_a_new_address_is_written_to_the_remembered_contact(site: FakeFluentCrm):
    first = send(site)
    send(site, MOVED, first.external_id)
    assert [contact["email"] for contact in site.contacts.values()] == ["countess@example.com"]


def test_moving_an_address_onto_another_contact_needs_an_operator(site: FakeFluentCrm):
    site.add("ada@example.com")
    site.add("countess@example.com")
    outcome = send(site, MOVED, "42")
    assert outcome.kind is OutcomeKind.REJECTED
    assert "merge the two in FluentCRM" in outcome.reason


def test_churn_and_failed_payments_are_tagged_and_a_payment_takes_the_tags_off(
    site: FakeFluentCrm,
):
    tags = {"cancelled_tag": 5, "payment_failed_tag": 6}
    site.add("ada@example.com", tags=[1])
    send(site, FAILED, **tags)
    assert site.contacts[42]["tags"] == [1, 6]
    send(site, LOST_ONE, **tags)
    assert site.contacts[42]["tags"] == [1, 6, 5]
    send(site, SALE, **tags)
    assert site.contacts[42]["tags"] == [1]


def test_the_tag_of_a_plan_moves_with_the_plan(site: FakeFluentCrm):
    plans = {"plan_tags": {"basic": 3, "pro": 4}}
    site.add("ada@example.com", tags=[1, 3])
    changed = replace(PRO, previous_plan=Plan(id="2", slug="basic"))
    send(site, event("membership_plan_changed", customer=ADA, membership=changed), **plans)
    assert site.contacts[42]["tags"] == [1, 4]


async def test_a_creation_whose_answer_was_lost_makes_no_second_contact(site: FakeFluentCrm):
    async with site.serve():
        site.stall_next(0)
        site.stall_next()
        connector = fluentcrm(base_url=site.base_url)
        assert (await over_http(connector, SIGN_UP, 0.2)).kind is OutcomeKind.RETRY
        assert (await over_http(connector, SIGN_UP, 5.0)).external_id == "42"
    assert list(site.contacts) == [42]


def test_a_contact_removed_before_the_update_is_made_anew(site: FakeFluentCrm):
    site.add("ada@example.com")
    site.before_update = site.contacts.clear
    assert send(site, remembered="42").external_id == "43"
    assert list(site.contacts) == [43]


def test_older_versions_that_answer_404_are_understood(site: FakeFluentCrm):
    site.absent_status = 404
    assert send(site).external_id == "42"


@pytest.mark.parametrize(
    "breaking", [{"active": False}, {"may_manage": False}, {"_authorization": "Basic x"}]
)
def test_a_missing_plugin_right_or_password_holds_the_target(site: FakeFluentCrm, breaking):
    vars(site).update(breaking)
    assert send(site).kind is OutcomeKind.AUTH_FAILED
    assert site.contacts == {}


def test_events_are_tracked_where_that_is_wanted(site: FakeFluentCrm):
    send(site, SALE, track_events=True)
    send(site, event("site_published", customer=ADA), track_events=True)
    assert [tracked["event_key"] for tracked in site.tracked] == ["payment_received"]


def test_tracking_that_is_switched_off_is_said_and_fails_nothing(site: FakeFluentCrm):
    site.tracking = False
    outcome = send(site, SALE, track_events=True)
    assert outcome.kind is OutcomeKind.DELIVERED
    assert "switched off" in outcome.reason
