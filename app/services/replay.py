"""Sending stored events again: each gets a new delivery, planned with the routes of today.

A destination that knows the event gets the ids it knows, and effects that were carried out are
left alone, unless the replay is forced: then everything is taken for new.
An event whose delivery is still on its way is not sent beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from app.domain.clock import Clock, from_micros, to_micros
from app.domain.errors import NotFound
from app.domain.ids import is_id, new_id
from app.services.configuration import Configuration, ConfigurationCache
from app.services.field_errors import refuse_one
from app.services.jobs import JobState, JobView, job_view
from app.store import events, jobs, replays, targets
from app.store.database import Database, ReadConnection
from app.store.events import EventFilter
from app.store.jobs import JobRecord
from app.store.replays import Selection

KIND = "replay"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayRequest:
    """Which events to send again; None asks for any.

    `target` is an id or a name; None, for every target the event is for, needs `event`.
    `type` may hold `*`; `since` is inclusive, `until` exclusive, both of the receipt.
    `status` is that of the event's last delivery to the target.
    """

    target: str | None = None
    event: str | None = None
    type: str | None = None
    source: str | None = None
    status: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    force: bool = False
    dry_run: bool = False


class Replays:
    """Starts replays; `arrived` is called when one was stored."""

    def __init__(
        self,
        database: Database,
        configuration: ConfigurationCache,
        clock: Clock,
        arrived: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._configuration = configuration
        self._clock = clock
        self._arrived = arrived

    async def start(self, request: ReplayRequest) -> JobView:
        """Count the events and, unless it is a dry run, store the job that sends them again.

        The count leaves out what the target does not want by type and source; its filter has its
        say when an event is read.
        Raises NotFound and ValidationFailed.
        """
        if request.since and request.until and request.since >= request.until:
            raise refuse_one("#/until", "it must be later than `since`")
        configuration = await self._configuration.refresh()
        now = to_micros(self._clock())

        def look(connection: ReadConnection) -> JobRecord:
            known = replace(request, target=_target_id(connection, request.target))
            if known.event is not None:
                _require_event(connection, known.event)
            found = selection(known, now)
            groups = replays.count(connection, found)
            total = sum(
                many
                for source, kind, many in groups
                if wanted(configuration, source, kind, known.target)
            )
            return _record(known, total, now)

        record = await self._database.read(look)
        if request.dry_run:
            return replace(job_view(record), id=None, state=JobState.DONE)
        await self._database.write(lambda c: jobs.insert(c, record))
        self._arrived()
        return job_view(record)


def _target_id(connection: ReadConnection, text: str | None) -> str | None:
    if text is None:
        return None
    for one in targets.list_all(connection):
        if text in (one.id, one.name):
            return one.id
    raise NotFound("There is no target with this id or name.")


def _require_event(connection: ReadConnection, event_id: str) -> None:
    if not is_id(event_id, "evt") or events.get(connection, event_id) is None:
        raise NotFound("There is no event with this id.")


def wanted(configuration: Configuration, source: str, event_type: str, target: str | None) -> bool:
    """Whether events of this source and type are for the target, or for any when it is None."""
    routes = configuration.routes.candidates(source, event_type)
    return any(target in (None, route.target_id) for route in routes)


def _record(request: ReplayRequest, total: int, now: int) -> JobRecord:
    asked = {
        name: to_micros(value) if isinstance(value, datetime) else value
        for name, value in asdict(request).items()
        if name not in {"force", "dry_run"}
    }
    return JobRecord(
        id=new_id("rpl"),
        kind=KIND,
        state=JobState.QUEUED,
        total=total,
        parameters=asked,
        force=request.force,
        created_at=now,
        updated_at=now,
    )


def request_of(parameters: dict[str, Any]) -> ReplayRequest:
    """What was asked for, read from a job's parameters."""
    moments = {
        name: from_micros(parameters[name])
        for name in ("since", "until")
        if parameters.get(name) is not None
    }
    return ReplayRequest(**{**parameters, **moments})


def selection(request: ReplayRequest, created_at: int) -> Selection:
    """The events a replay is about: only such as were there when it was asked for."""
    return Selection(
        wanted=EventFilter(
            type=request.type,
            source=request.source,
            since=None if request.since is None else to_micros(request.since),
            until=None if request.until is None else to_micros(request.until),
        ),
        latest=created_at,
        event=request.event,
        target=request.target,
        status=request.status,
    )
