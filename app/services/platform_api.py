"""Asking a network's own API, by the one door out.

Live traffic of the network comes first: each is asked a few times a second at most over time, and
by two at once, in this process.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import httpx

from app.domain.errors import NotFound, PlatformUnavailable
from app.domain.outcome import TransportFailure
from app.services import api_access
from app.sources.ultimate_multisite_rest import ApiAccess, Asking
from app.store import sources
from app.store.database import Database
from app.store.sealing import Sealer

T = TypeVar("T")
#: Bytes of an answer; a page of 100 rows with everything in it stays below.
RESPONSE_LIMIT = 2 * 1024 * 1024
#: Seconds that one request may take, unless a caller says otherwise.
PATIENCE = 30.0


class PlatformSender(Protocol):
    """The door out (`app.egress`), for answers that may be longer than those of targets."""

    def send(
        self, request: httpx.Request, *, target: str, deadline: float, response_limit: int
    ) -> Awaitable[httpx.Response]:
        """Send one request; waiting for the answer raises TransportFailure."""
        ...


@dataclass(slots=True)
class _Pace:
    """By how many a network may be asked, and until when what was asked is spread out."""

    slots: asyncio.Semaphore
    spent_until: float = field(default=0.0)


class PlatformApi:
    """Drives the questions of `sources/ultimate_multisite_rest.py`.

    `per_second` and `concurrency` bound what one network is asked, `burst` is how many requests
    may follow one another at once after a rest; the clock and the pause are given by tests only.
    """

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        sender: PlatformSender,
        *,
        per_second: float = 5.0,
        burst: int = 20,
        concurrency: int = 2,
        elapsed: Callable[[], float] = time.monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._sender = sender
        self._gap = 1.0 / per_second
        self._leeway = (burst - 1) / per_second
        self._concurrency = concurrency
        self._elapsed = elapsed
        self._pause = pause
        self._paces: dict[str, _Pace] = {}

    async def access(self, source_id: str) -> ApiAccess:
        """The keys of a source and where they are for.

        Raises NotFound, Conflict when the source has none, and PlatformRefused when they do not
        open any more.
        """
        record = await self._database.read(lambda c: sources.get(c, source_id))
        if record is None:
            raise NotFound("There is no source with this id.")
        return api_access.opened(self._sealer, record)

    async def call(
        self,
        source_id: str,
        make_flow: Callable[[ApiAccess], Asking[T]],
        *,
        seconds: float = PATIENCE,
    ) -> T:
        """Ask the network of a source; `seconds` is the deadline of each request.

        Raises as `access` does, and PlatformRefused or PlatformUnavailable.
        """
        access = await self.access(source_id)
        return await self.ask(access, make_flow, seconds=seconds)

    async def ask(
        self,
        access: ApiAccess,
        make_flow: Callable[[ApiAccess], Asking[T]],
        *,
        seconds: float = PATIENCE,
    ) -> T:
        """Ask a network with keys that need not be stored. Raises as `call` does."""
        pace = self._paces.get(access.base_url)
        if pace is None:
            pace = self._paces[access.base_url] = _Pace(asyncio.Semaphore(self._concurrency))
        flow = make_flow(access)
        try:
            request = next(flow)
            while True:
                request = flow.send(await self._send(request, access, pace, seconds))
        except StopIteration as stop:
            answer: T = stop.value
            return answer

    async def _send(
        self, request: httpx.Request, access: ApiAccess, pace: _Pace, seconds: float
    ) -> httpx.Response:
        async with pace.slots:
            now = self._elapsed()
            spent_until = max(now, pace.spent_until)
            pace.spent_until = spent_until + self._gap
            if (too_early := spent_until - now - self._leeway) > 0:
                await self._pause(too_early)
            try:
                return await self._sender.send(
                    request,
                    target=f"platform:{access.base_url}",
                    deadline=seconds,
                    response_limit=RESPONSE_LIMIT,
                )
            except TransportFailure as failure:
                host = httpx.URL(access.base_url).host
                raise PlatformUnavailable(
                    f"{host} could not be asked: {failure.reason}"
                ) from failure
