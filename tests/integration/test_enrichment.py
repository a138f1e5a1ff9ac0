"""What a built-in webhook leaves unsaid, asked of the network before CRMs and analytics are told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from app.domain.model import RawRequest
from app.domain.outcome import TransportFailure
from app.runtime import Runtime
from app.services.api_access import ApiKeys
from app.services.dispatch import Dispatch, Result
from app.services.enrichment import Enrichment
from app.services.grants import Grants
from app.services.source_definition import SourceDraft
from app.services.target_definition import TargetDraft
from app.settings import Settings
from tests.fakes import Answer, Call, Fake
from tests.fakes.hubspot import FakeHubSpot
from tests.fakes.mixpanel import FakeMixpanel
from tests.fakes.ultimate_multisite_network import FakeNetwork
from tests.integration.command_line import MASTER_KEY
from tests.integration.world import Reply, World, payment

NETWORK = "network.example.com"
PLAN = "Rest Plan5"
SIGNED_UP = datetime(2026, 1, 5, 10, tzinfo=UTC)
UNREACHED = TransportFailure("connect", "the connection was refused", may_have_arrived=False)


def answered(fake: Fake, request: httpx.Request) -> httpx.Response:
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
    """HubSpot, Mixpanel, and the network of the captured payment: customer 2, membership 2."""

    def __init__(self, world: World, wait: float) -> None:
        self.world = world
        self.network = FakeNetwork()
        for _ in range(2):
            self.planted = self.network.plant_customer(at=SIGNED_UP)
        self.hubspot = FakeHubSpot()
        self.mixpanel = FakeMixpanel(clock=lambda: world.clock().timestamp())
        #: What stands in the network's place, when it does not answer itself.
        self.instead: Callable[[], Reply] | None = None
        world.sender.default = self._respond
        self.enrichment = Enrichment(world.platform, world.configuration, world.clock, wait=wait)
        world.dispatch = Dispatch(
            world.database,
            world.configuration,
            world.sender,
            world.clock,
            grants=Grants(world.database, world.sealer, world.clock),
            owner="worker",
            lease=60,
            attempt_timeout=20,
            enrichment=self.enrichment,
        )

    def _respond(self, request: httpx.Request) -> Reply:
        if request.url.host == NETWORK:
            return self.instead() if self.instead else answered(self.network, request)
        fakes = {"api.hubapi.com": self.hubspot, "api.mixpanel.com": self.mixpanel}
        fake = fakes.get(request.url.host)
        return answered(fake, request) if fake else httpx.Response(200)

    async def source(self, name: str = "shop") -> str:
        return await self.world.source(
            name, settings={"api_url": f"https://{NETWORK}"}, api_access=self.keys()
        )

    def keys(self, secret: str | None = None) -> ApiKeys:
        return ApiKeys(api_key=self.network.key, api_secret=secret or self.network.secret)

    async def hubspot_target(self, **values: Any) -> str:
        return await self.world.target(
            "crm", "hubspot", settings={"token": self.hubspot.token}, **values
        )

    @property
    def contact(self) -> dict[str, str]:
        """The one contact there is."""
        [properties] = self.hubspot.contacts.values()
        return properties

    @property
    def asked(self) -> list[str]:
        """What the network was asked, without its prefix; two questions may overtake each other."""
        return sorted(
            request.url.raw_path.decode().removeprefix("/wp-json/wu/v2/")
            for target, request in self.world.sender.sent
            if target.startswith("platform:")
        )

    async def log(self) -> list[dict[str, Any]]:
        """The first attempt's exchanges of the newest delivery."""
        newest = (await self.world.deliveries())[0]
        _, [attempt, *_] = await self.world.browse.delivery(newest.id)
        return list(attempt.exchanges)


@pytest.fixture
def wait() -> float:
    return 2.0


@pytest.fixture
async def arranged(world: World, wait: float) -> AsyncIterator[Arranged]:
    made = Arranged(world, wait)
    await made.source()
    yield made
    await made.enrichment.stop()


