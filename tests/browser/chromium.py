"""A real browser without a window, driven over its debugging protocol."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

#: Longer than anything here takes, so that a test that hangs fails.
PATIENCE = 30.0


def browser() -> str:
    """The browser; without one the test is skipped, or fails in CI."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is not None:
        return found
    if os.environ.get("CI") == "true":
        pytest.fail("chromium is missing; .ci/run installs it")
    pytest.skip("chromium is not installed (apt-get install chromium)")


class Page:
    """One tab: what it shows, what it asked for, and what it complained of."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._reading = asyncio.create_task(self._read())
        self.requested: list[str] = []
        self.complaints: list[str] = []

    async def command(self, method: str, **parameters: Any) -> Any:
        """Send a command of the protocol; answers its result."""
        number = len(self._answers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        async with asyncio.timeout(PATIENCE):
            return await self._answers[number]

    async def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        done = await self.command(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    async def text(self, selector: str) -> str:
        """What an element shows."""
        return str(await self.run(f"document.querySelector({json.dumps(selector)}).innerText"))

    async def until(self, condition: str) -> None:
        """Wait until an expression in the page is true."""
        async with asyncio.timeout(PATIENCE):
            while not await self.run(f"!!({condition})"):  # noqa: ASYNC110  the page has no event
                await asyncio.sleep(0.02)

    async def press(self, key: str, code: int, text: str = "") -> None:
        """Press and release a key."""
        named = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        await self.command("Input.dispatchKeyEvent", type="keyDown", text=text, **named)
        await self.command("Input.dispatchKeyEvent", type="keyUp", **named)

    async def close(self) -> None:
        """Stop listening."""
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        await self._socket.close()

    async def _read(self) -> None:
        async for message in self._socket:
            said = json.loads(message.data)
            if "id" in said:
                self._answer(said)
            elif said["method"] == "Network.requestWillBeSent":
                self.requested.append(said["params"]["request"]["url"])
            elif said["method"] in {"Runtime.exceptionThrown", "Log.entryAdded"}:
                self.complaints.append(json.dumps(said["params"]))

    def _answer(self, said: dict[str, Any]) -> None:
        waiting = self._answers[said["id"]]
        if waiting.done():
            return
        if "error" in said:
            waiting.set_exception(AssertionError(said["error"]))
        else:
            waiting.set_result(said["result"])


@asynccontextmanager
async def opened(address: str, profile: Path) -> AsyncIterator[Page]:
    """The page at an address, in a browser of its own."""
    process = await asyncio.create_subprocess_exec(
        browser(),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--remote-debugging-port=0",
        f"--user-data-dir={profile}",
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(await _tab(session, profile), max_msg_size=0) as socket,
        ):
            page = Page(socket)
            for domain in ("Page", "Runtime", "Network", "Log"):
                await page.command(f"{domain}.enable")
            await page.command("Page.navigate", url=address)
            await page.until("document.readyState === 'complete'")
            yield page
            await page.close()
    finally:
        process.kill()
        await process.wait()


async def _tab(session: aiohttp.ClientSession, profile: Path) -> str:
    """Where the only tab is driven; the browser writes its port into its profile."""
    file = profile / "DevToolsActivePort"
    async with asyncio.timeout(PATIENCE):
        while not file.exists() or "\n" not in file.read_text():  # noqa: ASYNC110  only a file tells
            await asyncio.sleep(0.02)
        port = file.read_text().split("\n")[0]
        while True:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                tabs = [one for one in await answer.json() if one["type"] == "page"]
            if tabs:
                return str(tabs[0]["webSocketDebuggerUrl"])
            await asyncio.sleep(0.02)
