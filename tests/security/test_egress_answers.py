"""What targets answer (reference B7, 81 to 93): kept small, kept raw, kept apart."""

from __future__ import annotations

import asyncio
import gzip

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.connectors.base import LONG_ANSWER
from app.domain.outcome import TransportFailure
from tests.security.hostile_server import OK, answering, answering_once, hostile, reply
from tests.security.outbound import failure, post, way_out

LIMIT = 65_536


async def answered(script, **options) -> httpx.Response:
    async with hostile(script) as server, way_out() as egress:
        return await post(egress, server.url(), **options)


async def failed_with(script, **options) -> TransportFailure:
    """The failure, after which the way out still works."""
    async with hostile(script) as server, hostile(answering(OK)) as healthy, way_out() as egress:
        trouble = await failure(egress, server.url(), **options)
        assert (await post(egress, healthy.url(), target="tgt_2")).status_code == 200
    return trouble


async def test_an_answer_has_its_status_header_and_body():
    given_back = reply(b'{"id": 1}', "Content-Type: application/json", "X-A: 1", status="201 Made")
    answer = await answered(answering(given_back))
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-a"] == "1"
    assert answer.json() == {"id": 1}
    assert answer.extensions["truncated"] is False
    assert answer.request.method == "POST"


@pytest.mark.parametrize(
    "given_back",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n4\r\nello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nhello",
        b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\nhello",
    ],
    ids=["chunked", "until-close", "http-1.0", "after-interim-answers"],
)
async def test_every_framing_of_a_body_is_read(given_back):
    answer = await answered(answering_once(given_back))
    assert (answer.status_code, answer.content) == (200, b"hello")


@pytest.mark.parametrize("status", [200, 204, 301, 400, 401, 404, 410, 422, 429, 500, 503, 599])
async def test_any_final_status_is_handed_back(status):
    given_back = reply(b"", "Retry-After: 120", status=f"{status} x")
    answer = await answered(answering(given_back))
    assert answer.status_code == status
    assert answer.headers["retry-after"] == "120"


async def test_a_head_request_waits_for_no_body():
    given_back = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    answer = await answered(answering(given_back), method="HEAD", content=b"")
    assert answer.content == b""


@pytest.mark.parametrize(
    ("size", "truncated"), [(LIMIT - 1, False), (LIMIT, False), (LIMIT + 1, True)]
)
async def test_a_body_is_cut_above_the_limit(size, truncated):
    answer = await answered(answering(reply(b"x" * size)))
    assert answer.content == b"x" * min(size, LIMIT)
    assert answer.extensions["truncated"] is truncated


async def test_a_request_that_expects_a_long_answer_is_read_to_its_own_limit():
    extensions = {LONG_ANSWER: LIMIT + 10}
    answer = await answered(answering(reply(b"x" * (LIMIT + 11))), extensions=extensions)
    assert answer.content == b"x" * (LIMIT + 10)
    assert answer.extensions["truncated"] is True


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2147483648\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n",
    ],
    ids=["two-gigabytes", "until-close", "one-chunk"],
)
async def test_an_endless_body_is_cut_and_its_status_counts(head):
    hung_up = asyncio.Event()

    async def script(connection):
        await connection.request()
        await connection.say(head)
        try:
            await connection.say_for_ever(b"x" * 65_536)
        except OSError:
            hung_up.set()
            raise

    async with hostile(script) as server, way_out() as egress:
        answer = await post(egress, server.url())
        await asyncio.wait_for(hung_up.wait(), 10)
    assert answer.status_code == 200
    assert answer.content == b"x" * LIMIT
    assert answer.extensions["truncated"] is True


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "GZIP", "x-unknown"])
async def test_a_compressed_bomb_is_kept_as_it_came(encoding):
    bomb = gzip.compress(b"\0" * 10_000_000)
    answer = await answered(answering(reply(bomb, f"Content-Encoding: {encoding}")))
    assert answer.content == bomb
    assert await answer.aread() == bomb


