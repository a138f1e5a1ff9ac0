"""The steps of a backfill: first the newest membership of everybody, then the customers in pages.

The memberships are held in memory, a few hundred bytes each, since the API gives them by their own
ids only; a worker that takes the job over reads them again.
Customers go into the queue a few at a time, and only while the target's queue is short: live
events wait behind them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from app.domain import strict_json
from app.domain.errors import InvalidRequest, UnknownEventType, Unreadable
from app.services.composing import Composer
from app.services.configuration import BoundSource, Configuration
from app.services.jobs import JobState, Pace
from app.services.planning import Plan, plan_own
from app.services.platform_jobs import PlatformJob
from app.services.recollecting import recollect
from app.sources.ultimate_multisite_records import (
    Record,
    envelope_body,
    event_id,
    membership_data,
    record_id,
    record_moment,
)
from app.sources.ultimate_multisite_rest import LARGEST_PAGE, Page, list_page
from app.store import replays
from app.store.jobs import JobRecord, Progress

ORIGIN = "backfill"
#: An update, and no sign-up: nobody signed up now, and no automation may say welcome.
EVENT_TYPE = "customer_post_update"
#: Deliveries of one step, and in the target's queue; more where the destination takes batches.
BATCH = 25
#: Pages of memberships that one step reads.
_PAGES = 5
_DIGEST = 24
_LET_GO = timedelta(minutes=10)


@dataclass(slots=True)
class _State:
    """Which page of customers is next, and how many of its customers are done."""

    page: str | None = None
    skip: int = 0

    @classmethod
    def of(cls, cursor: str | None) -> _State:
        return cls() if cursor is None else cls(**strict_json.read_trusted(cursor.encode()))

    def __str__(self) -> str:
        return strict_json.write(asdict(self)).decode()


@dataclass(slots=True)
class _Held:
    """What a worker holds of a job in memory: memberships by customer, and the page at hand.

    A membership is the envelope's object as JSON, and the time it changed last.
    """

    used_at: datetime
    cursor: str | None = None
    complete: bool = False
    memberships: dict[str, tuple[bytes, datetime | None]] = field(default_factory=dict)
    page_of: str | None = None
    page: Page | None = None

    def add(self, page: Page) -> None:
        """Take in memberships, the oldest first: the newest of a customer is what stays."""
        for record in page.items:
            customer = record_id(record, "customer_id")
            if customer is not None:
                changed = record_moment(record, "date_modified", "date_created")
                written = strict_json.write(membership_data(record))
                self.memberships[customer] = (written, changed)
        self.cursor, self.complete = page.next, page.next is None


class BackfillJob(PlatformJob):
    """The kind of job that brings a network's customers into one target."""

    @cached_property
    def _held(self) -> dict[str, _Held]:
        return {}

    async def _go_on(
        self, job: JobRecord, owner: str, configuration: Configuration, source: BoundSource
    ) -> Pace:
        target = configuration.targets.get(job.parameters["target"])
        if target is None:
            return await self._fail(job, "The target was removed, or cannot be used here.")
        held = self._held_of(job)
        if not held.complete:
            for _ in range(_PAGES):
                if not held.complete:
                    held.add(await self._page(source.id, "membership", held.cursor))
            return Pace.GOES_ON
        batch = max(BATCH, min(LARGEST_PAGE, target.connector.limits.batch_size))
        waiting = await self._database.read(lambda c: replays.queued(c, target.id, batch))
        if waiting >= batch:
            return Pace.WAITS
        state = _State.of(job.cursor)
        if held.page is None or held.page_of != state.page:
            held.page = await self._page(source.id, "customer", state.page)
            held.page_of = state.page
        records = held.page.items[state.skip : state.skip + batch]
        plans = await self._plans(configuration, source, target.id, held, records)
        progress = _progress(job, state, held.page, len(records), len(records) - len(plans))
        stored = [plan for plan in plans if plan.deliveries]
        return await self._store(job, owner, configuration, stored, progress)

    def _held_of(self, job: JobRecord) -> _Held:
        """What is held of the job; what no job of this worker asks for any more is let go."""
        now = self._clock()
        held = self._held.setdefault(job.id, _Held(used_at=now))
        held.used_at = now
        for name, one in list(self._held.items()):
            if now - one.used_at > _LET_GO:
                del self._held[name]
        return held

    async def _page(self, source_id: str, collection: str, cursor: str | None) -> Page:
        return await self._platform.call(
            source_id, lambda access: list_page(access, collection, cursor)
        )

    async def _plans(
        self,
        configuration: Configuration,
        source: BoundSource,
        target_id: str,
        held: _Held,
        records: Sequence[Record],
    ) -> list[Plan]:
        subjects = [f"customer/{one}" for record in records if (one := record_id(record))]
        recollection = await recollect(self._database, configuration, source, subjects)
        composer = Composer(self._platform, source.id, recollection.people)
        await composer.ask_for_users(records)
        network = (await self._platform.access(source.id)).base_url
        now = self._clock()
        plans = []
        for record in records:
            body = _body(composer, record, held, target_id, network, now)
            if body is None:
                continue
            try:
                plans.append(
                    plan_own(
                        configuration,
                        source,
                        body,
                        received_at=now,
                        origin=ORIGIN,
                        target=target_id,
                    )
                )
            except (Unreadable, InvalidRequest, UnknownEventType):
                continue
        return plans


def _body(
    composer: Composer, record: Record, held: _Held, target_id: str, network: str, now: datetime
) -> bytes | None:
    """The envelope of one customer, None when the record has no id.

    Its id has a digest of what it says: who is brought in again goes out again only when changed.
    """
    customer_id = record_id(record)
    if customer_id is None:
        return None
    data: dict[str, Any] = {"customer": composer.customer(customer_id, record)}
    moments = [record_moment(record, "date_registered", "date_created")]
    known = held.memberships.get(customer_id)
    if known is not None:
        data["membership"] = strict_json.read_trusted(known[0])
        moments.append(known[1])
    digest = hashlib.sha256(strict_json.canonical(data)).hexdigest()[:_DIGEST]
    return envelope_body(
        identifier=event_id(ORIGIN, target_id, customer_id, digest),
        event_type=EVENT_TYPE,
        occurred_at=max([one for one in moments if one is not None and one <= now], default=now),
        data=data,
        network_url=network,
    )


def _progress(job: JobRecord, state: _State, page: Page, looked: int, failed: int) -> Progress:
    done, lost = job.done + looked - failed, job.failed + failed
    following = _State(state.page, state.skip + looked)
    if following.skip >= len(page.items):
        following = _State(page.next)
    finished = following.skip == 0 and page.next is None
    return Progress(
        state=JobState.DONE if finished else JobState.RUNNING,
        cursor=str(following),
        # Customers come and go on the way.
        total=done + lost if finished else max(job.total, done + lost),
        done=done,
        failed=lost,
        reason=f"{lost} customers could not be read." if lost else None,
        finished=finished,
    )
