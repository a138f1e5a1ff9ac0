"""Taking due deliveries and carrying them out.

A claim is one short transaction; the HTTP calls run outside any; the recorder writes the results.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import replace
from typing import Any

import structlog

from app.domain.clock import Clock, to_micros
from app.domain.errors import RelayError
from app.domain.grant import Grant
from app.domain.model import Event
from app.domain.outcome import Outcome, OutcomeKind, rejected, retry, skipped
from app.domain.record import record
from app.services.attempting import Attempt, Sender, outcomes
from app.services.claiming import Claiming, Taken
from app.services.configuration import ConfigurationCache
from app.services.enrichment import Enrichment
from app.services.events import StoredEvents
from app.services.giving_back import give_back
from app.services.grants import Grants
from app.services.holdings import Holdings
from app.services.lateness import Lateness
from app.services.routing_events import skip_reason
from app.services.task import Task, assignment_of, grouped, is_forced, unpaid
from app.store import claim, effects
from app.store.claim import ClaimedDelivery
from app.store.database import Database
from app.store.effects import Reservation

_log = structlog.get_logger(__name__)
_MICROS = 1_000_000
_EFFECT_WAIT_SECONDS = 2.0
_UNUSABLE_SECONDS = 60.0


@record(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one claimed delivery.

    `postpone` (seconds) puts it back without an attempt: somebody else is at the same effect, or
    its batch was refused and it goes alone now (`single`).
    `first_delivery_id` is the delivery that carried the effect out before.
    `trial` says that the target had done nothing but fail when this was sent.
    """

    claimed: ClaimedDelivery
    outcome: Outcome
    started_at: int
    duration_micros: int
    exchanges: Sequence[dict[str, Any]] = ()
    event: Event | None = None
    effect: str | None = None
    postpone: float | None = None
    single: bool = False
    first_delivery_id: str | None = None
    attempted: bool = True
    trial: bool = False


@record(frozen=True, slots=True)
class Claim:
    """What was taken: groups of tasks that share a request, and results that need none.

    `more` is true when there is more to take at once, as far as slots and memory allow.
    """

    groups: Sequence[Sequence[Task]]
    results: Sequence[Result]
    count: int
    next_due: int | None
    more: bool = False


