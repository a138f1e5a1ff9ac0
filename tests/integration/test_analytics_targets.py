"""Payments through the queue into analytics: few requests, and one purchase for each payment.

The stand-ins answer in the place of the door out; over real HTTP they are tested in tests/contract.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.fakes import Call, Fake
from tests.fakes.amplitude import FakeAmplitude
from tests.fakes.matomo import TOKEN, FakeMatomo
from tests.fakes.mixpanel import FakeMixpanel
from tests.fakes.posthog import FakePostHog
from tests.fakes.segment import FakeSegment
from tests.integration.world import World, payment

PAYMENTS = range(1, 13)
ANNOUNCEMENTS = ("payment_received", "payment_status_to_completed", "payment_received")


@dataclass(frozen=True)
class Destination:
    """A connector with its settings, its stand-in, and the ids of the orders that one counts."""

    connector: str
    settings: dict[str, Any]
    fake: Callable[..., Any]
    orders: Callable[[Any], list[str]]


def _named(records: Any) -> list[str]:
    return [one["properties"]["order_id"] for one in records]


DESTINATIONS = [
    Destination(
        "posthog",
        {"project_api_key": "phc_correct"},
        lambda _clock: FakePostHog(),
        lambda fake: _named(fake.events),
    ),
    Destination(
        "mixpanel",
        {"project_token": "tok_correct"},
        lambda clock: FakeMixpanel(clock=lambda: clock().timestamp()),
        lambda fake: _named(fake.events),
    ),
    Destination(
        "amplitude",
        {"api_key": "amp_correct"},
        lambda _clock: FakeAmplitude(),
        lambda fake: [one["event_properties"]["order_id"] for one in fake.events],
    ),
    Destination(
        "segment",
        {"write_key": "wk_correct", "base_url": "https://api.segment.io/v1"},
        lambda _clock: FakeSegment(),
        lambda fake: _named(fake.tracked("Order Completed")),
    ),
    Destination(
        "matomo",
        {
            "base_url": "https://matomo.example.com",
            "site_id": 1,
            "token_auth": TOKEN,
            "site_url": "https://shop.example.com",
        },
        lambda clock: FakeMatomo(clock=lambda: clock().timestamp()),
        lambda fake: [order for _, order in fake.orders],
    ),
]


def answered_by(fake: Fake) -> Callable[[httpx.Request], httpx.Response]:
    """The stand-in as a door out that needs no network."""

    def answer(request: httpx.Request) -> httpx.Response:
        call = Call(
            method=request.method,
            path=request.url.path,
            query=dict(request.url.params),
            headers=dict(request.headers),
            body=request.content,
        )
        fake.calls.append(call)
        said = fake.handle(call)
        return httpx.Response(said.status, headers=dict(said.headers), content=said.body)

    return answer


@pytest.fixture(params=DESTINATIONS, ids=lambda destination: destination.connector)
def destination(request: pytest.FixtureRequest) -> Destination:
    return request.param


async def arranged(world: World, destination: Destination) -> Any:
    await world.source()
    await world.target("numbers", destination.connector, settings=destination.settings)
    fake = destination.fake(world.clock)
    world.sender.default = answered_by(fake)
    return fake


async def worked_off(world: World) -> None:
    """Work until nothing is due for a while: those who wait for another look again in seconds."""
    for _ in range(8):
        await world.work(2, free=200)
        world.clock.advance(5)


async def test_every_payment_is_counted_once_however_often_it_is_announced(
    world: World, destination: Destination
):
    fake = await arranged(world, destination)
    for event_type in ANNOUNCEMENTS:
        for number in PAYMENTS:
            await world.send(payment(number), event_type)
    await worked_off(world)
    assert sorted(destination.orders(fake)) == sorted(f"shop:{number}" for number in PAYMENTS)
    assert {delivery.status for delivery in await world.deliveries()} == {"succeeded", "skipped"}


async def test_a_backlog_takes_few_requests(world: World, destination: Destination):
    fake = await arranged(world, destination)
    for number in PAYMENTS:
        await world.send(payment(number))
    await worked_off(world)
    assert len(destination.orders(fake)) == len(PAYMENTS)
    # Mixpanel keeps profiles beside the events.
    assert len(fake.calls) == (2 if destination.connector == "mixpanel" else 1)


@pytest.mark.parametrize(
    "destination", DESTINATIONS[:2], indirect=True, ids=["posthog", "mixpanel"]
)
async def test_a_backlog_that_is_too_large_together_arrives_one_by_one(
    world: World, destination: Destination
):
    fake = await arranged(world, destination)
    fake.most_bytes = 2_000
    for number in PAYMENTS:
        await world.send(payment(number))
    await worked_off(world)
    assert len(destination.orders(fake)) == len(PAYMENTS)
    assert {delivery.status for delivery in await world.deliveries()} == {"succeeded"}
