"""Fixtures that every kind of test shares: both databases, a clock, a master key."""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from app.store.database import Database
from app.store.opening import open_database
from app.store.sealing import Sealer
from tests import databases
from tests.clocks import FrozenClock
from tests.integration.world import World

for name in [name for name in os.environ if name.startswith("RELAY_")]:
    del os.environ[name]

# Many processes read the same files, those of the relay that tests start among them: whoever
# compiles one first does it for all, whatever the shell says.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Ten thousand tests are made, none is garbage; see pytest_collection_finish.
gc.disable()

# No test has a time limit of its own. CI tries the same examples each time, so that a red run
# means that something changed; everybody else tries new ones.
settings.register_profile("new examples", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "new examples")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return databases.migrated_sqlite(tmp_path_factory.mktemp("template") / "relay.db")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[databases.PostgresServer]:
    server = databases.PostgresServer()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres_url(postgres_server: databases.PostgresServer) -> str:
    return postgres_server.migrated_database()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a migrated database; what it holds is what the last test left (see `database`)."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgres_url")
    shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "relay.db")
    return f"sqlite:///{tmp_path / 'relay.db'}"


@pytest.fixture(scope="session")
def compiled() -> databases.Compiled:
    return databases.Compiled()


@pytest.fixture
async def database(database_url: str, compiled: databases.Compiled) -> AsyncIterator[Database]:
    """A migrated, empty database: every test that takes it runs on SQLite and on PostgreSQL."""
    opened = open_database(database_url, pool_size=5)
    if opened.dialect == "postgresql":
        await databases.empty(opened)
    compiled.share(opened)
    yield opened
    await opened.close()


@pytest.fixture
def fresh_database_url(database_url: str) -> str:
    """The URL of a migrated, empty database, for processes of their own."""
    asyncio.run(databases.empty_at(database_url))
    return database_url


@pytest.fixture
def fresh_postgres_url(postgres_url: str) -> str:
    """The same, on PostgreSQL only."""
    asyncio.run(databases.empty_at(postgres_url))
    return postgres_url


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def sealer() -> Sealer:
    return Sealer([b"k" * 32])


@pytest.fixture
async def world(database: Database, sealer: Sealer, clock: FrozenClock) -> World:
    """The services of one node on a real database."""
    made = World(database, sealer, clock)
    await made.configuration.refresh()
    return made


def pytest_collection_finish() -> None:
    """What was collected stays to the end: nobody needs to look for garbage in it."""
    gc.freeze()
    # As a relay that serves looks for it: what a test makes is freed by its last reference.
    gc.set_threshold(50_000, 20, 50)
    gc.enable()


def pytest_configure(config: pytest.Config) -> None:
    """Each process begins to collect elsewhere, and reads what the others have compiled since."""
    mine = getattr(config, "workerinput", None)
    if mine is None or config.args != config.getini("testpaths"):
        return
    files = sorted(str(path) for path in Path(__file__).parent.rglob("test_*.py"))
    first = int(mine["workerid"].removeprefix("gw")) * len(files) // mine["workercount"]
    config.args = files[first:] + files[:first]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The long ones first, as many in each process, so that nobody waits for them at the end."""
    processes = getattr(config, "workerinput", {}).get("workercount", 1)
    # All processes agree on the order, wherever they began to collect.
    items.sort(key=lambda item: item.path)
    long = [item for item in items if "tests/system/" in item.nodeid]
    short = [item for item in items if "tests/system/" not in item.nodeid]
    order: list[pytest.Item] = []
    # Each process is given one stretch of the list to begin with.
    for number in range(processes):
        stretch = (len(items) - len(order)) // (processes - number)
        first = long[number::processes]
        then = max(0, stretch - len(first))
        order += [*first, *short[:then]]
        del short[:then]
    items[:] = order + short
