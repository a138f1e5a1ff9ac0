"""The pages of the documentation in a real browser, where one is installed."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.store import schema
from tests.browser.chromium import browser
from tests.security.real_server import RealServer

#: What ReDoc would load from its maker; the page does without.
LOGO = "https://cdn.redoc.ly/redoc/logo-mini.svg"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    made = RealServer(tmp_path_factory.mktemp("relay"))
    asyncio.run(schema.migrate(made.runtime.database))
    made.start()
    yield made
    made.stop()


def shown(server: RealServer, path: str, profile: Path) -> tuple[str, list[str]]:
    """The page when its scripts have run, and what the browser refused to load for it."""
    done = subprocess.run(
        [
            browser(),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--enable-logging=stderr",
            "--virtual-time-budget=10000",
            f"--user-data-dir={profile}",
            "--dump-dom",
            f"http://127.0.0.1:{server.port}{path}",
        ],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    refused = re.findall(r"CONSOLE.*?'(http[^']+)' violates", done.stderr)
    assert "Uncaught" not in done.stderr
    return done.stdout, refused


def test_swagger_ui_shows_the_operations_and_loads_nothing_from_elsewhere(server, tmp_path):
    page, refused = shown(server, "/docs", tmp_path)
    assert "Where senders post events." in page
    assert "Ingest: payment" in page
    assert refused == []


def test_redoc_shows_the_operations_and_loads_nothing_from_elsewhere(server, tmp_path):
    page, refused = shown(server, "/redoc", tmp_path)
    assert "Send an event whose body names its type" in page
    assert "BridgeEnvelope" in page
    assert set(refused) <= {LOGO}
