"""A CRM's contact id on its way back to the network, through the whole queue, and no circle."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from app.domain import catalogue
from tests.fakes import Call, Fake
from tests.fakes.hubspot import FakeHubSpot
from tests.fakes.ultimate_multisite import FakeUltimateMultisite
from tests.integration.world import World

NETWORK = "network.example.com"
WRITE_BACK = {
    "base_url": f"https://{NETWORK}",
    "api_key": "network-key",
    "api_secret": "network-secret",
}
#: The customer of the captured payment.
CUSTOMER = "2"


def _answer(fake: Fake, request: httpx.Request) -> httpx.Response:
    call = Call(
        method=request.method,
        path=request.url.raw_path.decode().partition("?")[0],
        query=dict(request.url.params),
        headers=dict(request.headers),
        body=request.content,
    )
    fake.calls.append(call)
    answer = fake.handle(call)
    return httpx.Response(answer.status, content=answer.body, headers=dict(answer.headers))


class Arranged:
    """HubSpot, and a network whose bridge reports each customer that was saved."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.hubspot = FakeHubSpot()
        self.network = FakeUltimateMultisite(CUSTOMER)
        self._reported = 0
        world.sender.default = self._respond

    def _respond(self, request: httpx.Request) -> httpx.Response:
        fake = self.network if request.url.host == NETWORK else self.hubspot
        return _answer(fake, request)

    async def settled(self) -> None:
        """Work, and let the network report what was saved, until nothing happens any more."""
        for _ in range(8):
            await self.world.work(2)
            for _number in self.network.saved[self._reported :]:
                await self._report_update()
            self.world.clock.advance(10)

    async def _report_update(self) -> None:
        self._reported += 1
        example = dict(catalogue.CATALOGUE["customer_post_update"].example)
        payment = json.loads(self.world.request().body)
        told = {name: value for name, value in payment.items() if name.startswith("customer_")}
        body = {**example, **told, "customer_save_count": self._reported}
        await self.world.send(json.dumps(body).encode(), "customer_post_update")


@pytest.fixture
async def arranged(world: World) -> Arranged:
    made = Arranged(world)
    await world.source()
    await world.target("hubspot", "hubspot", settings={"token": made.hubspot.token})
    return made


def _links(events: list[Any]) -> list[Any]:
    return [one for one in events if one.type == "relay.contact_linked"]


async def test_the_contact_id_arrives_at_the_customer_and_nothing_goes_round(arranged: Arranged):
    await arranged.world.target("back", "ultimate_multisite", settings=WRITE_BACK)
    await arranged.world.send()
    await arranged.settled()
    [contact] = arranged.hubspot.contacts
    assert arranged.network.meta == {CUSTOMER: {"crm_contact_id": contact}}
    assert arranged.network.saved == [CUSTOMER]
    assert len(_links(await arranged.world.events())) == 1
    # The payment and the update that the write caused; the second finds the contact it knows.
    assert len({one.event_id for one in await arranged.world.deliveries(target="hubspot")}) == 2
    assert {one.status for one in await arranged.world.deliveries()} == {"succeeded"}


async def test_a_new_target_listens_to_links_without_being_told(arranged: Arranged):
    target = await arranged.world.target("back", "ultimate_multisite", settings=WRITE_BACK)
    assert (await arranged.world.targets.get(target)).events == ("relay.contact_linked",)


async def test_links_of_sources_that_the_target_does_not_serve_are_not_written(
    arranged: Arranged,
):
    await arranged.world.source("other")
    await arranged.world.target(
        "back", "ultimate_multisite", settings=WRITE_BACK, sources=["other"]
    )
    await arranged.world.send()
    await arranged.settled()
    assert len(_links(await arranged.world.events())) == 1
    assert arranged.network.calls == []


async def test_a_contact_that_was_merged_in_the_crm_is_written_back_anew(arranged: Arranged):
    await arranged.world.target("back", "ultimate_multisite", settings=WRITE_BACK)
    await arranged.world.send()
    await arranged.settled()
    [(old, properties)] = arranged.hubspot.contacts.items()
    del arranged.hubspot.contacts[old]
    merged = arranged.hubspot.add(**properties)
    await arranged._report_update()
    await arranged.settled()
    assert arranged.network.meta == {CUSTOMER: {"crm_contact_id": merged}}
    assert arranged.network.saved == [CUSTOMER, CUSTOMER]
