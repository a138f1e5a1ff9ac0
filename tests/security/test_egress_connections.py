"""Connections: one pool per target, nothing left over from one request to the next (B7, 88, 92)."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest
import uvloop

from app.domain.outcome import TransportFailure
from app.egress.transport import GuardedTransport
from tests.security.hostile_server import OK, FakeResolver, answering, hostile, reply
from tests.security.outbound import LOOPBACK, USER_AGENT, failure, post, way_out

EVIL = reply(b"evil", "X-Evil: 1")


async def test_a_targets_next_request_uses_its_connection_again():
    async with hostile(answering(OK)) as server, way_out() as egress:
        for _ in range(5):
            await post(egress, server.url())
    assert server.connections == 1


async def test_two_targets_never_share_a_connection():
    async with hostile(answering(OK)) as server, way_out() as egress:
        for target in ("tgt_1", "tgt_2", "tgt_1", "tgt_2"):
            await post(egress, server.url(), target=target)
    assert server.connections == 2


async def test_a_changed_pinned_certificate_shares_no_connection_with_the_former_one(tmp_path):
    async with hostile(answering(OK)) as server, way_out() as egress:
        await post(egress, server.url())
        await post(egress, server.url(), ca_certificate="")
    assert server.connections == 2


async def test_a_target_has_only_so_many_connections_at_once():
    async def slow(connection):
        while True:
            await connection.request()
            await asyncio.sleep(0.01)
            await connection.say(OK)

    async with hostile(slow) as server, way_out(max_connections_per_target=3) as egress:
        answers = await asyncio.gather(*[post(egress, server.url()) for _ in range(12)])
    assert {answer.status_code for answer in answers} == {200}
    assert server.connections == 3


async def test_an_idle_connection_is_not_kept_for_ever():
    async with hostile(answering(OK)) as server, way_out(keepalive_seconds=0.01) as egress:
        await post(egress, server.url())
        await asyncio.sleep(0.03)
        await post(egress, server.url())
    assert server.connections == 2


async def answer_twice_at_once(connection):
    await connection.request()
    await connection.say(OK + EVIL)
    await answering(OK)(connection)


async def answer_twice_a_little_later(connection):
    await connection.request()
    await connection.say(OK)
    await asyncio.sleep(0.02)
    await connection.say(EVIL)
    await answering(OK)(connection)


async def answer_and_begin_another(connection):
    await connection.request()
    await connection.say(OK)
    await asyncio.sleep(0.02)
    await connection.say(b"HTTP/1.1 200 OK\r\nX-Evil: ")
    await answering(reply(b"evil"))(connection)


@pytest.mark.parametrize(
    "script", [answer_twice_at_once, answer_twice_a_little_later, answer_and_begin_another]
)
async def test_a_second_answer_is_never_taken_for_the_answer_to_the_next_request(script):
    async def first_only(connection):
        await (script if connection.number == 0 else answering(OK))(connection)

    async with hostile(first_only) as server, way_out() as egress:
        await post(egress, server.url())
        await asyncio.sleep(0.05)
        answer = await post(egress, server.url())
    assert answer.content == b"ok"
    assert "x-evil" not in answer.headers
    assert server.connections == 2


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_second_answer_still_in_the_sockets_buffer_is_noticed_before_the_next_request(new_loop):
    """The event loop is held, so that nobody but the kernel has seen the second answer."""

    async def answer_again_when_told(connection):
        await connection.request()
        await connection.say(OK)
        if connection.number == 0:
            await told.wait()
            connection.writer.write(EVIL)
            written.set()
        await answering(OK)(connection)

    async def scenario() -> httpx.Response:
        async with hostile(answer_again_when_told) as server, way_out() as egress:
            await post(egress, server.url())
            told.set()
            await written.wait()
            time.sleep(0.02)  # noqa: ASYNC251 the loop must not run here: that is the case
            return await post(egress, server.url())

    told, written = asyncio.Event(), asyncio.Event()
    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(scenario()).content == b"ok"


async def test_a_truncated_answer_ends_its_connection():
    async with hostile(answering(reply(b"x" * 200_000), OK)) as server, way_out() as egress:
        assert (await post(egress, server.url())).extensions["truncated"]
        assert (await post(egress, server.url())).content == b"ok"
    assert server.connections == 2


def closing_when_used_again(*, noisily: bool) -> object:
    """The first connection ends, without a word, when a second request comes in on it."""

    async def script(connection):
        await connection.request()
        await connection.say(OK)
        if connection.number == 0:
            await connection.reader.readexactly(1)
            if noisily:
                connection.reset()
            return
        await answering(OK)(connection)

    return script


@pytest.mark.parametrize("noisily", [True, False])
async def test_a_kept_connection_that_ends_on_reuse_costs_no_failure(noisily):
    script = closing_when_used_again(noisily=noisily)
    async with hostile(script) as server, way_out() as egress:
        await post(egress, server.url(), content=b"first")
        answer = await post(egress, server.url(), content=b"second")
    assert answer.status_code == 200
    assert [received.body for received in server.requests] == [b"first", b"second"]
    assert server.connections == 2


async def test_a_request_sent_anew_goes_out_on_a_fresh_connection_not_on_another_kept_one():
    async def one_request_each(connection):
        await connection.request()
        await all_there.wait()
        await connection.say(OK)
        await connection.reader.readexactly(1)

    all_there = asyncio.Event()
    async with hostile(one_request_each) as server, way_out() as egress:
        first = asyncio.gather(*[post(egress, server.url()) for _ in range(3)])
        await server.received(3)
        all_there.set()
        await first
        assert (await post(egress, server.url())).status_code == 200
    assert server.connections == 4


async def test_a_request_is_sent_anew_only_once():
    async def one_request_each(connection):
        await connection.request()
        if connection.number == 0:
            await connection.say(OK)
            await connection.request()

    async with hostile(one_request_each) as server, way_out() as egress:
        await post(egress, server.url())
        failed = await failure(egress, server.url())
    assert failed.code == "reset"
    assert failed.may_have_arrived is True
    assert server.connections == 2


async def test_a_request_that_was_answered_in_part_is_not_sent_anew():
    async def script(connection):
        await connection.request()
        await connection.say(OK)
        await connection.request()
        await connection.say(b"HTTP/1.1 200 OK\r\n")

    async with hostile(script) as server, way_out() as egress:
        await post(egress, server.url())
        failed = await failure(egress, server.url())
    assert failed.code == "reset"
    assert server.connections == 1


async def test_a_failure_while_sending_anew_remembers_that_the_first_try_may_have_arrived():
    resolver = FakeResolver({"moving.example": [["127.0.0.1"], ["10.0.0.1"]]})
    script = closing_when_used_again(noisily=False)
    async with hostile(script) as server, way_out(resolver=resolver) as egress:
        await post(egress, server.url(host="moving.example"))
        failed = await failure(egress, server.url(host="moving.example"))
    assert failed.code == "address"
    assert failed.may_have_arrived is True


async def test_a_connection_the_target_closed_in_the_meantime_is_not_used():
    async def script(connection):
        await connection.request()
        await connection.say(OK)

    async with hostile(script) as server, way_out() as egress:
        for _ in range(3):
            await post(egress, server.url())
            await asyncio.sleep(0.01)
    assert len(server.requests) == 3


async def test_a_cancelled_request_lets_go_of_its_connection():
    async def script(connection):
        await connection.request()
        await connection.reader.read()
        gone.set()

    gone = asyncio.Event()
    async with hostile(script) as server, way_out(max_connections_per_target=1) as egress:
        sending = asyncio.create_task(post(egress, server.url()))
        await server.received(1)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await asyncio.wait_for(gone.wait(), 5)


async def test_waiting_for_a_free_connection_counts_against_the_deadline():
    async def silence(connection):
        await connection.request()
        await asyncio.Event().wait()

    async with hostile(silence) as server, way_out(max_connections_per_target=1) as egress:
        holding = asyncio.create_task(failure(egress, server.url(), deadline=0.3))
        await server.received(1)
        waiting = await failure(egress, server.url(), deadline=0.05)
        assert waiting.code == "timeout"
        assert waiting.may_have_arrived is False
        assert (await holding).may_have_arrived is True


async def test_pools_of_targets_long_unused_are_closed():
    transport = GuardedTransport(LOOPBACK, user_agent=USER_AGENT, max_targets=2)
    ended: asyncio.Queue[int] = asyncio.Queue()

    async def script(connection):
        await connection.request()
        await connection.say(OK)
        await connection.reader.read()
        ended.put_nowait(connection.number)

    async def send(target: str, url: str) -> None:
        request = httpx.Request("POST", url, extensions={"relay_target": target})
        await transport.handle_async_request(request)

    async with hostile(script) as server:
        for number in range(4):
            await send(f"tgt_{number}", server.url())
        assert {await ended.get(), await ended.get()} == {0, 1}
        assert ended.empty()
        await transport.aclose()
        assert {await ended.get(), await ended.get()} == {2, 3}


async def test_a_pool_in_use_is_not_closed_for_another_target():
    async def slow(connection):
        await connection.request()
        await may_answer.wait()
        await connection.say(OK)

    may_answer = asyncio.Event()
    transport = GuardedTransport(LOOPBACK, user_agent=USER_AGENT, max_targets=1)
    async with hostile(slow) as server:
        requests = [
            httpx.Request("POST", server.url(), extensions={"relay_target": f"tgt_{number}"})
            for number in range(3)
        ]
        sending = asyncio.gather(*[transport.handle_async_request(each) for each in requests])
        await server.received(3)
        may_answer.set()
        assert [answer.status_code for answer in await sending] == [200, 200, 200]
        await transport.aclose()


async def test_closing_the_way_out_ends_what_is_under_way_as_a_failure():
    async def silence(connection):
        await connection.request()
        await asyncio.Event().wait()

    async with hostile(silence) as server, way_out() as egress:
        sending = asyncio.create_task(post(egress, server.url()))
        await server.received(1)
        await egress.aclose()
        with pytest.raises(TransportFailure) as caught:
            await sending
    assert caught.value.may_have_arrived is True


async def test_any_httpx_client_can_use_the_same_door():
    transport = GuardedTransport(LOOPBACK, user_agent=USER_AGENT)
    async with hostile(answering(OK)) as server, httpx.AsyncClient(transport=transport) as client:
        answer = await client.get(server.url(), extensions={"relay_target": "check"})
    assert answer.text == "ok"
