"""The management API over a real database, without a server: the routers, and a client for them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import APIRouter, FastAPI

from app.api import (
    api_keys,
    connectors,
    event_types,
    sources,
    target_links,
    target_trials,
    targets,
)
from app.api.problems import install_problem_handlers
from app.services import credentials
from app.services.backfill import Backfills
from app.services.bundle import Services
from app.services.checking import CheckTarget
from app.services.grants import Grants
from app.services.idempotency import Idempotency
from app.services.jobs import Jobs
from app.services.manage_api_keys import ManageApiKeys
from app.services.preview import PreviewTarget
from app.services.reconcile import Reconciliations
from app.services.replay import Replays
from app.store.database import Database
from app.store.sealing import Sealer
from tests.clocks import FrozenClock
from tests.integration.world import World

ADMIN_KEY = "the-admin-key-of-the-tests-0123456789"

_broken = APIRouter()


@_broken.get("/broken")
async def _fail() -> None:
    raise RuntimeError("canary-of-a-traceback")


class Management:
    """The services behind the API, and the app in front of them."""

    def __init__(self, database: Database, sealer: Sealer, clock: FrozenClock) -> None:
        self.database = database
        self.clock = clock
        self.world = World(database, sealer, clock)
        self.services = Services(
            ingest=self.world.ingest,
            configuration=self.world.configuration,
            sources=self.world.sources,
            targets=self.world.targets,
            api_keys=ManageApiKeys(database, clock, admin_digests=[credentials.digest(ADMIN_KEY)]),
            idempotency=Idempotency(database, sealer, clock),
            browse=self.world.browse,
            deliveries=self.world.steering,
            quarantine=self.world.quarantine,
            previews=PreviewTarget(database, self.world.configuration, clock),
            replays=Replays(database, self.world.configuration, clock),
            reconciliations=Reconciliations(database, clock, retention_days=30),
            backfills=Backfills(database, self.world.configuration, self.world.platform, clock),
            jobs=Jobs(database, clock),
            checks=CheckTarget(
                database,
                self.world.configuration,
                self.world.sender,
                clock,
                grants=Grants(database, sealer, clock),
                attempt_timeout=20,
            ),
            platform=self.world.platform,
            setups=self.world.setups,
        )
        self.app = FastAPI(title="Management", redirect_slashes=False)
        self.app.state.services = self.services
        install_problem_handlers(self.app)
        for module in (
            sources,
            targets,
            target_links,
            target_trials,
            api_keys,
            event_types,
            connectors,
        ):
            self.app.router.routes.extend(module.router.routes)
        self.app.router.routes.extend(_broken.routes)

    def client(self, key: str | None = ADMIN_KEY) -> httpx.AsyncClient:
        """A client that shows this key; None for one that shows none."""
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, raise_app_exceptions=False),
            base_url="http://relay.test",
            headers={"authorization": f"Bearer {key}"} if key else {},
        )


@asynccontextmanager
async def management(
    database: Database, sealer: Sealer, clock: FrozenClock
) -> AsyncIterator[Management]:
    """A Management that leaves no task behind."""
    made = Management(database, sealer, clock)
    yield made
    await made.services.api_keys.settle()
