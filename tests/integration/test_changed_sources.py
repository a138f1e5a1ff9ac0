"""A source that was changed is read by its new settings at once, whatever its requests came to before."""

from __future__ import annotations

import hmac
import json
from typing import Any

import pytest

from app.domain.errors import InvalidPayload, TooManyRequests, UnknownEventType
from app.services.receipts import Receipt
from app.store import tables
from tests.databases import count
from tests.integration.world import World, payment

SECRET = "an-invented-secret-of-some-length"
BROKEN = {"mapping": {"customer.id": "body.nowhere + 1"}}
RIGHT = {"mapping": {"customer.id": "body.buyer"}}


async def gateway(world: World, mapping: dict[str, Any]) -> str:
    settings = {"header": "x-signature"} | mapping
    return await world.source(kind="generic_hmac", settings=settings, signing_secret=SECRET)


async def push(world: World, number: int) -> Receipt:
    body = json.dumps({"buyer": number}).encode()
    signature = hmac.digest(SECRET.encode(), body, "sha256").hex()
    return await world.send(body, x_signature=signature)


async def change(world: World, source_id: str, mapping: dict[str, Any]) -> None:
    """Change the source as another node would: nobody tells this one."""
    await world.sources.update(source_id, settings={"header": "x-signature"} | mapping)


async def kept(world: World) -> int:
    return await world.database.read(lambda c: count(c, tables.quarantine))


async def test_the_first_body_after_a_mapping_was_corrected_is_taken(world: World):
    source_id = await gateway(world, BROKEN)
    with pytest.raises(InvalidPayload):
        await push(world, 1)
    await change(world, source_id, RIGHT)
    assert (await push(world, 2)).duplicate is False
    assert await kept(world) == 1


async def test_the_first_body_after_a_mapping_was_broken_is_kept(world: World):
    source_id = await gateway(world, RIGHT)
    await push(world, 1)
    await change(world, source_id, BROKEN)
    with pytest.raises(InvalidPayload) as refused:
        await push(world, 2)
    entry_id = refused.value.extra["quarantine_id"]
    assert entry_id in refused.value.detail
    await change(world, source_id, RIGHT)
    assert (await world.quarantine.release(entry_id)).state == "released"
    assert await kept(world) == 1


async def test_a_body_that_is_taken_at_once_is_kept_too_when_its_mapping_was_broken(world: World):
    source_id = await gateway(world, RIGHT)
    await change(world, source_id, BROKEN)
    body = b'{"buyer":3}'
    signature = hmac.digest(SECRET.encode(), body, "sha256").hex()
    request = world.request(body, x_signature=signature)
    (answer,) = world.ingest.accept_at_once([("shop", request)])
    assert answer is not None
    with pytest.raises(InvalidPayload) as refused:
        await answer
    assert refused.value.extra["quarantine_id"] in refused.value.detail


async def test_a_released_body_that_cannot_be_read_is_not_kept_twice(world: World):
    await gateway(world, BROKEN)
    with pytest.raises(InvalidPayload) as refused:
        await push(world, 1)
    with pytest.raises(InvalidPayload):
        await world.quarantine.release(refused.value.extra["quarantine_id"])
    assert await kept(world) == 1


async def test_a_source_that_is_not_strict_any_more_takes_the_next_event(world: World):
    source_id = await world.source(strict=True)
    with pytest.raises(UnknownEventType):
        await world.send(event_type="my_addon_thing")
    await world.sources.update(source_id, strict=False)
    assert (await world.send(event_type="my_addon_thing")).type == "my_addon_thing"


async def test_a_rate_that_was_taken_away_does_not_refuse_the_next_event(world: World):
    source_id = await world.source(settings={"rate_per_second": 0.1})
    for number in range(10):
        await world.send(payment(number))
    with pytest.raises(TooManyRequests):
        await world.send(payment(10))
    await world.sources.update(source_id, settings={"rate_per_second": None})
    assert (await world.send(payment(1000))).duplicate is False


async def test_a_request_that_is_read_anew_is_counted_once(world: World):
    await world.source(settings={"rate_per_second": 0.1})
    for number in range(10):
        await world.target(f"target-{number}")
        assert (await world.send(payment(number))).duplicate is False


async def test_an_origin_that_is_allowed_now_may_ask_at_once(world: World):
    source_id = await world.source(kind="cloudevents", settings={"allowed_origins": ["a.example"]})
    assert not await world.ingest.permits("shop", "b.example")
    await world.sources.update(source_id, settings={"allowed_origins": ["b.example"]})
    assert await world.ingest.permits("shop", "b.example")


async def test_a_batch_that_its_source_stopped_understanding_is_kept_as_a_whole(world: World):
    source_id = await world.source(kind="cloudevents")
    await world.sources.update(source_id, settings={"mapping": {"customer.id": "body.nowhere + 1"}})
    event = {"specversion": "1.0", "source": "/a", "type": "a", "data": {"buyer": 1}}
    batch = json.dumps([event | {"id": "1"}, event | {"id": "2"}]).encode()
    content_type = "application/cloudevents-batch+json"
    with pytest.raises(InvalidPayload) as refused:
        await world.send(batch, None, content_type=content_type)
    entry = await world.quarantine.get(refused.value.extra["quarantine_id"])
    assert entry.body == batch
    assert (await kept(world), await world.events()) == (1, [])
