"""TLS to the name, over the address that was judged (reference B7, 74 and 75)."""

from __future__ import annotations

import asyncio
import ssl
import warnings
from pathlib import Path

import pytest

from tests.security.hostile_server import OK, Authority, FakeResolver, answering, hostile
from tests.security.outbound import failure, post, way_out


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def resolver() -> FakeResolver:
    return FakeResolver({"good.test": [["127.0.0.1"]], "other.test": [["127.0.0.1"]]})


async def test_a_pinned_authority_is_trusted_for_the_name_it_signed(authority):
    names = []
    context = authority.context("good.test")
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    async with (
        hostile(answering(OK), tls=context) as server,
        way_out(resolver=resolver()) as egress,
    ):
        for _ in range(2):
            answer = await post(egress, server.url(host="good.test"), ca_certificate=authority.pem)
    assert answer.status_code == 200
    assert names == ["good.test"]
    assert server.connections == 1
    assert server.requests[0].headers["host"] == f"good.test:{server.port}"


async def test_a_certificate_for_an_address_is_checked_against_that_address(authority):
    async with (
        hostile(answering(OK), tls=authority.context("127.0.0.1")) as server,
        way_out() as egress,
    ):
        answer = await post(egress, server.url(), ca_certificate=authority.pem)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("hosts", "options", "word"),
    [
        (["other.test"], {}, "good.test"),
        (["127.0.0.1"], {}, "good.test"),
        (["good.test"], {"days": (-2, -1)}, "expired"),
        (["good.test"], {"days": (1, 2)}, "not yet valid"),
        (["good.test"], {"self_signed": True}, "self-signed"),
    ],
    ids=["other name", "address only", "expired", "not yet valid", "self-signed"],
)
async def test_a_certificate_that_is_not_right_ends_the_attempt(authority, hosts, options, word):
    context = authority.context(*hosts, **options)
    async with (
        hostile(answering(OK), tls=context) as server,
        way_out(resolver=resolver()) as egress,
    ):
        failed = await failure(egress, server.url(host="good.test"), ca_certificate=authority.pem)
    assert failed.code == "tls"
    assert failed.may_have_arrived is False
    assert word in failed.reason
    assert server.requests == []


async def test_an_authority_nobody_pinned_is_not_trusted(authority):
    context = authority.context("good.test")
    async with (
        hostile(answering(OK), tls=context) as server,
        way_out(resolver=resolver()) as egress,
    ):
        failed = await failure(egress, server.url(host="good.test"))
    assert failed.code == "tls"


async def test_pinning_for_one_target_trusts_nothing_for_another(authority):
    context = authority.context("good.test")
    async with (
        hostile(answering(OK), tls=context) as server,
        way_out(resolver=resolver()) as egress,
    ):
        url = server.url(host="good.test")
        await post(egress, url, target="tgt_1", ca_certificate=authority.pem)
        failed = await failure(egress, url, target="tgt_2")
    assert failed.code == "tls"


async def test_two_names_at_one_address_share_no_connection(authority):
    context = authority.context("good.test")
    async with (
        hostile(answering(OK), tls=context) as server,
        way_out(resolver=resolver()) as egress,
    ):
        await post(egress, server.url(host="good.test"), ca_certificate=authority.pem)
        failed = await failure(egress, server.url(host="other.test"), ca_certificate=authority.pem)
    assert failed.code == "tls"
    assert len(server.requests) == 1


async def test_an_outdated_version_of_tls_is_refused(authority):
    context = authority.context("good.test")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    async with (
        hostile(answering(OK), tls=context) as server,
        way_out(resolver=resolver()) as egress,
    ):
        failed = await failure(egress, server.url(host="good.test"), ca_certificate=authority.pem)
    assert failed.code == "tls"


async def test_a_server_that_speaks_no_tls_is_a_failure_of_tls():
    async def plain(connection):
        await connection.say(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await connection.reader.read()

    async with hostile(plain) as server, way_out() as egress:
        failed = await failure(egress, f"https://127.0.0.1:{server.port}/")
    assert failed.code == "tls"
    assert failed.may_have_arrived is False


async def test_a_server_that_hangs_up_during_the_handshake_was_not_reached():
    async def rude(connection):
        await connection.reader.read(1)

    async with hostile(rude) as server, way_out() as egress:
        failed = await failure(egress, f"https://127.0.0.1:{server.port}/")
    assert failed.code == "tls"
    assert failed.may_have_arrived is False


async def test_a_handshake_that_never_ends_meets_the_deadline():
    async def silence(connection):
        await asyncio.Event().wait()

    async with hostile(silence) as server, way_out() as egress:
        failed = await failure(egress, f"https://127.0.0.1:{server.port}/", deadline=0.15)
    assert failed.code == "timeout"
    assert failed.may_have_arrived is False


async def test_an_endless_body_over_tls_is_cut_as_well(authority):
    async def endless(connection):
        await connection.request()
        await connection.say(b"HTTP/1.1 200 OK\r\n\r\n")
        await connection.say_for_ever(b"x" * 65_536)

    context = authority.context("127.0.0.1")
    async with hostile(endless, tls=context) as server, way_out() as egress:
        answer = await post(egress, server.url(), ca_certificate=authority.pem)
    assert answer.extensions["truncated"] is True


def test_nothing_in_the_way_out_turns_verification_off():
    sources = [
        path.read_text() for path in (Path(__file__).parents[2] / "app" / "egress").glob("*.py")
    ]
    assert sources
    for word in ("CERT_NONE", "check_hostname", "ssl=False", "_create_unverified_context"):
        assert not any(word in source for source in sources)
