"""The way in: one transaction holds an event and a delivery for every target it is for.

What arrives together is committed together; the answer is given after the commit, never before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.domain.clock import Clock, to_micros
from app.domain.errors import (
    Conflict,
    InvalidRequest,
    NotFound,
    RelayError,
    RelayLoop,
    Unauthorized,
    Unreadable,
)
from app.domain.ids import new_id
from app.domain.model import RawRequest
from app.domain.routing import is_event_type
from app.services.batching import Batcher
from app.services.configuration import BoundSource, Configuration, ConfigurationCache
from app.services.planning import Plan, plan_request, read_request
from app.sources.authentication import authenticate
from app.store import intake, quarantine, routing, wakeups
from app.store.database import Database, WriteConnection
from app.store.intake import Known
from app.store.quarantine import QuarantineRecord


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the sender is told: the event's id, and whether it was known already."""

    id: str
    type: str
    duplicate: bool


@dataclass(frozen=True, slots=True)
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
        self._batcher: Batcher[_Intake, Receipt] = Batcher(self._flush)

    async def accept(self, source_name: str, request: RawRequest) -> Receipt:
        """Store what a sender sent; returns after the commit.

        Raises NotFound, Unauthorized, Unreadable and its kin (their `extra` names the quarantine
        entry), UnknownEventType, Conflict (same id, other content), StoreUnavailable.
        """
        configuration = self._configuration.current
        if self._configuration.stale(to_micros(request.received_at)):
            configuration = await self._configuration.refresh()
        try:
            plan = self._plan(configuration, source_name, request)
        except (NotFound, Unauthorized):
            # The source may have been made, or its credential rotated, on another node.
            newer = await self._configuration.refresh()
            if newer.version == configuration.version:
                raise
            configuration = newer
            plan = await self._plan_or_keep(configuration, source_name, request)
        except (Unreadable, InvalidRequest) as error:
            raise await self._keep(configuration, source_name, request, error) from error
        item = _Intake(source_name, request, configuration.version, plan, authenticated=False)
        return await self._batcher.put(item)

    async def reread(self, kept: QuarantineRecord) -> Receipt:
        """Read a quarantined body again with today's adapter. Raises what `accept` raises."""
        configuration = await self._configuration.refresh()
        source = configuration.source_by_id(kept.source_id)
        if source is None:
            raise NotFound(f"The source {kept.source!r} no longer exists; discard the entry.")
        request = RawRequest(
            headers={**(kept.headers or {}), "content-type": kept.content_type},
            body=kept.body,
            received_at=self._clock(),
            event_type=kept.event_type,
        )
        plan = plan_request(configuration, source, request, read_request(source, request))
        item = _Intake(source.name, request, configuration.version, plan, authenticated=True)
        return await self._batcher.put(item)

    async def drain(self) -> None:
        """Wait until everything accepted so far is committed."""
        await self._batcher.drain()

    def _plan(
        self,
        configuration: Configuration,
        source_name: str,
        request: RawRequest,
        *,
        authenticated: bool = False,
    ) -> Plan:
        source = configuration.sources.get(source_name)
        if source is None:
            raise NotFound("There is no such source; the path is /webhooks/<source>/<event type>.")
        if not authenticated:
            now = int(request.received_at.timestamp())
            authenticate(source.adapter, request, source.credentials, now)
        return plan_request(configuration, source, request, read_request(source, request))

    async def _plan_or_keep(
        self, configuration: Configuration, source_name: str, request: RawRequest
    ) -> Plan:
        try:
            return self._plan(configuration, source_name, request)
        except (Unreadable, InvalidRequest) as error:
            raise await self._keep(configuration, source_name, request, error) from error

    async def _keep(
        self,
        configuration: Configuration,
        source_name: str,
        request: RawRequest,
        error: RelayError,
    ) -> RelayError:
        """Keep an authenticated body that could not be read; answers the error that names it."""
        if not request.body or isinstance(error, RelayLoop):
            return error
        entry = _quarantine_entry(configuration.sources[source_name], request, error)
        await self._database.write(lambda c: quarantine.insert(c, entry))
        error.extra["quarantine_id"] = entry.id
        error.detail += f" The body is kept as {entry.id}."
        return error

    async def _flush(self, items: Sequence[_Intake]) -> Sequence[Receipt | RelayError]:
        results, queued = await self._database.write(lambda c: self._store(c, items))
        if queued:
            self._arrived()
        return results

    def _store(
        self, connection: WriteConnection, items: Sequence[_Intake]
    ) -> tuple[list[Receipt | RelayError], bool]:
        plans = self._plans_at_newest_version(connection, items)
        firsts: dict[tuple[str, bytes], Plan] = {}
        for plan in plans:
            if isinstance(plan, Plan) and plan.event.dedupe_key is not None:
                firsts.setdefault((plan.event.source_id, plan.event.dedupe_key), plan)
        now = to_micros(self._clock())
        known = intake.remember(connection, [plan.event for plan in firsts.values()], now)
        results: list[Receipt | RelayError] = []
        new: list[Plan] = []
        for plan in plans:
            if isinstance(plan, RelayError):
                results.append(plan)
                continue
            receipt = _receipt(plan, firsts, known)
            results.append(receipt)
            if isinstance(receipt, Receipt) and not receipt.duplicate:
                new.append(plan)
        return results, _insert(connection, new)

    def _plans_at_newest_version(
        self, connection: WriteConnection, items: Sequence[_Intake]
    ) -> list[Plan | RelayError]:
        version = routing.current(connection)
        if all(item.version == version for item in items):
            return [item.plan for item in items]
        configuration = self._configuration.load_if_moved(connection)
        plans: list[Plan | RelayError] = []
        for item in items:
            try:
                plans.append(
                    self._plan(
                        configuration,
                        item.source_name,
                        item.request,
                        authenticated=item.authenticated,
                    )
                )
            except RelayError as error:
                plans.append(error)
        return plans


