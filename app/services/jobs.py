"""Long work: a job that goes on step by step, whoever runs it, and can be watched and cancelled.

A kind of job offers `step`, which does a little, moves the cursor in the same transaction, and says
what comes next; everything else about jobs is here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum, auto
from typing import Any, Protocol

import structlog

from app.domain.clock import Clock, from_micros, to_micros
from app.domain.errors import Conflict, NotFound, RelayError
from app.services.listing import Listing, listing
from app.store import jobs
from app.store.database import Database, WriteConnection
from app.store.jobs import JobRecord

_log = structlog.get_logger(__name__)
_CANCELLED = "Cancelled by an operator."
#: Seconds of a step after which the other jobs go on without it.
_SLOW_SECONDS = 2.0


class JobState(StrEnum):
    """The state of a job; the last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def over(self) -> bool:
        """True when nothing will change any more."""
        return self not in {JobState.QUEUED, JobState.RUNNING}


class Pace(Enum):
    """What follows a step."""

    GOES_ON = auto()
    WAITS = auto()
    OVER = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """One job as the operator sees it.

    `done` and `failed` count towards `total`; `id` is None for a dry run, which leaves no job.
    """

    id: str | None
    kind: str
    state: JobState
    reason: str | None
    total: int
    done: int
    failed: int
    parameters: Mapping[str, Any]
    force: bool
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None


class JobKind(Protocol):
    """One kind of long work."""

    async def step(self, job: JobRecord, owner: str) -> Pace:
        """Do a little of the job for `owner`, unless it went on without it meanwhile."""
        ...


class Jobs:
    """What an operator sees of jobs; `kind` narrows it to one kind."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def page(
        self, *, limit: int, before: str | None = None, kind: str | None = None
    ) -> Listing[JobView]:
        """Jobs, newest first, those older than the id `before`."""
        rows = await self._database.read(
            lambda c: jobs.page(c, kind, limit=limit + 1, before=before)
        )
        return listing(rows, limit, lambda row: row.id, job_view)

    async def get(self, job_id: str, kind: str | None = None) -> JobView:
        """One job. Raises NotFound."""
        found = await self._database.read(lambda c: jobs.get(c, job_id, kind))
        return job_view(_found(found))

    async def cancel(self, job_id: str, kind: str | None = None) -> JobView:
        """End a job; what it did stays done. Raises NotFound, and Conflict when it is over."""
        now = to_micros(self._clock())

        def work(connection: WriteConnection) -> JobView:
            known = _found(jobs.get(connection, job_id, kind))
            if not jobs.end(connection, known.id, JobState.CANCELLED, _CANCELLED, now):
                raise Conflict(f"This job is over: {known.state}.")
            return job_view(_found(jobs.get(connection, job_id, kind)))

        return await self._database.write(work)


class JobRunner:
    """What a worker does for jobs: one step of each that is free, at every round."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        kinds: Mapping[str, JobKind],
        *,
        owner: str,
        arrived: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._kinds = kinds
        self._owner = owner
        self._arrived = arrived
        self._steps: dict[str, asyncio.Task[Pace]] = {}

    async def round(self) -> Pace:
        """Go on with every job a step; OVER when there is none. Raises StoreUnavailable."""
        now = to_micros(self._clock())
        waiting = await self._database.read(lambda c: jobs.waiting_for(c, self._owner, now))
        for job in waiting:
            if job.kind in self._kinds and job.id not in self._steps:
                self._steps[job.id] = asyncio.create_task(self._step(job))
        paces = await self._paces()
        if Pace.GOES_ON in paces:
            self._arrived()
            return Pace.GOES_ON
        return Pace.WAITS if Pace.WAITS in paces else Pace.OVER

    async def _paces(self) -> list[Pace]:
        """What follows the steps that ended soon; a slow one must not keep other jobs waiting."""
        if not self._steps:
            return []
        ended, slow = await asyncio.wait(self._steps.values(), timeout=_SLOW_SECONDS)
        self._steps = {name: step for name, step in self._steps.items() if step in slow}
        for failure in [step.exception() for step in ended]:
            if failure is not None:
                raise failure
        return [step.result() for step in ended] + [Pace.WAITS] * len(slow)

    async def _step(self, job: JobRecord) -> Pace:
        try:
            return await self._kinds[job.kind].step(job, self._owner)
        except RelayError:
            raise
        except Exception as error:  # noqa: BLE001  it is the job that fails, not the worker
            _log.exception("job.failed", job=job.id, kind=job.kind)
            reason = f"An error in the relay, which its log has: {type(error).__name__}."
            now = to_micros(self._clock())
            await self._database.write(lambda c: jobs.end(c, job.id, JobState.FAILED, reason, now))
            return Pace.OVER

    async def lease_owners(self) -> Sequence[str]:
        """The workers that are at a job."""
        return await self._database.read(jobs.lease_owners)

    async def take_back_from(self, owners: Sequence[str]) -> int:
        """Free the jobs of workers that are known to be gone; answers how many."""
        if not owners:
            return 0
        return await self._database.write(lambda c: jobs.release(c, list(owners)))

    async def release_all(self) -> None:
        """Give back what this worker is at, in the middle of a step or not."""
        for step in self._steps.values():
            step.cancel()
        await asyncio.gather(*self._steps.values(), return_exceptions=True)
        await self.take_back_from([self._owner])


def job_view(record: JobRecord) -> JobView:
    """The job as the operator sees it."""
    return JobView(
        id=record.id,
        kind=record.kind,
        state=JobState(record.state),
        reason=record.reason,
        total=record.total,
        done=record.done,
        failed=record.failed,
        parameters=record.parameters,
        force=record.force,
        created_at=from_micros(record.created_at),
        updated_at=from_micros(record.updated_at),
        finished_at=None if record.finished_at is None else from_micros(record.finished_at),
    )


def _found(record: JobRecord | None) -> JobRecord:
    if record is None:
        raise NotFound("There is no such job.")
    return record
