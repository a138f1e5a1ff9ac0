"""Salesforce over real HTTP: a stand-in with its rules, whose sessions end at any moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from app.connectors.salesforce import Salesforce
from app.domain.outcome import OutcomeKind
from tests.contract.driving import drive, over
from tests.contract.events import ADA, PAID, PRO, assignment, bound, event
from tests.fakes import loopback_client
from tests.fakes.salesforce import KEY_FIELD, LIFECYCLE, STANDARD, FakeSalesforce

SIGN_UP = event("customer_post_create", customer=ADA)
MEMBER = event("membership_post_create", customer=ADA, membership=PRO)
BOB = event("x", customer=replace(ADA, id="3", email="bob@example.com", last_name="Bell"))
NAMELESS = event("x", customer=replace(ADA, name=None, first_name=None, last_name=None))


@pytest.fixture
async def org() -> AsyncIterator[FakeSalesforce]:
    async with FakeSalesforce(STANDARD | LIFECYCLE).serve() as fake:
        yield fake


def salesforce(org, **settings):
    known = {"client_id": org.client_id, "client_secret": org.client_secret}
    return bound(Salesforce, **{"base_url": org.base_url, "fields": "all", **known, **settings})


async def run(flow, patience=5.0):
    async with loopback_client(timeout=patience) as client:
        return await drive(flow, over(client))


async def deliver(org, of=SIGN_UP, patience=5.0, grant=None, remembered=None, **settings):
    given = assignment(of, grant=grant, remembered_id=remembered)
    return await run(salesforce(org, **settings).deliver(given), patience)


async def test_a_customer_becomes_one_contact_however_often_events_come(org: FakeSalesforce):
    first = await deliver(org)
    for of in (MEMBER, SIGN_UP, NAMELESS):
        await deliver(org, of, grant=first.grant, remembered=first.external_id)
    (contact,) = org.contacts.values()
    assert contact == {
        KEY_FIELD: "shop:2",
        "LastName": "Lovelace",
        "FirstName": "Ada",
        "Email": "ada@example.com",
        "Signup_Date__c": "2026-01-05",
        "Plan__c": "Pro",
        "Membership_Status__c": "active",
    }
    assert org.tokens == 1


async def test_two_workers_at_once_make_one_contact(org: FakeSalesforce):
    ended = await asyncio.gather(*(deliver(org, of) for of in (SIGN_UP, MEMBER, SIGN_UP)))
    assert {outcome.kind for outcome in ended} == {OutcomeKind.DELIVERED}
    assert len(org.contacts) == 1


async def test_a_session_that_ended_is_replaced_and_the_request_repeated(org: FakeSalesforce):
    first = await deliver(org)
    org.sessions.clear()
    second = await deliver(org, MEMBER, grant=first.grant)
    assert second.kind is OutcomeKind.DELIVERED
    assert second.grant.token != first.grant.token
    assert org.tokens == 2


async def test_a_token_that_is_never_accepted_holds_the_target(org: FakeSalesforce):
    first = await deliver(org)
    answer, org.handle = org.handle, lambda call: (org.sessions.clear(), answer(call))[1]
    outcome = await deliver(org, grant=first.grant)
    assert outcome.kind is OutcomeKind.AUTH_FAILED
    assert "INVALID_SESSION_ID" in outcome.reason
    assert org.tokens == 2


async def test_credentials_that_do_not_work_hold_the_target_and_are_not_repeated(
    org: FakeSalesforce,
):
    outcome = await deliver(org, client_secret="not-the-secret")
    assert outcome.kind is OutcomeKind.AUTH_FAILED
    assert "invalid client credentials" in outcome.reason
    assert "not-the-secret" not in outcome.reason
    assert len(org.calls) == 1


async def test_a_token_of_other_credentials_is_not_used(org: FakeSalesforce):
    first = await deliver(org)
    org.client_secret = "another-secret"
    outcome = await deliver(org, MEMBER, grant=first.grant)
    assert (outcome.kind, org.tokens) == (OutcomeKind.DELIVERED, 2)


async def test_an_upsert_whose_answer_was_lost_is_one_contact_and_keeps_its_token(
    org: FakeSalesforce,
):
    org.stall_next(0)
    org.stall_next()
    lost = await deliver(org, patience=0.2)
    assert lost.kind is OutcomeKind.RETRY
    assert (await deliver(org, grant=lost.grant)).kind is OutcomeKind.DELIVERED
    assert (len(org.contacts), org.tokens) == (1, 1)


async def test_what_a_colleague_wrote_is_not_cleared(org: FakeSalesforce):
    org.add("shop:2", LastName="Byron", Title="Countess", Email="old@example.com")
    await deliver(org, NAMELESS)
    (contact,) = org.contacts.values()
    assert (contact["LastName"], contact["Title"]) == ("Byron", "Countess")
    assert contact["Email"] == "ada@example.com"


async def test_a_contact_that_was_deleted_is_made_anew(org: FakeSalesforce):
    gone = org.add("shop:2", LastName="Lovelace")
    org.contacts.clear()
    outcome = await deliver(org, NAMELESS, remembered=gone)
    assert outcome.kind is OutcomeKind.DELIVERED
    assert org.contacts.keys() == {outcome.external_id}


async def test_a_batch_writes_everybody_and_one_bad_record_harms_nobody(org: FakeSalesforce):
    wrong = event("x", customer=replace(BOB.customer, id="4", email="four@localhost"))
    connector = salesforce(org)
    given = [assignment(of) for of in (SIGN_UP, wrong, BOB, MEMBER)]
    ended = await run(connector.deliver_many(given))
    assert [one.kind for one in ended] == [
        OutcomeKind.DELIVERED,
        OutcomeKind.REJECTED,
        OutcomeKind.DELIVERED,
        OutcomeKind.DELIVERED,
    ]
    assert ended[0].external_id == ended[3].external_id == org.by_key("shop:2")
    assert org.contacts[ended[0].external_id]["Plan__c"] == "Pro"
    assert ended[0].grant is not None
    assert len(org.calls) == 3


async def test_a_session_that_ends_within_a_batch_is_replaced(org: FakeSalesforce):
    first = await deliver(org)
    org.sessions.clear()
    given = [assignment(of, grant=first.grant) for of in (SIGN_UP, BOB)]
    ended = await run(salesforce(org).deliver_many(given))
    assert {one.kind for one in ended} == {OutcomeKind.DELIVERED}
    assert len(org.contacts) == 2


async def test_a_record_that_another_write_holds_is_tried_again(org: FakeSalesforce):
    org.locked.add("shop:2")
    assert (await deliver(org)).kind is OutcomeKind.RETRY
    ended = await run(salesforce(org).deliver_many([assignment(of) for of in (SIGN_UP, BOB)]))
    assert [one.kind for one in ended] == [OutcomeKind.RETRY, OutcomeKind.DELIVERED]


async def test_a_used_up_quota_waits_an_hour(org: FakeSalesforce):
    org.calls_left = 0
    outcome = await deliver(org)
    assert (outcome.kind, outcome.after) == (OutcomeKind.THROTTLE, 3600.0)
    assert org.contacts == {}


async def test_an_organisation_without_the_custom_fields_is_told_which(org: FakeSalesforce):
    org.known = STANDARD
    outcome = await deliver(org, event("payment_received", customer=ADA, payment=PAID))
    assert outcome.kind is OutcomeKind.REJECTED
    assert "Signup_Date__c" in outcome.reason
    assert (await deliver(org, fields="standard_only")).kind is OutcomeKind.DELIVERED
