"""Tokens of destinations: fetched by one delivery, kept sealed, used by all workers.

A target's newest token stands sealed in the database and open in this process's memory.
Deliveries of one process that all need a fresh one wait for the first to fetch it; between
processes, a token that another has stored is taken before one is asked for again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import structlog

from app.connectors.base import GRANT
from app.domain import strict_json
from app.domain.clock import Clock, from_micros, to_micros
from app.domain.errors import RelayError
from app.domain.grant import Grant
from app.domain.outcome import Outcome, TransportFailure
from app.services.attempting import Sender
from app.store import grants
from app.store.database import Database
from app.store.sealing import SealBroken, Sealer

_log = structlog.get_logger(__name__)
_MASK = "***"


@dataclass(frozen=True, slots=True)
class Kept:
    """A grant as it was stored; a higher version is a newer one."""

    grant: Grant
    version: int


class Grants:
    """The tokens of all targets."""

    def __init__(self, database: Database, sealer: Sealer, clock: Clock) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock
        self._kept: dict[str, Kept] = {}
        self._turns: dict[str, asyncio.Lock] = {}

    @asynccontextmanager
    async def lend(
        self, target_id: str, sender: Sender, elapsed: Callable[[], float] = time.monotonic
    ) -> AsyncIterator[Loan]:
        """One attempt's use of a target's token; `sender` is the door out."""
        kept = self._kept.get(target_id) or await self.newer(target_id, than=0)
        turn = self._turns.setdefault(target_id, asyncio.Lock())
        loan = Loan(self, target_id, kept, sender, turn, elapsed)
        try:
            yield loan
        finally:
            loan.end()

    async def newer(self, target_id: str, *, than: int) -> Kept | None:
        """The stored token when its version is higher than `than`.

        None also when the store is away or the token does not open: another can be fetched.
        """
        try:
            record = await self._database.read(lambda c: grants.get(c, target_id))
            if record is None or record.version <= than:
                return None
            opened = self._sealer.open(record.sealed, _place(target_id))
        except (RelayError, SealBroken) as error:
            _log.warning("grant.unreadable", target_id=target_id, error=type(error).__name__)
            return None
        kept = Kept(_read(opened), record.version)
        known = self._kept.get(target_id)
        # Another delivery may have stored a newer one while this was read.
        if known is None or known.version < kept.version:
            self._kept[target_id] = kept
        return kept

    async def keep(self, target_id: str, grant: Grant, *, used: int) -> None:
        """Store a token that was fetched instead of the one of version `used`."""
        sealed = self._sealer.seal(_written(grant), _place(target_id))
        now = to_micros(self._clock())
        try:
            version = await self._database.write(lambda c: grants.save(c, target_id, sealed, now))
        except RelayError as error:
            # This process can go on with it; whatever another has stored is newer.
            _log.warning("grant.not_stored", target_id=target_id, error=error.detail)
            version = used
        if version is None:
            self._kept.pop(target_id, None)
        else:
            self._kept[target_id] = Kept(grant, version)


class Loan:
    """One attempt's use of a target's token, and its door out."""

    def __init__(
        self,
        of: Grants,
        target_id: str,
        kept: Kept | None,
        sender: Sender,
        turn: asyncio.Lock,
        elapsed: Callable[[], float],
    ) -> None:
        self._grants = of
        self._target_id = target_id
        self._kept = kept
        self._sender = sender
        self._turn = turn
        self._elapsed = elapsed
        self._my_turn = False

    @property
    def grant(self) -> Grant | None:
        """The newest token that is known."""
        return self._kept.grant if self._kept else None

    async def send(
        self,
        request: httpx.Request,
        *,
        target: str,
        deadline: float,
        ca_certificate: str | None = None,
    ) -> httpx.Response:
        """Send a request; one for a token is answered from the store when there is a newer one.

        Raises TransportFailure.
        """
        if GRANT not in request.extensions:
            return await self._sender.send(
                request, target=target, deadline=deadline, ca_certificate=ca_certificate
            )
        until = self._elapsed() + deadline
        await self._take_turn(deadline)
        newer = await self._grants.newer(self._target_id, than=self._version)
        if newer is None:
            left = until - self._elapsed()
            return await self._sender.send(
                request, target=target, deadline=left, ca_certificate=ca_certificate
            )
        self._kept = newer
        self.end()
        return httpx.Response(200, extensions={GRANT: newer.grant})

    async def settle(
        self, outcomes: Iterable[Outcome], exchanges: Sequence[dict[str, Any]]
    ) -> None:
        """Store the token that was fetched on the way, and keep all of them out of the log."""
        fetched = next((outcome.grant for outcome in outcomes if outcome.grant), None)
        for grant in filter(None, (self.grant, fetched)):
            _mask(exchanges, grant.token)
        if fetched is not None:
            await self._grants.keep(self._target_id, fetched, used=self._version)

    def end(self) -> None:
        """Let the next attempt ask for a token."""
        if self._my_turn:
            self._my_turn = False
            self._turn.release()

    @property
    def _version(self) -> int:
        return self._kept.version if self._kept else 0

    async def _take_turn(self, seconds: float) -> None:
        if self._my_turn:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._turn.acquire()
        except TimeoutError:
            raise TransportFailure(
                "timeout",
                "Another delivery was still fetching a token",
                may_have_arrived=False,
            ) from None
        self._my_turn = True


def _place(target_id: str) -> str:
    return f"targets/{target_id}/grant"


def _written(grant: Grant) -> str:
    ends = None if grant.expires_at is None else to_micros(grant.expires_at)
    document = {"token": grant.token, "expires_at": ends, "extra": dict(grant.extra)}
    return strict_json.write(document).decode()


def _read(text: str) -> Grant:
    document: Mapping[str, Any] = strict_json.read_trusted(text.encode())
    ends = document["expires_at"]
    return Grant(document["token"], None if ends is None else from_micros(ends), document["extra"])


def _mask(exchanges: Sequence[dict[str, Any]], token: str) -> None:
    for exchange in exchanges:
        for place in ("body", "url"):
            text = exchange.get(place)
            if isinstance(text, str) and token in text:
                exchange[place] = text.replace(token, _MASK)
