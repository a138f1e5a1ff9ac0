"""The address table (reference B5.2) and what stands above it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.addresses import AddressPolicy, parse_networks, unmapped

PUBLIC_ONLY = AddressPolicy()

ALLOWED = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.254",
    "100.128.0.1",
    "168.63.129.15",
    "168.63.129.17",
    "172.15.255.255",
    "172.32.0.1",
    "192.0.1.1",
    "198.17.255.255",
    "198.20.0.1",
    "223.255.255.254",
    "2606:4700::1111",
    "2001:4860:4860::8888",
    "2001:200::1",
    "2a00:1450:4001::1",
    "::ffff:8.8.8.8",
]

DENIED = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.100.100.200",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.6",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:7f00:1",
    "::5efe:7f00:1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "100::1",
    "1fff::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3f57:fdf2",
    "2001:2::1",
    "2001:10::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:c0a8:1::1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fdee::1",
    "fe80::1",
    "fe80::1%eth0",
    "2606:4700::1111%eth0",
    "fec0::1",
    "ff02::1",
]

version_4 = st.ip_addresses(v=4)
version_6 = st.ip_addresses(v=6)


def mapped(address: IPv4Address) -> IPv6Address:
    return IPv6Address((0xFFFF << 32) | int(address))


def behind_nat64(address: IPv4Address) -> IPv6Address:
    return IPv6Address(int(IPv6Address("64:ff9b::")) | int(address))


@pytest.mark.parametrize("text", ALLOWED)
def test_a_public_address_may_be_dialled(text):
    assert PUBLIC_ONLY.verdict(ip_address(text)) is True


@pytest.mark.parametrize("text", DENIED)
def test_a_special_purpose_address_may_not_be_dialled(text):
    assert PUBLIC_ONLY.verdict(ip_address(text)) is False


@given(version_4)
def test_a_mapped_address_is_judged_as_the_one_it_carries(address):
    assert PUBLIC_ONLY.verdict(mapped(address)) == PUBLIC_ONLY.verdict(address)


@given(version_4)
def test_nat64_is_denied_by_default_and_judged_by_what_it_carries_when_allowed(address):
    translating = AddressPolicy(nat64=True)
    assert PUBLIC_ONLY.verdict(behind_nat64(address)) is False
    assert translating.verdict(behind_nat64(address)) == translating.verdict(address)


@given(version_6.filter(lambda address: address not in ip_network("2000::/3")))
def test_outside_global_unicast_only_mapped_addresses_are_ever_allowed(address):
    assert PUBLIC_ONLY.verdict(address) is False or unmapped(address) is not address


def test_the_operators_networks_win_over_the_table():
    policy = AddressPolicy(allowed_networks=parse_networks(["10.1.0.0/16", "fd00::/8"]))
    assert policy.verdict(ip_address("10.1.2.3"))
    assert policy.verdict(ip_address("fd00::1"))
    assert not policy.verdict(ip_address("10.2.0.1"))


def test_the_operators_networks_are_matched_through_a_mapped_address():
    policy = AddressPolicy(
        allowed_networks=parse_networks(["10.0.0.0/8"]),
        denied_networks=parse_networks(["8.8.8.0/24"]),
    )
    assert policy.verdict(ip_address("::ffff:10.0.0.1"))
    assert not policy.verdict(ip_address("::ffff:8.8.8.8"))


def test_denied_networks_win_over_everything():
    policy = AddressPolicy(
        allowed_networks=parse_networks(["0.0.0.0/0"]),
        denied_networks=parse_networks(["10.0.0.5/32", "1.1.1.0/24"]),
    )
    assert not policy.verdict(ip_address("10.0.0.5"))
    assert not policy.verdict(ip_address("1.1.1.1"))
    assert policy.verdict(ip_address("10.0.0.6"))


def test_denied_networks_reach_what_nat64_carries():
    policy = AddressPolicy(denied_networks=parse_networks(["8.8.8.8/32"]), nat64=True)
    assert not policy.verdict(behind_nat64(IPv4Address("8.8.8.8")))
    assert policy.verdict(behind_nat64(IPv4Address("8.8.4.4")))


def test_a_scope_id_is_denied_even_inside_an_allowed_network():
    policy = AddressPolicy(allowed_networks=parse_networks(["fe80::/10"]))
    assert policy.verdict(ip_address("fe80::1"))
    assert not policy.verdict(ip_address("fe80::1%eth0"))


def test_only_addresses_of_the_operators_list_count_as_the_operators():
    policy = AddressPolicy(
        allowed_networks=parse_networks(["10.0.0.0/8"]),
        denied_networks=parse_networks(["10.9.0.0/16"]),
    )
    assert policy.is_operator_allowed(ip_address("10.1.1.1"))
    assert not policy.is_operator_allowed(ip_address("10.9.0.1"))
    assert not policy.is_operator_allowed(ip_address("8.8.8.8"))


def test_a_text_that_is_no_network_is_refused():
    with pytest.raises(ValueError, match="host bits"):
        parse_networks(["10.0.0.1/8"])