@pytest.mark.parametrize(
    "body",
    [b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"x" * LIMIT, b"<script>"],
    ids=lambda body: body[:4],
)
async def test_a_body_of_any_bytes_is_handed_back(body):
    answer = await answered(answering(reply(body, "Content-Type: text/plain; charset=nonsense")))
    assert answer.content == body
    assert isinstance(answer.text, str)


async def test_header_values_of_any_bytes_are_handed_back():
    answer = await answered(
        answering(b"HTTP/1.1 200 \xff\r\nX-A: \xff\xfe\r\nContent-Length: 0\r\n\r\n")
    )
    assert answer.headers["x-a"] == "\xff\xfe"


async def drip(connection):
    await connection.request()
    await connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    await connection.say_for_ever(b"x", every=0.01)


async def dripping_header(connection):
    await connection.request()
    await connection.say(b"HTTP/1.1 200 OK\r\nX: ")
    await connection.say_for_ever(b"x", every=0.01)


async def interim_for_ever(connection):
    await connection.request()
    await connection.say_for_ever(b"HTTP/1.1 103 Early Hints\r\n\r\n", every=0.01)


async def silence(connection):
    await connection.request()
    await asyncio.Event().wait()


async def deaf(connection):
    await asyncio.Event().wait()


async def test_the_deadline_begins_when_the_request_is_written_down():
    async with hostile(answering(OK)) as server, way_out() as egress:
        request = httpx.Request("POST", server.url(), content=b"{}")
        answer = egress.send(request, target="tgt_1", deadline=0.05)
        await asyncio.sleep(0.06)
        with pytest.raises(TransportFailure) as caught:
            await answer
    assert (caught.value.code, caught.value.may_have_arrived) == ("timeout", False)


@pytest.mark.parametrize("script", [drip, dripping_header, interim_for_ever, silence, deaf])
async def test_the_deadline_is_total(script):
    trouble = await failed_with(script, deadline=0.25)
    assert trouble.code == "timeout"
    assert trouble.may_have_arrived is True
    assert "0.25 seconds" in trouble.reason


async def test_what_a_target_did_not_read_in_time_is_not_sent_afterwards():
    read = asyncio.get_running_loop().create_future()

    async def script(connection):
        connection.writer.transport.pause_reading()
        await given_up.wait()
        connection.writer.transport.resume_reading()
        try:
            read.set_result(len(await connection.reader.read()))
        except ConnectionResetError:
            read.set_result(0)

    given_up = asyncio.Event()
    async with hostile(script) as server, way_out() as egress:
        trouble = await failure(egress, server.url(), deadline=0.25, content=b"x" * 30_000_000)
        given_up.set()
        assert await asyncio.wait_for(read, 10) < 30_000_000
    assert trouble.code == "timeout"
    assert trouble.may_have_arrived is True


async def header_without_end(connection):
    await connection.request()
    await connection.say(b"HTTP/1.1 200 OK\r\nX: ")
    await connection.say_for_ever(b"x" * 4096)


async def fields_without_end(connection):
    await connection.request()
    await connection.say(b"HTTP/1.1 200 OK\r\n")
    await connection.say_for_ever(b"X-A: 1\r\n" * 100)


async def interim_flood(connection):
    await connection.request()
    await connection.say_for_ever(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 1000)


async def reason_without_end(connection):
    await connection.request()
    await connection.say(b"HTTP/1.1 200 ")
    await connection.say_for_ever(b"x" * 4096)


@pytest.mark.parametrize(
    "script", [header_without_end, fields_without_end, interim_flood, reason_without_end]
)
async def test_a_header_without_end_is_cut_off_by_size(script):
    trouble = await failed_with(script)
    assert trouble.code == "protocol"
    assert trouble.may_have_arrived is True


