"""Health, metrics, the operator's page and the documentation: what is there without a key."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import httpx
import pytest

from app.domain.errors import StoreUnavailable
from app.main import create_health_app
from tests.captured import captured
from tests.integration.edge import ADMIN_KEY, Edge, edge

# None of this depends on the kind of database.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

ASSETS = {"assets/relay.js", "assets/words.js", "assets/relay.css"}


@pytest.fixture
async def node(database, sealer, clock) -> AsyncIterator[Edge]:
    async with edge(database, sealer, clock) as made:
        yield made


@pytest.fixture
async def anybody(node) -> AsyncIterator[httpx.AsyncClient]:
    async with node.client(None) as client:
        yield client


async def test_a_relay_that_runs_is_alive_and_ready(anybody):
    live, ready = await anybody.get("/health/live"), await anybody.get("/health/ready")
    assert (live.status_code, live.json()) == (200, {"status": "ok"})
    assert (ready.status_code, ready.json()["checks"]["database"]) == (200, "ok")


@pytest.mark.parametrize(
    "path",
    [
        *("/health/live", "/health/ready", "/", "/assets/relay.js"),
        *("/docs", "/redoc", "/openapi.json", "/docs/assets/swagger-ui.css"),
        *("/v1/targets", "/v1/events/evt_none", "/nothing"),
    ],
)
@pytest.mark.parametrize("key", [None, ADMIN_KEY])
async def test_head_is_answered_as_get_is_without_the_body(node, path, key):
    async with node.client(key) as client:
        head, get = await client.head(path), await client.get(path)
    assert (head.status_code, head.headers, head.content) == (get.status_code, get.headers, b"")
    assert int(head.headers["content-length"]) == len(get.content)


@pytest.mark.parametrize("path", ["/", "/docs", "/health/live", "/metrics"])
async def test_what_can_only_be_looked_at_says_so(anybody, path):
    answer = await anybody.post(path)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


async def test_a_process_without_an_api_answers_head_too(node):
    transport = httpx.ASGITransport(create_health_app(node.runtime))
    async with httpx.AsyncClient(transport=transport, base_url="http://relay.test") as client:
        for path in ("/health/live", "/metrics"):
            answer = await client.head(path)
            assert (answer.status_code, answer.content) == (200, b"")


async def test_metrics_count_what_the_door_did(node, anybody):
    await node.world.source()
    await node.runtime.configuration.refresh()
    token, body = node.world.tokens["shop"], captured("payment_received").raw_body
    for query in ({"token": token}, {"token": token}, {"token": "wrong"}):
        await anybody.post("/webhooks/shop/payment_received", params=query, content=body)
    answer = await anybody.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.text.splitlines()
    assert 'relay_events_total{duplicate="false",source="shop"} 1.0' in lines
    assert 'relay_events_total{duplicate="true",source="shop"} 1.0' in lines
    assert 'relay_refusals_total{problem="unauthorized"} 1.0' in lines


async def test_the_names_of_strangers_never_become_metrics(node, anybody):
    await anybody.post("/webhooks/canary/canary", params={"token": "canary"}, content=b"canary")
    assert "canary" not in (await anybody.get("/metrics")).text


async def test_the_page_loads_nothing_from_elsewhere_and_runs_nothing_inline(anybody):
    page = await anybody.get("/")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert re.findall(r"https?://", page.text) == []
    assert re.findall(r"<script(?! src=)|<style|\son\w+=|\sstyle=", page.text) == []


async def test_what_the_page_refers_to_is_there(anybody):
    page = (await anybody.get("/")).text
    paths = re.findall(r'(?:src|href)="([a-z/.]+)"', page)
    assert set(paths) == {*ASSETS, "docs", "redoc"}
    for path in paths:
        assert (await anybody.get("/" + path)).status_code == 200


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
async def test_the_documentation_loads_nothing_from_elsewhere_and_runs_nothing_inline(
    anybody, path
):
    page = await anybody.get(path)
    assert page.status_code == 200
    assert re.findall(r"https?://", page.text) == []
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert "connect-src 'self'" in policy
    assert "http" not in policy
    assert re.findall(r"<script(?! src=)|\son\w+=", page.text) == []


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/docs", {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}),
        ("/redoc", {"redoc.standalone.js": "text/javascript"}),
    ],
)
async def test_the_documentation_brings_its_viewer_along(anybody, path, expected):
    page = (await anybody.get(path)).text
    found = re.findall(r'(?:src|href)="(docs/assets/([a-z.-]+)\?v=[0-9.]+)"', page)
    assert {name for _, name in found} == expected.keys()
    for address, name in found:
        asset = await anybody.get("/" + address)
        assert asset.status_code == 200
        assert asset.headers["content-type"].split(";")[0] == expected[name]
        assert "immutable" in asset.headers["cache-control"]
        assert len(asset.content) > 100_000


async def test_the_viewers_show_the_document_of_this_very_relay(anybody):
    assert '<redoc spec-url="openapi.json">' in (await anybody.get("/redoc")).text
    assert '<script src="docs/start.js">' in (await anybody.get("/docs")).text
    start = await anybody.get("/docs/start.js")
    assert start.headers["content-type"].startswith("text/javascript")
    assert "openapi.json" in start.text


@pytest.mark.parametrize("name", ["favicon.png", "..%2f__init__.py", "../__init__.py", "x"])
async def test_nothing_else_of_the_viewers_package_is_served(anybody, name):
    assert (await anybody.get(f"/docs/assets/{name}")).status_code == 404


@pytest.mark.parametrize(
    "path", ["/docs", "/redoc", "/openapi.json", "/docs/start.js", "/docs/assets/swagger-ui.css"]
)
async def test_the_documentation_can_be_switched_off(database, sealer, clock, path):
    async with edge(database, sealer, clock, docs=False) as node, node.client() as client:
        assert (await client.get(path)).status_code == 404
        assert (await client.get("/health/live")).status_code == 200


async def test_the_page_does_not_lead_to_a_documentation_that_is_off(database, sealer, clock):
    async with edge(database, sealer, clock, docs=False) as node, node.client() as client:
        page = (await client.get("/")).text
    assert set(re.findall(r'(?:src|href)="([a-z/.]+)"', page)) == ASSETS
    assert "<h1>Lifecycle Relay</h1>" in page


async def test_the_name_a_request_gives_this_host_is_never_repeated(anybody):
    for path in ("/", "/docs", "/openapi.json", "/v1/events/", "/nothing", "/webhooks/"):
        answer = await anybody.get(path, headers={"host": "evil.example"})
        assert "evil.example" not in answer.text + str(answer.headers)


async def test_no_other_origin_is_let_in(anybody):
    asking = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    for method in ("GET", "OPTIONS"):
        for path in ("/v1/events", "/webhooks/shop", "/openapi.json"):
            answer = await anybody.request(method, path, headers=asking)
            assert not any(name.startswith("access-control") for name in answer.headers)


async def test_a_store_that_is_away_is_503_at_the_door_and_behind_it(node, monkeypatch):
    async def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("away", headers={"Retry-After": "5"})

    await node.world.source()
    await node.runtime.configuration.refresh()
    monkeypatch.setattr(node.world.database, "read", away)
    monkeypatch.setattr(node.world.database, "write", away)
    monkeypatch.setattr(node.world.database, "write_once", away)
    body = captured("payment_received").raw_body
    query = {"token": node.world.tokens["shop"]}
    async with node.client() as client:
        door = await client.post("/webhooks/shop/payment_received", params=query, content=body)
        behind = await client.get("/v1/events")
        ready = await client.get("/health/ready")
    for answer in (door, behind, ready):
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert answer.json()["type"] == "store-unavailable"
