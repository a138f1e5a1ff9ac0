"""What the relay puts on the wire (reference B7, 72, 73, 76, 79, 80)."""

from __future__ import annotations

import pytest

from tests.security.hostile_server import OK, Received, answering, hostile
from tests.security.outbound import USER_AGENT, failure, post, way_out


async def sent(path: str = "/", **request: object) -> Received:
    async with hostile(answering(OK)) as server, way_out() as egress:
        await post(egress, server.url(path), **request)
    return server.requests[0]


async def test_the_body_arrives_byte_for_byte():
    body = b'{ "b":1,\r\n\t"a": "\\u0000\xc3\xa9" }\n' + bytes(range(256))
    assert (await sent(content=body)).body == body


async def test_a_megabyte_arrives_whole():
    body = b"x" * 1_048_576
    assert (await sent(content=body)).body == body


async def test_the_header_is_the_callers_and_what_a_message_needs():
    received = await sent(headers={"Webhook-Id": "msg_1", "content-type": "application/json"})
    host = received.headers.pop("host")
    assert host.startswith("127.0.0.1:")
    assert {name: value for name, value in received.headers.items() if name != "host"} == {
        "accept-encoding": "identity",
        "content-length": "2",
        "webhook-id": "msg_1",
        "content-type": "application/json",
        "user-agent": USER_AGENT,
        "accept": "*/*",
    }


async def test_a_user_agent_of_the_callers_own_is_kept():
    received = await sent(headers={"User-Agent": "Lifecycle-Relay/1 (+https://relay.example)"})
    assert received.headers["user-agent"] == "Lifecycle-Relay/1 (+https://relay.example)"


async def test_header_names_keep_their_spelling():
    assert b"\r\nX-ODD-Name: 1\r\n" in (await sent(headers={"X-ODD-Name": "1"})).head


async def test_the_encoded_url_is_left_as_it_is():
    received = await sent("/a%2Fb/%C3%BC;v=1?q=%20+x&empty=&q=2")
    assert received.request_line == b"POST /a%2Fb/%C3%BC;v=1?q=%20+x&empty=&q=2 HTTP/1.1"


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
async def test_other_methods_are_sent_as_well(method):
    received = await sent(method=method, content=b"")
    assert received.request_line == f"{method} / HTTP/1.1".encode()
    assert ("content-length" in received.headers) == (method != "GET")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Transfer-Encoding", "chunked"),
        ("Content-Length", "1"),
        ("Connection", "close"),
        ("Expect", "100-continue"),
        ("Accept-Encoding", "gzip"),
        ("Host", "other.example"),
        ("Upgrade", "h2c"),
    ],
)
async def test_what_frames_the_message_is_not_the_callers_to_set(name, value):
    received = await sent(headers={name: value})
    assert value not in received.headers.values()
    assert received.body == b"{}"


async def test_user_information_in_a_url_becomes_no_credential():
    async with hostile(answering(OK)) as server, way_out() as egress:
        await post(egress, f"http://user:pass@127.0.0.1:{server.port}/")
    assert b"uthorization" not in server.requests[0].head
    assert b"pass" not in server.requests[0].head


@pytest.mark.parametrize(
    "header",
    [
        (b"X-A", b"a\r\nX-Evil: 1"),
        (b"X-A", b"a\nX-Evil: 1"),
        (b"X-A", b"a\rb"),
        (b"X-A", b"a\0b"),
        (b"X A", b"1"),
        (b"X-A:", b"1"),
        (b"X-A\r\nX-Evil", b"1"),
        (b"", b"1"),
        (b"\xff", b"1"),
    ],
    ids=ascii,
)
async def test_a_header_that_would_break_the_message_is_not_sent(header):
    async with hostile(answering(OK)) as server, way_out() as egress:
        failed = await failure(egress, server.url(), headers=[header])
        assert (await post(egress, server.url())).status_code == 200
    assert failed.code == "request"
    assert failed.may_have_arrived is False
    assert server.connections == 1


async def test_bytes_outside_ascii_in_a_value_go_out_as_they_are():
    received = await sent(headers=[(b"X-A", "é".encode()), (b"X-B", b"\xff\x01")])
    assert b"X-A: \xc3\xa9\r\nX-B: \xff\x01\r\n" in received.head


@pytest.mark.parametrize("method", ["PO ST", "POST / HTTP/1.1\r\nX:", "", "PÖST"])
async def test_a_method_that_is_no_word_is_not_sent(method):
    async with way_out() as egress:
        assert (await failure(egress, "http://127.0.0.1/", method=method)).code == "request"


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/", "http:///x", "/relative", "https:x", "ws://a/"]
)
async def test_a_url_of_another_kind_is_not_sent(url):
    async with way_out() as egress:
        failed = await failure(egress, url)
    assert failed.code == "request"
    assert failed.may_have_arrived is False


async def test_a_streamed_body_is_not_sent():
    async def body():
        yield b"{}"

    async with way_out() as egress:
        failed = await failure(egress, "http://127.0.0.1/", content=body())
    assert failed.code == "request"


@pytest.mark.parametrize("pem", ["not a certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n", "é"])
async def test_a_pinned_certificate_that_cannot_be_read_is_named_as_the_trouble(pem):
    async with way_out() as egress:
        failed = await failure(egress, "https://127.0.0.1/", ca_certificate=pem)
    assert failed.code == "request"
    assert "certificate" in failed.reason


async def test_the_refusal_of_a_header_never_repeats_its_value():
    async with way_out() as egress:
        failed = await failure(
            egress, "http://127.0.0.1/", headers=[(b"Authorization", b"canary\n")]
        )
    assert "canary" not in failed.reason
