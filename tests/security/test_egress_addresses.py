"""The connect-time half of reference B5.3: what is refused even if it had been stored."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from app.domain.addresses import AddressPolicy, parse_networks
from app.egress import guard
from app.egress.guard import AddressRefused, Guard, NameNotResolved, SystemResolver
from tests.security.hostile_server import OK, FakeResolver, answering, hostile, reply, unused_port
from tests.security.outbound import LOOPBACK, PUBLIC_ONLY, failure, post, way_out

LITERALS = [
    *("127.0.0.1", "127.1", "127.255.255.254", "2130706433", "0x7f000001", "0x7f.0.0.1"),
    *("017700000001", "00000177.1", "0", "0x0", "0.0.0.0", "3232235521"),
    *("169.254.169.254", "169.254.170.2", "[fd00:ec2::254]", "100.100.100.200", "192.0.0.192"),
    *("168.63.129.16", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1"),
    *("198.18.0.1", "192.0.2.1", "203.0.113.6", "224.0.0.1", "239.255.255.250"),
    *("255.255.255.255", "240.0.0.1", "192.88.99.1"),
    *("[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]"),
    *("[::127.0.0.1]", "[::ffff:0:7f00:1]", "[::5efe:7f00:1]", "[64:ff9b::7f00:1]"),
    *("[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::1]", "[2002:7f00:1::]", "[2002:c0a8:1::1]"),
    *("[2001:0:4136:e378:8000:63bf:3f57:fdf2]", "[fe80::1]", "[fe80::1%eth0]", "[fe80::1%25eth0]"),
    *("[::1%25lo]", "[fc00::1]", "[fdee::1]", "[fec0::1]", "[ff02::1]", "[5f00::1]", "[100::1]"),
    *("[3fff::1]", "127。0。0。1", "example.com\\@127.0.0.1", "a@127.0.0.1", "127.0.0.1."),
]

NAMES = {
    "localhost": [["127.0.0.1", "::1"]],
    "foo.localhost": [["127.0.0.1"]],
    "localhost.localdomain": [["127.0.0.1"]],
    "ip6-localhost": [["::1"]],
    "metadata.google.internal": [["169.254.169.254"]],
    "127.0.0.1.nip.io": [["127.0.0.1"]],
    "spoofed.example": [["10.0.0.1"]],
    "mixed.example": [["8.8.8.8", "127.0.0.1"]],
    "mixed-the-other-way.example": [["127.0.0.1", "8.8.8.8"]],
    "second-family.example": [["8.8.8.8", "::1"]],
    "mapped.example": [["::ffff:127.0.0.1"]],
    "neighbour.example": [["fe80::1%2"]],
    "nonsense.example": [["not an address"]],
}


@pytest.mark.parametrize("host", LITERALS)
async def test_a_forbidden_literal_address_is_never_dialled(host):
    async with (
        hostile(answering(OK)) as server,
        way_out(PUBLIC_ONLY, resolver=FakeResolver({})) as egress,
    ):
        refused = await failure(egress, f"http://{host}:{server.port}/")
    assert refused.code in {"address", "dns"}
    assert refused.may_have_arrived is False
    assert server.connections == 0


@pytest.mark.parametrize("host", NAMES)
async def test_a_name_with_a_forbidden_address_is_never_dialled(host):
    async with (
        hostile(answering(OK)) as server,
        way_out(PUBLIC_ONLY, resolver=FakeResolver(NAMES)) as egress,
    ):
        refused = await failure(egress, f"http://{host}:{server.port}/")
    assert refused.code == "address"
    assert server.connections == 0


async def test_the_reason_names_no_address_and_the_operators_detail_does():
    heard = []
    async with way_out(
        PUBLIC_ONLY,
        resolver=FakeResolver(NAMES),
        on_refusal=lambda target, detail: heard.append((target, detail)),
    ) as egress:
        refused = await failure(egress, "http://spoofed.example/", target="tgt_7")
    assert "10.0.0.1" not in refused.reason
    assert heard == [("tgt_7", "spoofed.example is at 10.0.0.1, where targets may not be")]


async def test_the_operators_detail_of_a_closed_port_is_in_words():
    heard = []
    port = unused_port()
    async with way_out(
        resolver=FakeResolver({"closed.example": [["127.0.0.1"]]}),
        on_refusal=lambda target, detail: heard.append((target, detail)),
    ) as egress:
        await failure(egress, f"https://closed.example:{port}/", target="tgt_7")
    assert heard == [("tgt_7", f"closed.example:{port}: Connection refused")]


async def test_unknown_forbidden_and_closed_are_told_in_the_same_words():
    resolver = FakeResolver(
        {
            "unknown.example": [socket.gaierror(socket.EAI_NONAME, "Name not known")],
            "forbidden.example": [["10.0.0.1"]],
            "closed.example": [["127.0.0.1"]],
        }
    )
    async with way_out(resolver=resolver) as egress:
        unknown = await failure(egress, "http://unknown.example/")
        forbidden = await failure(egress, "http://forbidden.example/")
        closed = await failure(egress, f"http://closed.example:{unused_port()}/")
        literal = await failure(egress, "http://10.0.0.1/")
    assert [unknown.code, forbidden.code, closed.code] == ["dns", "address", "connect"]
    assert unknown.reason == forbidden.reason == closed.reason == literal.reason
    assert {each.may_have_arrived for each in (unknown, forbidden, closed, literal)} == {False}


async def test_a_name_is_looked_up_once_and_the_judged_address_is_the_dialled_one():
    resolver = FakeResolver({"rebinding.example": [["127.0.0.1"], ["127.0.0.2"]]})
    async with hostile(answering(OK)) as server, way_out(resolver=resolver) as egress:
        answer = await post(egress, server.url(host="rebinding.example"))
    assert answer.status_code == 200
    assert len(resolver.asked) == 1
    assert server.connections == 1


async def test_every_new_connection_is_judged_anew():
    resolver = FakeResolver({"rebinding.example": [["127.0.0.1"], ["127.0.0.2"]]})
    closing = answering(reply(b"ok", "Connection: close"))
    async with hostile(closing) as server, way_out(resolver=resolver) as egress:
        await post(egress, server.url(host="rebinding.example"))
        refused = await failure(egress, server.url(host="rebinding.example"))
    assert refused.code == "address"
    assert len(resolver.asked) == 2
    assert server.connections == 1


async def test_an_allowed_literal_address_asks_no_resolver():
    resolver = FakeResolver({})
    async with hostile(answering(OK)) as server, way_out(resolver=resolver) as egress:
        assert (await post(egress, server.url())).status_code == 200
    assert resolver.asked == []


@pytest.mark.parametrize("status", ["301 x", "302 x", "303 x", "307 x", "308 x"])
async def test_a_redirect_is_handed_back_and_not_followed(status):
    async with hostile(answering(OK)) as inside:
        away = reply(b"", f"Location: {inside.url('/admin')}", status=status)
        async with hostile(answering(away)) as server, way_out() as egress:
            answer = await post(egress, server.url())
    assert answer.status_code == int(status[:3])
    assert inside.connections == 0


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
async def test_a_proxy_in_the_environment_is_ignored(monkeypatch, name):
    monkeypatch.setenv(name, f"http://127.0.0.1:{unused_port()}")
    async with hostile(answering(OK)) as server, way_out() as egress:
        assert (await post(egress, server.url())).status_code == 200


@pytest.mark.parametrize(
    "trouble",
    [
        socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
        socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
        UnicodeError("label too long"),
        OSError("out of everything"),
        [],
    ],
    ids=["nxdomain", "servfail", "unicode", "oserror", "empty"],
)
async def test_a_name_that_does_not_resolve_is_a_failure_of_dns(trouble):
    async with way_out(resolver=FakeResolver({"gone.example": [trouble]})) as egress:
        failed = await failure(egress, "http://gone.example/")
    assert failed.code == "dns"
    assert failed.may_have_arrived is False


class SilentResolver:
    async def addresses(self, host):
        await asyncio.Event().wait()

    async def aclose(self):
        pass


async def test_a_lookup_has_a_deadline_of_its_own(monkeypatch):
    monkeypatch.setattr(guard, "LOOKUP_SECONDS", 0.02)
    async with way_out(resolver=SilentResolver()) as egress:
        assert (await failure(egress, "http://slow.example/")).code == "dns"


async def test_the_total_deadline_covers_the_lookup():
    async with way_out(resolver=SilentResolver()) as egress:
        failed = await failure(egress, "http://slow.example/", deadline=0.02)
    assert failed.code == "timeout"
    assert failed.may_have_arrived is False


async def test_all_of_five_hundred_addresses_are_judged_and_few_are_dialled():
    plenty = [f"8.8.{number // 250}.{number % 250}" for number in range(500)]
    judge = Guard(
        PUBLIC_ONLY,
        FakeResolver({"many.example": [plenty], "one-bad.example": [[*plenty, "10.0.0.1"]]}),
    )
    found = await judge.resolve("many.example", 443)
    assert [result["host"] for result in found] == plenty[:8]
    with pytest.raises(AddressRefused):
        await judge.resolve("one-bad.example", 443)


async def test_a_lookup_stays_clear_of_search_domains_unless_targets_may_be_inside():
    outside, inside = (
        FakeResolver({"a.example": [["8.8.8.8"]]}),
        FakeResolver({"n8n": [["10.1.1.1"]]}),
    )
    await Guard(PUBLIC_ONLY, outside).resolve("a.example", 80)
    await Guard(AddressPolicy(allowed_networks=parse_networks(["10.0.0.0/8"])), inside).resolve(
        "n8n", 80
    )
    assert outside.asked == ["a.example."]
    assert inside.asked == ["n8n"]


@pytest.mark.parametrize(
    "address",
    [
        ("10.0.0.1", 80),
        ("::1", 80, 0, 0),
        ("2606:4700::1111", 80, 0, 3),
        ("fe80::1%eth0", 80, 0, 0),
    ],
)
def test_no_socket_is_made_for_a_forbidden_address(address):
    family = socket.AF_INET if len(address) == 2 else socket.AF_INET6
    with pytest.raises(AddressRefused):
        Guard(PUBLIC_ONLY, FakeResolver({})).open_socket(
            (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address)
        )


async def test_the_systems_resolver_finds_this_machine():
    resolver = SystemResolver()
    try:
        assert "127.0.0.1" in await resolver.addresses("localhost")
    finally:
        await resolver.aclose()


async def test_the_systems_resolver_refuses_what_is_no_name():
    resolver = SystemResolver()
    try:
        with pytest.raises(NameNotResolved):
            await Guard(LOOPBACK, resolver).resolve("a" * 64 + ".example", 80)
    finally:
        await resolver.aclose()


async def test_lookups_of_one_name_at_one_time_share_an_answer(monkeypatch):
    asked, may_answer = [], threading.Event()

    def slow(host):
        asked.append(host)
        may_answer.wait(5)
        return ["8.8.8.8"]

    monkeypatch.setattr(guard, "_getaddrinfo", slow)
    resolver = SystemResolver()
    try:
        given_up = asyncio.create_task(resolver.addresses("a.example"))
        waiting = [asyncio.create_task(resolver.addresses("a.example")) for _ in range(20)]
        await asyncio.sleep(0)
        given_up.cancel()
        may_answer.set()
        assert await asyncio.gather(*waiting) == [["8.8.8.8"]] * 20
        assert asked == ["a.example"]
        await resolver.addresses("a.example")
        assert asked == ["a.example", "a.example"]
    finally:
        await resolver.aclose()
