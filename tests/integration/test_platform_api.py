"""Asking a network's own API over real loopback HTTP, in both paging styles."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import httpx
import pytest

from app.domain.addresses import AddressPolicy
from app.domain.errors import Conflict, NotFound, PlatformRefused, PlatformUnavailable
from app.egress.client import Egress
from app.services.api_access import ApiKeys
from app.services.manage_sources import Source
from app.services.platform_api import RESPONSE_LIMIT, PlatformApi
from app.services.sealing_anew import seal_anew
from app.services.source_definition import SourceDraft
from app.sources import ultimate_multisite_rest as rest
from app.store import sources
from app.store.sealing import Sealer
from tests.fakes import Answer, Call
from tests.fakes.ultimate_multisite_network import FakeNetwork, Paging
from tests.integration.world import LOOPBACK, World


@pytest.fixture(params=["page", "offset"])
def paging(request: pytest.FixtureRequest) -> Paging:
    found: Paging = request.param
    return found


@pytest.fixture
async def network(paging: Paging) -> AsyncIterator[FakeNetwork]:
    async with FakeNetwork(paging=paging).serve() as fake:
        yield fake


@pytest.fixture
async def api() -> AsyncIterator[PlatformApi]:
    """Without a database: for questions whose keys are in hand."""
    egress = Egress(AddressPolicy(allowed_networks=(LOOPBACK,)), user_agent="tests")
    yield PlatformApi(None, None, egress, per_second=10_000)  # type: ignore[arg-type]  not asked for
    await egress.aclose()


def access(network: FakeNetwork, **values: object) -> rest.ApiAccess:
    fields = {"base_url": network.base_url, "key": network.key, "secret": network.secret}
    return rest.ApiAccess(**(fields | values))  # type: ignore[arg-type]  a test's own fields


async def everything(
    api: PlatformApi, network: FakeNetwork, collection: str, *, size: int = 100
) -> list[str]:
    found: list[str] = []
    cursor: str | None = None
    while True:
        flow = partial(rest.list_page, collection=collection, cursor=cursor, size=size)
        page = await api.ask(access(network), flow)
        found += [str(row["id"]) for row in page.items]
        cursor = page.next
        if cursor is None:
            return found


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250])
async def test_a_list_is_read_to_its_end_in_either_style(
    api: PlatformApi, network: FakeNetwork, count: int
):
    network.plant_customers(count)
    found = await everything(api, network, "customer")
    assert found == [str(number) for number in range(1, count + 1)]


async def test_only_the_first_request_speaks_both_languages(
    api: PlatformApi, network: FakeNetwork, paging: Paging
):
    network.plant_customers(3)
    await everything(api, network, "customer", size=2)
    first, second, *_ = (call.query.keys() for call in network.calls)
    assert {"page", "per_page", "number", "offset"} <= first
    assert ("page" in second, "offset" in second) == (paging == "page", paging == "offset")


async def test_totals_are_told_where_the_network_tells_them(
    api: PlatformApi, network: FakeNetwork, paging: Paging
):
    network.plant_customers(3)
    page = await api.ask(access(network), partial(rest.list_page, collection="payment"))
    assert page.total == (3 if paging == "page" else None)


async def test_a_list_takes_columns_as_filters(api: PlatformApi, network: FakeNetwork):
    second = network.plant_customers(3)[1]
    filters = {"customer_id": second.customer}
    flow = partial(rest.list_page, collection="membership", filters=filters)
    page = await api.ask(access(network), flow)
    assert [row["id"] for row in page.items] == [second.membership]


async def test_a_host_that_answers_the_same_page_for_ever_is_found_out(
    api: PlatformApi, network: FakeNetwork
):
    network.plant_customers(1)
    same = network.handle(await _any_call(api, network))
    network.answer_next(Answer(200, same.body, {"content-type": "application/json"}), same)
    page = await api.ask(access(network), partial(rest.list_page, collection="customer"))
    assert page.next is not None
    network.answer_next(same)
    flow = partial(rest.list_page, collection="customer", cursor=page.next)
    with pytest.raises(PlatformUnavailable, match="the same page"):
        await api.ask(access(network), flow)


async def _any_call(api: PlatformApi, network: FakeNetwork) -> Call:
    await api.ask(access(network), partial(rest.list_page, collection="customer"))
    return network.calls[-1]


@pytest.mark.parametrize("in_body", [False, True])
async def test_the_keys_stand_where_the_host_lets_them_through(
    api: PlatformApi, network: FakeNetwork, *, in_body: bool
):
    network.drops_authorization = in_body
    assert await api.ask(access(network, in_body=in_body), rest.ask_auth) == "Demo Network"
    made = await api.ask(
        access(network, in_body=in_body),
        partial(rest.create_webhook, name="N1", url="http://x", event="e", integration="relay"),
    )
    assert made["id"] == 1
    assert await api.ask(
        access(network, in_body=in_body), partial(rest.delete_webhook, webhook_id="1")
    )
    assert network.webhooks() == []


async def test_wrong_keys_are_refused_in_words_that_help_and_repeat_nothing(
    api: PlatformApi, network: FakeNetwork
):
    with pytest.raises(PlatformRefused) as caught:
        await api.ask(access(network, key="canary-key", secret="canary-secret"), rest.ask_auth)
    assert "Refresh API Credentials" in caught.value.detail
    assert "canary" not in caught.value.detail


async def test_a_network_whose_api_is_off_says_so(api: PlatformApi, network: FakeNetwork):
    network.enable_api = False
    with pytest.raises(PlatformRefused, match="the API is enabled"):
        await api.ask(access(network), rest.ask_auth)


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (Answer(302, b"", {"location": "https://x.example"}), PlatformRefused, "redirect"),
        (Answer(503, b"<html>"), PlatformUnavailable, "503"),
        (Answer(429, b"{}"), PlatformUnavailable, "429"),
        (Answer(200, b"<html>maintenance"), PlatformUnavailable, "not as the API"),
        (Answer(200, b'{"success": false}'), PlatformUnavailable, "not as the API"),
        (Answer(200, b'{"id": ' + b" " * RESPONSE_LIMIT + b"1}"), PlatformUnavailable, "too long"),
        (Answer(400, b'{"code": "rest_x", "message": "canary"}'), PlatformRefused, "rest_x"),
    ],
)
async def test_every_other_answer_is_an_error_in_words(
    api: PlatformApi, network: FakeNetwork, answer: Answer, error: type[Exception], words: str
):
    network.answer_next(answer)
    with pytest.raises(error, match=words) as caught:
        await api.ask(access(network), rest.ask_auth)
    assert "canary" not in str(caught.value)


async def test_an_answer_longer_than_a_targets_is_read_whole(
    api: PlatformApi, network: FakeNetwork
):
    network.plant_customers(100)
    page = await api.ask(access(network), partial(rest.list_page, collection="membership"))
    assert len(page.items) == 100


async def test_a_row_that_is_not_there_is_none(api: PlatformApi, network: FakeNetwork):
    planted = network.plant_customer()
    flow = partial(rest.get_record, collection="payment", record_id=planted.payment)
    found = await api.ask(access(network), flow)
    assert found is not None
    assert found["total"] == "20.0000"
    flow = partial(rest.get_record, collection="payment", record_id="77")
    assert await api.ask(access(network), flow) is None


async def test_people_are_found_by_number_with_their_addresses(
    api: PlatformApi, network: FakeNetwork
):
    planted = network.plant_customer()
    allowed = access(network, wp_user=network.wp_user, wp_password=network.wp_password)
    flow = partial(rest.list_users, user_ids=[planted.user, "999"])
    found = await api.ask(allowed, flow)
    assert {number: user["email"] for number, user in found.items()} == {
        planted.user: planted.email
    }


async def test_nobody_is_asked_for_people_without_an_application_password(
    api: PlatformApi, network: FakeNetwork
):
    assert await api.ask(access(network), partial(rest.list_users, user_ids=["2"])) == {}
    assert network.calls == []


async def test_a_wrong_application_password_is_told_apart_from_wrong_keys(
    api: PlatformApi, network: FakeNetwork
):
    wrong = access(network, wp_user="relay", wp_password="canary")
    with pytest.raises(PlatformRefused, match="application password") as caught:
        await api.ask(wrong, partial(rest.list_users, user_ids=["2"]))
    assert "canary" not in caught.value.detail


async def test_no_more_than_two_requests_are_under_way_at_once(
    api: PlatformApi, network: FakeNetwork
):
    network.stall_next(0.1)
    network.stall_next(0.1)
    running = [asyncio.create_task(api.ask(access(network), rest.ask_auth)) for _ in range(4)]
    await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    # One of the first two is done: at the most one other has begun in its place.
    assert len(network.calls) <= 3
    await asyncio.gather(*running)
    assert len(network.calls) == 4


async def test_after_a_burst_requests_keep_their_distance(world: World):
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    world.sender.default = lambda _request: _good()
    api = PlatformApi(
        world.database,
        world.sealer,
        world.sender,
        per_second=5,
        burst=2,
        elapsed=lambda: 0.0,
        pause=pause,
    )
    where = rest.ApiAccess(base_url="https://n.example", key="k", secret="s")
    for _ in range(4):
        await api.ask(where, rest.ask_auth)
    assert pauses == pytest.approx([0.2, 0.4])


def _good() -> httpx.Response:
    return httpx.Response(200, json={"success": True, "label": "x"})


async def made(world: World, **values: object) -> Source:
    fields = {
        "name": "net",
        "kind": "ultimate_multisite",
        "settings": {"api_url": "http://127.0.0.1:9999/"},
        "api_access": ApiKeys(api_key="canary-key", api_secret="canary-secret"),
    }
    return (await world.sources.create(SourceDraft(**(fields | values)))).source  # type: ignore[arg-type]  a test's own fields


async def test_stored_keys_come_out_as_they_went_in_and_only_there(world: World):
    source = await made(world)
    assert source.api_access is True
    assert "canary" not in repr(source)
    row = await world.database.read(lambda c: sources.get(c, source.id))
    assert row is not None
    assert "canary" not in repr(row)
    found = await world.platform.access(source.id)
    assert (found.base_url, found.key) == ("http://127.0.0.1:9999", "canary-key")
    assert "canary" not in repr(found)


async def test_stored_keys_are_sealed_anew_with_everything_else(world: World):
    source = await made(world)
    newer = Sealer([b"n" * 32, b"k" * 32])
    await world.database.write(lambda c: seal_anew(c, newer))
    api = PlatformApi(world.database, Sealer([b"n" * 32]), world.sender)
    assert (await api.access(source.id)).secret == "canary-secret"


async def test_keys_that_do_not_open_any_more_are_said_to_be_lost(world: World):
    source = await made(world)
    api = PlatformApi(world.database, Sealer([b"o" * 32]), world.sender)
    with pytest.raises(PlatformRefused, match="give them anew"):
        await api.access(source.id)


async def test_a_source_without_keys_says_how_to_give_them(world: World):
    source = await made(world, api_access=None, settings={})
    with pytest.raises(Conflict, match="relay sources update net"):
        await world.platform.access(source.id)
    with pytest.raises(NotFound):
        await world.platform.access("src_unknown")
