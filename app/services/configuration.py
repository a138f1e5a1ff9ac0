"""The sources, targets and routes as one immutable snapshot, rebuilt when the routing version moves."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from app import __version__
from app.connectors.base import Connector, TargetBinding
from app.connectors.mapping import bind_mapping
from app.connectors.registry import connector_class
from app.domain import authorities, signing, strict_json
from app.domain.clock import Clock, to_micros
from app.domain.errors import NotImplementedYet
from app.domain.expressions import ExpressionError, compile_filter
from app.domain.retry import DEFAULT_SCHEDULE, RetryPolicy
from app.domain.routing import Condition, Route, RoutingTable, compile_patterns
from app.services.api_access import ADDRESS
from app.services.masking import Masking
from app.services.pace import Pace, Paces
from app.services.target_secrets import secret_texts
from app.sources.base import Credentials, SourceAdapter
from app.sources.registry import adapter_for
from app.store import routing, sources, targets
from app.store.database import Database, ReadConnection
from app.store.sealing import SealBroken, Sealer
from app.store.sources import SourceRecord
from app.store.targets import TargetRecord

_log = structlog.get_logger(__name__)
#: The length of a source's stamp.
STAMP_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundSource:
    """A source, ready to check and read requests.

    `stamp` (8 bytes) names how it reads: other settings, or another release of the relay, have
    another.
    `api_url` is where the sender's own API can be asked, None without the keys to it; `pace` is
    how fast it may send, None for no limit.
    """

    id: str
    name: str
    kind: str
    strict: bool
    adapter: SourceAdapter
    credentials: Credentials
    dedupe_window: int
    stamp: bytes
    api_url: str | None = None
    pace: Pace | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundTarget:
    """A target, ready to be delivered to."""

    id: str
    name: str
    connector: Connector[Any]
    retry: RetryPolicy
    masking: Masking
    ca_certificate: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Everything routing needs, as it was at `version`.

    `targets` are those that can be delivered to here; `routes` has all of them, since what comes in
    for one that this version cannot use waits for one that can.
    `unusable_sources` are the names of senders that cannot be told from strangers here.
    `valid_until` (microseconds) is when the next overlapping secret expires, None for never.
    """

    version: int
    sources: Mapping[str, BoundSource]
    sources_by_id: Mapping[str, BoundSource]
    targets: Mapping[str, BoundTarget]
    routes: RoutingTable
    valid_until: int | None
    unusable_sources: frozenset[str] = frozenset()

    def source_by_id(self, source_id: str) -> BoundSource | None:
        """The source with this id."""
        return self.sources_by_id.get(source_id)


