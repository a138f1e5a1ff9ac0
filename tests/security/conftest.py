"""A real server of the API on a port of loopback, for one module of tests."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from app.store import schema
from tests.security.real_server import RealServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    made = RealServer(tmp_path_factory.mktemp("relay"))
    asyncio.run(schema.migrate(made.runtime.database))
    made.start()
    yield made
    made.stop()
