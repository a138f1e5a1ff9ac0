"""The operator's page in a real browser, where one is installed."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing

import pytest

from app.store import schema
from app.store.intake import ORIGIN_HEADER
from tests.browser.chromium import Page, opened
from tests.captured import captured
from tests.security.real_server import ADMIN_KEY, RealServer

TARGET = {
    "name": "tool",
    "connector": "webhook",
    "settings": {"url": "https://hooks.example/"},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """A relay without a worker: a job that is asked for stays where it is."""
    folder = tmp_path_factory.mktemp("relay")
    made = RealServer(folder)
    asyncio.run(schema.migrate(made.runtime.database))
    made.start()
    made.management("POST", "/v1/targets", json.dumps(TARGET).encode())
    sent = json.loads(captured("payment_received").raw_body)
    for origin in (None, "reconcile", "backfill"):
        body = json.dumps(sent | {"told_by": origin}).encode()
        stored = made.exchange(made.door(body=body)).document["id"]
        with closing(sqlite3.connect(folder / "relay.db", isolation_level=None)) as file:
            headers = json.dumps({ORIGIN_HEADER: origin} if origin else {})
            file.execute(
                "UPDATE event_bodies SET headers = ? WHERE event_id = ?", (headers, stored)
            )
    yield made
    made.stop()


@pytest.fixture
async def door(server, tmp_path) -> AsyncIterator[Page]:
    async with opened(f"http://127.0.0.1:{server.port}/", tmp_path) as page:
        await page.until("document.activeElement.id === 'key'")
        yield page


@pytest.fixture
async def page(door) -> Page:
    await enter(door, ADMIN_KEY)
    await door.until("!document.getElementById('page').hidden")
    return door


async def enter(page: Page, key: str) -> None:
    """Type a key, and press Enter."""
    await page.command("Input.insertText", text=key)
    await page.press("Enter", 13, "\r")


async def test_the_page_asks_only_its_own_relay_and_complains_of_nothing(page, server):
    own = f"http://127.0.0.1:{server.port}/"
    assert [url for url in page.requested if not url.startswith(own)] == []
    assert ADMIN_KEY not in "".join(page.requested)
    assert page.complaints == []


@pytest.mark.parametrize(
    ("key", "says"), [("rk_wrong", "does not know this key"), ("rk_€", "cannot be sent")]
)
async def test_a_key_that_is_none_is_refused_in_words_and_forgotten(door, key, says):
    await enter(door, key)
    await door.until("document.getElementById('message').textContent")
    assert says in await door.text("#message")
    assert await door.run("sessionStorage.length") == 0
    assert await door.run("document.getElementById('enter').hidden") is False


async def test_an_event_shows_how_it_came_in(page):
    backfilled, reconciled, live = (await page.text("#events")).split("payment_received")[1:]
    assert "backfill" in backfilled
    assert "reconcile" in reconciled
    assert "live" not in live
    await page.run("document.querySelectorAll('#events summary')[1].click()")
    await page.until("document.querySelector('#events details[open] .delivery')")
    assert "never arrived" in await page.text("#events details[open]")


async def test_why_nothing_was_answered_is_said_once(page):
    attempt = {
        "started_at": "2026-11-23T19:09:31Z",
        "duration_ms": 2,
        "outcome": "retry",
        "reason": "The host could not be reached.",
        "exchanges": [
            {
                "method": "POST",
                "url": "https://hooks.example/",
                "status": None,
                "error": "connect",
                "detail": "The host could not be reached.",
            }
        ],
    }
    said = await page.run(f"attemptItem({json.dumps(attempt)}).textContent")
    assert said.count("could not be reached") == 1
    answered = attempt | {"exchanges": [{**attempt["exchanges"][0], "status": 500}]}
    answered["reason"] = "It answered 500."
    assert "It answered 500." in await page.run(f"attemptItem({json.dumps(answered)}).textContent")


async def test_a_job_shows_how_far_it_is_and_can_be_cancelled(page, server):
    server.management("POST", "/v1/replays", b'{"target": "tool"}')
    await page.run("refresh()")
    shown = await page.text("#jobs tr")
    assert [word for word in ("replay", "tool", "queued", "0 of 3") if word not in shown] == []
    assert await page.run("document.querySelector('#jobs progress').max") == 3
    await page.run("document.querySelector('#jobs button').focus()")
    await page.press("Enter", 13, "\r")
    await page.until("document.querySelector('#jobs tr').innerText.includes('cancelled')")
    assert "stays done" in await page.text("#message")
    assert await page.run("document.querySelector('#jobs button')") is None


async def test_earlier_jobs_are_shown_when_they_are_asked_for(page, server):
    for _ in range(11):
        made = server.management("POST", "/v1/replays", b'{"target": "tool"}').document["id"]
        server.management("POST", f"/v1/jobs/{made}/cancel")
    await page.run("refresh()")
    assert await page.run("document.querySelectorAll('#jobs tr').length") == 10
    await page.run("document.getElementById('earlier').click()")
    await page.until("document.querySelectorAll('#jobs tr').length > 10")


async def test_a_target_that_holds_its_deliveries_is_one_row_that_resumes_it(page, server):
    server.management("POST", f"/v1/targets/{target_id(server)}/pause")
    await page.run("refresh()")
    assert await page.run("document.querySelectorAll('#troubles > div').length") == 1
    shown = await page.text("#troubles")
    held = ("held", "3 deliveries to tool", "Paused by an operator.")
    assert [word for word in held if word not in shown] == []
    await page.run("document.querySelector('#troubles button').click()")
    await page.until("document.getElementById('attention').hidden")
    assert await page.text("#message") == "The target is active again."


async def test_a_target_that_cannot_be_used_is_shown_with_the_reason(page):
    target = TARGET | {"id": "tgt_1", "status": "active", "status_reason": "Not usable here: why."}
    stats = {"targets": [{"id": "tgt_1", "deliveries": {}}]}
    await page.run(f"showTroubles([], [], [{json.dumps(target)}], {json.dumps(stats)})")
    shown = await page.text("#troubles")
    told = ("unusable", "Deliveries to tool wait", "Not usable here: why.")
    assert [word for word in told if word not in shown] == []


async def test_who_tries_again_what_is_held_is_told_that_it_stays_so(page, server):
    server.management("POST", f"/v1/targets/{target_id(server)}/pause")
    await page.run("document.querySelector('#events summary').click()")
    await page.until("document.querySelector('#events .delivery button')")
    await page.run("document.querySelector('#events .delivery button').click()")
    await page.until("document.getElementById('message').textContent")
    said = await page.text("#message")
    server.management("POST", f"/v1/targets/{target_id(server)}/resume")
    assert said == "It is held all the same. The target is paused: Paused by an operator."


def target_id(server: RealServer) -> str:
    """The id of the one target."""
    (target,) = server.management("GET", "/v1/targets").document["items"]
    return str(target["id"])


async def test_what_has_the_focus_keeps_it_when_the_page_is_refreshed(page):
    await page.run("document.querySelectorAll('#events summary')[1].focus()")
    before = await page.run("document.activeElement.dataset.place")
    await page.run("refresh()")
    assert before.startswith("evt_")
    assert await page.run("document.activeElement.dataset.place") == before
    assert await page.run("document.activeElement.isConnected") is True


async def test_a_key_that_is_forgotten_while_the_page_renews_itself_shows_nothing_more(page):
    await page.run(
        """{
          const real = window.fetch;
          window.fetch = async (path, options) => {
            const answer = await real(path, options);
            if (path.includes("events?")) document.getElementById("leave").click();
            return answer;
          };
        }"""
    )
    await page.run("refresh()")
    assert await page.run("document.getElementById('page').hidden") is True
    assert await page.run("document.querySelectorAll('#events details, #jobs tr').length") == 0


async def test_a_relay_that_is_away_is_told_until_it_is_back(page):
    slow = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    await page.command("Network.emulateNetworkConditions", offline=True, **slow)
    await page.run("refresh()")
    assert "does not answer" in await page.text("#message")
    await page.command("Network.emulateNetworkConditions", offline=False, **slow)
    await page.run("refresh()")
    assert await page.text("#message") == ""


async def test_a_narrow_window_is_never_wider_than_itself(page):
    await page.command(
        "Emulation.setDeviceMetricsOverride",
        width=360,
        height=740,
        deviceScaleFactor=1,
        mobile=True,
    )
    await page.run("document.querySelector('#events summary').click()")
    await page.until("document.querySelector('#events .delivery ol')")
    # What an attempt shows: an address without a place to break it.
    await page.run(
        "document.querySelector('#events .delivery ol').append(el('li', {}, 'x'.repeat(300)))"
    )
    assert await page.run("document.documentElement.scrollWidth") == 360
    assert await page.run("document.querySelector('#sources code').offsetHeight") < 60