class ConfigurationCache:
    """Holds the newest snapshot this process has seen."""

    def __init__(
        self, database: Database, sealer: Sealer, clock: Clock, *, dedupe_window: int
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock
        self._dedupe_window = dedupe_window
        self._paces = Paces()
        self._current: Configuration | None = None
        self._refreshing: asyncio.Task[Configuration] | None = None

    @property
    def current(self) -> Configuration:
        """The newest snapshot; `refresh` must have run once."""
        if self._current is None:
            raise RuntimeError("the configuration was not loaded")
        return self._current

    def stale(self, now: int) -> bool:
        """True when an overlapping secret has expired since the snapshot was made."""
        current = self._current
        return current is None or (current.valid_until is not None and now >= current.valid_until)

    async def refresh(self) -> Configuration:
        """The snapshot of the newest version; many callers at once cost one look."""
        if self._refreshing is None:
            self._refreshing = asyncio.create_task(self._refresh())
            self._refreshing.add_done_callback(self._refreshed)
        return await asyncio.shield(self._refreshing)

    def _refreshed(self, _task: asyncio.Task[Configuration]) -> None:
        self._refreshing = None

    async def _refresh(self) -> Configuration:
        return await self._database.read(self.load_if_moved)

    def load_if_moved(self, connection: ReadConnection) -> Configuration:
        """The snapshot at the version this transaction sees."""
        version = routing.current(connection)
        current = self._current
        fresh = not self.stale(to_micros(self._clock()))
        if fresh and current is not None and current.version == version:
            return current
        return self._load(connection, version)

    def _load(self, connection: ReadConnection, version: int) -> Configuration:
        now = to_micros(self._clock())
        source_rows = sources.list_all(connection)
        target_rows = targets.list_all(connection)
        bound = [self._bind_target(row, now) for row in target_rows]
        senders = [source for row in source_rows if (source := self._bind_source(row, now))]
        loaded = Configuration(
            version=version,
            sources={source.name: source for source in senders},
            sources_by_id={source.id: source for source in senders},
            targets={target.id: target for target in bound if target is not None},
            routes=RoutingTable(_route(row) for row in target_rows),
            valid_until=_next_expiry([*source_rows, *target_rows], now),
            unusable_sources=frozenset(row.name for row in source_rows)
            - {source.name for source in senders},
        )
        self._current = loaded
        return loaded

    def _bind_source(self, row: SourceRecord, now: int) -> BoundSource | None:
        # A source that this version cannot use, for its kind, its settings or a secret that does
        # not open, must not stop the others.
        try:
            return self._usable_source(row, now)
        except (NotImplementedYet, ValueError, SealBroken) as error:
            _log.error("source.unusable", source=row.name, kind=row.kind, error=str(error))
            return None

    def _usable_source(self, row: SourceRecord, now: int) -> BoundSource:
        adapter = adapter_for(row.kind).configured(row.settings)
        overlapping = row.previous_expires_at is not None and row.previous_expires_at > now
        digests = [row.token_digest, row.previous_token_digest if overlapping else None]
        place = f"sources/{row.id}/"
        return BoundSource(
            id=row.id,
            name=row.name,
            kind=row.kind,
            strict=row.strict,
            adapter=adapter,
            credentials=Credentials(
                token_hashes=tuple(bytes.fromhex(digest) for digest in digests if digest),
                signing_secrets=_keys(adapter, self._secrets(row, place, overlapping=overlapping)),
            ),
            dedupe_window=int(row.settings.get("dedupe_window", self._dedupe_window)),
            stamp=_stamp(row),
            api_url=row.settings.get(ADDRESS) if row.api_access_sealed else None,
            pace=self._paces.of(row.id, row.settings.get("rate_per_second")),
        )

    def _secrets(
        self, row: SourceRecord | TargetRecord, place: str, *, overlapping: bool
    ) -> list[str]:
        """The signing secrets in their serialised form, the current one first."""
        sealed = [(row.signing_secret_sealed, place + "signing_secret")]
        if overlapping:
            sealed.append((row.previous_signing_secret_sealed, place + "previous_signing_secret"))
        return [self._sealer.open(text, where) for text, where in sealed if text]

    def _bind_target(self, row: TargetRecord, now: int) -> BoundTarget | None:
        # A target whose connector is no longer installed must not stop the others.
        try:
            connector = self._bind_connector(row, now)
        except Exception as error:  # noqa: BLE001  a connector of a third party may raise anything
            _log.error(
                "target.unusable", target=row.name, connector=row.connector, error=str(error)
            )
            return None
        schedule = tuple(row.retry["schedule"]) if row.retry else DEFAULT_SCHEDULE
        return BoundTarget(
            id=row.id,
            name=row.name,
            connector=connector,
            retry=RetryPolicy(schedule),
            masking=Masking(connector.secret_query, secret_texts(connector.target.settings)),
            ca_certificate=getattr(connector.target.settings, authorities.SETTING, None),
        )

    def _bind_connector(self, row: TargetRecord, now: int) -> Connector[Any]:
        connector = connector_class(row.connector)
        settings = dict(row.settings)
        if row.settings_sealed:
            opened = self._sealer.open(row.settings_sealed, f"targets/{row.id}/settings")
            settings |= strict_json.read_trusted(opened.encode())
        overlapping = row.previous_expires_at is not None and row.previous_expires_at > now
        secrets = self._secrets(row, f"targets/{row.id}/", overlapping=overlapping)
        bound: Connector[Any] = connector(
            TargetBinding(
                id=row.id,
                name=row.name,
                settings=connector.Settings.model_validate(settings),
                mapping=bind_mapping(row.mapping),
                signing_keys=tuple(signing.decode_secret(secret) for secret in secrets),
                user_agent=f"Lifecycle-Relay/{__version__}",
            )
        )
        return bound


def _stamp(row: SourceRecord) -> bytes:
    said = strict_json.canonical([__version__, row.kind, row.settings])
    return hashlib.sha256(said).digest()[:STAMP_BYTES]


def _keys(adapter: SourceAdapter, secrets: list[str]) -> tuple[bytes, ...]:
    """The keys of a source's secrets; one from before its form was changed has none."""
    found = []
    for secret in secrets:
        with contextlib.suppress(ValueError):
            found.append(adapter.signing_key(secret))
    return tuple(found)


def _route(row: TargetRecord) -> Route:
    return Route(
        target_id=row.id,
        matches=compile_patterns(row.events),
        sources=frozenset(row.sources) if row.sources is not None else None,
        filter=_filter(row) if row.filter else None,
        ordered=row.ordered,
    )


def _filter(row: TargetRecord) -> Condition:
    try:
        return compile_filter(row.filter or "")
    except ExpressionError as error:
        # It was checked when it was saved, by a version that knew more; each event it is asked
        # about says why it cannot be.
        unusable = error
        _log.error("target.filter_unusable", target=row.name, error=str(error))

    def fails(_variables: Mapping[str, Any]) -> bool:
        raise unusable

    return fails


def _next_expiry(rows: list[SourceRecord | TargetRecord], now: int) -> int | None:
    moments = [row.previous_expires_at for row in rows if row.previous_expires_at]
    return min((moment for moment in moments if moment > now), default=None)
