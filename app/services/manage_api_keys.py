"""The keys of the management API: make them, revoke them, know them again."""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.domain.clock import Clock, from_micros, to_micros
from app.domain.errors import NotFound, StoreUnavailable, Unauthorized
from app.domain.ids import is_id, new_id
from app.services import credentials, field_errors
from app.services.listing import Listing, listing
from app.store import api_keys
from app.store.api_keys import ApiKeyRecord
from app.store.database import Database, WriteConnection

_NAME = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,64}")
_HINT_LENGTH = 7
_LONGEST_KEY = 512
_TOUCH_EVERY = 60_000_000
#: Who calls with RELAY_ADMIN_KEY: a key without a row.
ADMIN_KEY_ID = "admin"


class Scope(StrEnum):
    """What a key may do; each scope includes those before it."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"

    def allows(self, needed: Scope) -> bool:
        """True when a key of this scope may do what needs `needed`."""
        return _RANKS[self] >= _RANKS[needed]

    @property
    def included(self) -> tuple[Scope, ...]:
        """This scope and all it includes, the smallest first."""
        return tuple(scope for scope in Scope if self.allows(scope))


_RANKS = {scope: rank for rank, scope in enumerate(Scope)}


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: a key's id and name, and what it may do."""

    id: str
    name: str
    scope: Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key as the operator sees it; `hint` is how it begins."""

    id: str
    name: str
    scope: Scope
    hint: str
    created_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class CreatedApiKey:
    """A key that was just made, and its text: never to be had again."""

    api_key: ApiKey
    key: str


class ManageApiKeys:
    """What an operator does to keys.

    `admin_digests` are SHA-256 digests in hex of keys from the configuration, which have every
    scope and no row.
    """

    def __init__(
        self, database: Database, clock: Clock, *, admin_digests: Sequence[str] = ()
    ) -> None:
        self._database = database
        self._clock = clock
        self._admin_digests = tuple(digest.encode() for digest in admin_digests)
        self._touched: dict[str, int] = {}
        self._touching: set[asyncio.Task[None]] = set()

    async def authenticate(self, key: str | None) -> Principal:
        """Who the key belongs to. Raises Unauthorized, alike for a missing and a wrong key."""
        if not key or len(key) > _LONGEST_KEY:
            raise _unauthorized()
        digest = credentials.digest(key)
        # Every digest is compared, so that the time says nothing about which one matched.
        matches = [hmac.compare_digest(digest.encode(), known) for known in self._admin_digests]
        if any(matches):
            return Principal(ADMIN_KEY_ID, "RELAY_ADMIN_KEY", Scope.ADMIN)
        record = await self._database.read(lambda c: api_keys.by_digest(c, digest))
        if record is None or not hmac.compare_digest(record.digest.encode(), digest.encode()):
            raise _unauthorized()
        self._touch(record)
        return Principal(record.id, record.name, Scope(record.scope))

    async def create(self, name: str, scope: Scope) -> CreatedApiKey:
        """Make a key. Raises ValidationFailed."""
        if _NAME.fullmatch(name) is None or not name.strip():
            raise field_errors.refuse_one(
                "#/name", "Use 1 to 64 characters, not only spaces, no control characters."
            )
        key = credentials.new_api_key()
        record = new_record(key, name, scope, to_micros(self._clock()))
        await self._database.write(lambda c: api_keys.insert(c, record))
        return CreatedApiKey(_view(record), key)

    async def page(self, *, limit: int, before: str | None = None) -> Listing[ApiKey]:
        """Keys, newest first, those older than the id `before`."""
        rows = await self._database.read(lambda c: api_keys.page(c, limit=limit + 1, before=before))
        return listing(rows, limit, lambda row: row.id, _view)

    async def delete(self, key_id: str) -> None:
        """Revoke a key: from now on it is refused. Raises NotFound."""

        def work(connection: WriteConnection) -> bool:
            return is_id(key_id, "key") and api_keys.delete(connection, key_id)

        if not await self._database.write(work):
            raise NotFound("There is no API key with this id.")
        self._touched.pop(key_id, None)

    async def settle(self) -> None:
        """Wait until every use so far is written down."""
        while self._touching:
            await asyncio.wait(self._touching)

    def _touch(self, record: ApiKeyRecord) -> None:
        """Write down the use, once a minute, behind the caller's back."""
        now = to_micros(self._clock())
        last = max(record.last_used_at or 0, self._touched.get(record.id, 0))
        if now - last < _TOUCH_EVERY:
            return
        self._touched[record.id] = now
        task = asyncio.create_task(self._write_use(record.id, now))
        self._touching.add(task)
        task.add_done_callback(self._touching.discard)

    async def _write_use(self, key_id: str, now: int) -> None:
        with suppress(StoreUnavailable):
            await self._database.write(lambda c: api_keys.touch(c, key_id, now))


def new_record(key: str, name: str, scope: Scope, now: int) -> ApiKeyRecord:
    """The row of a new key: its digest, never the key."""
    return ApiKeyRecord(
        id=new_id("key"),
        name=name,
        scope=scope.value,
        digest=credentials.digest(key),
        hint=key[:_HINT_LENGTH],
        created_at=now,
    )


def _view(record: ApiKeyRecord) -> ApiKey:
    used = record.last_used_at
    return ApiKey(
        id=record.id,
        name=record.name,
        scope=Scope(record.scope),
        hint=record.hint,
        created_at=from_micros(record.created_at),
        last_used_at=None if used is None else from_micros(used),
    )


def _unauthorized() -> Unauthorized:
    return Unauthorized(
        "Send a valid API key: Authorization: Bearer <key>.",
        headers={"WWW-Authenticate": "Bearer"},
    )