def _receipt(
    plan: Plan, firsts: dict[tuple[str, bytes], Plan], known: dict[tuple[str, bytes], Known]
) -> Receipt | RelayError:
    event = plan.event
    if event.dedupe_key is None:
        return Receipt(event.id, event.type, duplicate=False)
    key = (event.source_id, event.dedupe_key)
    earlier = known.get(key)
    if earlier is None:
        first = firsts[key].event
        if first is event:
            return Receipt(event.id, event.type, duplicate=False)
        earlier = Known(first.id, first.fingerprint or b"")
    if earlier.fingerprint != event.fingerprint:
        return Conflict(
            f"The id {event.external_id!r} was used for {earlier.event_id} with another body;"
            " give the event an id of its own."
        )
    return Receipt(earlier.event_id, event.type, duplicate=True)


def _insert(connection: WriteConnection, plans: Sequence[Plan]) -> bool:
    if not plans:
        return False
    deliveries = [delivery for plan in plans for delivery in plan.deliveries]
    intake.insert(connection, [plan.event for plan in plans], deliveries)
    queued = any(delivery.reason is None for delivery in deliveries)
    if queued:
        wakeups.notify(connection)
    return queued


def _quarantine_entry(
    source: BoundSource, request: RawRequest, error: RelayError
) -> QuarantineRecord:
    event_type = request.event_type
    return QuarantineRecord(
        id=new_id("qrn"),
        source_id=source.id,
        source=source.name,
        event_type=event_type if event_type and is_event_type(event_type) else None,
        state="open",
        problem=error.slug,
        detail=error.detail,
        content_type=request.headers.get("content-type", "application/octet-stream")[:255],
        headers={
            name: request.headers[name]
            for name in (*source.adapter.kept_headers, "content-encoding")
            if name in request.headers
        },
        body=request.body,
        event_id=None,
        received_at=to_micros(request.received_at),
        settled_at=None,
    )
