"""Looking for what never arrived: asking for it, by hand or every few hours.

The job itself is in reconciling.py; here it is made, one at a time for each source.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.domain.clock import Clock, from_micros, to_micros
from app.domain.errors import Conflict, NotFound
from app.domain.ids import new_id
from app.services.jobs import JobState, JobView, job_view
from app.store import jobs, routing, sources
from app.store.database import Database, ReadConnection, WriteConnection
from app.store.jobs import JobRecord
from app.store.sources import SourceRecord

KIND = "reconcile"
#: What changed less than this ago may still be on its way.
SETTLED = timedelta(minutes=15)
#: The bridge tries again at least this often: after a failure of either side, what it still has
#: is not for the relay to find by itself.
_CATCHES_UP = timedelta(hours=2)
#: While a job runs, the retention goes on removing events: so much is not looked at.
_MARGIN = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileRequest:
    """Which source to reconcile (an id or a name), and from which time of its records on.

    `since` is None for the time the source was registered; what is older than the retention is
    never looked at, since nobody can say any more whether it arrived.
    A dry run makes a job that only counts.
    """

    source: str
    since: datetime | None = None
    dry_run: bool = False


def patience(every: timedelta) -> timedelta:
    """How long a sender is given before the relay looks for its events by itself, every so often.

    It counts from the change of a record, and from the start of the relay.
    """
    return max(SETTLED, min(_CATCHES_UP, every))


class Reconciliations:
    """Starts reconciliations; `arrived` is called when one was stored."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        retention_days: int,
        arrived: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._retention = timedelta(days=retention_days) - _MARGIN
        self._arrived = arrived

    async def start(self, request: ReconcileRequest) -> JobView:
        """Store the job that compares the source's records with its events.

        Raises NotFound, and Conflict when the source has no API access or is being reconciled.
        """
        now = self._clock()

        def work(connection: WriteConnection) -> JobRecord:
            # Two that ask at the same moment, on whatever node, must not both find none.
            routing.lock(connection)
            source = with_api_access(connection, request.source)
            for open_job in jobs.since(connection, KIND, to_micros(now)):
                if open_job.parameters["source"] == source.id and open_job.finished_at is None:
                    raise Conflict(
                        f"The source {source.name!r} is being reconciled already: {open_job.id}."
                    )
            record = self._record(source, request, now, SETTLED)
            jobs.insert(connection, record)
            return record

        record = await self._database.write(work)
        self._arrived()
        return job_view(record)

    async def start_due(self, every: timedelta) -> int:
        """Start what was not reconciled for so long; answers how many jobs that were."""
        now = self._clock()
        horizon = to_micros(now - every)

        def work(connection: WriteConnection) -> int:
            routing.lock(connection)
            recent = {
                job.parameters["source"]
                for job in jobs.since(connection, KIND, horizon)
                if job.finished_at is None or not job.parameters["dry_run"]
            }
            due = [
                source
                for source in sources.list_all(connection)
                if source.api_access_sealed is not None
                and source.created_at <= horizon
                and source.id not in recent
            ]
            for source in due:
                request = ReconcileRequest(source=source.id)
                jobs.insert(connection, self._record(source, request, now, patience(every)))
            return len(due)

        made = await self._database.write(work)
        if made:
            self._arrived()
        return made

    def _record(
        self, source: SourceRecord, request: ReconcileRequest, now: datetime, settled: timedelta
    ) -> JobRecord:
        asked = request.since or from_micros(source.created_at)
        return JobRecord(
            id=new_id("rcn"),
            kind=KIND,
            state=JobState.QUEUED,
            total=0,
            parameters={
                "source": source.id,
                "since": to_micros(max(asked, now - self._retention)),
                "settled": int(settled.total_seconds()),
                "dry_run": request.dry_run,
            },
            force=False,
            created_at=to_micros(now),
            updated_at=to_micros(now),
        )


def with_api_access(connection: ReadConnection | WriteConnection, text: str) -> SourceRecord:
    """The source with this id or name. Raises NotFound, and Conflict when it has no API access."""
    found = sources.get(connection, text) or sources.get_by_name(connection, text)
    if found is None:
        raise NotFound("There is no source with this id or name.")
    if found.api_access_sealed is None:
        raise Conflict(
            f"The source {found.name!r} has no access to the API of its network. Give it one with:"
            f" relay sources update {found.name} --api-url URL --api-key KEY"
        )
    return found
