"""What became of attempts, written down: many at once, in one transaction."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog

from app.domain import strict_json
from app.domain.clock import Clock, to_micros
from app.domain.errors import StoreUnavailable
from app.domain.ids import new_id
from app.domain.outcome import OutcomeKind
from app.services import news
from app.services.configuration import ConfigurationCache
from app.services.dispatch import Result
from app.services.planning import Plan
from app.services.verdict import FAILURES, TAKEN, Verdict, verdict
from app.store import effects, intake, results, target_state, wakeups
from app.store.database import Database, WriteConnection
from app.store.results import Ending

_log = structlog.get_logger(__name__)
_MICROS = 1_000_000
_REASON = 500
#: How often a healthy target's last success is written, in microseconds.
_SUCCESS_EVERY = 5 * _MICROS


@dataclass(slots=True)
class _Batch:
    """One flush: the results with their verdicts, and what they ask for beside their own rows."""

    judged: list[tuple[Result, Verdict]]
    now: int
    simple: bool = False
    plans: list[Plan] = field(default_factory=list)
    disable: dict[str, str] = field(default_factory=dict)


class Recorder:
    """Writes results, as many as there are in one transaction.

    `observe` is called with every result and verdict that counted; `arrived` when news were queued.
    """

    def __init__(
        self,
        database: Database,
        configuration: ConfigurationCache,
        clock: Clock,
        *,
        owner: str,
        disable_after: int,
        chance: Callable[[], float] = random.random,
        arrived: Callable[[], None] = lambda: None,
        observe: Callable[[Result, Verdict], None] = lambda _result, _verdict: None,
    ) -> None:
        self._database = database
        self._configuration = configuration
        self._clock = clock
        self._owner = owner
        self._disable_after = disable_after * _MICROS
        self._chance = chance
        self._arrived = arrived
        self._observe = observe
        self._last_success: dict[str, int] = {}
        self._throttles: dict[str, tuple[int, int]] = {}

    async def record(self, batch: Sequence[Result]) -> None:
        """Write results, each of another delivery, all or none of them. Raises StoreUnavailable."""
        targets = self._configuration.current.targets
        now = to_micros(self._clock())
        judged = [
            (
                result,
                verdict(
                    result,
                    targets.get(result.claimed.target_id),
                    self._chance(),
                    self._throttles_in_a_row(result, now),
                ),
            )
            for result in batch
        ]
        flush = _Batch(judged, now, simple=all(self._is_simple(*pair, now) for pair in judged))
        write = self._database.write_once if flush.simple else self._database.write
        await write(lambda c: self._write(c, flush))
        for target_id, reason in flush.disable.items():
            await self._disable_if_possible(target_id, reason, flush)
        if flush.plans:
            self._arrived()
        for result, ruling in judged:
            self._observe(result, ruling)

    def _is_simple(self, result: Result, ruling: Verdict, now: int) -> bool:
        """True when a result asks for nothing beside its own rows: the common case by far."""
        return (
            ruling.status == "succeeded"
            and result.effect is None
            and result.outcome.external_id is None
            and not result.outcome.forget_id
            and not result.trial
            and now - self._last_success.get(result.claimed.target_id, 0) <= _SUCCESS_EVERY
        )

    def _throttles_in_a_row(self, result: Result, now: int) -> int:
        """How often the target throttled what was sent after it had throttled before."""
        target_id, kind = result.claimed.target_id, result.outcome.kind
        count, counted_at = self._throttles.get(target_id, (0, -1))
        if kind is OutcomeKind.THROTTLE:
            # A batch, and all that was under way, are throttled once: nobody was too fast again.
            if result.started_at > counted_at:
                count += 1
                self._throttles[target_id] = (count, now)
        elif kind in TAKEN:
            self._throttles.pop(target_id, None)
        return max(count, 1)

    def _write(self, connection: WriteConnection, batch: _Batch) -> None:
        batch.plans.clear()
        batch.disable.clear()
        endings = [_ending(result, ruling, batch.now) for result, ruling in batch.judged]
        counted = results.write(connection, endings, worker=self._owner, now=batch.now)
        if batch.simple:
            return
        results.hold_back_followers(connection, _followers(batch, counted))
        ours = [pair for pair in batch.judged if pair[0].claimed.id in counted]
        self._effects(connection, batch, ours)
        self._links(connection, batch, ours)
        self._target_states(connection, batch, ours)
        self._announce_failures(batch, ours)
        if batch.plans:
            intake.insert(
                connection,
                [plan.event for plan in batch.plans],
                [delivery for plan in batch.plans for delivery in plan.deliveries],
            )
            wakeups.notify(connection)

    def _effects(
        self, connection: WriteConnection, batch: _Batch, ours: list[tuple[Result, Verdict]]
    ) -> None:
        with_effect = [
            ((r.claimed.target_id, r.effect, r.claimed.id), v.status) for r, v in ours if r.effect
        ]
        done = sorted(key for key, status in with_effect if status == "succeeded")
        given_up = sorted(
            key for key, status in with_effect if status is not None and status != "succeeded"
        )
        effects.finish(connection, done, batch.now)
        effects.release(connection, given_up)

    def _links(
        self, connection: WriteConnection, batch: _Batch, ours: list[tuple[Result, Verdict]]
    ) -> None:
        for result, _ in ours:
            subject = result.claimed.subject
            if subject is None:
                continue
            target_id, external_id = result.claimed.target_id, result.outcome.external_id
            if result.outcome.forget_id and external_id is None:
                target_state.forget_link(connection, target_id, subject)
            if external_id is None or external_id == result.claimed.remembered_id:
                continue
            if target_state.remember_link(connection, target_id, subject, external_id, batch.now):
                self._announce_link(batch, result, external_id)

    def _announce_link(self, batch: _Batch, result: Result, external_id: str) -> None:
        configuration = self._configuration.current
        target = configuration.targets.get(result.claimed.target_id)
        if target is None or result.event is None or result.claimed.kind == news.KIND:
            return
        batch.plans.append(
            news.contact_linked(
                configuration,
                now=batch.now,
                target=target.name,
                connector=target.connector.name,
                external_id=external_id,
                about=result.event,
            )
        )

    def _announce_failures(self, batch: _Batch, ours: list[tuple[Result, Verdict]]) -> None:
        configuration = self._configuration.current
        for result, ruling in ours:
            # News about news would never end.
            if (
                ruling.status != "failed"
                or result.event is None
                or result.claimed.kind == news.KIND
            ):
                continue
            target = configuration.targets.get(result.claimed.target_id)
            batch.plans.append(
                news.delivery_failed(
                    configuration,
                    now=batch.now,
                    delivery_id=result.claimed.id,
                    target=target.name if target else result.claimed.target_id,
                    reason=result.outcome.reason[:_REASON],
                    about=result.event,
                )
            )

    def _target_states(
        self, connection: WriteConnection, batch: _Batch, ours: list[tuple[Result, Verdict]]
    ) -> None:
        by_target: dict[str, list[tuple[Result, Verdict]]] = {}
        for pair in ours:
            by_target.setdefault(pair[0].claimed.target_id, []).append(pair)
        for target_id in sorted(by_target):
            self._target_state(connection, batch, target_id, by_target[target_id])

    def _target_state(
        self,
        connection: WriteConnection,
        batch: _Batch,
        target_id: str,
        pairs: list[tuple[Result, Verdict]],
    ) -> None:
        # A batch that was refused as a whole is judged by its parts, which go alone.
        kinds = {r.outcome.kind for r, _ in pairs if r.attempted and not r.single}
        rests = [ruling.rest for _, ruling in pairs if ruling.rest is not None]
        if rests:
            until = batch.now + int(max(rests) * _MICROS)
            target_state.throttle(connection, target_id, until)
        if kinds & TAKEN:
            # The first success after failures lets all go again, whichever worker had those.
            trial = any(result.trial for result, _ in pairs)
            if trial or batch.now - self._last_success.get(target_id, 0) > _SUCCESS_EVERY:
                target_state.succeeded(connection, target_id, batch.now)
                self._last_success[target_id] = batch.now
        elif kinds & FAILURES:
            self._last_success.pop(target_id, None)
            since = target_state.failed(connection, target_id, batch.now)
            long_enough = batch.now - since >= self._disable_after
            if long_enough and not target_state.took_anything_since(connection, target_id, since):
                days = self._disable_after / _MICROS / 86_400
                batch.disable[target_id] = f"Nothing but failures for {days:g} days."
        for _, ruling in pairs:
            if ruling.disable is not None:
                batch.disable[target_id] = ruling.disable

    async def _disable_if_possible(self, target_id: str, reason: str, batch: _Batch) -> None:
        try:
            await self._disable(target_id, reason, batch)
        except StoreUnavailable as error:
            # The results are written, and must not be again: the target's next refusal disables it.
            _log.warning("target.not_disabled", target_id=target_id, cause=error.cause)

    async def _disable(self, target_id: str, reason: str, batch: _Batch) -> None:
        # A transaction of its own: changes of the configuration wait for one another, and nothing
        # else is locked while this one waits.
        def work(connection: WriteConnection) -> bool:
            if not target_state.disable(connection, target_id, reason[:_REASON], batch.now):
                return False
            configuration = self._configuration.load_if_moved(connection)
            target = configuration.targets.get(target_id)
            name = target.name if target else target_id
            plan = news.target_disabled(
                configuration,
                now=batch.now,
                target_id=target_id,
                target=name,
                reason=reason[:_REASON],
            )
            intake.insert(connection, [plan.event], plan.deliveries)
            wakeups.notify(connection)
            return True

        if await self._database.write(work):
            _log.warning("target.disabled", target_id=target_id, reason=reason)
            self._arrived()


def _ending(result: Result, ruling: Verdict, now: int) -> Ending:
    claimed, outcome, over = result.claimed, result.outcome, ruling.status is not None
    return {
        "delivery_id": claimed.id,
        "fence": claimed.fence,
        "status": ruling.status,
        "reason": outcome.reason[:_REASON],
        "attempts": ruling.attempts,
        "external_id": outcome.external_id if over else None,
        "first_delivery_id": result.first_delivery_id if over else None,
        "due_at": None if over else _due_at(now, ruling),
        "single": result.single or claimed.single,
        "attempt_id": new_id("att") if result.attempted else None,
        "number": claimed.attempts + 1,
        "outcome": outcome.kind.value,
        "started_at": result.started_at,
        "duration_micros": result.duration_micros,
        "exchanges": strict_json.write(result.exchanges).decode(),
    }


def _due_at(now: int, ruling: Verdict) -> int:
    return now + int(ruling.wait * _MICROS)


def _followers(batch: _Batch, counted: set[str]) -> list[tuple[str, str, int]]:
    return [
        (result.claimed.target_id, result.claimed.ordered_subject, _due_at(batch.now, ruling))
        for result, ruling in batch.judged
        if ruling.status is None
        and result.claimed.ordered_subject is not None
        and result.claimed.id in counted
    ]
