"""The whole application on a real database, without a server, and rows of its past."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import httpx

from app.domain.clock import to_micros
from app.domain.ids import IdFactory
from app.main import create_app
from app.runtime import Runtime
from app.settings import Settings
from app.store import intake
from app.store.database import Database
from app.store.intake import NewDelivery
from app.store.sealing import Sealer
from tests import rows
from tests.clocks import FrozenClock
from tests.integration.world import World

ADMIN_KEY = "the-admin-key-of-the-tests-0123456789"


@cache
def _settings(**values: Any) -> Settings:
    """The same for every node that is set up alike: they are frozen, and take long to be read."""
    return Settings(_env_file=None, admin_key=ADMIN_KEY, **values)


class Edge:
    """One node with its API; `world` makes sources and targets, and works off deliveries."""

    def __init__(
        self, database: Database, sealer: Sealer, clock: FrozenClock, **settings: Any
    ) -> None:
        self.clock = clock
        self.world = World(database, sealer, clock)
        self.runtime = Runtime(
            _settings(**settings),
            worker=False,
            database=database,
            sealer=sealer,
            clock=clock,
        )
        self.app = create_app(self.runtime)

    def client(self, key: str | None = ADMIN_KEY) -> httpx.AsyncClient:
        """A client that shows this key; None for one that shows none."""
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app),
            base_url="http://relay.test",
            headers={"authorization": f"Bearer {key}"} if key else {},
        )

    async def past_event(self, age: float = 0, *, to: tuple[str, ...] = (), **values: Any) -> str:
        """An event that came in `age` seconds ago, with a queued delivery for each target of `to`.

        Its ids carry that time, as those of an event that came in through the door do.
        """
        moment = self.clock() - timedelta(seconds=age)
        new_id = _ids_of(moment)
        event = rows.event(
            **{
                "id": new_id("evt"),
                "occurred_at": to_micros(moment),
                "received_at": to_micros(moment),
            }
            | values
        )
        made = [
            NewDelivery(new_id("dlv"), event.id, target, None, to_micros(moment)) for target in to
        ]
        await self.world.database.write(lambda c: intake.insert(c, [event], made))
        return event.id


def _ids_of(moment: datetime) -> Any:
    return IdFactory(lambda: to_micros(moment) // 1000).new


@asynccontextmanager
async def edge(
    database: Database, sealer: Sealer, clock: FrozenClock, **settings: Any
) -> AsyncIterator[Edge]:
    """An Edge whose configuration is loaded."""
    made = Edge(database, sealer, clock, **settings)
    await made.runtime.configuration.refresh()
    yield made
    await made.runtime.services.api_keys.settle()


async def found(client: httpx.AsyncClient, path: str, **query: Any) -> list[Any]:
    """The ids on the first page of a list."""
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]
