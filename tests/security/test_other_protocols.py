"""Offers of another protocol, trailers, and what stands between the parts of a body (reference B7: 45, 46)."""

from __future__ import annotations

import time

import pytest

from tests.captured import captured
from tests.security.real_server import Connection, RealServer, chunk, written

JSON = "content-type: application/json"
CHUNKED = "transfer-encoding: chunked"
# What Java's HTTP client adds to every request that is not encrypted.
HTTP2 = (
    "connection: Upgrade, HTTP2-Settings",
    "upgrade: h2c",
    "http2-settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
)
WEBSOCKET = (
    "connection: keep-alive, Upgrade",
    "upgrade: websocket",
    "sec-websocket-version: 13",
    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
)
OFFERS = pytest.mark.parametrize("offer", [HTTP2, WEBSOCKET], ids=["http2", "websocket"])
GOOD = captured("payment_received").raw_body
ALIVE = written("GET", "/health/live", body=None)


def stored(server: RealServer, made: Connection) -> bytes:
    """The body of the event that the next answer names."""
    answer = made.answer()
    assert answer.status == 202, answer
    return server.management("GET", f"/v1/events/{answer.document['id']}/body").body


@OFFERS
def test_an_event_with_an_offer_is_taken_with_its_body(server, offer):
    with server.connection() as made:
        made.send(server.door(JSON, *offer, body=GOOD))
        assert stored(server, made) == GOOD
        made.send(ALIVE)
        assert made.answer().status == 200


@OFFERS
def test_a_body_that_follows_an_offer_later_belongs_to_it(server, offer):
    whole = server.door(JSON, *offer, body=GOOD)
    with server.connection() as made:
        for start in range(0, len(whole), 700):
            made.send(whole[start : start + 700])
        assert stored(server, made) == GOOD


@OFFERS
def test_a_chunked_body_that_follows_an_offer_belongs_to_it(server, offer):
    with server.connection() as made:
        made.send(server.door(JSON, CHUNKED, *offer, body=None))
        made.send(chunk(GOOD[:100]) + chunk(GOOD[100:]) + b"0\r\n\r\n")
        assert stored(server, made) == GOOD


@OFFERS
def test_requests_with_offers_behind_one_another_are_answered_in_their_order(server, offer):
    head = written("GET", "/health/live", *offer, body=None)
    with server.connection() as made:
        made.send(head + server.door(JSON, *offer, body=GOOD) + head)
        assert [made.answer().status for _ in range(3)] == [200, 202, 200]


@OFFERS
def test_who_offers_and_asks_to_close_is_answered_and_closed(server, offer):
    with server.connection() as made:
        made.send(server.door(JSON, *offer, "connection: close", body=GOOD))
        assert made.answer().status == 202
        assert made.is_closed()


def test_a_tunnel_is_refused(server):
    with server.connection() as made:
        made.send(b"CONNECT elsewhere.example:443 HTTP/1.1\r\nhost: elsewhere.example\r\n\r\n")
        answer = made.answer()
        assert made.is_closed()
    assert (answer.status, answer.document["type"]) == (400, "invalid-request")


def test_a_trailer_is_no_header(server):
    request = written("POST", "/webhooks/shop/payment_received", JSON, CHUNKED, body=None)
    trailer = f"authorization: Bearer {server.token}\r\n".encode()
    answer = server.exchange(request + chunk(GOOD) + b"0\r\n" + trailer + b"\r\n")
    assert answer.status == 401


@pytest.mark.parametrize(
    ("between", "piece"),
    [
        (b"0\r\nx: ", b"x" * 65_536),
        (b"0\r\n", b"x: 1\r\n" * 10_000),
        (b"5;", b"x" * 65_536),
    ],
    ids=["long-trailer", "many-trailers", "long-extension"],
)
def test_what_no_limit_of_a_body_counts_is_cut_by_its_size(server, between, piece):
    sent = 0
    with server.connection() as made:
        made.socket.sendall(server.door(JSON, CHUNKED, body=None) + chunk(GOOD) + between)
        # Faster than the time limit of the body.
        with pytest.raises(ConnectionError):  # noqa: PT012  which of them is cut depends on the system's buffers
            while sent < 50_000_000:
                made.socket.sendall(piece)
                sent += len(piece)
    assert server.exchange(ALIVE).status == 200


def test_a_body_in_the_smallest_chunks_is_taken(server):
    with server.connection() as made:
        made.send(server.door(JSON, CHUNKED, body=None))
        for start in range(len(GOOD)):
            made.send(chunk(GOOD[start : start + 1]))
        made.send(b"0\r\n\r\n")
        assert stored(server, made) == GOOD


def test_a_later_head_that_is_too_large_is_told_so(server):
    with server.connection() as made:
        made.send(ALIVE)
        assert made.answer().status == 200
        for piece in [b"GET / HTTP/1.1\r\nx: ", *[b"x" * 60_000] * 5]:
            # Each is read before the next, so that nothing is left unread behind the answer.
            made.send(piece)
            time.sleep(0.05)
        assert made.answer().status == 431
