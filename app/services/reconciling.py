"""The steps of a reconciliation: a page of records, what its customers' events told, what is missing.

Collections are walked from the oldest record to the newest, so that the history of a customer
comes in in its order.
The events of a page come in a few at a time, each step in one transaction with the job's cursor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar

from app.domain import strict_json
from app.domain.clock import from_micros
from app.domain.errors import InvalidRequest, UnknownEventType, Unreadable
from app.services.composing import Composer
from app.services.configuration import BoundSource, Configuration
from app.services.gaps import FINDERS, ORIGIN, Gap, Span, Told, subjects_of
from app.services.jobs import JobState, Pace
from app.services.planning import Plan, plan_own
from app.services.platform_jobs import PlatformJob
from app.services.recollecting import recollect
from app.sources.ultimate_multisite_records import Record
from app.sources.ultimate_multisite_rest import Page, list_page
from app.store.jobs import JobRecord, Progress

#: Records of a page, and events that one step brings in.
PAGE = 100
BATCH = 25
_FILTERS: dict[str, dict[str, str]] = {"event": {"slug": "checkout_completed"}}


@dataclass(slots=True)
class _State:
    """Where a job is: the collection, its page, the records of it that are done; and the result.

    `totals` has the number of records of the collections that said it.
    """

    collection: str = "customer"
    page: str | None = None
    skip: int = 0
    looked: int = 0
    failed: int = 0
    found: dict[str, int] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, cursor: str | None) -> _State:
        return cls() if cursor is None else cls(**strict_json.read_trusted(cursor.encode()))

    def __str__(self) -> str:
        return strict_json.write(asdict(self)).decode()

    def add(self, event_type: str) -> None:
        """Count one that was missing."""
        self.found[event_type] = self.found.get(event_type, 0) + 1

    def go_past(self, page: Page, done: int) -> bool:
        """Move behind `done` more records of the page; False behind the last collection."""
        self.looked += done
        if self.skip + done < len(page.items):
            self.skip += done
            return True
        self.page, self.skip = page.next, 0
        if page.next is not None:
            return True
        names = list(FINDERS)
        following = names[names.index(self.collection) + 1 :]
        if following:
            self.collection = following[0]
        return bool(following)


class ReconcileJob(PlatformJob):
    """The kind of job that finds what never arrived, and brings it in."""

    batch: ClassVar[int] = BATCH

    async def _go_on(
        self, job: JobRecord, owner: str, configuration: Configuration, source: BoundSource
    ) -> Pace:
        state = _State.of(job.cursor)
        if job.cursor is None:
            state.totals = await self._totals(source.id)
        now = self._clock()
        page = await self._page(source.id, state.collection, state.page, PAGE)
        settled = now - timedelta(seconds=job.parameters["settled"])
        span = Span(from_micros(job.parameters["since"]), settled, now)
        records = page.items[state.skip :]
        if page.total is not None:
            state.totals[state.collection] = page.total
        recollection = await recollect(
            self._database, configuration, source, subjects_of(records, state.collection)
        )
        done, gaps = self._missing(job, state.collection, records, recollection.told, span)
        composer = Composer(self._platform, source.id, recollection.people)
        composer.see(state.collection, records)
        plans = []
        if job.parameters["dry_run"]:
            for gap in gaps:
                state.add(gap.type)
        else:
            plans = await self._plans(configuration, source, composer, gaps, state, now)
        more = state.go_past(page, done)
        progress = _progress(state, more=more, dry_run=job.parameters["dry_run"])
        return await self._store(job, owner, configuration, plans, progress)

    async def _totals(self, source_id: str) -> dict[str, int]:
        """How many records there are, where the platform's version says so."""
        pages = {name: await self._page(source_id, name, None, 1) for name in FINDERS}
        return {name: page.total for name, page in pages.items() if page.total is not None}

    async def _page(self, source_id: str, collection: str, cursor: str | None, size: int) -> Page:
        filters = _FILTERS.get(collection)
        return await self._platform.call(
            source_id, lambda access: list_page(access, collection, cursor, filters, size=size)
        )

    def _missing(
        self,
        job: JobRecord,
        collection: str,
        records: Sequence[Record],
        told: Told,
        span: Span,
    ) -> tuple[int, list[Gap]]:
        """How many of the records were looked at, and what is missing of them."""
        find = FINDERS[collection]
        gaps: dict[str, Gap] = {}
        for done, record in enumerate(records):
            if len(gaps) == self.batch and not job.parameters["dry_run"]:
                return done, list(gaps.values())
            gap = find(record, told, span)
            if gap is not None:
                gaps.setdefault(gap.identifier, gap)
        return len(records), list(gaps.values())

    async def _plans(
        self,
        configuration: Configuration,
        source: BoundSource,
        composer: Composer,
        gaps: Sequence[Gap],
        state: _State,
        now: datetime,
    ) -> list[Plan]:
        await composer.prepare(gaps)
        plans = []
        for gap in gaps:
            body = await composer.body(gap)
            try:
                plan = plan_own(configuration, source, body, received_at=now, origin=ORIGIN)
            except (Unreadable, InvalidRequest, UnknownEventType):
                # Such as a type that a strict source does not take.
                state.failed += 1
                continue
            plans.append(plan)
            state.add(gap.type)
        return plans


def _progress(state: _State, *, more: bool, dry_run: bool) -> Progress:
    known = sum(state.totals.values())
    return Progress(
        state=JobState.RUNNING if more else JobState.DONE,
        cursor=str(state),
        # Records come and go on the way, and older versions do not say how many there are.
        total=max(known, state.looked) if more else state.looked,
        done=state.looked - state.failed,
        failed=state.failed,
        reason=_in_words(state.found, more=more, dry_run=dry_run),
        finished=not more,
    )


def _in_words(found: dict[str, int], *, more: bool, dry_run: bool) -> str | None:
    if not found:
        return None if more else "Nothing is missing."
    many = sum(found.values())
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(found.items()))
    told = "event is missing" if many == 1 else "events are missing"
    if not dry_run:
        told = "event was missing and came in" if many == 1 else "events were missing and came in"
    return f"{many} {told}: {kinds}."