async def test_plan_and_signup_date_reach_the_crm_for_a_bare_payment(arranged: Arranged):
    await arranged.hubspot_target()
    await arranged.world.send()
    await arranged.world.work()
    assert arranged.contact["plan"] == PLAN
    assert arranged.contact["signup_date"] == "2026-01-05"
    assert arranged.contact["membership_status"] == "active"
    assert arranged.asked == ["customer/2", "membership/2"]


async def test_the_attempt_says_what_was_asked_and_found(arranged: Arranged):
    await arranged.hubspot_target()
    await arranged.world.send()
    await arranged.world.work()
    first, second, written, *_ = await arranged.log()
    assert first["url"] == f"https://{NETWORK}/wp-json/wu/v2/customer/2"
    assert (first["status"], first["detail"]) == (200, "The customer signed up on 2026-01-05.")
    assert (second["status"], second["detail"]) == (200, f"The plan is {PLAN!r}.")
    assert "api.hubapi.com" in written["url"]
    assert arranged.network.secret not in json.dumps(await arranged.log())


async def test_an_event_that_says_it_all_asks_for_nothing(arranged: Arranged):
    await arranged.hubspot_target()
    told = json.loads(payment(3)) | {
        "customer_date_registered": "2025-05-05 10:00:00",
        "membership_plan_name": "Gold",
    }
    await arranged.world.send(json.dumps(told).encode())
    await arranged.world.work()
    assert arranged.asked == []
    assert (arranged.contact["plan"], arranged.contact["signup_date"]) == ("Gold", "2025-05-05")


async def test_webhooks_get_what_was_sent(arranged: Arranged):
    await arranged.world.target("sink")
    await arranged.world.send()
    await arranged.world.work()
    [(_, request)] = arranged.world.sender.sent
    assert json.loads(request.content)["membership"]["plan"] is None


async def test_a_source_without_keys_is_not_asked(arranged: Arranged):
    await arranged.world.source("other")
    await arranged.hubspot_target()
    await arranged.world.send(source="other")
    await arranged.world.work()
    assert arranged.asked == []
    assert "plan" not in arranged.contact


async def test_a_network_that_is_down_fails_nothing(arranged: Arranged):
    def refused() -> Reply:
        return UNREACHED

    arranged.instead = refused
    await arranged.hubspot_target()
    await arranged.world.send()
    [result] = await arranged.world.work()
    assert result.outcome.kind == "delivered"
    assert "plan" not in arranged.contact
    first, *_ = await arranged.log()
    assert first["error"] == "not_enriched"
    assert first["detail"].startswith(f"Sent without it. {NETWORK} could not be asked")


@pytest.mark.parametrize("wait", [0.05])
async def test_a_network_that_is_slow_holds_a_delivery_up_for_the_wait_and_serves_the_next(
    arranged: Arranged, monkeypatch: pytest.MonkeyPatch
):
    awake = asyncio.Event()
    send = arranged.world.sender.send

    async def slow(request: httpx.Request, **values: Any) -> httpx.Response:
        if request.url.host == NETWORK:
            await awake.wait()
        return await send(request, **values)

    monkeypatch.setattr(arranged.world.sender, "send", slow)
    await arranged.hubspot_target()
    await arranged.world.send()
    [result] = await arranged.world.work()
    assert result.outcome.kind == "delivered"
    first, *_ = await arranged.log()
    assert first["detail"] == "Sent without it. The network did not answer within 0.05 seconds."
    await arranged.world.send(payment(4))
    awake.set()
    await arranged.world.work()
    assert arranged.contact["plan"] == PLAN
    assert arranged.asked == ["customer/2", "membership/2"]


