"""One HubSpot deal per payment: against a stand-in that enforces the unique property."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import httpx
import pytest

from app.connectors.hubspot import HubSpot
from app.domain.outcome import OutcomeKind
from tests.contract.contacts import answering, carried_out
from tests.contract.driving import LOST, play, play_by
from tests.contract.events import ADA, PAID, PRO, assignment, bound, event
from tests.fakes.hubspot import STANDARD, FakeHubSpot
from tests.fakes.hubspot_deals import STANDARD as STANDARD_OF_DEALS

DELIVERED = OutcomeKind.DELIVERED
SALE = event("checkout_completed", customer=ADA, membership=PRO, payment=PAID)
ANNOUNCED_AGAIN = event("payment_received", customer=ADA, membership=PRO, payment=PAID)
REFUNDED = event(
    "payment_status_to_refunded",
    customer=ADA,
    payment=replace(PAID, status="refunded", refund_total=Decimal("20.00")),
)
DEAL = "/crm/v3/objects/deals/shop%3A17?idProperty=relay_payment_id"


def hubspot(mapping=None, **settings):
    return bound(HubSpot, mapping, **{"token": "pat-eu1-correct", "deals": True, **settings})


@pytest.fixture
def account() -> FakeHubSpot:
    return FakeHubSpot()


def test_a_payment_becomes_a_won_deal_of_the_contact(account: FakeHubSpot):
    outcome = carried_out(account, hubspot(), SALE)
    assert (outcome.kind, outcome.external_id) == (DELIVERED, "51")
    assert account.book.deals == {
        "901": {
            "relay_payment_id": "shop:17",
            "dealname": "Pro #17",
            "amount": "59.99",
            "pipeline": "default",
            "dealstage": "closedwon",
            "closedate": "2026-11-23T19:55:00Z",
        }
    }
    assert account.book.of_contact == {"901": "51"}


@pytest.mark.parametrize("again", [SALE, ANNOUNCED_AGAIN])
def test_however_often_a_payment_is_announced_it_has_one_deal(account: FakeHubSpot, again):
    carried_out(account, hubspot(), SALE)
    assert carried_out(account, hubspot(), again).kind is DELIVERED
    assert account.book.deals.keys() == {"901"}


@pytest.mark.parametrize("lost", range(4))
def test_whichever_answer_is_lost_the_next_attempt_leaves_one_deal(account: FakeHubSpot, lost):
    flow = hubspot().deliver(assignment(SALE))
    assert play_by(flow, answering(account, lost=[lost])).outcome.kind is OutcomeKind.RETRY
    assert carried_out(account, hubspot(), SALE).kind is DELIVERED
    assert account.book.deals.keys() == {"901"}


def test_a_deal_that_somebody_moved_on_is_left_where_it_is(account: FakeHubSpot):
    carried_out(account, hubspot(), SALE)
    account.book.deals["901"] |= {"dealstage": "appointmentscheduled", "dealname": "Ada's"}
    carried_out(account, hubspot(), ANNOUNCED_AGAIN)
    assert account.book.deals["901"]["dealstage"] == "appointmentscheduled"
    assert account.book.deals["901"]["dealname"] == "Ada's"


def contact_written():
    return httpx.Response(200, json={"id": "51"})


def test_a_race_lost_to_make_the_deal_ends_as_one():
    replies = [httpx.Response(404), httpx.Response(400), httpx.Response(200)]
    played = play(hubspot().deliver(assignment(SALE)), contact_written(), *replies)
    assert played.lines[1:] == [f"GET {DEAL}", "POST /crm/v3/objects/deals", f"GET {DEAL}"]
    assert played.outcome.kind is DELIVERED


def test_what_happens_to_the_deal_decides_and_the_contact_is_remembered():
    for reply, kind in (
        (httpx.Response(429), OutcomeKind.THROTTLE),
        (httpx.Response(403, json={"category": "MISSING_SCOPES"}), OutcomeKind.AUTH_FAILED),
        (httpx.Response(503), OutcomeKind.RETRY),
    ):
        outcome = play(hubspot().deliver(assignment(SALE)), contact_written(), reply).outcome
        assert (outcome.kind, outcome.external_id) == (kind, "51")


def test_a_lost_answer_about_the_deal_is_tried_again():
    flow = hubspot().deliver(assignment(SALE))
    assert play(flow, contact_written(), LOST).outcome.kind is OutcomeKind.RETRY


def test_no_deal_is_made_that_would_belong_to_nobody():
    nameless = httpx.Response(200, json={})
    flow = hubspot().deliver(assignment(SALE))
    assert play(flow, nameless, httpx.Response(404)).outcome.kind is OutcomeKind.RETRY


@pytest.mark.parametrize(
    "of",
    [
        event("payment_received", customer=ADA, payment=replace(PAID, status="pending")),
        event("payment_received", customer=ADA, payment=replace(PAID, total=Decimal(0))),
        event("payment_failed", customer=ADA, payment=replace(PAID, status="failed")),
        event("customer_post_create", customer=ADA),
    ],
    ids=["pending", "free", "failed", "sign-up"],
)
def test_what_is_no_sale_makes_no_deal(account: FakeHubSpot, of):
    assert carried_out(account, hubspot(), of).kind is DELIVERED
    assert account.book.deals == {}


def test_without_the_setting_no_deal_is_made(account: FakeHubSpot):
    carried_out(account, hubspot(deals=False), SALE)
    assert len(account.contacts) == 1
    assert account.book.deals == {}


def test_a_refund_is_noted_on_the_deal_and_leaves_it_in_its_stage(account: FakeHubSpot):
    carried_out(account, hubspot(), SALE)
    carried_out(account, hubspot(), REFUNDED)
    deal = account.book.deals["901"]
    assert deal["relay_refunded_at"] == "2026-11-23T19:55:00Z"
    assert (deal["relay_refunded_amount"], deal["dealstage"]) == ("20", "closedwon")


def test_a_refund_moves_the_deal_where_a_stage_is_set(account: FakeHubSpot):
    connector = hubspot(deal_refunded_stage="refunded")
    carried_out(account, connector, SALE)
    carried_out(account, connector, REFUNDED)
    assert account.book.deals["901"]["dealstage"] == "refunded"


def test_a_refund_of_a_payment_without_a_deal_says_so(account: FakeHubSpot):
    outcome = carried_out(account, hubspot(), REFUNDED)
    assert outcome.kind is DELIVERED
    assert "no deal" in outcome.reason
    assert account.book.deals == {}


def test_a_mapping_names_the_deal_and_leaves_the_contact_to_the_relay(account: FakeHubSpot):
    connector = hubspot({"deal.dealname": "customer.name + ' ' + payment.id"})
    carried_out(account, connector, SALE)
    assert account.book.deals["901"]["dealname"] == "Ada Lovelace 17"
    assert account.contacts["51"]["plan"] == "Pro"


def test_a_mapping_of_both_writes_each_its_own(account: FakeHubSpot):
    connector = hubspot({"firstname": "'A'", "deal.dealname": "'D'", "deal.amount": "1.5"})
    carried_out(account, connector, SALE)
    deal = account.book.deals["901"]
    assert (deal["dealname"], deal["amount"], deal["dealstage"]) == ("D", "1.5", "closedwon")
    assert account.contacts["51"] == {"firstname": "A", "email": "ada@example.com"}


def test_a_mapping_cannot_take_the_property_the_deal_is_found_by():
    wrong = HubSpot.check_mapping(
        ["deal.relay_payment_id", "deal.dealname", "deal.Name", "deal.id"]
    )
    assert wrong.keys() == {"deal.relay_payment_id", "deal.Name", "deal.id"}


def test_currency_pipeline_and_stage_are_as_the_settings_say(account: FakeHubSpot):
    settings = {"deal_currency": True, "deal_pipeline": "77", "deal_stage": "closedlost"}
    carried_out(account, hubspot(**settings), SALE)
    deal = account.book.deals["901"]
    assert (deal["deal_currency_code"], deal["pipeline"], deal["dealstage"]) == (
        "USD",
        "77",
        "closedlost",
    )


def test_an_account_without_the_property_says_so_until_it_is_prepared(account: FakeHubSpot):
    account.known, account.book.known = STANDARD, STANDARD_OF_DEALS
    connector = hubspot(properties="standard_only")
    outcome = carried_out(account, connector, SALE)
    assert outcome.kind is OutcomeKind.REJECTED
    assert "preparing the target" in outcome.reason
    made = play_by(connector.prepare(assignment(SALE)), answering(account)).outcome
    assert made.kind is DELIVERED
    assert "relay_payment_id" in made.reason
    assert carried_out(account, connector, SALE).kind is DELIVERED
    again = play_by(connector.prepare(assignment(SALE)), answering(account)).outcome
    assert again.reason.startswith("There already: plan")


def test_a_deal_goes_alone_and_other_contacts_travel_together(account: FakeHubSpot):
    connector = hubspot()
    assert connector.batch_key(assignment(SALE)) == assignment(SALE).message_id
    signed_up = event("customer_post_create", customer=replace(ADA, email="b@example.com"))
    flow = connector.deliver_many([assignment(signed_up), assignment(SALE)])
    outcomes = play_by(flow, answering(account)).outcome
    assert [outcome.kind for outcome in outcomes] == [DELIVERED] * 2
    assert account.book.deals.keys() == {"901"}
