"""The connections of one target: kept apart from those of every other."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from functools import partial
from typing import cast

import httpx
from aiohttp import ClientRequest, ClientTimeout, TCPConnector
from aiohttp.connector import Connection
from yarl import URL

from app.egress.guard import Guard
from app.egress.message import Unsendable
from app.egress.wire import Wire

#: The deadline of the whole request stands above; none of aiohttp's own is used.
_NO_TIMEOUT = ClientTimeout()
_MOST_ORIGINS = 16
_SCHEMES = frozenset({"http", "https"})


class TargetPool:
    """Connections to the hosts of one target, reused for that target only.

    Sharing them would let one target's answers, TLS session or slow host touch another's
    deliveries.
    `trusted` checks certificates; `in_flight` counts the requests under way.
    """

    def __init__(
        self,
        guard: Guard,
        trusted: ssl.SSLContext,
        *,
        max_connections: int,
        keepalive_seconds: float,
    ) -> None:
        self.in_flight = 0
        self._trusted = trusted
        self._origins: dict[tuple[str, bytes], ClientRequest] = {}
        self._connector = TCPConnector(
            resolver=guard,
            socket_factory=guard.open_socket,
            use_dns_cache=False,
            limit=max_connections,
            keepalive_timeout=keepalive_seconds,
        )
        # aiohttp has no public way to name the protocol; the tests of a late second answer
        # notice when this one stops working.
        wire_factory = partial(Wire, asyncio.get_running_loop())
        self._connector._factory = wire_factory  # type: ignore[assignment]  # noqa: SLF001  see above

    async def connect(self, url: httpx.URL, *, fresh: bool) -> Connection:
        """A connection to the host of a URL on which nothing is waiting to be read.

        With `fresh`, one that carried no request before.
        Raises what aiohttp raises; the caller releases or closes the connection.
        """
        origin = self._origin(url)
        while True:
            connection = await self._connector.connect(origin, [], _NO_TIMEOUT)
            wire = wire_of(connection)
            if wire.uses == 0 or (not fresh and wire.is_quiet()):
                return connection
            connection.close()

    async def aclose(self) -> None:
        """Close every connection."""
        await self._connector.close()

    def _origin(self, url: httpx.URL) -> ClientRequest:
        key = (url.scheme, url.netloc)
        origin = self._origins.get(key)
        if origin is None:
            if len(self._origins) >= _MOST_ORIGINS:
                self._origins.clear()
            origin = self._origins[key] = self._new_origin(url)
        return origin

    def _new_origin(self, url: httpx.URL) -> ClientRequest:
        """What the connector needs to know of a host; it is not sent."""
        if url.scheme not in _SCHEMES or not url.raw_host:
            raise Unsendable("the URL is not one of http:// or https://")
        # Built from the parts that httpx found: nothing is parsed a second time, and differently.
        authority = url.netloc.decode("ascii")
        address = URL.build(scheme=url.scheme, authority=authority, path="/", encoded=True)
        return ClientRequest("GET", address, loop=asyncio.get_running_loop(), ssl=self._trusted)


def wire_of(connection: Connection) -> Wire:
    """The protocol under a connection of a TargetPool."""
    return cast("Wire", connection.protocol)


class Pools:
    """One TargetPool per target, at most `limit` of them besides those in use."""

    def __init__(self, make: Callable[[str | None], TargetPool], limit: int) -> None:
        self._make = make
        self._limit = limit
        # In the order of their last use.
        # A target whose pinned certificate changes gets a new pool; the old one ages out.
        self._pools: dict[tuple[str, str | None], TargetPool] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._pools)

    def of(self, target: str, ca_certificate: str | None) -> TargetPool:
        """The pool of a target, made when there is none."""
        key = (target, ca_certificate)
        pool = self._pools.pop(key, None)
        if pool is None:
            pool = self._make(ca_certificate)
            if len(self._pools) >= self._limit:
                self._close_oldest()
        self._pools[key] = pool
        return pool

    async def aclose(self) -> None:
        """Close every pool."""
        pools = list(self._pools.values())
        self._pools.clear()
        await asyncio.gather(*self._closing, *(pool.aclose() for pool in pools))

    def _close_oldest(self) -> None:
        for key, pool in self._pools.items():
            if pool.in_flight == 0:
                del self._pools[key]
                task = asyncio.create_task(pool.aclose())
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)
                return