class Dispatch:
    """The use-case of a worker: `claim`, then `carry_out` each group, then record."""

    def __init__(
        self,
        database: Database,
        configuration: ConfigurationCache,
        sender: Sender,
        clock: Clock,
        *,
        grants: Grants,
        owner: str,
        lease: float,
        attempt_timeout: float,
        enrichment: Enrichment | None = None,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._configuration = configuration
        self._sender = sender
        self._clock = clock
        self._grants = grants
        self._owner = owner
        self._lease = int(lease * _MICROS)
        self._attempt_timeout = attempt_timeout
        self._enrichment = enrichment
        self._elapsed = elapsed
        self._events = StoredEvents(configuration)
        self._lateness = Lateness(database, configuration)
        self._claiming = Claiming(
            database, configuration, clock, owner=owner, lease_micros=self._lease
        )

    async def claim(self, free: int, held: Holdings | None = None) -> Claim:
        """Lease up to `free` due deliveries, fairly over the targets. Raises StoreUnavailable.

        `held` is what this worker holds already, nothing by default.
        """
        taken = await self._claiming.take(free, held or Holdings())
        try:
            return await self._readied(taken)
        except BaseException:
            self._claiming.abandon(taken)
            raise

    async def _readied(self, taken: Taken) -> Claim:
        tasks, results = self._prepare(taken.deliveries)
        reserved, waiting = await self._reserve(tasks)
        current = await self._brought_up_to_date(reserved)
        groups = grouped(current)
        if owed := unpaid(groups, taken.paid):
            await self._database.write(lambda c: claim.owe_tokens(c, owed), durable=False)
        found = [*results, *waiting]
        return Claim(groups, found, len(taken.deliveries), taken.next_due, taken.more)

    async def _brought_up_to_date(self, tasks: list[Task]) -> list[Task]:
        """What comes late must not bring an older plan back, where order counts."""
        ordered = [(t.claimed, t.event) for t in tasks if t.claimed.ordered_subject is not None]
        late = await self._lateness.settle(ordered) if ordered else {}
        return [replace(t, event=late[t.claimed.id]) if t.claimed.id in late else t for t in tasks]

    async def release_all(self, cut: Sequence[ClaimedDelivery] = ()) -> int:
        """Give back what this worker still holds, `cut` while being sent; answers how many."""
        return await self._database.write(lambda c: give_back(c, self._owner, cut, self._clock()))

    def _prepare(self, taken: Iterable[ClaimedDelivery]) -> tuple[list[Task], list[Result]]:
        tasks: list[Task] = []
        results: list[Result] = []
        for claimed in taken:
            try:
                prepared = self._prepared(claimed)
            except RelayError as error:
                outcome = rejected(f"The stored body can no longer be read: {error.detail}")
                prepared = self._unsent(claimed, outcome)
            except Exception as error:  # noqa: BLE001  one that cannot be prepared must not stop the rest
                _log.exception("delivery.unprepared", delivery=claimed.id)
                outcome = retry(f"The delivery could not be prepared: {type(error).__name__}.")
                prepared = self._unsent(claimed, outcome, attempted=True)
            if isinstance(prepared, Task):
                tasks.append(prepared)
            else:
                results.append(prepared)
        return tasks, results

    def _prepared(self, claimed: ClaimedDelivery) -> Task | Result:
        target = self._configuration.current.targets.get(claimed.target_id)
        event = self._events.event(claimed)
        if target is None:
            outcome = skipped("The target's connector is not usable here; the log says why.")
            return self._unsent(claimed, outcome, event, postpone=_UNUSABLE_SECONDS)
        if reason := skip_reason(target, event):
            return self._unsent(claimed, skipped(reason), event)
        return Task(claimed, target, event, target.connector.effect(event))

    async def _reserve(self, tasks: Sequence[Task]) -> tuple[list[Task], list[Result]]:
        wanted = [(task.target.id, task.effect, task.claimed.id) for task in tasks if task.effect]
        if not wanted:
            return list(tasks), []
        now = to_micros(self._clock())
        owners = await self._database.write(lambda c: effects.reserve(c, wanted, now))
        free: list[Task] = []
        results: list[Result] = []
        for task in tasks:
            owner = owners[task.target.id, task.effect] if task.effect else None
            if owner is None or owner.delivery_id == task.claimed.id:
                free.append(task)
            elif owner.done and is_forced(task.claimed):
                # Carried out once more; who did it first stays on record.
                free.append(replace(task, effect=None))
            else:
                results.append(self._taken_by(owner, task))
        return free, results

    def _taken_by(self, owner: Reservation, task: Task) -> Result:
        if not owner.done:
            outcome = skipped(f"Waiting for {owner.delivery_id}, which does the same.")
            # Before the other one is tried again there is nothing to learn.
            wait = (owner.due_at - to_micros(self._clock())) / _MICROS + _EFFECT_WAIT_SECONDS
            wait = max(wait, _EFFECT_WAIT_SECONDS)
            return self._unsent(task.claimed, outcome, task.event, postpone=wait)
        outcome = skipped(f"{task.effect} was carried out by {owner.delivery_id}.")
        return self._unsent(task.claimed, outcome, task.event, first=owner.delivery_id)

    def _unsent(
        self,
        claimed: ClaimedDelivery,
        outcome: Outcome,
        event: Event | None = None,
        *,
        postpone: float | None = None,
        first: str | None = None,
        attempted: bool = False,
    ) -> Result:
        return Result(
            claimed=claimed,
            outcome=outcome,
            started_at=to_micros(self._clock()),
            duration_micros=0,
            event=event,
            postpone=postpone,
            first_delivery_id=first,
            attempted=attempted,
        )

    def carry_out(self, group: Sequence[Task]) -> Coroutine[Any, Any, list[Result]]:
        """Send one group: a single delivery, or a batch of one target.

        The first request is composed before anything is waited for, where that can be: a worker
        composes many in a row, which makes each cheaper, and sends them then (docs/adr/0019).
        What it raises, and what the coroutine does, is a mistake; `unsent` makes results of it.
        """
        enrichment = self._enrichment
        if enrichment is None or not enrichment.concerns(group[0].target):
            return self._send(group)
        return self._complete_and_send(enrichment, group)

    def unsent(self, group: Sequence[Task], error: Exception) -> list[Result]:
        """The results of a group that could not be sent: one mistake must not stop the rest."""
        _log.error("delivery.unsent", delivery=group[0].claimed.id, exc_info=error)
        outcome = retry(f"The delivery could not be sent: {type(error).__name__}.")
        return [self._unsent(t.claimed, outcome, t.event, attempted=True) for t in group]

    async def _complete_and_send(
        self, enrichment: Enrichment, group: Sequence[Task]
    ) -> list[Result]:
        target = group[0].target
        completed = await enrichment.complete(target, [(t.claimed, t.event) for t in group])
        results = await self._send(
            [replace(task, event=one.event) for task, one in zip(group, completed, strict=True)]
        )
        return [
            replace(result, exchanges=[*one.notes, *result.exchanges])
            for result, one in zip(results, completed, strict=True)
        ]

    def _send(self, group: Sequence[Task]) -> Coroutine[Any, Any, list[Result]]:
        if group[0].target.connector.uses_grant:
            return self._send_with_grant(group)
        return self._attempt(group, self._sender)

    async def _send_with_grant(self, group: Sequence[Task]) -> list[Result]:
        target = group[0].target
        async with self._grants.lend(target.id, self._sender, self._elapsed) as loan:
            results = await self._attempt(group, loan, loan.grant)
            await loan.settle([result.outcome for result in results], results[0].exchanges)
        return results

    def _lease_lasts(self, claimed: ClaimedDelivery, now: int) -> bool:
        """False when another worker may have the delivery before an attempt that begins now ends.

        So it is for a process that was frozen, and where the store took long.
        """
        return now + self._attempt_timeout * _MICROS <= claimed.fence + self._lease

    async def _too_late(self, group: Sequence[Task]) -> list[Result]:
        outcome = skipped("Not sent: its lease would have ended before the attempt.")
        return [self._unsent(one.claimed, outcome, one.event, postpone=0.0) for one in group]

    def _attempt(
        self, group: Sequence[Task], sender: Sender, grant: Grant | None = None
    ) -> Coroutine[Any, Any, list[Result]]:
        """Compose the first request of an attempt; what is answered sends it, and all others."""
        now = self._clock()
        started_at = to_micros(now)
        start = self._elapsed()
        target = group[0].target
        if not self._lease_lasts(group[0].claimed, started_at):
            return self._too_late(group)
        connector = target.connector
        assignments = [assignment_of(task, now, grant) for task in group]
        attempt = Attempt(
            connector.deliver(assignments[0])
            if len(group) == 1
            else connector.deliver_many(assignments),
            sender,
            target=target.id,
            seconds=self._attempt_timeout,
            masking=target.masking,
            ca_certificate=target.ca_certificate,
            elapsed=self._elapsed,
        )
        trial = target.id in self._claiming.failing
        return self._driven(attempt, group, started_at, start, trial=trial)

    async def _driven(
        self,
        attempt: Attempt,
        group: Sequence[Task],
        started_at: int,
        start: float,
        *,
        trial: bool,
    ) -> list[Result]:
        attempted = await attempt.drive()
        duration_micros = int((self._elapsed() - start) * _MICROS)
        ended = outcomes(attempted.end, len(group))
        # One bad record must not hold up the rest: a batch refused as a whole is driven one by one.
        refused = ended is None and attempted.end.kind is OutcomeKind.REJECTED
        return [
            Result(
                claimed=task.claimed,
                outcome=attempted.end if ended is None else ended[position],
                started_at=started_at,
                duration_micros=duration_micros,
                exchanges=attempted.exchanges,
                event=task.event,
                effect=task.effect,
                postpone=0.0 if refused else None,
                single=refused,
                trial=trial,
            )
            for position, task in enumerate(group)
        ]
