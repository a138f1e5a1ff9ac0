"""The sockets the server listens on, bound before anything else is done."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from app.domain.errors import ConfigurationError, RelayError

BACKLOG = 2048


class PortTaken(RelayError):
    """Another program listens there."""


@contextmanager
def bound(host: str, port: int, *, setting: str = "RELAY_PORT") -> Iterator[list[socket.socket]]:
    """A socket for each address of `host`, closed in the end; port 0 takes a free one.

    `setting` is where the port was read from, for who has to choose another one.

    Nobody can connect before `listen`: a relay that cannot have its port must not make keys first.
    Raises PortTaken, and ConfigurationError when this machine has no such address.
    """
    with ExitStack() as opened:
        yield _bind_all(opened, host, port, setting)


def listen(sockets: Sequence[socket.socket], *, setting: str = "RELAY_PORT") -> None:
    """Let the kernel take connections: they wait until the server answers. Raises PortTaken."""
    for one in sockets:
        try:
            one.listen(BACKLOG)
        except OSError as error:
            host, port = one.getsockname()[:2]
            raise _refusal(error, host, port, setting) from None


def _bind_all(opened: ExitStack, host: str, port: int, setting: str) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    addresses = _addresses(host, port)
    several = len(addresses) > 1
    for family, address in addresses:
        wanted = sockets[0].getsockname()[1] if sockets else port
        one = opened.enter_context(socket.socket(family, socket.SOCK_STREAM))
        try:
            _bind(one, (address[0], wanted, *address[2:]), several=several)
        except OSError as error:
            # `localhost` may name an address of a version that this machine does not have.
            if error.errno == errno.EADDRNOTAVAIL and several:
                continue
            raise _refusal(error, host, port, setting) from None
        sockets.append(one)
    if not sockets:
        raise _no_such_address(host)
    return sockets


def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, Any]]:
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError:
        raise _no_such_address(host) from None
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


def _bind(one: socket.socket, address: Any, *, several: bool) -> None:
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if one.family == socket.AF_INET6 and several:
        # The version 4 address beside it has a socket of its own.
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    one.bind(address)
    one.set_inheritable(True)


def _refusal(error: OSError, host: str, port: int, setting: str) -> RelayError:
    if error.errno == errno.EADDRINUSE:
        return PortTaken(
            f"Port {port} of {host} is taken by another program. Stop it, or take another port"
            f" with --port or {setting}."
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return _no_such_address(host)
    return ConfigurationError(f"{setting}: port {port} of {host} cannot be used: {error.strerror}.")


def _no_such_address(host: str) -> ConfigurationError:
    return ConfigurationError(f"RELAY_HOST: {host!r} is no address of this machine.")
