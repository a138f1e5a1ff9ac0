"""What webhook targets are sent is written once, when an event comes in, and only as long as it holds."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from app.domain.model import Event
from app.services import events
from app.services.events import DeferredEvent, read_stored
from app.store import tables
from app.store.database import ReadConnection
from tests.captured import captured
from tests.integration.world import World

BODY = captured("payment_received").raw_body
GA4 = {"measurement_id": "G-TEST12345", "api_secret": "s3cret-value"}


async def kept(world: World) -> bytes | None:
    def read(connection: ReadConnection) -> Any:
        return connection.execute(sa.select(tables.event_bodies.c.envelope)).scalar_one()

    found: bytes | None = await world.database.read(read)
    return found


def sent(world: World) -> bytes:
    ((_, request),) = world.sender.sent
    return request.content


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the events that were read again from their bodies."""
    found: list[str] = []

    def counted(claimed: Any, configuration: Any) -> Event:
        found.append(claimed.event_id)
        return read_stored(claimed, configuration)

    monkeypatch.setattr(events, "read_stored", counted)
    return found


async def test_a_webhook_target_gets_the_data_byte_for_byte(world: World):
    await world.source()
    await world.target()
    await world.send(BODY)
    await world.work(2)
    assert b'"data":' + BODY + b',"customer":{' in sent(world)


async def test_nothing_is_read_again_for_a_plain_webhook_target(world: World, readings: list[str]):
    await world.source()
    await world.target()
    await world.send()
    await world.work(2)
    assert len(world.sender.sent) == 1
    assert readings == []


async def test_what_was_kept_is_what_would_have_been_written(world: World):
    await world.source()
    await world.target()
    await world.send()
    plain = world.another_worker("plain")
    plain._events = _Rereading(world)
    claimed = await plain.claim(1)
    await plain.carry_out(claimed.groups[0])
    await plain.release_all()
    await world.work(2)
    (_, reread), (_, from_kept) = world.sender.sent
    assert json.loads(reread.content) == json.loads(from_kept.content)


class _Rereading:
    def __init__(self, world: World) -> None:
        self._world = world

    def event(self, claimed: Any) -> Event:
        return read_stored(claimed, self._world.configuration.current)


@pytest.mark.parametrize(
    "target",
    [
        {"connector": "ga4", "settings": GA4},
        {"settings": {"url": "http://127.0.0.1:9999/", "format": "raw"}},
        {"settings": {"url": "http://127.0.0.1:9999/", "withhold_links": True}},
        {"mapping": {"who": "customer.email"}},
        {"events": ["customer_*"]},
    ],
    ids=["analytics", "raw", "without links", "mapped", "not routed"],
)
async def test_nothing_is_kept_where_no_target_is_sent_it(world: World, target: dict[str, Any]):
    await world.source()
    await world.target(**target)
    await world.send()
    assert await kept(world) is None


async def test_links_are_withheld_from_one_target_though_another_gets_them(world: World):
    url = "http://127.0.0.1:9999/"
    await world.source()
    await world.target("all")
    await world.target("careful", settings={"url": url, "withhold_links": True})
    body = json.dumps({"customer_id": 2, "verification_link": "https://shop.example/?key=1"})
    await world.send(body.encode(), "confirm_email_address")
    await world.work(2)
    data = [json.loads(request.content)["data"] for _, request in world.sender.sent]
    assert sorted("verification_link" in one for one in data) == [False, True]


async def test_what_came_inside_an_envelope_is_kept_whole(world: World):
    await world.source()
    await world.target()
    data = {"customer": {"id": 2, "email": "jane@customer.example"}}
    envelope = {"id": "b-1", "type": "customer_post_update", "data": data}
    body = json.dumps(envelope | {"occurred_at": "2026-11-23T10:00:00Z"})
    await world.send(body.encode(), None)
    await world.work(2)
    told = json.loads(sent(world))
    assert told["data"] == data
    assert (told["customer"]["id"], told["timestamp"]) == ("2", "2026-11-23T10:00:00Z")


async def test_after_a_change_of_its_source_an_event_is_read_again(
    world: World, readings: list[str]
):
    source_id = await world.source()
    await world.target()
    receipt = await world.send()
    await world.sources.update(source_id, settings={"dedupe_window": 60})
    await world.work(2)
    assert readings == [receipt.id]
    assert json.loads(sent(world))["data"] == json.loads(BODY)


async def test_events_of_before_this_was_kept_are_read_again(world: World, readings: list[str]):
    await world.source()
    await world.target()
    receipt = await world.send()
    await world.database.write(
        lambda c: c.execute(sa.text("UPDATE event_bodies SET envelope = NULL"))
    )
    await world.work(2)
    assert readings == [receipt.id]
    assert json.loads(sent(world))["payment"]["id"]


async def test_a_failed_delivery_repeats_the_same_bytes(world: World):
    await world.source()
    await world.target(retry={"schedule": [0, 5]})
    await world.send()
    world.sender.script.append(httpx.Response(500))
    await world.work(1)
    world.clock.advance(10)
    await world.work(1)
    (_, first), (_, second) = world.sender.sent
    assert first.content == second.content


async def claimed_event(world: World) -> DeferredEvent:
    await world.source()
    await world.target()
    await world.send()
    claim = await world.dispatch.claim(1)
    event = claim.groups[0][0].event
    assert isinstance(event, DeferredEvent)
    return event


async def test_an_event_is_read_when_somebody_asks_what_is_in_it(world: World, readings: list[str]):
    event = await claimed_event(world)
    assert (event.type, event.source, event.test, event.hop) == (
        "payment_received",
        "shop",
        False,
        0,
    )
    assert readings == []
    assert event.customer is not None
    assert event.customer.id == "2"
    assert event.payment is not None
    assert readings == [event.id]
    with pytest.raises(AttributeError):
        _ = event.colour


async def test_a_changed_event_is_no_longer_what_was_kept(world: World):
    event = await claimed_event(world)
    changed = replace(event, customer=None)
    assert type(changed) is Event
    assert (changed.id, changed.payment, changed.customer) == (event.id, event.payment, None)