@pytest.mark.parametrize(
    "given_back",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999999\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok",
        b"HTTP/1.1 999 What\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 600 What\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 99 What\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 2000 What\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nok",
        b"HTTP/0.9 200 OK\r\n\r\nok",
        b"HTTP/2.0 200 OK\r\n\r\nok",
        b"<html>ok</html>\r\n\r\n",
        b"\r\n\r\n\r\nnothing at all",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x16\x03\x01\x00\x05hello",
        b"\0" * 100,
        b"HTTP/1.1 200 OK\r\nNo colon here\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n",
    ],
    ids=lambda given_back: ascii(given_back[:40]),
)
async def test_an_answer_that_is_not_http_is_a_failure_of_its_own_kind(given_back):
    trouble = await failed_with(answering_once(given_back))
    assert trouble.code in {"protocol", "reset"}
    assert trouble.may_have_arrived is True


async def test_a_bad_chunk_after_a_good_one_does_not_wait_for_the_deadline():
    async def script(connection):
        await connection.request()
        await connection.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")
        await asyncio.sleep(0.02)
        await connection.say(b"zz\r\nno\r\n")
        await asyncio.Event().wait()

    trouble = await failed_with(script)
    assert trouble.code == "reset"


async def reset_at_once(connection):
    connection.reset()


async def reset_after_the_request(connection):
    await connection.request()
    connection.reset()


async def closed_after_the_request(connection):
    await connection.request()


async def closed_in_the_header(connection):
    await connection.request()
    await connection.say(b"HTTP/1.1 200 OK\r\nContent-")


async def closed_in_the_body(connection):
    await connection.request()
    await connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")


async def reset_in_the_body(connection):
    await connection.request()
    await connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    await asyncio.sleep(0.02)
    connection.reset()


async def closed_in_a_chunk(connection):
    await connection.request()
    await connection.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf")


@pytest.mark.parametrize(
    "script",
    [
        reset_after_the_request,
        closed_after_the_request,
        closed_in_the_header,
        closed_in_the_body,
        reset_in_the_body,
        closed_in_a_chunk,
    ],
)
async def test_a_connection_lost_on_the_way_leaves_it_open_whether_the_request_arrived(script):
    trouble = await failed_with(script)
    assert trouble.code == "reset"
    assert trouble.may_have_arrived is True


async def test_a_connection_reset_at_once_is_not_sent_a_second_time():
    async with hostile(reset_at_once) as server, way_out() as egress:
        trouble = await failure(egress, server.url())
    assert trouble.code == "reset"
    assert server.connections == 1


async def test_cookies_are_not_sent_back():
    setting = reply(b"ok", "Set-Cookie: session=evil; Path=/; Domain=127.0.0.1")
    async with hostile(answering(setting)) as server, way_out() as egress:
        for _ in range(2):
            await post(egress, server.url())
        await post(egress, server.url(), target="tgt_2")
    assert not any(b"ookie" in received.head for received in server.requests)


pieces = st.sampled_from(
    [
        *(
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 ",
            b"200",
            b"103 x\r\n\r\n",
            b" ",
            b"\r\n",
            b"\n",
            b"\0",
        ),
        *(b"Content-Length: ", b"5", b"-1", b"Transfer-Encoding: chunked\r\n", b"X: y\r\n", b":"),
        *(
            b"\r\n\r\n",
            b"5\r\nhello\r\n",
            b"0\r\n\r\n",
            b"zz\r\n",
            b"Connection: close\r\n",
            b"\xff",
        ),
    ]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(st.binary(max_size=60), st.lists(pieces, max_size=12).map(b"".join)))
def test_whatever_a_target_answers_the_caller_sees_an_answer_or_a_transport_failure(given_back):
    async def ending() -> str | int:
        async with hostile(answering_once(given_back)) as server, way_out() as egress:
            try:
                return (await post(egress, server.url(), deadline=5)).status_code
            except TransportFailure as trouble:
                return trouble.code

    assert asyncio.run(ending()) in {"protocol", "reset", *range(200, 600)}
