"""Zoho CRM over real HTTP: a stand-in with its rules, whose tokens end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from app.connectors.zoho_crm import ZohoCrm
from app.domain.outcome import OutcomeKind
from tests.contract.driving import drive, over
from tests.contract.events import ADA, NOW, PRO, assignment, bound, event
from tests.fakes import loopback_client
from tests.fakes.zoho_crm import FakeZohoCrm

SIGN_UP = event("customer_post_create", customer=ADA)
MEMBER = event("membership_post_create", customer=ADA, membership=PRO)
BOB = event("x", customer=replace(ADA, id="3", email="bob@example.com", last_name="Bell"))
NAMELESS = event("x", customer=replace(ADA, name=None, first_name=None, last_name=None))


@pytest.fixture
async def org() -> AsyncIterator[FakeZohoCrm]:
    async with FakeZohoCrm().serve() as fake:
        yield fake


def zoho(org, **settings):
    known = {name: value for name, value in org.credentials.items() if name != "grant_type"}
    return bound(ZohoCrm, **{"base_url": org.base_url, **known, **settings})


async def run(flow, patience=5.0):
    async with loopback_client(timeout=patience) as client:
        return await drive(flow, over(client))


async def deliver(org, of=SIGN_UP, patience=5.0, settings=None, **given):
    return await run(zoho(org, **(settings or {})).deliver(assignment(of, **given)), patience)


async def test_a_customer_becomes_one_contact_however_often_events_come(org: FakeZohoCrm):
    first = await deliver(org)
    known = {"grant": first.grant, "remembered_id": first.external_id}
    for of in (MEMBER, SIGN_UP, NAMELESS):
        await deliver(org, of, **known)
    assert org.contacts == {
        first.external_id: {
            "Email": "ada@example.com",
            "First_Name": "Ada",
            "Last_Name": "Lovelace",
            "Plan": "Pro",
            "Membership_Status": "active",
        }
    }
    assert (org.tokens, org.started) == (1, [])


async def test_a_new_address_moves_with_the_person(org: FakeZohoCrm):
    identifier = org.add(Email="ada@example.com", Last_Name="Lovelace")
    moved = event("customer_post_update", customer=replace(ADA, email="countess@example.com"))
    await deliver(org, moved, remembered_id=identifier)
    assert [contact["Email"] for contact in org.contacts.values()] == ["countess@example.com"]


async def test_an_address_that_is_anothers_needs_an_operator(org: FakeZohoCrm):
    org.unique_email = True
    identifier = org.add(Email="old@example.com", Last_Name="Lovelace")
    org.add(Email="ada@example.com", Last_Name="Byron")
    outcome = await deliver(org, remembered_id=identifier)
    assert outcome.kind is OutcomeKind.REJECTED
    assert "merge the two in Zoho" in outcome.reason


async def test_a_token_is_used_until_it_ends_and_then_replaced(org: FakeZohoCrm):
    first = await deliver(org)
    await deliver(org, MEMBER, grant=first.grant, now=NOW + timedelta(minutes=58))
    assert org.tokens == 1
    later = await deliver(org, MEMBER, grant=first.grant, now=NOW + timedelta(minutes=60))
    assert (org.tokens, later.grant is not None) == (2, True)


async def test_a_token_that_was_revoked_is_replaced_and_the_request_repeated(org: FakeZohoCrm):
    first = await deliver(org)
    org.live.clear()
    second = await deliver(org, MEMBER, grant=first.grant)
    assert (second.kind, org.tokens) == (OutcomeKind.DELIVERED, 2)


async def test_too_many_tokens_throttle_and_lose_nothing(org: FakeZohoCrm):
    org.tokens_left = 0
    outcome = await deliver(org)
    assert (outcome.kind, outcome.after) == (OutcomeKind.THROTTLE, 600.0)


async def test_a_refresh_token_that_does_not_work_holds_the_target(org: FakeZohoCrm):
    outcome = await deliver(org, settings={"refresh_token": "1000.wrong-token"})
    assert outcome.kind is OutcomeKind.AUTH_FAILED
    assert "1000.wrong-token" not in outcome.reason


async def test_an_upsert_whose_answer_was_lost_is_one_contact(org: FakeZohoCrm):
    org.stall_next(0)
    org.stall_next()
    lost = await deliver(org, patience=0.2)
    assert lost.kind is OutcomeKind.RETRY
    await deliver(org, grant=lost.grant)
    assert (len(org.contacts), org.tokens) == (1, 1)


async def test_what_a_colleague_wrote_is_not_cleared(org: FakeZohoCrm):
    identifier = org.add(Email="ada@example.com", Last_Name="Byron", Title="Countess")
    await deliver(org, NAMELESS)
    assert org.contacts[identifier]["Last_Name"] == "Byron"
    assert org.contacts[identifier]["Title"] == "Countess"


async def test_a_contact_that_was_deleted_is_made_anew(org: FakeZohoCrm):
    gone = org.add(Email="ada@example.com", Last_Name="Lovelace")
    org.contacts.clear()
    outcome = await deliver(org, remembered_id=gone)
    assert org.contacts.keys() == {outcome.external_id}


async def test_a_batch_writes_everybody_and_one_bad_record_harms_nobody(org: FakeZohoCrm):
    known = org.add(Email="known@example.com", Last_Name="Known")
    wrong = event("x", customer=replace(BOB.customer, email="four@localhost"))
    given = [
        assignment(SIGN_UP),
        assignment(wrong),
        assignment(BOB),
        assignment(MEMBER),
        assignment(event("x", membership=PRO), remembered_id=known),
    ]
    ended = await run(zoho(org).deliver_many(given))
    assert [one.kind for one in ended] == [
        OutcomeKind.DELIVERED,
        OutcomeKind.REJECTED,
        OutcomeKind.DELIVERED,
        OutcomeKind.DELIVERED,
        OutcomeKind.DELIVERED,
    ]
    assert org.contacts[known]["Plan"] == "Pro"
    assert org.contacts[org.by_email("ada@example.com")]["Plan"] == "Pro"
    assert len(org.contacts) == 3
    assert len(org.calls) == 4


async def test_used_up_credits_write_nothing(org: FakeZohoCrm):
    org.credits_left = 0
    outcome = await deliver(org)
    assert (outcome.kind, outcome.after) == (OutcomeKind.THROTTLE, 3600.0)
    assert org.contacts == {}


async def test_a_module_the_organisation_lacks_holds_the_target(org: FakeZohoCrm):
    outcome = await deliver(org, settings={"module": "Leads"})
    assert outcome.kind is OutcomeKind.AUTH_FAILED
    assert "module name" in outcome.reason
