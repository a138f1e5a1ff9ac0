"""The address guard: every address is judged before a connection to it is opened.

A name is looked up once per connection, all of its addresses are judged, and one of those very
addresses is dialled: there is no second lookup that could answer otherwise (DNS rebinding).
A literal address never meets the resolver, so sockets are made here as well, and each is judged
by the address it is made for.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import Protocol

from aiohttp.abc import AbstractResolver, ResolveResult

from app.domain.addresses import AddressPolicy

#: Seconds a lookup may take, inside the total deadline of the request.
LOOKUP_SECONDS = 5.0
#: A name may have any number of addresses, and all are judged; so many of them are dialled.
_MOST_DIALLED = 8
#: Lookups block a thread each; one slow name server must not stop those of other targets.
_LOOKUP_THREADS = 32

#: aiohttp hands over what getaddrinfo answers: family, type, protocol, name, socket address.
AddressInfo = tuple[
    int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[object, ...]
]


class AddressRefused(OSError):
    """An address the policy forbids; the text names it, and is for the operator only."""


class NameNotResolved(OSError):
    """A name without a usable answer; the text is for the operator only."""


class Resolver(Protocol):
    """Looks names up."""

    async def addresses(self, host: str) -> Sequence[str]:
        """Every address of a host, of both versions, as text.

        Raises OSError (socket.gaierror) or UnicodeError when there is no answer.
        """
        ...

    async def aclose(self) -> None:
        """Let go of what it holds."""
        ...


class SystemResolver:
    """The operating system's resolver, in threads of its own.

    Lookups of one name that come together share one answer; nothing is kept afterwards.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_LOOKUP_THREADS, thread_name_prefix="dns")
        self._under_way: dict[str, asyncio.Future[list[str]]] = {}

    async def addresses(self, host: str) -> Sequence[str]:
        """Every address of a host; raises what getaddrinfo raises."""
        lookup = self._under_way.get(host)
        if lookup is None:
            loop = asyncio.get_running_loop()
            lookup = loop.run_in_executor(self._threads, _getaddrinfo, host)
            self._under_way[host] = lookup
            lookup.add_done_callback(lambda done: self._finish(host, done))
        # One waiter's deadline must not take the answer from the others.
        return await asyncio.shield(lookup)

    async def aclose(self) -> None:
        """Start no further lookups; those under way end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _finish(self, host: str, lookup: asyncio.Future[list[str]]) -> None:
        del self._under_way[host]
        if not lookup.cancelled():
            lookup.exception()  # read, so that an answer nobody waits for any more is no warning


def _getaddrinfo(host: str) -> list[str]:
    # Without AI_ADDRCONFIG: an address this machine cannot reach is still judged.
    answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [_text_of(answer[4]) for answer in answers]


def _text_of(address: Sequence[object]) -> str:
    host = str(address[0])
    scope = address[3] if len(address) > 3 else 0  # noqa: PLR2004 the fourth part of an IPv6 socket address
    return f"{host}%{scope}" if scope and "%" not in host else host


class Guard(AbstractResolver):
    """The resolver and the socket factory of a connector, under one policy."""

    def __init__(self, policy: AddressPolicy, resolver: Resolver) -> None:
        self._policy = policy
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses to dial for a host.

        Raises NameNotResolved, and AddressRefused when a single one of the addresses is
        forbidden: a name that points inside and outside at once is an attack, not a mistake.
        """
        texts = await self._look_up(host)
        for text in texts:
            self._judge(host, text)
        return [
            ResolveResult(
                hostname=host,
                host=text,
                port=port,
                family=socket.AF_INET6 if ":" in text else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for text in list(dict.fromkeys(texts))[:_MOST_DIALLED]
        ]

    def open_socket(self, address_info: AddressInfo) -> socket.socket:
        """A socket to connect to this address; raises AddressRefused."""
        family, kind, protocol, _, address = address_info
        text = _text_of(address)
        self._judge(text, text)
        return socket.socket(family, kind, protocol)

    async def close(self) -> None:
        """Nothing to close: the resolver is shared, and its owner closes it."""

    async def _look_up(self, host: str) -> Sequence[str]:
        # A trailing dot keeps the search domains of this machine out of it.
        # Where the operator lets targets run inside, their short names and /etc/hosts are wanted.
        absolute = host if self._policy.allowed_networks or host.endswith(".") else f"{host}."
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                texts = await self._resolver.addresses(absolute)
        except TimeoutError as error:
            raise NameNotResolved(f"looking up {host} took over {LOOKUP_SECONDS} s") from error
        except (OSError, UnicodeError) as error:
            raise NameNotResolved(f"looking up {host} failed: {error}") from error
        if not texts:
            raise NameNotResolved(f"{host} has no address")
        return texts

    def _judge(self, host: str, text: str) -> None:
        try:
            allowed = self._policy.verdict(ip_address(text))
        except ValueError:
            allowed = False
        if not allowed:
            raise AddressRefused(f"{host} is at {text}, where targets may not be")
