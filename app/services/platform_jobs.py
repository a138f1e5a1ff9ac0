"""What jobs that ask a platform have in common: patience, a lease that lasts, and their steps' end.

A platform that does not answer is asked again after longer and longer pauses; one that refuses
ends the job, since somebody must change something first.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from app.domain.clock import Clock, to_micros
from app.domain.errors import Conflict, NotFound, PlatformRefused, PlatformUnavailable
from app.services.configuration import BoundSource, Configuration, ConfigurationCache
from app.services.jobs import JobState, Pace
from app.services.planning import Plan
from app.services.platform_api import PlatformApi
from app.store import intake, jobs
from app.store.database import Database, WriteConnection
from app.store.jobs import JobRecord, Progress

_log = structlog.get_logger(__name__)
#: Microseconds; a step may have to ask the platform a few dozen times.
_LEASE = 300_000_000
#: Seconds between tries while the platform does not answer; after the last one the job fails.
_PAUSES = (5, 10, 20, 40, 80, 160, 300, 300, 300, 300)


@dataclass(slots=True)
class _Silence:
    """How often a platform gave no answer in a row, and when it is asked again."""

    times: int
    until: datetime


class PlatformJob(ABC):
    """A kind of job whose steps ask the platform of the source in `parameters["source"]`."""

    def __init__(
        self,
        database: Database,
        configuration: ConfigurationCache,
        platform: PlatformApi,
        clock: Clock,
        *,
        arrived: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._configuration = configuration
        self._platform = platform
        self._clock = clock
        self._arrived = arrived
        self._silent: dict[str, _Silence] = {}

    async def step(self, job: JobRecord, owner: str) -> Pace:
        """Go on with the job a little, unless its platform is given a pause."""
        silence = self._silent.get(job.id)
        if silence is not None and self._clock() < silence.until:
            return Pace.WAITS
        if not await self._keep(job, owner):
            return Pace.OVER
        configuration = await self._configuration.refresh()
        source = configuration.source_by_id(job.parameters["source"])
        if source is None:
            return await self._fail(job, "The source was removed, or cannot be used here.")
        try:
            pace = await self._go_on(job, owner, configuration, source)
        except PlatformUnavailable as error:
            return await self._bear(job, error.detail)
        except (PlatformRefused, Conflict, NotFound) as error:
            return await self._fail(job, error.detail)
        self._silent.pop(job.id, None)
        return pace

    async def _keep(self, job: JobRecord, owner: str) -> bool:
        """Hold the job for longer than a step takes; False when it went on without `owner`."""
        now = to_micros(self._clock())
        if job.lease_owner == owner and (job.lease_until or 0) > now + _LEASE // 2:
            return True
        return await self._database.write(
            lambda c: jobs.hold(c, job, owner=owner, now=now, lease_until=now + _LEASE)
        )

    @abstractmethod
    async def _go_on(
        self, job: JobRecord, owner: str, configuration: Configuration, source: BoundSource
    ) -> Pace:
        """One step of the job, which `owner` holds."""

    async def _store(
        self,
        job: JobRecord,
        owner: str,
        configuration: Configuration,
        plans: Sequence[Plan],
        progress: Progress,
    ) -> Pace:
        """Store the events of a step and move the job, in one transaction.

        Nothing is done when the routes moved meanwhile: the step is then made again.
        """
        now = to_micros(self._clock())
        events = [plan.event for plan in plans]
        deliveries = [delivery for plan in plans for delivery in plan.deliveries]

        def work(connection: WriteConnection) -> Pace:
            if not jobs.hold(connection, job, owner=owner, now=now, lease_until=now + _LEASE):
                return Pace.OVER
            if events:
                version = configuration.version
                known = intake.store(connection, events, deliveries, version=version, now=now)
                if known is None:
                    return Pace.GOES_ON
            jobs.advance(connection, job.id, progress, now)
            return Pace.OVER if progress.finished else Pace.GOES_ON

        pace = await self._database.write(work)
        if any(delivery.reason is None for delivery in deliveries):
            self._arrived()
        return pace

    async def _bear(self, job: JobRecord, reason: str) -> Pace:
        """Give the platform a pause; the job fails when it had all of them."""
        known = self._silent.get(job.id)
        times = 0 if known is None else known.times
        if times >= len(_PAUSES):
            del self._silent[job.id]
            return await self._fail(job, reason)
        pause = timedelta(seconds=_PAUSES[times])
        self._silent[job.id] = _Silence(times + 1, self._clock() + pause)
        _log.warning("job.platform_silent", job=job.id, kind=job.kind, reason=reason)
        return Pace.WAITS

    async def _fail(self, job: JobRecord, reason: str) -> Pace:
        now = to_micros(self._clock())
        self._silent.pop(job.id, None)
        await self._database.write(lambda c: jobs.end(c, job.id, JobState.FAILED, reason, now))
        return Pace.OVER
