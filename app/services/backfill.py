"""Bringing the customers that exist already into one target: asking for it.

The job itself is in backfilling.py; here its customers are counted and it is made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from app.domain.clock import Clock, to_micros
from app.domain.errors import Conflict, NotFound
from app.domain.ids import new_id
from app.services.configuration import ConfigurationCache
from app.services.jobs import JobState, JobView, job_view
from app.services.platform_api import PlatformApi
from app.services.reconcile import with_api_access
from app.sources.ultimate_multisite_counting import count_rows
from app.store import jobs, routing, targets
from app.store.database import Database, ReadConnection, WriteConnection
from app.store.jobs import JobRecord
from app.store.sources import SourceRecord

KIND = "backfill"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillRequest:
    """Whose customers to bring into which target; both are an id or a name."""

    source: str
    target: str
    dry_run: bool = False


class Backfills:
    """Starts backfills; `arrived` is called when one was stored."""

    def __init__(
        self,
        database: Database,
        configuration: ConfigurationCache,
        platform: PlatformApi,
        clock: Clock,
        arrived: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._configuration = configuration
        self._platform = platform
        self._clock = clock
        self._arrived = arrived

    async def start(self, request: BackfillRequest) -> JobView:
        """Count the customers and, unless it is a dry run, store the job that brings them in.

        Raises NotFound; Conflict when the source has no API access, when the target takes no
        events of it, or when the same is being done already; and PlatformRefused or
        PlatformUnavailable when the customers cannot be counted.
        """
        configuration = await self._configuration.refresh()

        def look(connection: ReadConnection) -> tuple[SourceRecord, str]:
            source = with_api_access(connection, request.source)
            return source, _target_id(connection, request.target)

        source, target_id = await self._database.read(look)
        route = configuration.routes.of_target(target_id)
        if route is None or (route.sources is not None and source.name not in route.sources):
            raise Conflict(f"The target takes no events of the source {source.name!r}.")
        total = await self._platform.call(source.id, lambda access: count_rows(access, "customer"))
        record = self._record(source.id, target_id, total)
        if request.dry_run:
            return replace(job_view(record), id=None, state=JobState.DONE)
        await self._database.write(lambda c: _insert(c, record))
        self._arrived()
        return job_view(record)

    def _record(self, source_id: str, target_id: str, total: int) -> JobRecord:
        now = to_micros(self._clock())
        return JobRecord(
            id=new_id("bkf"),
            kind=KIND,
            state=JobState.QUEUED,
            total=total,
            parameters={"source": source_id, "target": target_id},
            force=False,
            created_at=now,
            updated_at=now,
        )


def _insert(connection: WriteConnection, record: JobRecord) -> None:
    # Two that ask at the same moment, on whatever node, must not both find none.
    routing.lock(connection)
    for job in jobs.since(connection, KIND, record.created_at):
        if job.finished_at is None and job.parameters == record.parameters:
            raise Conflict(f"This backfill is under way already: {job.id}.")
    jobs.insert(connection, record)


def _target_id(connection: ReadConnection, text: str) -> str:
    for one in targets.list_all(connection):
        if text in (one.id, one.name):
            return one.id
    raise NotFound("There is no target with this id or name.")
