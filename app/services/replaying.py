"""The steps of a replay: a few events at a time, and only while the target's queue is short.

Live events wait behind what a replay queued, so it never queues more than a few.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from app.domain.clock import Clock, to_micros
from app.domain.errors import RelayError
from app.services.configuration import Configuration, ConfigurationCache
from app.services.events import read_stored
from app.services.jobs import JobState, Pace
from app.services.replay import request_of, selection, wanted
from app.services.routing_events import plan_deliveries
from app.store import jobs, replays, routing, steering, wakeups
from app.store.claim import ClaimedDelivery
from app.store.database import Database, ReadConnection, WriteConnection
from app.store.jobs import JobRecord, Progress
from app.store.replays import Candidate, Earlier, Repeat

BATCH = 25
LONGEST_QUEUE = 25
_SCAN = 1000
_LEASE = 30_000_000


@dataclass(frozen=True, slots=True)
class _Found:
    """What a step works on: the events, and whether and where there are more."""

    candidates: Sequence[Candidate]
    cursor: str | None
    last: bool
    stored: Mapping[str, ClaimedDelivery]
    earlier: Mapping[tuple[str, str], Earlier]


@dataclass(frozen=True, slots=True)
class _Planned:
    repeats: Sequence[Repeat]
    failed: int
    reason: str | None


class ReplayJob:
    """The kind of job that sends stored events again."""

    def __init__(
        self,
        database: Database,
        configuration: ConfigurationCache,
        clock: Clock,
        *,
        batch: int = BATCH,
        longest_queue: int = LONGEST_QUEUE,
    ) -> None:
        self._database = database
        self._configuration = configuration
        self._clock = clock
        self._batch = batch
        self._longest_queue = longest_queue

    async def step(self, job: JobRecord, owner: str) -> Pace:
        """Queue the next few events, unless the target has enough to do."""
        configuration = await self._configuration.refresh()
        target_id = job.parameters.get("target")
        if target_id is not None and target_id not in configuration.targets:
            return await self._fail(job, "The target was removed, or cannot be used here.")
        found = await self._database.read(lambda c: self._find(c, job, configuration))
        if found is None:
            return Pace.WAITS
        planned = self._plan(job, configuration, found)
        return await self._database.write(
            lambda c: self._store(c, job, owner, configuration.version, found, planned)
        )

    def _find(
        self, connection: ReadConnection, job: JobRecord, configuration: Configuration
    ) -> _Found | None:
        request = request_of(job.parameters)
        if (
            request.target is not None
            and replays.queued(connection, request.target, self._longest_queue)
            >= self._longest_queue
        ):
            return None
        seen = replays.scan(
            connection, selection(request, job.created_at), after=job.cursor, limit=_SCAN
        )
        ours = [one for one in seen if wanted(configuration, one.source, one.type, request.target)]
        taken = ours[: self._batch]
        all_seen = len(taken) == len(ours)
        if not all_seen:
            cursor: str | None = taken[-1].id
        else:
            cursor = seen[-1].id if seen else job.cursor
        ids = [one.id for one in taken]
        return _Found(
            candidates=taken,
            cursor=cursor,
            last=all_seen and len(seen) < _SCAN,
            stored=replays.load(connection, ids),
            earlier=replays.earlier(connection, ids),
        )

    def _plan(self, job: JobRecord, configuration: Configuration, found: _Found) -> _Planned:
        repeats: list[Repeat] = []
        failed, reason = 0, job.reason
        for candidate in found.candidates:
            try:
                repeats += self._repeats(job, configuration, found, candidate.id)
            except (RelayError, KeyError) as error:
                failed += 1
                why = error.detail if isinstance(error, RelayError) else "It is no longer kept."
                reason = f"{candidate.id} could not be sent again: {why}"
        return _Planned(repeats, failed, reason)

    def _repeats(
        self, job: JobRecord, configuration: Configuration, found: _Found, event_id: str
    ) -> list[Repeat]:
        event = read_stored(found.stored[event_id], configuration)
        now = to_micros(self._clock())
        repeats: list[Repeat] = []
        for planned in plan_deliveries(configuration, event, job.parameters.get("target")):
            known = found.earlier.get((event_id, planned.target_id))
            if known is not None and known.pending:
                continue
            delivery = replace(planned, created_at=now)
            if job.force:
                repeats.append(Repeat(delivery, delivery.id))
            else:
                repeats.append(Repeat(delivery, None if known is None else known.repeats_id))
        return repeats

    def _store(
        self,
        connection: WriteConnection,
        job: JobRecord,
        owner: str,
        version: int,
        found: _Found,
        planned: _Planned,
    ) -> Pace:
        now = to_micros(self._clock())
        # The plan holds for these routes only; with others it is made again.
        if routing.current(connection) != version:
            return Pace.GOES_ON
        if not jobs.hold(connection, job, owner=owner, now=now, lease_until=now + _LEASE):
            return Pace.OVER
        for target_id in sorted({one.delivery.target_id for one in planned.repeats}):
            steering.lock_target(connection, target_id)
        replays.insert(connection, job.id, planned.repeats)
        jobs.advance(connection, job.id, _progress(job, found, planned), now)
        if planned.repeats:
            wakeups.notify(connection)
        return Pace.OVER if found.last else Pace.GOES_ON

    async def _fail(self, job: JobRecord, reason: str) -> Pace:
        now = to_micros(self._clock())
        await self._database.write(lambda c: jobs.end(c, job.id, JobState.FAILED, reason, now))
        return Pace.OVER


def _progress(job: JobRecord, found: _Found, planned: _Planned) -> Progress:
    done = job.done + len(found.candidates) - planned.failed
    failed = job.failed + planned.failed
    # What the retention removed on the way, or what no longer has the status, is not waited for.
    total = done + failed if found.last else max(job.total, done + failed)
    return Progress(
        state=JobState.DONE if found.last else JobState.RUNNING,
        cursor=found.cursor,
        total=total,
        done=done,
        failed=failed,
        reason=planned.reason,
        finished=found.last,
    )