@pytest.mark.parametrize("wait", [0.05])
async def test_a_network_that_hangs_is_asked_a_few_questions_and_no_more(
    arranged: Arranged, monkeypatch: pytest.MonkeyPatch
):
    send = arranged.world.sender.send

    async def hanging(request: httpx.Request, **values: Any) -> httpx.Response:
        if request.url.host == NETWORK:
            await asyncio.Event().wait()
        return await send(request, **values)

    monkeypatch.setattr(arranged.world.sender, "send", hanging)
    unhurried = {"ordered": False, "max_in_flight": 100, "rate_limit": {"per_second": 1000}}
    await arranged.hubspot_target(**unhurried)
    for number in range(1, 31):
        body = payment(100 + number, **{'"membership_id":2,': b'"membership_id":%d,' % number})
        await arranged.world.send(body)
    claimed = await arranged.world.dispatch.claim(100)
    done = await asyncio.gather(*map(arranged.world.dispatch.carry_out, claimed.groups))
    assert {result.outcome.kind for group in done for result in group} == {"delivered"}
    said = [note["detail"] for group in done for one in group for note in one.exchanges[:2]]
    assert any("20 other questions" in sentence for sentence in said)
    await arranged.enrichment.stop()
    running = [task.get_coro().__qualname__ for task in asyncio.all_tasks()]
    assert "Enrichment._asked" not in running


async def test_a_hundred_deliveries_ask_once_for_each_record(arranged: Arranged):
    unhurried = {"ordered": False, "max_in_flight": 100, "rate_limit": {"per_second": 1000}}
    await arranged.hubspot_target(**unhurried)
    for number in range(100, 200):
        await arranged.world.send(payment(number))
    claimed = await arranged.world.dispatch.claim(100)
    done = await asyncio.gather(*map(arranged.world.dispatch.carry_out, claimed.groups))
    assert sum(map(len, done)) == 100
    assert {result.outcome.kind for group in done for result in group} == {"delivered"}
    assert arranged.asked == ["customer/2", "membership/2"]


async def test_a_plan_that_was_asked_for_before_the_event_came_is_asked_for_again(
    arranged: Arranged,
):
    await arranged.hubspot_target()
    await arranged.world.send()
    await arranged.world.work()
    arranged.world.clock.advance(30)
    row = arranged.network.rows["membership"][2]
    product = row["compiled_product_list"][0]
    better = {"quantity": 1, "product": product["product"] | {"name": "Better"}}
    row["compiled_product_list"] = [better]
    await arranged.world.send(payment(4))
    await arranged.world.work()
    assert arranged.contact["plan"] == "Better"
    assert arranged.asked == ["customer/2", "membership/2", "membership/2"]


async def failing(arranged: Arranged, number: int) -> list[Result]:
    await arranged.world.send(payment(number))
    return await arranged.world.work()


async def test_after_three_failures_a_network_is_left_alone_for_a_while(arranged: Arranged):
    arranged.instead = lambda: httpx.Response(503)
    await arranged.hubspot_target()
    for number in (3, 4, 5):
        await failing(arranged, number)
    questions = len(arranged.asked)
    await failing(arranged, 6)
    assert len(arranged.asked) == questions
    [first, *_] = await arranged.log()
    assert first["detail"].startswith("Sent without it. The network is left alone for a while:")
    arranged.instead = None
    arranged.world.clock.advance(120)
    await failing(arranged, 7)
    assert arranged.contact["plan"] == PLAN


async def test_keys_that_are_refused_are_not_tried_again_until_somebody_changes_them(
    arranged: Arranged,
):
    source = await arranged.source("second")
    await arranged.world.sources.update(source, api_access=arranged.keys("wrong"))
    await arranged.hubspot_target()
    await arranged.world.send(source="second")
    await arranged.world.work()
    asked = len(arranged.asked)
    [first, *_] = await arranged.log()
    assert "refused the API key and secret" in first["detail"]
    await arranged.world.send(payment(4), source="second")
    await arranged.world.work()
    assert len(arranged.asked) == asked
    await arranged.world.sources.update(source, api_access=arranged.keys())
    await arranged.world.send(payment(5), source="second")
    await arranged.world.work()
    assert arranged.contact["plan"] == PLAN


async def confirm_address(arranged: Arranged) -> None:
    told = {name: value for name, value in json.loads(payment(3)).items() if "customer" in name}
    body = told | {"verification_link": "https://network.example.com/x", "wu_version": "2.4.13"}
    await arranged.world.send(json.dumps(body).encode(), "confirm_email_address")
    await arranged.world.work()


