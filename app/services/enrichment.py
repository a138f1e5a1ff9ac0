"""Asking an event's platform for what the event left unsaid, before a CRM or analytics is told.

It never costs more than the wait it is given, and never fails a delivery: what is not known in
time is left out, as it would be without it.
The platform is somebody's WordPress, so answers are remembered, nobody asks the same thing twice at
one time, and a network that does not answer is left alone for a while.
What was asked, found or not found stands in the attempt's log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog

from app.domain.clock import Clock, to_micros
from app.domain.errors import Conflict, NotFound, PlatformRefused, RelayError
from app.domain.model import Event, Membership
from app.domain.unsaid import About, Found, Question, filled, in_words, questions
from app.services.answers_kept import Answer, AnswersKept, Key
from app.services.configuration import BoundTarget, ConfigurationCache
from app.services.platform_api import PlatformApi
from app.sources import ultimate_multisite_rest as rest
from app.sources.ultimate_multisite_records import customer_of, membership_of
from app.store.claim import ClaimedDelivery

_log = structlog.get_logger(__name__)
_MICROS = 1_000_000
#: Connectors that keep people and count sales; everything else is sent as it came.
_KINDS = frozenset({"crm", "analytics"})
#: Analytics put what they are told beside the event's time: today's plan is not that of last week.
_PLAN_IS_THE_SAME = 86_400 * _MICROS
#: Seconds for one request; longer than anybody waits, so that a slow answer serves the next.
_PATIENCE = 5.0
#: Questions of one source that may wait; the pace lets through a few a second.
_MOST_WAITING = 20
_FAILURES_TO_REST = 3
_SHORTEST_REST, _LONGEST_REST = 60, 900
_RUNNING = frozenset({"active", "trialing"})
_NEEDS_SOMEBODY = (PlatformRefused, Conflict, NotFound)


@dataclass(frozen=True, slots=True)
class Completed:
    """An event with what was found, and what the log says of it."""

    event: Event
    notes: Sequence[dict[str, Any]] = ()


@dataclass(slots=True)
class _Network:
    """How a source's network has behaved, and what it is being asked."""

    failures: int = 0
    rest_until: int = 0
    reason: str = ""
    asked: dict[Question, tuple[asyncio.Task[Answer | str], int]] = field(default_factory=dict)


