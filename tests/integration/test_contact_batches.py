"""Many customers at once, through the whole queue, to a CRM that takes batches."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from app.domain import catalogue
from tests.contract.contacts import answering
from tests.fakes.hubspot import FakeHubSpot
from tests.integration.world import World

CUSTOMERS = 150


@pytest.fixture
def account(world: World) -> FakeHubSpot:
    fake = FakeHubSpot()
    world.sender.default = answering(fake)
    return fake


async def tell(world: World, number: int, event_type: str = "customer_post_create", **more: Any):
    told = {
        **catalogue.CATALOGUE[event_type].example,
        "customer_id": str(1000 + number),
        "customer_user_id": str(2000 + number),
        "customer_user_email": f"customer{number}@example.com",
        **more,
    }
    await world.send(json.dumps(told).encode(), event_type)


async def worked_off(world: World) -> None:
    for _ in range(6):
        world.clock.advance(1)
        await world.work(free=400)


@pytest.fixture
async def arranged(world: World, account: FakeHubSpot) -> World:
    await world.source()
    await world.target("crm", "hubspot", settings={"token": account.token})
    return world


def verbs(account: FakeHubSpot) -> list[str]:
    return [call.path.rpartition("/")[2] for call in account.calls]


async def test_a_backlog_of_customers_costs_a_few_requests_and_everybody_is_linked(
    arranged: World, account: FakeHubSpot
):
    for number in range(CUSTOMERS):
        await tell(arranged, number)
    await worked_off(arranged)
    assert verbs(account) == ["read", "upsert"] * 2
    assert {contact["email"] for contact in account.contacts.values()} == {
        f"customer{number}@example.com" for number in range(CUSTOMERS)
    }
    linked = await arranged.events(type="relay.contact_linked")
    assert len({one.subject for one in linked}) == CUSTOMERS
    account.calls.clear()
    for number in range(CUSTOMERS):
        await tell(arranged, number, "customer_post_update")
    await worked_off(arranged)
    assert verbs(account) == ["update"] * 2
    assert {one.status for one in await arranged.deliveries()} == {"succeeded"}


async def test_a_customer_who_waits_alone_is_written_by_the_shorter_way(
    arranged: World, account: FakeHubSpot
):
    await tell(arranged, 1)
    await worked_off(arranged)
    assert [call.method for call in account.calls] == ["PATCH", "POST"]


async def test_events_of_one_customer_never_share_a_batch_and_keep_their_order(
    arranged: World, account: FakeHubSpot
):
    for number in (1, 2):
        await tell(arranged, number)
    await tell(arranged, 1, "customer_post_update", customer_user_email="moved@example.com")
    await worked_off(arranged)
    assert {one["email"] for one in account.contacts.values()} == {
        "moved@example.com",
        "customer2@example.com",
    }
    assert len(account.contacts) == 2


async def test_one_bad_address_does_not_hold_up_the_rest(arranged: World, account: FakeHubSpot):
    for number in range(4):
        await tell(arranged, number)
    await tell(arranged, 9, customer_user_email="nobody@localhost")
    await worked_off(arranged)
    statuses = sorted(one.status for one in await arranged.deliveries())
    assert statuses == ["failed", *["succeeded"] * 4]


async def test_a_batch_that_hubspot_refuses_as_a_whole_is_driven_one_by_one(
    arranged: World, account: FakeHubSpot
):
    for number in range(3):
        await tell(arranged, number)
    arranged.sender.script = [httpx.Response(400, json={"category": "VALIDATION_ERROR"})]
    await worked_off(arranged)
    assert len(account.contacts) == 3
    assert {one.status for one in await arranged.deliveries()} == {"succeeded"}


async def test_a_contact_that_is_gone_is_made_anew_on_the_next_attempt(
    arranged: World, account: FakeHubSpot
):
    for number in (1, 2):
        await tell(arranged, number)
    await worked_off(arranged)
    account.contacts.clear()
    for number in (1, 2):
        await tell(arranged, number, "customer_post_update")
    await worked_off(arranged)
    arranged.clock.advance(3600)
    await worked_off(arranged)
    assert len(account.contacts) == 2
    assert {one.status for one in await arranged.deliveries()} == {"succeeded"}


async def test_a_purchase_that_is_announced_twice_has_one_deal_though_an_answer_was_lost(
    world: World, account: FakeHubSpot
):
    await world.source()
    await world.target("crm", "hubspot", settings={"token": account.token, "deals": True})
    world.sender.default = answering(account, lost=[3])
    await world.send(event_type="checkout_completed")
    await world.send()
    for _ in range(5):
        await worked_off(world)
        world.clock.advance(3600)
    assert len(account.book.deals) == 1
    assert set(account.book.of_contact.values()) == set(account.contacts)
    assert {one.status for one in await world.deliveries()} == {"succeeded"}
