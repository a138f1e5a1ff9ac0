"""Tokens: fetched once for all workers, kept sealed, replaced when they end, never logged."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from app.connectors.base import GRANT
from app.domain.errors import StoreUnavailable
from app.domain.grant import Grant
from app.services.grants import Grants
from app.store import grants, tables
from app.store.sealing import Sealer
from tests.captured import captured
from tests.integration.world import World, payment

SETTINGS = {
    "client_id": "1000.CLIENT",
    "client_secret": "canary-client-secret",
    "refresh_token": "canary-refresh-token",
}
RETRIES = {"schedule": [0, 1, 1, 1]}


class Zoho:
    """The vendor at the other end of the door out: hands out tokens, takes contacts."""

    def __init__(self) -> None:
        self.live: set[str] = set()
        self.handed_out = 0
        self.written: list[str] = []
        self.echoes_token = False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/oauth/v2/token":
            self.handed_out += 1
            token = f"1000.canary-token-{self.handed_out}"
            self.live.add(token)
            return httpx.Response(200, json={"access_token": token, "expires_in": 3600})
        token = request.headers["authorization"].removeprefix("Zoho-oauthtoken ")
        if token not in self.live:
            said = f"invalid oauth token {token}" if self.echoes_token else "invalid oauth token"
            return httpx.Response(401, json={"code": "INVALID_TOKEN", "message": said})
        self.written.append(token)
        records = json.loads(request.content)["data"]
        entry = {"code": "SUCCESS", "status": "success", "details": {"id": "724445000000424003"}}
        return httpx.Response(200, json={"data": [entry] * len(records)})


async def arranged(world: World, **target: Any) -> tuple[str, Zoho]:
    """A Zoho target, and what answers for Zoho."""
    zoho = Zoho()
    world.sender.default = zoho
    await world.source()
    known = {"settings": SETTINGS, "retry": RETRIES, **target}
    return await world.target("crm", "zoho_crm", **known), zoho


async def stored(world: World, target_id: str) -> grants.GrantRecord | None:
    return await world.database.read(lambda c: grants.get(c, target_id))


def customer(number: int) -> bytes:
    """A payment of another customer: deliveries of one customer wait for each other."""
    own = b'"customer_id":"%d"' % (100 + number)
    body = payment(number).replace(b'"customer_id":"2"', own)
    return body.replace(b"janea4@", b"jane%d@" % number)


async def statuses(world: World) -> list[str]:
    return sorted(delivery.status for delivery in await world.deliveries())


async def logged(world: World) -> str:
    """Everything the attempt log and the deliveries say."""

    def work(connection: Any) -> str:
        rows = [*connection.execute(sa.select(tables.attempts))]
        rows += connection.execute(sa.select(tables.deliveries))
        # A row's own repr cuts long texts.
        return repr([tuple(row) for row in rows])

    return await world.database.read(work)


async def test_a_token_is_fetched_once_and_used_by_what_follows(world: World):
    target_id, zoho = await arranged(world)
    for number in (1, 2, 3):
        await world.send(payment(number))
        await world.work()
    assert await statuses(world) == ["succeeded"] * 3
    assert zoho.handed_out == 1
    kept = await stored(world, target_id)
    assert kept is not None
    assert kept.version == 1


async def test_another_worker_takes_the_stored_token(world: World):
    _, zoho = await arranged(world)
    await world.send(payment(1))
    await world.work()
    world.dispatch = world.another_worker("second")
    await world.send(payment(2))
    await world.work()
    assert await statuses(world) == ["succeeded"] * 2
    assert zoho.handed_out == 1


async def test_a_token_that_ended_is_replaced_for_everybody(world: World):
    target_id, zoho = await arranged(world)
    await world.send(payment(1))
    await world.work()
    second = world.another_worker("second")
    world.clock.advance(3600)
    await world.send(payment(2))
    await world.work()
    world.dispatch = second
    await world.send(payment(3))
    await world.work()
    assert zoho.handed_out == 2
    assert zoho.written[1:] == ["1000.canary-token-2"] * 2
    kept = await stored(world, target_id)
    assert kept is not None
    assert kept.version == 2


async def test_a_refused_token_is_first_compared_with_the_stored_one(world: World):
    _, zoho = await arranged(world)
    first, second = world.dispatch, world.another_worker("second")
    for dispatch in (first, second):
        world.dispatch = dispatch
        await world.send(payment(len(zoho.written)))
        await world.work()
    zoho.live.clear()
    for dispatch in (first, second, first):
        world.dispatch = dispatch
        await world.send(payment(len(zoho.written)))
        await world.work()
    assert await statuses(world) == ["succeeded"] * 5
    assert zoho.handed_out == 2


async def test_deliveries_at_the_same_time_wait_for_the_one_that_fetches(world: World):
    _, zoho = await arranged(world)
    for number in range(8):
        await world.send(customer(number))
    claimed = await world.dispatch.claim(50)
    alone = [[task] for group in claimed.groups for task in group]
    assert len(alone) == 8
    ended = await asyncio.gather(*(world.dispatch.carry_out(group) for group in alone))
    assert {one.outcome.kind for (one,) in ended} == {"delivered"}
    assert zoho.handed_out == 1


async def test_when_the_one_that_fetches_fails_the_next_one_tries(world: World):
    _, zoho = await arranged(world)
    for number in range(3):
        await world.send(customer(number))
    world.sender.script = [httpx.Response(503)]
    claimed = await world.dispatch.claim(50)
    alone = [[task] for group in claimed.groups for task in group]
    ended = await asyncio.gather(*(world.dispatch.carry_out(group) for group in alone))
    assert sorted(one.outcome.kind for (one,) in ended) == ["delivered", "delivered", "retry"]
    assert zoho.handed_out == 1


async def test_waiting_for_a_token_ends_with_the_attempt(world: World):
    target_id, _ = await arranged(world)
    service = Grants(world.database, world.sealer, world.clock)
    asked = httpx.Request(
        "POST", "https://accounts.zoho.com/oauth/v2/token", extensions={GRANT: True}
    )
    async with service.lend(target_id, world.sender) as first:
        await first.send(asked, target=target_id, deadline=5)
        async with service.lend(target_id, world.sender) as second:
            with pytest.raises(Exception, match="still fetching a token"):
                await second.send(asked, target=target_id, deadline=0.01)
    async with service.lend(target_id, world.sender) as third:
        assert (await third.send(asked, target=target_id, deadline=5)).status_code == 200


async def test_a_batch_shares_the_token_too(world: World):
    _, zoho = await arranged(world)
    for number in range(3):
        await world.send(customer(number))
    await world.work()
    assert await statuses(world) == ["succeeded"] * 3
    assert (zoho.handed_out, len(zoho.written)) == (1, 1)


async def test_a_token_stands_sealed_in_the_database_and_nowhere_in_the_log(world: World):
    target_id, zoho = await arranged(world)
    zoho.echoes_token = True
    await world.send(payment(1))
    await world.work()
    zoho.live.clear()
    await world.send(payment(2))
    await world.work()
    assert await statuses(world) == ["succeeded"] * 2
    kept = await stored(world, target_id)
    assert kept is not None
    said = await logged(world)
    assert "canary" not in kept.sealed + said
    assert "(not kept: the reply to a request for a token)" in said
    assert "invalid oauth token ***" in said


async def test_a_token_of_the_store_is_no_request_in_the_log(world: World):
    _, zoho = await arranged(world)
    await world.send(payment(1))
    await world.work()
    stale = world.another_worker("second")
    world.dispatch, first = stale, world.dispatch
    await world.send(payment(2))
    await world.work()
    zoho.live.clear()
    world.dispatch = first
    await world.send(payment(3))
    await world.work()
    world.dispatch = stale
    await world.send(payment(4))
    await world.work()
    newest = (await world.deliveries())[0]
    _, (attempt,) = await world.browse.delivery(newest.id)
    assert [exchange["status"] for exchange in attempt.exchanges] == [401, 200]


async def test_credentials_that_do_not_work_hold_the_deliveries(world: World):
    target_id, _ = await arranged(world)
    world.sender.default = lambda _: httpx.Response(200, json={"error": "invalid_code"})
    await world.send(payment(1))
    await world.work()
    found = await world.targets.get(target_id)
    assert (found.status, await statuses(world)) == ("disabled", ["held"])
    assert "invalid_code" in (found.status_reason or "")
    assert await stored(world, target_id) is None


async def test_a_second_refusal_holds_the_deliveries(world: World):
    target_id, zoho = await arranged(world)
    world.sender.default = lambda request: (
        zoho(request) if "oauth" in request.url.path else httpx.Response(401)
    )
    await world.send(payment(1))
    await world.work()
    assert (await world.targets.get(target_id)).status == "disabled"
    assert zoho.handed_out == 2


async def test_a_token_of_the_old_credentials_is_not_used_with_the_new_ones(world: World):
    target_id, zoho = await arranged(world)
    await world.send(payment(1))
    await world.work()
    await world.targets.update(target_id, {"settings": {"client_secret": "canary-second-secret"}})
    await world.configuration.refresh()
    await world.send(payment(2))
    await world.work()
    assert zoho.written == ["1000.canary-token-1", "1000.canary-token-2"]


async def test_a_token_goes_with_its_target(world: World):
    target_id, _ = await arranged(world)
    await world.send(payment(1))
    await world.work()
    await world.targets.delete(target_id)
    assert await stored(world, target_id) is None
    service = Grants(world.database, world.sealer, world.clock)
    await service.keep(target_id, Grant("late"), used=0)
    assert await stored(world, target_id) is None


async def test_a_token_that_does_not_open_is_fetched_anew(world: World):
    target_id, zoho = await arranged(world)
    await world.send(payment(1))
    await world.work()
    world.sealer = Sealer([b"x" * 32])
    world.dispatch = world.another_worker("second")
    await world.send(payment(2))
    await world.work()
    assert (zoho.handed_out, await statuses(world)) == (2, ["succeeded"] * 2)
    kept = await stored(world, target_id)
    assert kept is not None
    assert kept.version == 2


async def test_a_sealed_token_does_not_open_for_another_target(world: World):
    target_id, _ = await arranged(world)
    other_id = await world.target("other", "zoho_crm", settings=SETTINGS)
    await world.send(payment(1))
    await world.work()
    kept = await stored(world, target_id)
    assert kept is not None
    await world.database.write(lambda c: grants.save(c, other_id, kept.sealed, 0))
    service = Grants(world.database, world.sealer, world.clock)
    assert await service.newer(other_id, than=0) is None
    assert await service.newer(target_id, than=0) is not None
    assert await service.newer(target_id, than=kept.version) is None


async def test_a_grant_is_kept_whole(world: World):
    target_id, _ = await arranged(world)
    service = Grants(world.database, world.sealer, world.clock)
    grant = Grant("token", world.clock(), {"instance_url": "https://eu42.example"})
    await service.keep(target_id, grant, used=0)
    kept = await Grants(world.database, world.sealer, world.clock).newer(target_id, than=0)
    assert kept is not None
    assert (kept.grant, kept.grant.extra) == (grant, grant.extra)
    await service.keep(target_id, replace(grant, expires_at=None), used=1)
    kept = await service.newer(target_id, than=1)
    assert kept is not None
    assert kept.grant.expires_at is None


@contextmanager
def store_away(world: World) -> Iterator[None]:
    """The database does not answer."""

    async def away(*_args: Any, **_options: Any) -> Any:
        raise StoreUnavailable("The store is not available.")

    world.database.read, world.database.write = away, away
    yield
    del world.database.read, world.database.write


async def test_without_the_store_a_token_is_fetched_and_used_all_the_same(world: World):
    _, zoho = await arranged(world)
    for number in range(2):
        await world.send(customer(number))
    claimed = await world.dispatch.claim(50)
    with store_away(world):
        for task in [task for group in claimed.groups for task in group]:
            (result,) = await world.dispatch.carry_out([task])
            assert result.outcome.kind == "delivered"
    assert zoho.handed_out == 1


async def test_targets_without_a_token_ask_for_none(world: World, monkeypatch: Any):
    def never(*_args: Any, **_options: Any) -> Any:
        raise AssertionError("no token is needed")

    await world.source()
    await world.target()
    monkeypatch.setattr(Grants, "lend", never)
    monkeypatch.setattr(Grants, "newer", never)
    await world.send(captured("payment_received").raw_body)
    await world.work()
    assert await statuses(world) == ["succeeded"]
