"""Whether the hosts of targets can be reached: looked up and dialled under the address guard."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping
from ipaddress import ip_address

import httpx
from pydantic import BaseModel, SecretStr

from app.cli.finding import Finding, State
from app.domain.addresses import AddressPolicy
from app.egress.guard import AddressRefused, Guard, NameNotResolved, SystemResolver

#: Seconds for the lookup and all connections of one target.
_PATIENCE = 5.0
_PORTS = {"http": 80, "https": 443}


def url_of(settings: BaseModel) -> str:
    """Where a target's requests go, whatever its connector calls it."""
    found = getattr(settings, "url", None) or getattr(settings, "base_url", "")
    return str(found.get_secret_value() if isinstance(found, SecretStr) else found)


async def all_of(policy: AddressPolicy, urls: Mapping[str, str]) -> list[Finding]:
    """A finding for each target; names to URLs."""
    resolver = SystemResolver()
    guard = Guard(policy, resolver)
    try:
        return await asyncio.gather(*(_finding(guard, name, url) for name, url in urls.items()))
    finally:
        await resolver.aclose()


async def _finding(guard: Guard, name: str, text: str) -> Finding:
    url = httpx.URL(text)
    port = url.port or _PORTS.get(url.scheme, 443)
    try:
        async with asyncio.timeout(_PATIENCE):
            address = await _dial(guard, url.host, port)
    except AddressRefused as error:
        advice = "If it is yours, name its network in RELAY_ALLOWED_PRIVATE_NETWORKS."
        return Finding(name, State.FAILED, str(error), advice)
    except NameNotResolved as error:
        return Finding(name, State.FAILED, str(error), "Is the name right, and does DNS work here?")
    except TimeoutError:
        says = f"{url.host}:{port} did not answer within {_PATIENCE:g} s"
    except OSError as error:
        says = f"{url.host}:{port}: {os.strerror(error.errno) if error.errno else error}"
    else:
        return Finding(name, State.OK, f"{url.host}:{port} answers at {address}")
    return Finding(
        name, State.FAILED, says, "Does it run, and does a firewall let this machine out?"
    )


async def _dial(guard: Guard, host: str, port: int) -> str:
    """Connect to the first address that answers, and answer it; sends nothing."""
    refused: OSError | None = None
    for family, address in await _addresses(guard, host, port):
        opened = guard.open_socket((family, socket.SOCK_STREAM, 0, "", (address, port)))
        with opened:
            opened.setblocking(False)
            try:
                await asyncio.get_running_loop().sock_connect(opened, (address, port))
            except OSError as error:
                refused = error
                continue
            return address
    raise refused or NameNotResolved(f"{host} has no address")


async def _addresses(guard: Guard, host: str, port: int) -> list[tuple[int, str]]:
    """Families and addresses; a literal address is judged when its socket is made."""
    try:
        literal = ip_address(host)
    except ValueError:
        return [(found["family"], found["host"]) for found in await guard.resolve(host, port)]
    return [(socket.AF_INET if literal.version == 4 else socket.AF_INET6, host)]  # noqa: PLR2004  version 4 of IP
