"""Which IP addresses a target may have.

`ipaddress.is_global` is not used: it calls `64:ff9b::7f00:1`, `::7f00:1` and `224.0.0.1` global,
and its answers changed between Python releases (CVE-2024-4032).
The table below is written from the IANA special-purpose registries and gives the same verdict on
every release.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_network,
)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

#: Everything in version 4 that is not a host on the public Internet.
_DENIED_V4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT, and Alibaba's metadata service
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's wire server: looks public, answers on the host
        "169.254.0.0/16",  # link-local, and most metadata services
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments, and Oracle's metadata service
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)

#: The only global unicast space of version 6 that IANA has given out.
_GLOBAL_V6 = IPv6Network("2000::/3")
_DENIED_V6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # Teredo, ORCHID, benchmarking
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: carries a version 4 address
        "3fff::/20",  # documentation
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")
_LOW_32_BITS = 0xFFFF_FFFF

#: Services on a cloud machine that hand out its credentials to whoever asks.
METADATA_ADDRESSES: frozenset[Address] = frozenset(
    {
        IPv4Address("100.100.100.200"),
        IPv4Address("168.63.129.16"),
        IPv4Address("169.254.169.254"),
        IPv4Address("169.254.170.2"),
        IPv4Address("192.0.0.192"),
        IPv6Address("fd00:ec2::254"),
    }
)


@lru_cache(maxsize=4096)
def _is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not _within(address, _DENIED_V4)
    return address in _GLOBAL_V6 and not _within(address, _DENIED_V6)


def _within(address: Address, networks: Iterable[Network]) -> bool:
    # `in` is False, not an error, for an address of the other version.
    return any(address in network for network in networks)


def unmapped(address: Address) -> Address:
    """The version 4 address inside `::ffff:0:0/96`; any other address as it is."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Networks from CIDR texts (`10.0.0.0/8`, `::1/128`); raises ValueError for any other text."""
    return tuple(ip_network(text.strip()) for text in texts)


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """Decides which addresses may be dialled.

    `denied_networks` win over everything, `allowed_networks` win over the table.
    With `nat64`, an address in `64:ff9b::/96` is judged as the version 4 address it carries;
    without, it is denied.
    """

    allowed_networks: tuple[Network, ...] = ()
    denied_networks: tuple[Network, ...] = ()
    nat64: bool = False

    def verdict(self, address: Address) -> bool:
        """True when the address may be dialled.

        An IPv4-mapped address is judged as its version 4 address, and one with a scope id
        (`fe80::1%eth0`) is always denied: it means a neighbour on one of this machine's links.
        """
        if isinstance(address, IPv6Address) and address.scope_id is not None:
            return False
        address = unmapped(address)
        if self.denied_networks and _within(address, self.denied_networks):
            return False
        if self.allowed_networks and _within(address, self.allowed_networks):
            return True
        if self.nat64 and isinstance(address, IPv6Address) and address in _NAT64:
            return self.verdict(IPv4Address(int(address) & _LOW_32_BITS))
        return _is_public(address)

    def is_operator_allowed(self, address: Address) -> bool:
        """True when the address may be dialled because the operator's own list says so."""
        return _within(unmapped(address), self.allowed_networks) and self.verdict(address)
