"""The way in: one transaction holds an event and a delivery for every target it is for.

What arrives together is committed together; the answer is given after the commit, never before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from app.domain.clock import Clock, to_micros
from app.domain.errors import (
    InvalidRequest,
    NotFound,
    RelayError,
    RelayLoop,
    SourceUnusable,
    Unreadable,
)
from app.domain.model import RawRequest
from app.domain.record import record
from app.services.batch_requests import in_batch, plan_batch
from app.services.batching import Batcher
from app.services.configuration import BoundSource, Configuration, ConfigurationCache
from app.services.kept_requests import kept_request, released_request
from app.services.planning import Plan, plan_request, plan_together
from app.services.receipts import Receipt, receipt_of, store_firsts
from app.sources.authentication import authenticate
from app.store import quarantine
from app.store.database import Database, WriteConnection
from app.store.quarantine import QuarantineRecord

#: What the end of a request comes to.
SettledT = TypeVar("SettledT")


@record(frozen=True, slots=True)
class _Intake:
    """A request on its way through one transaction; `plan` holds for `version` only."""

    source_name: str
    request: RawRequest
    version: int
    plan: Plan
    authenticated: bool


class Ingest:
    """Accepts requests of senders.

    `arrived` is called after each commit that queued something: a hint for the dispatcher.
    """

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
        self._batcher: Batcher[_Intake, Receipt] = Batcher(self._flush, most=database.most_together)

    async def accept(self, source_name: str, request: RawRequest) -> Receipt:
        """Store what a sender sent; returns after the commit.

        Raises NotFound, Unauthorized, TooManyRequests, Unreadable and its kin (their `extra` names
        the quarantine entry), UnknownEventType, Conflict (same id, other content),
        StoreUnavailable.
        """
        configuration = self._configuration.current
        if self._configuration.stale(to_micros(request.received_at)):
            configuration = await self._configuration.refresh()
        try:
            found = self._read(configuration, source_name, request)
        except RelayError as error:
            # By what the store says now it may be welcome: a source or a credential was made, a
            # mapping corrected, here or on another node.
            newer = await self._configuration.refresh()
            if newer.version == configuration.version:
                raise await self._keep(configuration, source_name, request, error) from error
            configuration = newer
            found = await self._read_or_keep(configuration, source_name, request)
        if isinstance(found, _Intake):
            return await self._batcher.put(found)
        try:
            return await self._store_together(found, lambda _, receipt: receipt)
        except RelayError as error:
            raise await self._keep(configuration, source_name, request, error) from error

    def accept_at_once(
        self, asked: Sequence[tuple[str, RawRequest]]
    ) -> list[asyncio.Future[Receipt] | None]:
        """For each request the receipt that comes with the commit, or None for one not plain.

        Something is wrong with such a request, or it must be read in another way; nothing was
        changed, and `accept` takes it from the beginning.
        A request stands beside the name of its source.
        """
        configuration = self._configuration.current
        found: list[asyncio.Future[Receipt] | None] = [None] * len(asked)
        # A secret in the overlap of a rotation may have expired.
        if configuration.valid_until is not None:
            return found
        plain = [
            (place, source, request)
            for place, (name, request) in enumerate(asked)
            if (source := configuration.sources.get(name)) is not None
            and _is_plain(source, request)
        ]
        plans = plan_together(configuration, [(source, request) for _, source, request in plain])
        for (place, source, request), plan in zip(plain, plans, strict=True):
            if isinstance(plan, Plan):
                item = _Intake(
                    source.name, request, configuration.version, plan, authenticated=False
                )
                found[place] = self._batcher.put(item)
        return found

    def greets(self, source_name: str, request: RawRequest) -> bool:
        """Whether a request without a credential is the sender's test of its URL."""
        source = self._configuration.current.sources.get(source_name)
        return source is not None and source.adapter.greets(request)

    async def permits(self, source_name: str, origin: str) -> bool:
        """Whether the sender `origin` may be told that the source takes its events."""
        source = (await self._configuration.refresh()).sources.get(source_name)
        return source is not None and source.adapter.permits(origin)

    async def reread(
        self, kept: QuarantineRecord, settle: Callable[[WriteConnection, Receipt], SettledT]
    ) -> SettledT:
        """Read a quarantined request again with today's adapter.

        `settle` closes its entry, in the transaction that stores the event: neither happens
        without the other.
        Raises what `accept` raises, and what `settle` does.
        """
        configuration = await self._configuration.refresh()
        source = configuration.source_by_id(kept.source_id)
        if source is None:
            raise NotFound(f"The source {kept.source!r} no longer exists; discard the entry.")
        request = released_request(kept, self._clock())
        found = self._read(configuration, source.name, request, authenticated=True)
        return await self._store_together(found, settle)

    async def drain(self) -> None:
        """Wait until everything accepted so far is committed."""
        await self._batcher.drain()

    def _read(
        self,
        configuration: Configuration,
        source_name: str,
        request: RawRequest,
        *,
        authenticated: bool = False,
    ) -> _Intake | list[_Intake]:
        """The request as one event, or as the events of a batch."""
        source = configuration.sources.get(source_name)
        if (
            source is None
            or not source.adapter.takes_batches
            or not source.adapter.is_batch(request)
        ):
            plan = self._plan(configuration, source_name, request, authenticated=authenticated)
            return _Intake(source_name, request, configuration.version, plan, authenticated)
        if not authenticated:
            _admit(source, request)
        return [
            # The credential covers the batch, not its parts: it is not looked at again.
            _Intake(source_name, part, configuration.version, plan, authenticated=True)
            for part, plan in plan_batch(configuration, source, request)
        ]

    async def _store_together(
        self,
        found: _Intake | Sequence[_Intake],
        settle: Callable[[WriteConnection, Receipt], SettledT],
    ) -> SettledT:
        """Store all events of a request in one transaction, or, when one is refused, none.

        What `settle` makes of the receipt, before the commit, is answered.
        """
        items = [found] if isinstance(found, _Intake) else found
        is_batch = items is found

        def work(connection: WriteConnection) -> tuple[SettledT, bool]:
            results, queued = self._store(connection, items)
            for position, result in enumerate(results):
                if isinstance(result, RelayError):
                    raise in_batch(result, position) if is_batch else result
            receipts = tuple(result for result in results if isinstance(result, Receipt))
            whole = replace(receipts[0], events=receipts if is_batch else ())
            return settle(connection, whole), queued

        settled, queued = await self._database.write(work)
        if queued:
            self._arrived()
        return settled

    def _plan(
        self,
        configuration: Configuration,
        source_name: str,
        request: RawRequest,
        *,
        authenticated: bool = False,
        counted: bool = False,
    ) -> Plan:
        source = configuration.sources.get(source_name)
        if source is None:
            raise _no_source(configuration, source_name)
        if not authenticated:
            _admit(source, request, counted=counted)
        return plan_request(configuration, source, request)

    async def _read_or_keep(
        self, configuration: Configuration, source_name: str, request: RawRequest
    ) -> _Intake | list[_Intake]:
        try:
            return self._read(configuration, source_name, request)
        except RelayError as error:
            raise await self._keep(configuration, source_name, request, error) from error

    async def _keep(
        self,
        configuration: Configuration,
        source_name: str,
        request: RawRequest,
        error: RelayError,
    ) -> RelayError:
        """Keep an authenticated request that could not be read; answers the error that names it.

        Any other error is answered as it is, and nothing is kept.
        """
        unread = isinstance(error, (Unreadable, InvalidRequest))
        source = configuration.sources.get(source_name)
        if source is None or not unread or isinstance(error, RelayLoop):
            return error
        entry = kept_request(source, request, error)
        await self._database.write(lambda c: quarantine.insert(c, entry))
        error.extra["quarantine_id"] = entry.id
        what = "body" if request.body else "request"
        error.detail += f" The {what} is kept as {entry.id}."
        return error

    async def _flush(self, items: Sequence[_Intake]) -> Sequence[Receipt | RelayError]:
        results, queued = await self._database.write_once(lambda c: self._store(c, items))
        if queued:
            self._arrived()
        return [
            await self._kept(item, result) if isinstance(result, RelayError) else result
            for item, result in zip(items, results, strict=True)
        ]

    async def _kept(self, item: _Intake, error: RelayError) -> RelayError:
        """What the sender of an item is told that could be read, until its source was changed."""
        configuration = self._configuration.current
        try:
            return await self._keep(configuration, item.source_name, item.request, error)
        except RelayError as failure:
            return failure

    def _store(
        self, connection: WriteConnection, items: Sequence[_Intake]
    ) -> tuple[list[Receipt | RelayError], bool]:
        now = to_micros(self._clock())
        version = items[0].version
        plans: list[Plan | RelayError] = [item.plan for item in items]
        stored = None
        if all(item.version == version for item in items):
            stored = store_firsts(connection, plans, version, now)
        while stored is None:
            # The routes, or a credential, changed since the requests were read.
            configuration = self._configuration.load_if_moved(connection)
            plans = [self._planned_anew(configuration, item) for item in items]
            stored = store_firsts(connection, plans, configuration.version, now)
        return [receipt_of(plan, stored) for plan in plans], stored.queued

    def _planned_anew(self, configuration: Configuration, item: _Intake) -> Plan | RelayError:
        try:
            return self._plan(
                configuration,
                item.source_name,
                item.request,
                authenticated=item.authenticated,
                counted=True,
            )
        except RelayError as error:
            return error


def _no_source(configuration: Configuration, name: str) -> RelayError:
    if name in configuration.unusable_sources:
        return SourceUnusable(
            "The source cannot be used here at the moment; the relay's log says why."
            " Nothing was stored. Send the request again.",
            headers={"Retry-After": "60"},
        )
    return NotFound("There is no such source; the path is /webhooks/<source>/<event type>.")


def _is_plain(source: BoundSource, request: RawRequest) -> bool:
    """Whether a request is one event, and may speak for its source."""
    if source.pace is not None or source.adapter.takes_batches:
        return False
    try:
        _admit(source, request)
    except Exception:  # noqa: BLE001  whatever it is, `accept` meets it again and says so
        return False
    return True


def _admit(source: BoundSource, request: RawRequest, *, counted: bool = False) -> None:
    """Check the credential, then the pace: a stranger must not use up what a sender may send.

    A request that was `counted` is not counted again when it is read anew.
    """
    now = request.received_at.timestamp()
    authenticate(source.adapter, request, source.credentials, int(now))
    if source.pace is not None and not counted:
        source.pace.take(now)
