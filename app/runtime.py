"""The one composition root: from settings to a running relay, in any role."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import structlog

from app import __version__
from app.domain.addresses import AddressPolicy
from app.domain.clock import Clock, system_clock
from app.domain.errors import RelayError
from app.domain.target_urls import UrlPolicy
from app.domain.trace import Tracer
from app.egress.client import Egress
from app.services import bootstrap
from app.services.backfill import KIND as BACKFILL
from app.services.backfill import Backfills
from app.services.backfilling import BackfillJob
from app.services.browse import Browse
from app.services.bundle import Services
from app.services.checking import CheckTarget
from app.services.configuration import ConfigurationCache
from app.services.dispatch import Dispatch, Result
from app.services.enrichment import Enrichment
from app.services.grants import Grants
from app.services.idempotency import Idempotency
from app.services.ingest import Ingest
from app.services.jobs import JobKind, JobRunner, Jobs
from app.services.lost_deliveries import LostDeliveries
from app.services.manage_api_keys import ManageApiKeys
from app.services.manage_sources import ManageSources
from app.services.manage_targets import ManageTargets
from app.services.network_counts import NetworkCounts
from app.services.platform_api import PlatformApi
from app.services.preview import PreviewTarget
from app.services.quarantine import Quarantine
from app.services.reconcile import KIND as RECONCILE
from app.services.reconcile import Reconciliations
from app.services.reconciling import ReconcileJob
from app.services.record import Recorder
from app.services.replay import KIND as REPLAY
from app.services.replay import Replays
from app.services.replaying import ReplayJob
from app.services.set_up_network import SetUpNetwork
from app.services.steer_deliveries import SteerDeliveries
from app.services.traced_dispatch import TracedDispatch
from app.services.traced_ingest import TracedIngest
from app.services.upkeep import Upkeep
from app.services.verdict import Verdict
from app.settings import Settings
from app.store import schema, wakeups
from app.store.database import Database
from app.store.opening import open_database
from app.store.sealing import Sealer
from app.telemetry import Metrics
from app.tracing import close_tracer
from app.worker.dispatcher import Dispatcher
from app.worker.identity import identity
from app.worker.jobs import JobsLoop
from app.worker.upkeep import UpkeepLoop

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether requests can be served; each check says `ok` or what is wrong."""

    ok: bool
    checks: dict[str, str]


class Runtime:
    """Everything one process needs; `start` and `stop` are its life."""

    def __init__(
        self,
        settings: Settings,
        *,
        worker: bool,
        database: Database | None = None,
        sealer: Sealer | None = None,
        clock: Clock = system_clock,
        tracer: Tracer | None = None,
    ) -> None:
        self.settings = settings
        self.tracer = tracer
        self.clock = clock
        self.database = database or open_database(
            settings.resolved_database_url, pool_size=settings.pool_size
        )
        self.sealer = sealer or bootstrap.load_keys(settings)
        self.metrics = Metrics()
        self.addresses = AddressPolicy(
            allowed_networks=settings.allowed_private_networks,
            denied_networks=settings.denied_networks,
            nat64=settings.nat64,
        )
        self.configuration = ConfigurationCache(
            self.database, self.sealer, clock, dedupe_window=settings.dedupe_window
        )
        self.egress = Egress(
            self.addresses,
            user_agent=f"Lifecycle-Relay/{__version__}",
            max_connections_per_target=settings.max_in_flight,
            on_refusal=lambda target, why: _log.warning("egress.refused", target=target, why=why),
        )
        self.grants = Grants(self.database, self.sealer, clock)
        self.platform = PlatformApi(
            self.database, self.sealer, self.egress, per_second=settings.platform_rate
        )
        self.reconciliations = Reconciliations(
            self.database,
            clock,
            retention_days=settings.retention_days,
            arrived=self._job_made,
        )
        self.worker = _Worker(self) if worker else None
        self.services = self._services()
        self._tasks: list[asyncio.Task[None]] = []

    def _services(self) -> Services:
        settings, database, clock = self.settings, self.database, self.clock
        ingest = self._ingest()
        urls = UrlPolicy(
            addresses=self.addresses,
            require_https=settings.https_required,
            denied_hosts=bootstrap.own_hosts(settings),
        )
        manage = ManageSources(
            database,
            self.sealer,
            clock,
            public_url=settings.resolved_public_url,
            rotation_overlap=settings.rotation_overlap,
            urls=urls,
        )
        return Services(
            ingest=ingest,
            configuration=self.configuration,
            sources=manage,
            targets=ManageTargets(
                database,
                self.sealer,
                clock,
                urls=urls,
                rotation_overlap=settings.rotation_overlap,
            ),
            api_keys=ManageApiKeys(database, clock, admin_digests=bootstrap.key_digests(settings)),
            idempotency=Idempotency(database, self.sealer, clock),
            browse=Browse(database, clock),
            deliveries=SteerDeliveries(database, clock, self._arrived),
            quarantine=Quarantine(database, clock, ingest),
            replays=Replays(database, self.configuration, clock, self._job_made),
            reconciliations=self.reconciliations,
            backfills=Backfills(database, self.configuration, self.platform, clock, self._job_made),
            jobs=Jobs(database, clock),
            previews=PreviewTarget(database, self.configuration, clock),
            checks=CheckTarget(
                database,
                self.configuration,
                self.egress,
                clock,
                grants=self.grants,
                attempt_timeout=settings.attempt_timeout,
            ),
            platform=self.platform,
            setups=SetUpNetwork(
                database,
                manage,
                self.platform,
                NetworkCounts(
                    database, self.platform, clock, retention_days=settings.retention_days
                ),
                clock,
                urls=urls,
                public_url=settings.resolved_public_url,
                overlap=settings.rotation_overlap,
            ),
        )

    def _ingest(self) -> Ingest:
        parts = (self.database, self.configuration, self.clock, self._arrived)
        if self.tracer is None:
            return Ingest(*parts)
        return TracedIngest(*parts, tracer=self.tracer, url=self.settings.resolved_public_url)

    def _arrived(self) -> None:
        if self.worker is not None:
            self.worker.dispatcher.wake()

    def _job_made(self) -> None:
        if self.worker is not None:
            self.worker.jobs.wake()

    async def start(self) -> None:
        """Check the schema and the master key, load the routes, start the worker.

        Raises ConfigurationError when the relay cannot run as it is configured.
        """
        await schema.require_current(self.database)
        await bootstrap.verify_master_key(self.database, self.sealer)
        await self.configuration.refresh()
        if self.worker is not None:
            await self.worker.upkeep.start_up()
            self._spawn(self.worker.dispatcher.run())
            self._spawn(self.worker.upkeep.run())
            self._spawn(self.worker.jobs.run())
            if self.database.dialect == "postgresql":
                self._spawn(wakeups.listen(self.database, self.worker.dispatcher.wake))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work))

    async def stop(self) -> None:
        """Commit what was accepted, let running attempts finish, give back the rest, close."""
        until = time.monotonic() + self.settings.grace
        try:
            await self.services.ingest.drain()
            await self.services.api_keys.settle()
            if self.worker is not None:
                await self._stop_worker(self.worker)
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        finally:
            await self.egress.aclose()
            await self.database.close()
            await close_tracer(self.tracer, until - time.monotonic())

    async def _stop_worker(self, worker: _Worker) -> None:
        await worker.enrichment.stop()
        try:
            if self._tasks:
                await worker.dispatcher.stop(self.settings.grace)
        except RelayError as error:
            # What could not be given back is taken back when its lease ends.
            _log.warning("runtime.stop", error=error.detail, cause=error.cause)
        finally:
            await worker.enrichment.stop()

    async def ready(self) -> Readiness:
        """Whether the database answers with the right schema, and the worker runs."""
        checks: dict[str, str] = {}
        try:
            await schema.require_current(self.database)
            # A full disk can be read, so that only what was refused tells.
            lately = self.database.trouble.lately()
            checks["database"] = "a write was refused; the log says why" if lately else "ok"
        except RelayError as error:
            checks["database"] = error.detail
        if self.worker is not None:
            stopped = [task for task in self._tasks if task.done()]
            checks["worker"] = "a loop has stopped; restart the relay" if stopped else "ok"
        return Readiness(all(text == "ok" for text in checks.values()), checks)

    def metrics_text(self) -> bytes:
        """The exposition text Prometheus reads."""
        if self.worker is not None:
            self.metrics.in_flight.set(self.worker.dispatcher.in_flight)
        return self.metrics.text()