async def test_an_event_about_a_customer_alone_gets_the_plan_of_the_one_membership(
    arranged: Arranged,
):
    await arranged.hubspot_target()
    await confirm_address(arranged)
    assert (arranged.contact["plan"], arranged.contact["signup_date"]) == (PLAN, "2026-01-05")
    assert "membership_status" not in arranged.contact


async def test_of_several_memberships_none_is_taken(arranged: Arranged):
    arranged.network.plant("membership", customer_id=2, status="active")
    await arranged.hubspot_target()
    await confirm_address(arranged)
    assert "plan" not in arranged.contact
    _, second, *_ = await arranged.log()
    assert second["detail"] == "The customer has no running membership, or several."


async def test_each_delivery_of_a_batch_has_its_own_answers(arranged: Arranged):
    await arranged.world.target(
        "counts", "mixpanel", settings={"project_token": "tok_correct"}, max_in_flight=10
    )
    await arranged.world.send()
    other = payment(
        4,
        **{'"customer_id":"2"': b'"customer_id":"1"', '"membership_id":2,': b'"membership_id":9,'},
    )
    await arranged.world.send(other)
    done = await arranged.world.work()
    assert [result.outcome.kind for result in done] == ["delivered", "delivered"]
    assert [len(result.exchanges) for result in done] == [
        2 + len(arranged.mixpanel.calls),
        2 + len(arranged.mixpanel.calls),
    ]
    assert arranged.asked == ["customer/1", "customer/2", "membership/2", "membership/9"]
    plans = [event["properties"].get("plan") for event in arranged.mixpanel.events]
    assert sorted(plans, key=str) == [None, PLAN]


async def test_analytics_are_not_told_todays_plan_for_what_happened_last_week(arranged: Arranged):
    await arranged.world.target("counts", "mixpanel", settings={"project_token": "tok_correct"})
    await arranged.world.send()
    arranged.world.clock.advance(2 * 86_400)
    await arranged.world.work()
    assert arranged.asked == ["customer/2"]


@pytest.mark.parametrize("wait", [0.0])
async def test_without_a_wait_nobody_is_asked(arranged: Arranged):
    await arranged.hubspot_target()
    await arranged.world.send()
    await arranged.world.work()
    assert arranged.asked == []
    assert "plan" not in arranged.contact


async def test_a_running_relay_asks_through_its_own_door(fresh_database_url: str):
    hubspot, network = ToldHubSpot(), FakeNetwork()
    for _ in range(2):
        network.plant_customer(at=SIGNED_UP)
    runtime = Runtime(
        Settings(
            _env_file=None,
            database_url=fresh_database_url,
            secret_key=MASTER_KEY,
            allowed_private_networks="127.0.0.0/8",
        ),
        worker=True,
    )
    async with hubspot.serve(), network.serve(), asyncio.timeout(30):
        await runtime.start()
        services = runtime.services
        source = await services.sources.create(
            SourceDraft(
                name="shop",
                kind="ultimate_multisite",
                settings={"api_url": network.base_url},
                api_access=ApiKeys(api_key=network.key, api_secret=network.secret),
            )
        )
        where = {"token": hubspot.token, "base_url": hubspot.base_url}
        await services.targets.create(TargetDraft(name="crm", connector="hubspot", settings=where))
        request = RawRequest(
            headers={"content-type": "application/json"},
            body=payment(3),
            received_at=runtime.clock(),
            event_type="payment_received",
            query={"token": source.token or ""},
        )
        await services.ingest.accept("shop", request)
        await hubspot.told.wait()
        await runtime.stop()
    [contact] = hubspot.contacts.values()
    assert (contact["plan"], contact["signup_date"]) == (PLAN, "2026-01-05")


class ToldHubSpot(FakeHubSpot):
    """Says when it has a contact."""

    def __init__(self) -> None:
        super().__init__()
        self.told = asyncio.Event()

    def handle(self, call: Call) -> Answer:
        answer = super().handle(call)
        if self.contacts:
            self.told.set()
        return answer
