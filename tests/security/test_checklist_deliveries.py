"""What destinations answer, through the real way out into a real store (reference B7: 35, 76, 81-94, 97)."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from datetime import timedelta
from email.utils import format_datetime

import httpx
import pytest

from app.egress.client import Egress
from tests.integration.edge import Edge, edge
from tests.security.hostile_server import (
    OK,
    HostileServer,
    Script,
    answering,
    answering_once,
    hostile,
    reply,
)
from tests.security.outbound import way_out

SECRET = "planted-credential-0123456789"
ODD_BODIES = {
    "nul": b"a\x00b",
    "not-utf-8": b"\xff\xfe\x80",
    "lone-surrogate": b'{"message":"\\ud800"}',
    "encoded-surrogate": b"\xed\xa0\x80",
    "one-long-line": b"x" * 1_000_000,
    "escape-codes": b"\x1b[31mred\x1b[0m\x07",
    "a-page": b"<script>alert(1)</script>",
    "deep": b"[" * 50_000,
    "bidirectional": "\u202egnp.exe".encode(),
}


@pytest.fixture
async def node(database, sealer, clock) -> AsyncIterator[Edge]:
    async with edge(database, sealer, clock) as made, way_out() as egress:
        made.world.sender = _AlwaysInTime(egress)
        made.world.dispatch = made.world.another_worker("worker")
        await made.world.source()
        yield made


class _AlwaysInTime:
    """The real way out, with a deadline short enough for a test that hangs to fail."""

    def __init__(self, egress: Egress) -> None:
        self._egress = egress

    async def send(
        self, request: httpx.Request, *, target: str, deadline: float, **options: str | None
    ) -> httpx.Response:
        return await self._egress.send(request, target=target, deadline=min(deadline, 5), **options)


async def delivered(node: Edge, server: HostileServer, **settings: object) -> dict:
    """Register the server, send it one event, and answer the delivery as the API shows it."""
    path = settings.pop("path", "/")
    await node.world.target(settings={"url": server.url(str(path)), **settings})
    await node.world.send()
    await node.world.work()
    return await shown(node)


async def shown(node: Edge) -> dict:
    async with node.client() as client:
        (listed,) = (await client.get("/v1/deliveries")).json()["items"]
        answer = await client.get(f"/v1/deliveries/{listed['id']}")
    assert answer.headers["content-type"] == "application/json"
    assert SECRET not in answer.text
    return answer.json()


@pytest.mark.parametrize("status", ["200 OK", "400 Bad Request", "500 Oops"])
@pytest.mark.parametrize("body", ODD_BODIES.values(), ids=ODD_BODIES)
async def test_whatever_a_destination_says_its_attempt_is_kept(node, body, status):
    async with hostile(answering(reply(body, status=status))) as server:
        delivery = await delivered(node, server)
    expected = {"2": "succeeded", "4": "failed", "5": "pending"}[status[0]]
    assert (delivery["status"], delivery["attempt_count"]) == (expected, 1)
    ((exchange,),) = [attempt["exchanges"] for attempt in delivery["attempts"]]
    assert exchange["status"] == int(status[:3])
    excerpt = exchange["body_excerpt"]
    assert len(excerpt) <= 4096
    assert exchange["truncated"] is (len(body) > 4096)
    assert not set(excerpt) & {"\x00", "\x1b", "\x07"}


async def test_an_answer_without_end_is_cut_and_its_status_counts(node):
    async def script(connection) -> None:
        await connection.request()
        await connection.say(b"HTTP/1.1 200 OK\r\n\r\n")
        await connection.say_for_ever(b"x" * 65_536)

    async with hostile(script) as server:
        delivery = await delivered(node, server)
    assert delivery["status"] == "succeeded"
    assert delivery["attempts"][0]["exchanges"][0]["truncated"] is True


async def test_a_compressed_bomb_is_kept_as_it_came(node):
    bomb = gzip.compress(b"\0" * 50_000_000)
    async with hostile(answering(reply(bomb, "Content-Encoding: gzip"))) as server:
        delivery = await delivered(node, server)
    assert delivery["status"] == "succeeded"
    assert len(delivery["attempts"][0]["exchanges"][0]["body_excerpt"]) <= 4096


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
async def test_a_redirect_is_a_failure_that_shows_where_to_but_no_credential(node, status):
    async with (
        hostile(answering(OK)) as elsewhere,
        hostile(
            answering(
                reply(b"", f"Location: {elsewhere.url(f'/in?token={SECRET}&a=1')}", status=status)
            )
        ) as server,
    ):
        delivery = await delivered(node, server, path=f"/in?token={SECRET}&a=1")
    assert delivery["status"] == "failed"
    assert "redirect" in delivery["reason"]
    (exchange,) = delivery["attempts"][0]["exchanges"]
    assert exchange["headers"]["location"] == elsewhere.url("/in?token=***&a=1")
    assert elsewhere.connections == 0


@pytest.mark.parametrize("location", ["http://[", "http://xn--/", "//", "\xff", "http://a:b:c/"])
async def test_a_redirect_to_nonsense_is_a_failure_like_any_other(node, location):
    async with hostile(answering(reply(b"", f"Location: {location}", status="302 X"))) as server:
        delivery = await delivered(node, server)
    assert (delivery["status"], delivery["attempt_count"]) == ("failed", 1)


@pytest.mark.parametrize("status", ["200 OK", "401 No", "422 No", "503 No"])
@pytest.mark.parametrize("scheme", ["", "Bearer "])
async def test_a_credential_that_a_destination_repeats_is_not_kept(node, status, scheme, capfd):
    body = b'{"message":"invalid token ' + SECRET.encode() + b'"}'
    async with hostile(answering(reply(body, status=status))) as server:
        header = {"authorization": scheme + SECRET} if scheme else {"x-api-key": SECRET}
        await delivered(node, server, headers=header)
    async with node.client() as client:
        for path in ("/v1/targets", "/v1/deliveries", "/v1/events"):
            assert SECRET not in (await client.get(path)).text
    assert server.requests[0].headers[next(iter(header))] == scheme + SECRET
    output = capfd.readouterr()
    assert SECRET not in output.out + output.err


async def test_a_cookie_is_not_sent_back(node):
    async with hostile(answering(reply(b"", "Set-Cookie: a=b", status="500 X"), OK)) as server:
        await delivered(node, server)
        node.clock.advance(6)
        await node.world.work()
    assert len(server.requests) == 2
    assert not any("cookie" in request.headers for request in server.requests)


BROKEN: dict[str, Script] = {
    "no-http": answering_once(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "http-0.9": answering_once(b"hello"),
    "status-999999": answering_once(b"HTTP/1.1 999999 X\r\n\r\n"),
    "no-status": answering_once(b"HTTP/1.1\r\n\r\n"),
    "negative-length": answering_once(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
    "length-and-chunked": answering_once(
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello"
    ),
    "hangs-up": answering_once(b""),
}


@pytest.mark.parametrize("script", BROKEN.values(), ids=BROKEN)
async def test_a_broken_answer_is_tried_again_with_the_same_id_and_harms_nobody_else(node, script):
    async with hostile(script) as broken, hostile(answering(OK)) as whole:
        await node.world.target("whole", settings={"url": whole.url()})
        await node.world.target("broken", settings={"url": broken.url()})
        await node.world.send()
        await node.world.work()
        node.clock.advance(6)
        await node.world.work()
    by_target = {one.target: one for one in await node.world.deliveries()}
    assert by_target["whole"].status == "succeeded"
    assert by_target["broken"].attempt_count in {1, 2}
    if len(broken.requests) > 1:
        assert len({request.headers["webhook-id"] for request in broken.requests}) == 1


RAW = b'{ "b":1 ,\r\n "a":"\\u0000 \xc3\xa9 \\/", "customer_id":2, "z":-0.0, "wu_version":"2" }\n'


async def test_a_raw_webhook_gets_the_very_bytes_that_came_in(node):
    async with hostile(answering(OK)) as server:
        await node.world.target(settings={"url": server.url(), "format": "raw"})
        await node.world.send(RAW)
        await node.world.work()
        (request,) = server.requests
    assert request.body == RAW
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["user-agent"].startswith("Lifecycle-Relay/")
    assert "python" not in request.head.decode().lower()


@pytest.mark.parametrize(
    ("asked", "least"),
    [
        ("120", 120),
        ("120.6", 120.6),
        ("600 s from now", 600),
        ("999999999", 3600),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600),
        ("invalid", 0),
        ("-5", 0),
        ("", 0),
        ("Mon, 23 Nov 1998 19:08:31 GMT", 0),
    ],
)
@pytest.mark.parametrize(("status", "counted"), [("429 Slow", 0), ("503 Busy", 1)])
async def test_the_wait_that_a_destination_asks_for_is_honoured_within_bounds(
    node, clock, status, counted, asked, least
):
    if asked == "600 s from now":
        asked = format_datetime(clock() + timedelta(seconds=600), usegmt=True)
    async with hostile(answering(reply(b"", f"Retry-After: {asked}", status=status))) as server:
        await node.world.target(settings={"url": server.url()}, retry={"schedule": [0, 5, 5]})
        await node.world.send()
        await node.world.work()
    (delivery,) = await node.world.deliveries()
    assert (delivery.status, delivery.attempt_count) == ("pending", counted)
    wait = (delivery.next_attempt_at - clock()).total_seconds()
    assert least <= wait
    assert 0 < wait <= (least * 1.1 if 0 < least < 3600 else 604_800 if least else 10)
