"""HubSpot's order of requests: against scripted replies, and against a stand-in with its rules."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from app.connectors.hubspot import HubSpot
from app.domain.outcome import OutcomeKind, TransportFailure
from tests.contract.driving import LOST, UNREACHED, drive, over, play
from tests.contract.events import ADA, PRO, assignment, bound, event
from tests.fakes import loopback_client
from tests.fakes.hubspot import STANDARD, FakeHubSpot

SIGN_UP = event("customer_post_create", customer=ADA)
BY_EMAIL = "PATCH /crm/v3/objects/contacts/ada%40example.com?idProperty=email"
CREATE = "POST /crm/v3/objects/contacts"
EXISTS = {"message": "Contact already exists. Existing ID: 77", "category": "CONFLICT"}


def by_id(identifier):
    return f"PATCH /crm/v3/objects/contacts/{identifier}"


def hubspot(mapping=None, **settings):
    return bound(HubSpot, mapping, **{"token": "pat-eu1-correct", **settings})


def flow(remembered=None, of=SIGN_UP, connector=None):
    return (connector or hubspot()).deliver(assignment(of, remembered_id=remembered))


def answered(status, identifier=None, **document):
    body = {"id": identifier, **document} if identifier else document
    return httpx.Response(status, json=body)


def test_a_remembered_contact_takes_one_request():
    played = play(flow("51"), answered(200, "51"))
    assert played.lines == [by_id("51")]
    assert played.outcome.external_id == "51"


def test_a_merged_contact_is_remembered_by_the_id_it_has_now():
    assert play(flow("51"), answered(200, "99")).outcome.external_id == "99"


def test_an_unknown_customer_is_looked_for_by_address_then_created():
    played = play(flow(), answered(404), answered(201, "52"))
    assert played.lines == [BY_EMAIL, CREATE]
    assert played.outcome.external_id == "52"


def test_a_lost_race_to_create_updates_the_contact_that_won():
    played = play(flow(), answered(404), answered(409, **EXISTS), answered(200, "77"))
    assert played.lines == [BY_EMAIL, CREATE, by_id("77")]
    assert played.outcome.external_id == "77"


@pytest.mark.parametrize(
    "refusal",
    [
        {"message": "Contact already exists."},
        {"message": "Contact already exists. Existing ID: none"},
        {},
    ],
)
def test_a_refusal_that_names_no_id_falls_back_to_the_address(refusal):
    played = play(flow(), answered(404), answered(409, **refusal), answered(200, "77"))
    assert played.lines == [BY_EMAIL, CREATE, BY_EMAIL]
    assert played.outcome.external_id == "77"


def test_the_existing_id_is_found_in_whatever_form_the_refusal_has():
    refusal = httpx.Response(409, text="<p>Contact already exists. existing id:  77</p>")
    played = play(flow(), answered(404), refusal, answered(200, "77"))
    assert played.lines[-1] == by_id("77")


def test_a_contact_deleted_after_the_conflict_gets_a_second_round():
    conflict = answered(409, **EXISTS)
    played = play(
        flow(), answered(404), conflict, answered(404), answered(404), answered(201, "78")
    )
    assert played.lines == [BY_EMAIL, CREATE, by_id("77"), BY_EMAIL, CREATE]
    assert played.outcome.external_id == "78"


def test_a_contradiction_that_lasts_is_tried_again_later():
    conflict = answered(409, message="Contact already exists.")
    played = play(flow(), answered(404), conflict, answered(404), conflict)
    assert played.outcome.kind is OutcomeKind.RETRY


def test_a_contact_that_is_gone_is_found_or_made_anew_under_a_new_id():
    played = play(flow("51"), answered(404), answered(404), answered(201, "52"))
    assert played.lines == [by_id("51"), BY_EMAIL, CREATE]
    assert (played.outcome.external_id, played.outcome.forget_id) == ("52", False)


def test_the_gone_id_is_forgotten_even_when_the_rest_fails():
    outcome = play(flow("51"), answered(404), answered(503)).outcome
    assert (outcome.kind, outcome.forget_id) == (OutcomeKind.RETRY, True)


def test_without_an_address_a_remembered_contact_is_still_updated():
    lost = event("membership_status_to_cancelled", membership=replace(PRO, status="cancelled"))
    played = play(flow("51", lost), answered(200, "51"))
    assert played.documents[0]["properties"]["membership_status"] == "cancelled"
    assert "email" not in played.documents[0]["properties"]


def test_without_an_address_a_gone_contact_is_forgotten_and_not_made_anew():
    lost = event("membership_status_to_cancelled", membership=PRO)
    outcome = play(flow("51", lost), answered(404)).outcome
    assert (outcome.kind, outcome.forget_id) == (OutcomeKind.SKIPPED, True)


@pytest.mark.parametrize("email", [None, "", " ", "nobody", "..", "a b@example.com", "a@\n"])
def test_without_an_address_and_without_an_id_nothing_is_sent(email):
    of = event("customer_post_create", customer=replace(ADA, email=email))
    outcome = play(flow(of=of)).outcome
    assert outcome.kind is OutcomeKind.SKIPPED
    assert "no e-mail address" in outcome.reason


@pytest.mark.parametrize("remembered", ["..", "../deals/1", "5 1", "", "é"])
def test_a_remembered_id_that_cannot_be_one_is_not_put_into_a_path(remembered):
    assert play(flow(remembered), answered(200, "51")).lines == [BY_EMAIL]


@pytest.mark.parametrize(
    ("email", "segment"),
    [
        ("ada+crm@example.com", "ada%2Bcrm%40example.com"),
        ("a/b@example.com", "a%2Fb%40example.com"),
        ("a?b#c%d@example.com", "a%3Fb%23c%25d%40example.com"),
        ("é@example.com", "%C3%A9%40example.com"),
    ],
)
def test_an_address_is_one_segment_of_the_path(email, segment):
    of = event("customer_post_create", customer=replace(ADA, email=email))
    played = play(flow(of=of), answered(200, "51"))
    assert played.lines == [f"PATCH /crm/v3/objects/contacts/{segment}?idProperty=email"]


def test_a_mapped_address_is_the_one_that_is_looked_for():
    connector = hubspot({"email": "data.billing_email"})
    of = event("customer_post_create", customer=ADA, data={"billing_email": "b@example.com"})
    played = play(flow(of=of, connector=connector), answered(200, "51"))
    assert played.lines == ["PATCH /crm/v3/objects/contacts/b%40example.com?idProperty=email"]


def test_a_contact_is_never_made_without_the_address_it_is_found_by():
    connector = hubspot({"plan": "'Pro'"})
    played = play(flow(connector=connector), answered(404), answered(201, "52"))
    assert played.documents[1]["properties"] == {"plan": "Pro", "email": "ada@example.com"}


def test_moving_an_address_onto_another_contact_needs_an_operator():
    taken = answered(409, message="A contact with the email already exists. Existing ID: 77")
    outcome = play(flow("51"), taken).outcome
    assert outcome.kind is OutcomeKind.REJECTED
    assert "merge the two in HubSpot" in outcome.reason
    assert "Existing ID: 77" in outcome.reason


@pytest.mark.parametrize("failure", [LOST, UNREACHED])
@pytest.mark.parametrize("before", [[], [404], [404, 409]])
def test_a_lost_answer_is_tried_again_whatever_the_step(
    failure: TransportFailure, before: list[int]
):
    replies = [answered(status, **EXISTS) for status in before]
    assert play(flow(), *replies, failure).outcome.kind is OutcomeKind.RETRY


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"id": null}', b'{"id": "../x"}', b"[]"])
def test_a_success_without_a_usable_id_keeps_the_known_one(body):
    assert play(flow("51"), httpx.Response(200, content=body)).outcome.external_id == "51"


def test_the_token_never_stands_in_a_reason():
    refusal = answered(401, message="The token pat-eu1-correct is expired")
    outcome = play(flow(), refusal).outcome
    assert outcome.kind is OutcomeKind.AUTH_FAILED
    assert "pat-eu1-correct" not in outcome.reason


def lacking(*names, context=True):
    return answered(
        400,
        errors=[
            {
                "message": f'Property "{name}" does not exist',
                "code": "PROPERTY_DOESNT_EXIST",
                **({"context": {"propertyName": [name]}} if context else {}),
            }
            for name in names
        ],
    )


@pytest.mark.parametrize("context", [True, False])
def test_an_unknown_property_is_rejected_with_its_name_and_what_to_do(context):
    outcome = play(flow(), lacking("signup_date", context=context)).outcome
    assert outcome.kind is OutcomeKind.REJECTED
    assert "no contact property signup_date" in outcome.reason
    assert 'on_unknown_property to "drop"' in outcome.reason


def test_an_unknown_property_is_dropped_where_the_operator_chose_so_and_that_is_said():
    connector = hubspot(on_unknown_property="drop")
    played = play(flow(connector=connector), lacking("signup_date"), answered(200, "51"))
    assert "signup_date" not in played.documents[1]["properties"]
    assert played.outcome.kind is OutcomeKind.DELIVERED
    assert "Written without signup_date" in played.outcome.reason


@pytest.mark.parametrize("names", [["never_sent"], ["plan"]])
def test_a_refusal_that_leaves_nothing_to_drop_or_to_write_is_rejected(names):
    connector = hubspot({"plan": "'Pro'"}, on_unknown_property="drop")
    outcome = play(flow("51", connector=connector), lacking(*names)).outcome
    assert outcome.kind is OutcomeKind.REJECTED


@pytest.fixture
async def account() -> AsyncIterator[FakeHubSpot]:
    async with FakeHubSpot().serve() as fake:
        yield fake


async def deliver(account, of=SIGN_UP, remembered=None, patience=5.0, **settings):
    connector = hubspot(base_url=account.base_url, **settings)
    async with loopback_client(timeout=patience) as client:
        return await drive(flow(remembered, of, connector), over(client))


async def test_a_customer_becomes_one_contact_however_often_events_come(account: FakeHubSpot):
    first = await deliver(account)
    await deliver(account, event("membership_post_create", customer=ADA, membership=PRO))
    await deliver(account, event("site_published", customer=ADA), first.external_id)
    assert account.contacts == {
        "51": {
            "email": "ada@example.com",
            "firstname": "Ada",
            "lastname": "Lovelace",
            "signup_date": "2026-01-05",
            "plan": "Pro",
            "membership_status": "active",
        }
    }


async def test_what_a_colleague_wrote_is_not_cleared(account: FakeHubSpot):
    account.add(email="ada@example.com", lastname="Byron", plan="Pro")
    await deliver(account, event("x", customer=replace(ADA, last_name=None, signup_date=None)))
    assert account.contacts["51"]["lastname"] == "Byron"
    assert account.contacts["51"]["plan"] == "Pro"


async def test_a_contact_made_by_somebody_else_in_between_is_updated(account: FakeHubSpot):
    account.meanwhile = lambda: account.add(email="ADA@example.com")
    outcome = await deliver(account)
    assert outcome.external_id == "51"
    assert len(account.contacts) == 1
    assert account.contacts["51"]["firstname"] == "Ada"


async def test_a_contact_removed_in_hubspot_is_made_anew(account: FakeHubSpot):
    gone = account.add(email="ada@example.com")
    account.contacts.clear()
    outcome = await deliver(account, remembered=gone)
    assert outcome.external_id == "52"
    assert account.contacts.keys() == {"52"}


async def test_a_creation_whose_answer_was_lost_makes_no_second_contact(account: FakeHubSpot):
    account.stall_next(0)
    account.stall_next()
    assert (await deliver(account, patience=0.2)).kind is OutcomeKind.RETRY
    assert account.contacts.keys() == {"51"}
    assert (await deliver(account)).external_id == "51"
    assert account.contacts.keys() == {"51"}


async def test_a_new_address_is_written_to_the_remembered_contact(account: FakeHubSpot):
    identifier = account.add(email="ada@example.com")
    moved = event("customer_post_update", customer=replace(ADA, email="countess@example.com"))
    await deliver(account, moved, identifier)
    assert account.contacts[identifier]["email"] == "countess@example.com"


async def test_a_full_window_throttles_and_writes_nothing(account: FakeHubSpot):
    account.requests_left = 1
    outcome = await deliver(account)
    assert (outcome.kind, outcome.after) == (OutcomeKind.THROTTLE, 10.0)
    assert account.contacts == {}


async def test_a_wrong_token_holds_the_target(account: FakeHubSpot):
    outcome = await deliver(account, token="pat-eu1-wrong")
    assert outcome.kind is OutcomeKind.AUTH_FAILED
    assert "Authentication credentials not found." in outcome.reason


async def test_an_account_without_the_custom_properties_takes_the_rest_where_told_so(
    account: FakeHubSpot,
):
    account.known = STANDARD
    of = event("membership_post_create", customer=ADA, membership=PRO)
    assert (await deliver(account, of)).kind is OutcomeKind.REJECTED
    outcome = await deliver(account, of, on_unknown_property="drop")
    assert outcome.kind is OutcomeKind.DELIVERED
    assert "plan, signup_date, membership_status" in outcome.reason
    assert account.contacts["51"].keys() == STANDARD