class Enrichment:
    """Completes events; `wait` is the most seconds that a delivery is held up for it."""

    def __init__(
        self,
        platform: PlatformApi,
        configuration: ConfigurationCache,
        clock: Clock,
        *,
        wait: float,
    ) -> None:
        self._platform = platform
        self._configuration = configuration
        self._clock = clock
        self._wait = wait
        self._patience = max(wait, _PATIENCE)
        self._kept = AnswersKept()
        self._networks: dict[str, _Network] = {}
        self._running: set[asyncio.Task[Answer | str]] = set()
        self._version: int | None = None
        self._addresses: Mapping[str, str] = {}

    def concerns(self, target: BoundTarget) -> bool:
        """False when nothing that this target gets is ever asked for."""
        if self._wait <= 0 or target.connector.kind not in _KINDS:
            return False
        current = self._configuration.current
        if current.version != self._version:
            self._begin_anew()
            self._version = current.version
            self._addresses = {
                source.id: source.api_url
                for source in current.sources_by_id.values()
                if source.api_url is not None
            }
        return bool(self._addresses)

    async def complete(
        self, target: BoundTarget, deliveries: Iterable[tuple[ClaimedDelivery, Event]]
    ) -> list[Completed]:
        """The events of some deliveries to one target, in their order. Never raises."""
        pairs = list(deliveries)
        try:
            return await self._complete(target, pairs)
        except Exception:  # noqa: BLE001  logged; a delivery must not fail for what it can do without
            _log.exception("enrichment.failed", target=target.name)
            return [Completed(event) for _, event in pairs]

    async def _complete(
        self, target: BoundTarget, deliveries: Sequence[tuple[ClaimedDelivery, Event]]
    ) -> list[Completed]:
        now, addresses = to_micros(self._clock()), self._addresses
        wanted = [
            (claimed, event, self._wanted(target, claimed, event, now))
            for claimed, event in deliveries
        ]
        since: dict[Key, int] = {}
        for claimed, _, keys in wanted:
            for key in keys:
                since[key] = max(claimed.received_at, since.get(key, 0))
        answers = await self._answers(since, now) if since else {}
        return [
            _completed(event, {key: answers[key] for key in keys}, addresses)
            for _, event, keys in wanted
        ]

    async def stop(self) -> None:
        """Ask nothing more, and wait for nobody."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _begin_anew(self) -> None:
        """Whoever changed a source may have corrected what was refused."""
        self._kept = AnswersKept()
        for network in self._networks.values():
            network.failures = network.rest_until = 0

    def _wanted(
        self, target: BoundTarget, claimed: ClaimedDelivery, event: Event, now: int
    ) -> list[Key]:
        if event.test or claimed.source_id not in self._addresses:
            return []
        recent = now - to_micros(event.occurred_at) <= _PLAN_IS_THE_SAME
        plan = recent or target.connector.kind == "crm"
        return [(claimed.source_id, question) for question in questions(event, plan=plan)]

    async def _answers(self, since: Mapping[Key, int], now: int) -> dict[Key, Answer | str]:
        found: dict[Key, Answer | str] = {}
        running: dict[Key, asyncio.Task[Answer | str]] = {}
        for key, received_at in since.items():
            known = self._kept.get(key, now, received_at) or self._ask(key, now, received_at)
            if isinstance(known, asyncio.Task):
                running[key] = known
            else:
                found[key] = known
        if running:
            await asyncio.wait(running.values(), timeout=self._wait)
        for key, task in running.items():
            found[key] = self._outcome(key, task)
        return found

    def _outcome(self, key: Key, task: asyncio.Task[Answer | str]) -> Answer | str:
        if not task.done():
            return f"The network did not answer within {self._wait:g} seconds."
        return self._resting(key[0]) if task.cancelled() else task.result()

    def _ask(self, key: Key, now: int, received_at: int) -> asyncio.Task[Answer | str] | str:
        """The question on its way, or why it is not asked."""
        source_id, question = key
        network = self._networks.setdefault(source_id, _Network())
        if now < network.rest_until:
            return self._resting(source_id)
        task, started_at = network.asked.get(question, (None, 0))
        if task is not None and (question.about is About.CUSTOMER or started_at >= received_at):
            return task
        if len(network.asked) >= _MOST_WAITING:
            return f"{_MOST_WAITING} other questions to the network are waiting already."
        task = asyncio.create_task(self._asked(network, key, now))
        network.asked[question] = (task, now)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    def _resting(self, source_id: str) -> str:
        return f"The network is left alone for a while: {self._networks[source_id].reason}"

    async def _asked(self, network: _Network, key: Key, now: int) -> Answer | str:
        source_id, question = key
        try:
            flow = partial(_asking, question=question)
            found = await self._platform.call(source_id, flow, seconds=self._patience)
        except RelayError as error:
            self._failed(network, error, error.detail)
            return error.detail
        except Exception as error:  # noqa: BLE001  a delivery must not fail for what it can do without
            _log.exception("enrichment.failed", source_id=source_id)
            reason = f"The answer could not be read: {type(error).__name__}."
            self._failed(network, error, reason)
            return reason
        finally:
            if network.asked.get(question, (None, 0))[0] is asyncio.current_task():
                del network.asked[question]
        network.failures = 0
        answer = Answer(found, now)
        self._kept.put(key, answer)
        return answer

    def _failed(self, network: _Network, error: Exception, reason: str) -> None:
        network.failures += 1
        network.reason = reason
        if isinstance(error, _NEEDS_SOMEBODY):
            network.failures = max(network.failures, _FAILURES_TO_REST)
        beyond = network.failures - _FAILURES_TO_REST
        if beyond < 0:
            return
        rest = min(_SHORTEST_REST * 2 ** min(beyond, 10), _LONGEST_REST)
        network.rest_until = to_micros(self._clock()) + rest * _MICROS
        _log.warning("enrichment.resting", seconds=rest, reason=reason)
        for task, _ in network.asked.values():
            if task is not asyncio.current_task():
                task.cancel()


def _asking(access: rest.ApiAccess, question: Question) -> rest.Asking[Found]:
    if question.about is About.CUSTOMER:
        record = yield from rest.get_record(access, "customer", question.number)
        return None if record is None else customer_of(record)
    if question.about is About.MEMBERSHIP:
        record = yield from rest.get_record(access, "membership", question.number)
        return None if record is None else membership_of(record)
    theirs = {"customer_id": question.number}
    page = yield from rest.list_page(access, "membership", filters=theirs)
    return _only_running([membership_of(row) for row in page.items], question.number)


def _only_running(memberships: Sequence[Membership], customer: str) -> Membership | None:
    # The number is looked at as well: a network that ignores the filter lists everybody's.
    running = [m for m in memberships if m.status in _RUNNING and m.customer_id == customer]
    return running[0] if len(running) == 1 else None


def _completed(
    event: Event, answers: Mapping[Key, Answer | str], addresses: Mapping[str, str]
) -> Completed:
    if not answers:
        return Completed(event)
    found = {key[1]: told.found for key, told in answers.items() if isinstance(told, Answer)}
    notes = [_note(addresses[key[0]], key[1], told) for key, told in answers.items()]
    return Completed(filled(event, found), notes)


def _note(address: str, question: Question, told: Answer | str) -> dict[str, Any]:
    """A line of the attempt's log, in the form of the requests that stand behind it."""
    places = {
        About.CUSTOMER: f"customer/{question.number}",
        About.MEMBERSHIP: f"membership/{question.number}",
        About.THEIR_MEMBERSHIP: f"membership?customer_id={question.number}",
    }
    note: dict[str, Any] = {
        "method": "GET",
        "url": f"{address}/wp-json/wu/v2/{places[question.about]}",
        "status": None,
    }
    if isinstance(told, str):
        return note | {"error": "not_enriched", "detail": f"Sent without it. {told}"}
    missing = told.found is None and question.about is not About.THEIR_MEMBERSHIP
    return note | {"status": 404 if missing else 200, "detail": in_words(question, told.found)}