def spare_the_collector() -> None:
    """Tell the garbage collector that this process is going to live long; after the start.

    What start-up made lives as long as the process, and what a request makes is freed by its last
    reference: the collector need not look at either a hundred times a second.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


class _Worker:
    """The delivering half of a process."""

    def __init__(self, runtime: Runtime) -> None:
        settings, owner = runtime.settings, identity()
        self._metrics = runtime.metrics
        self._configuration = configuration = runtime.configuration
        database, clock, wait = runtime.database, runtime.clock, settings.enrichment_wait
        self.enrichment = Enrichment(runtime.platform, configuration, clock, wait=wait)
        made = partial(TracedDispatch, tracer=runtime.tracer) if runtime.tracer else Dispatch
        dispatch = made(
            runtime.database,
            runtime.configuration,
            runtime.egress,
            runtime.clock,
            grants=runtime.grants,
            owner=owner,
            lease=settings.lease,
            attempt_timeout=settings.attempt_timeout,
            enrichment=self.enrichment,
        )
        recorder = Recorder(
            runtime.database,
            runtime.configuration,
            runtime.clock,
            owner=owner,
            disable_after=settings.disable_after,
            arrived=self.wake,
            observe=self._observe,
        )
        self.dispatcher = Dispatcher(
            dispatch, recorder, runtime.clock, slots=settings.max_in_flight
        )
        kinds = self._job_kinds(runtime)
        self.jobs = JobsLoop(
            JobRunner(runtime.database, runtime.clock, kinds, owner=owner, arrived=self.wake)
        )
        told = LostDeliveries(configuration).announce
        upkeep = Upkeep(database, clock, retention_days=settings.retention_days, given_up=told)
        self.upkeep = UpkeepLoop(
            upkeep,
            self.wake,
            reconciliations=runtime.reconciliations,
            reconcile_every=timedelta(seconds=settings.reconcile_every),
        )

    def _job_kinds(self, runtime: Runtime) -> dict[str, JobKind]:
        parts = (runtime.database, runtime.configuration)
        platform, clock = runtime.platform, runtime.clock
        return {
            REPLAY: ReplayJob(*parts, clock),
            RECONCILE: ReconcileJob(*parts, platform, clock, arrived=self.wake),
            BACKFILL: BackfillJob(*parts, platform, clock, arrived=self.wake),
        }

    def wake(self) -> None:
        """News were queued, or leases given back."""
        self.dispatcher.wake()

    def _observe(self, result: Result, _ruling: Verdict) -> None:
        if not result.attempted:
            return
        target = self._configuration.current.targets.get(result.claimed.target_id)
        name = target.name if target else "removed"
        seconds = result.duration_micros / 1_000_000
        self._metrics.attempted(name, result.outcome.kind.value, seconds)
