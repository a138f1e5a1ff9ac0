"""Many HubSpot contacts at once: against scripted replies, and against a stand-in with its rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import httpx
import pytest

from app.connectors.base import LONG_ANSWER, Assignment
from app.connectors.hubspot import HubSpot
from app.domain.outcome import OutcomeKind
from tests.contract.contacts import answering, bodies
from tests.contract.driving import LOST, play, play_by
from tests.contract.events import ADA, PAID, PRO, assignment, bound, event
from tests.contract.loading import KINDS, Sample, request_errors, samples
from tests.fakes.hubspot import STANDARD, FakeHubSpot

READ = "POST /crm/v3/objects/contacts/batch/read"
UPDATE = "POST /crm/v3/objects/contacts/batch/update"
UPSERT = "POST /crm/v3/objects/contacts/batch/upsert"
BY_EMAIL = "PATCH /crm/v3/objects/contacts/ada%40example.com?idProperty=email"
NOBODY = httpx.Response(200, json={"status": "COMPLETE", "results": []})
DELIVERED = OutcomeKind.DELIVERED


def hubspot(mapping=None, **settings):
    return bound(HubSpot, mapping, **{"token": "pat-eu1-correct", **settings})


def about(name: str, remembered: str | None = None, kind="customer_post_create", **parts):
    """One delivery about a customer of this name."""
    customer = replace(ADA, id=name, email=f"{name}@example.com", first_name=name.title())
    of = event(kind, subject=f"shop/customer/{name}", customer=customer, **parts)
    return assignment(of, remembered_id=remembered)


def many(*given: Assignment, **settings):
    return hubspot(**settings).deliver_many(given)


def carried(account: FakeHubSpot, *given: Assignment, **settings):
    return play_by(many(*given, **settings), answering(account))


def kinds(outcomes: Sequence[object]) -> list[OutcomeKind]:
    return [outcome.kind for outcome in outcomes]


def by_email(account: FakeHubSpot) -> dict[str, dict[str, str]]:
    return {contact["email"]: contact for contact in account.contacts.values()}


@pytest.fixture
def account() -> FakeHubSpot:
    return FakeHubSpot()


def test_new_customers_are_made_with_one_look_and_one_write(account: FakeHubSpot):
    played = carried(account, about("ada"), about("bob"))
    assert played.lines == [READ, UPSERT]
    assert by_email(account).keys() == {"ada@example.com", "bob@example.com"}
    assert [outcome.external_id for outcome in played.outcome] == ["51", "52"]


def test_remembered_contacts_take_one_request(account: FakeHubSpot):
    given = [about(name, account.add(email=f"{name}@example.com")) for name in ("ada", "bob")]
    played = carried(account, *given)
    assert played.lines == [UPDATE]
    assert {c["firstname"] for c in account.contacts.values()} == {"Ada", "Bob"}
    assert [outcome.external_id for outcome in played.outcome] == ["51", "52"]


def test_known_and_new_ones_get_results_in_the_order_they_came(account: FakeHubSpot):
    held = account.add(email="BOB@example.com")
    gone = about("eve", "99")
    played = carried(
        account, about("ada"), gone, about("bob"), about("cat", account.add(email="c@x.y"))
    )
    assert played.lines == [READ, UPDATE, UPSERT]
    assert [outcome.external_id for outcome in played.outcome] == ["53", None, held, "52"]


def test_what_somebody_else_wrote_is_not_lost_to_a_partial_upsert(account: FakeHubSpot):
    account.add(email="ada@example.com", plan="Pro", lastname="Byron", churned_at="2026-01-01")
    carried(account, about("ada"), about("bob"))
    held = by_email(account)["ada@example.com"]
    assert (held["plan"], held["churned_at"]) == ("Pro", "2026-01-01")
    assert held["firstname"] == "Ada"


def test_requests_are_valid_by_the_schema_and_name_each_contact_once(account: FakeHubSpot):
    given = [
        about(f"c{n}", kind="checkout_completed", membership=PRO, payment=PAID) for n in range(100)
    ]
    played = carried(account, *given)
    read, upsert = bodies(played)
    assert request_errors("hubspot", "batch_upsert", upsert) == []
    assert len({one["id"] for one in upsert["inputs"]}) == 100
    assert len({one["objectWriteTraceId"] for one in upsert["inputs"]}) == 100
    assert {one["idProperty"] for one in upsert["inputs"]} == {"email"}
    assert read["properties"] == ["email"]
    assert all(one["properties"]["plan"] == "Pro" for one in upsert["inputs"])


def test_two_customers_with_one_address_become_one_contact(account: FakeHubSpot):
    twin = about("ada", kind="membership_post_create", membership=PRO)
    played = carried(account, about("ada"), about("bob"), twin)
    assert played.lines == [READ, UPSERT, BY_EMAIL]
    assert kinds(played.outcome) == [DELIVERED] * 3
    assert len(account.contacts) == 2
    held = by_email(account)["ada@example.com"]
    assert (held["plan"], held["signup_date"]) == ("Pro", "2026-01-05")


def test_two_deliveries_for_one_remembered_contact_do_not_share_a_request(account: FakeHubSpot):
    held = account.add(email="ada@example.com")
    moved = about("ada", held, kind="membership_post_create", membership=PRO)
    played = carried(account, about("ada", held), moved)
    assert played.lines == [UPDATE, UPDATE]
    assert account.contacts[held]["plan"] == "Pro"


def test_a_contact_that_is_gone_is_forgotten_and_looked_for_next_time(account: FakeHubSpot):
    held = account.add(email="bob@example.com")
    lost, kept = carried(account, about("ada", "99"), about("bob", held)).outcome
    assert (lost.kind, lost.forget_id) == (OutcomeKind.RETRY, True)
    assert (kept.kind, kept.external_id) == (DELIVERED, held)


def test_an_address_hubspot_does_not_take_is_the_matter_of_one(account: FakeHubSpot):
    spoilt = about("bob")
    spoilt = replace(
        spoilt, event=replace(spoilt.event, customer=replace(ADA, email="bob@localhost"))
    )
    outcomes = carried(account, about("ada"), spoilt, about("cat")).outcome
    assert kinds(outcomes) == [DELIVERED, OutcomeKind.REJECTED, DELIVERED]
    assert "is not a valid email" in outcomes[1].reason
    assert [outcome.external_id for outcome in outcomes] == ["51", None, "52"]


def test_a_contact_merged_into_another_is_found_out_one_by_one(account: FakeHubSpot):
    other = account.add(email="countess@example.com")
    account.merged["99"] = other
    ended = carried(account, about("ada", "99"), about("bob", account.add(email="b@x.y"))).outcome
    assert ended.kind is OutcomeKind.REJECTED


def test_a_race_lost_to_create_is_run_again(account: FakeHubSpot):
    error = {"category": "CONFLICT", "message": "exists", "context": {"objectWriteTraceId": ["0"]}}
    reply = httpx.Response(207, json={"results": [], "errors": [error]})
    (outcome,) = play(many(about("ada")), NOBODY, reply).outcome
    assert outcome.kind is OutcomeKind.RETRY


def test_an_address_that_another_contact_has_needs_an_operator(account: FakeHubSpot):
    account.add(email="ada@example.com")
    held = account.add(email="old@example.com")
    other = account.add(email="bob@example.com")
    outcomes = carried(account, about("ada", held), about("bob", other)).outcome
    assert kinds(outcomes) == [OutcomeKind.REJECTED, DELIVERED]
    assert "Existing ID: 51" in outcomes[0].reason


def test_an_account_without_the_properties_takes_the_rest_where_told_so(account: FakeHubSpot):
    account.known = STANDARD
    given = about("ada"), about("bob")
    assert carried(account, *given).outcome.kind is OutcomeKind.REJECTED
    outcomes = carried(account, *given, on_unknown_property="drop").outcome
    assert kinds(outcomes) == [DELIVERED] * 2
    assert "Written without signup_date" in outcomes[1].reason


def test_a_property_without_which_nothing_is_left_refuses_the_batch():
    lacks = {"code": "PROPERTY_DOESNT_EXIST", "context": {"propertyName": ["plan"]}}
    refusal = httpx.Response(400, json={"errors": [lacks]})
    connector = hubspot({"plan": "'Pro'"}, on_unknown_property="drop")
    flow = connector.deliver_many([about("ada", "51"), about("bob", "52")])
    assert play(flow, refusal).outcome.kind is OutcomeKind.REJECTED


def test_a_mapping_without_an_address_still_makes_contacts_with_one(account: FakeHubSpot):
    connector = hubspot({"plan": "'Pro'"})
    play_by(connector.deliver_many([about("ada"), about("bob")]), answering(account))
    assert by_email(account)["bob@example.com"] == {"plan": "Pro", "email": "bob@example.com"}


def test_what_cannot_be_sent_is_left_out_and_says_why(account: FakeHubSpot):
    nobody = assignment(event("membership_expired", membership=PRO))
    broken = hubspot({"email": "customer.email", "plan": "'Plan ' + membership.plan.name"})
    outcomes = carried(account, about("ada"), nobody).outcome
    assert kinds(outcomes) == [DELIVERED, OutcomeKind.SKIPPED]
    ended = play(broken.deliver_many([about("ada"), about("bob")])).outcome
    assert kinds(ended) == [OutcomeKind.REJECTED] * 2


@pytest.mark.parametrize("verb", ["read", "upsert"])
@pytest.mark.parametrize(
    "sample",
    [s for s in samples("hubspot", "batch_upsert") if s.status is None or s.status >= 400],
    ids=str,
)
def test_a_refused_batch_is_told_to_all_as_the_contract_says(sample: Sample, verb: str):
    refusal = LOST if sample.status is None else sample.response()
    replies = [refusal] if verb == "read" else [NOBODY, refusal]
    ended = play(many(about("ada"), about("bob")), *replies).outcome
    expected = KINDS[sample.outcome]
    if isinstance(ended, list):
        assert kinds(ended) == [expected] * 2
    else:
        assert ended.kind is expected


def test_a_mixed_answer_is_told_to_each_as_the_contract_says():
    (mixed,) = [s for s in samples("hubspot", "batch_upsert") if s.name == "mixed"]
    body = mixed.body
    body = {
        **body,
        "results": [{**body["results"][0], "objectWriteTraceId": "0"}],
        "errors": [{**body["errors"][0], "context": {"objectWriteTraceId": ["1"]}}],
    }
    outcomes = play(
        many(about("ada"), about("bob")), NOBODY, httpx.Response(207, json=body)
    ).outcome
    assert kinds(outcomes) == [DELIVERED, OutcomeKind.REJECTED]
    assert outcomes[0].external_id == "51"


@pytest.mark.parametrize(
    "reply",
    [
        next(s for s in samples("hubspot", "batch_upsert") if s.name == "silent").response(),
        httpx.Response(200),
        httpx.Response(200, content=b"<html>"),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"results": [{"id": "../x", "objectWriteTraceId": "0"}]}),
        httpx.Response(207, json={"results": [{"id": "51", "objectWriteTraceId": "0"}]}),
        httpx.Response(207, json={"errors": [{"category": "X", "context": {"ids": 3}}]}),
    ],
)
def test_an_answer_that_does_not_say_what_became_of_everybody_is_a_refusal(reply):
    ended = play(many(about("ada"), about("bob")), NOBODY, reply).outcome
    assert ended.kind is OutcomeKind.REJECTED


def test_a_lost_answer_is_repeated_without_harm(account: FakeHubSpot):
    given = about("ada"), about("bob")
    lost = play_by(many(*given), answering(account, lost=[1])).outcome
    assert lost.kind is OutcomeKind.RETRY
    played = carried(account, *given)
    assert played.lines == [READ, UPDATE]
    assert len(account.contacts) == 2


def test_too_many_bytes_are_divided(monkeypatch: pytest.MonkeyPatch, account: FakeHubSpot):
    monkeypatch.setattr(HubSpot, "limits", replace(HubSpot.limits, batch_bytes=250))
    played = carried(account, *[about(name) for name in ("ada", "bob", "cat")])
    assert played.lines == [READ, UPSERT, UPSERT]
    assert kinds(played.outcome) == [DELIVERED] * 3


def test_the_answer_to_a_full_batch_is_read_to_its_end():
    flow = many(about("ada"), about("bob"))
    assert next(flow).extensions[LONG_ANSWER] >= 100 * 2_000


def test_known_and_new_contacts_travel_apart_and_nobody_s_events_alone():
    connector = hubspot()
    assert connector.batch_key(about("ada", "51")) == connector.batch_key(about("bob", "52"))
    assert connector.batch_key(about("ada")) == connector.batch_key(about("bob"))
    assert connector.batch_key(about("ada")) != connector.batch_key(about("ada", "51"))
    nobody = assignment(event("membership_expired", membership=PRO))
    assert connector.batch_key(nobody) == nobody.message_id
