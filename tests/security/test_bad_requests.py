"""Requests that are wrong on the wire, against a real server (reference B7: 8, 27-30, 39-51, 64, 68-70)."""

from __future__ import annotations

import gzip
import socket
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.captured import captured
from tests.security.real_server import BODY_LIMIT, chunk, written

JSON = "content-type: application/json"
CHUNKED = "transfer-encoding: chunked"
GOOD = captured("payment_received").raw_body


@pytest.fixture
def nothing_stored(server) -> Iterator[None]:
    before = server.events()
    yield
    assert server.events() == before


def check_problem(answer, status: int, slug: str) -> None:
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.document["status"], answer.document["type"]) == (status, slug)
    assert answer.document["title"]
    assert answer.document["detail"]


def test_a_good_request_is_accepted(server):
    answer = server.exchange(server.door(JSON, body=GOOD))
    assert (answer.status, answer.document["type"]) == (202, "payment_received")


# 8


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
@pytest.mark.parametrize("path", ["/webhooks/shop", "/webhooks/shop/payment_received"])
def test_events_are_sent_by_post_only(server, method, path):
    answer = server.exchange(written(method, path, body=GOOD))
    check_problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "POST"


def test_head_is_not_allowed_at_the_door_but_wherever_get_is(server):
    answer = server.exchange(written("HEAD", "/webhooks/shop", body=None), head_only=True)
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    for path in ("/health/live", "/", "/openapi.json"):
        answer = server.exchange(written("HEAD", path, body=None), head_only=True)
        assert answer.status == 200
        assert int(answer.headers["content-length"]) > 0


def test_nothing_follows_an_answer_to_head(server):
    """What would follow would be taken for the answer to the next request."""
    with server.connection() as made:
        made.send(written("HEAD", "/", body=None) + written("GET", "/health/live", body=None))
        assert made.answer(head_only=True).status == 200
        assert made.answer().document == {"status": "ok"}


# 27, 28, 29


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("length", [BODY_LIMIT + 1, 1_000_000_000, 10**17])
@pytest.mark.parametrize("path", ["/webhooks/shop/payment_received", "/v1/sources"])
def test_a_declared_length_over_the_limit_is_refused_before_the_body_is_read(server, path, length):
    with server.connection() as made:
        made.send(written("POST", path, f"content-length: {length}", body=None))
        check_problem(made.answer(), 413, "body-too-large")
        made.socket.shutdown(socket.SHUT_WR)
        assert made.is_closed()


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("size", [BODY_LIMIT + 1, 2 * BODY_LIMIT])
def test_a_body_over_the_limit_is_refused_and_the_sender_gets_to_see_why(server, size):
    with server.connection() as made:
        made.send(server.door(JSON, body=b" " * size))
        answer = made.answer()
        check_problem(answer, 413, "body-too-large")
        assert answer.headers["connection"] == "close"


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("size", [BODY_LIMIT + 1, 2 * BODY_LIMIT])
@pytest.mark.parametrize("path", ["/webhooks/shop/payment_received", "/v1/sources"])
def test_a_chunked_body_over_the_limit_is_refused_while_it_comes_in(server, path, size):
    with server.connection() as made:
        made.send(written("POST", path, JSON, CHUNKED, body=None))
        for start in range(0, size, 65_536):
            made.send(chunk(b" " * min(65_536, size - start)))
        check_problem(made.answer(), 413, "body-too-large")


def test_a_chunked_body_within_the_limit_is_accepted(server):
    with server.connection() as made:
        made.send(server.door(JSON, CHUNKED, body=None))
        made.send(chunk(GOOD[:100]) + chunk(GOOD[100:]) + b"0\r\n\r\n")
        assert made.answer().status == 202


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("headers", [[f"content-length: {len(GOOD)}"], [CHUNKED]])
def test_a_sender_that_hangs_up_inside_the_body_leaves_nothing(server, headers):
    kept = server.quarantined()
    with server.connection() as made:
        part = chunk(GOOD[:50]) if CHUNKED in headers else GOOD[:50]
        made.send(server.door(JSON, *headers, body=None) + part)
    assert server.exchange(written("GET", "/health/live", body=None)).status == 200
    assert server.quarantined() == kept


@pytest.mark.usefixtures("nothing_stored")
def test_what_stands_behind_the_declared_length_is_not_part_of_the_body(server):
    with server.connection() as made:
        made.send(server.door(JSON, "content-length: 20", body=None) + GOOD)
        assert made.answer().status == 400
        assert made.is_closed()


# 30, 40


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "deflate", "gzip, identity"])
def test_a_compressed_body_is_refused_and_kept(server, encoding):
    bomb = gzip.compress(b" " * 10_000_000)
    answer = server.exchange(server.door(JSON, f"content-encoding: {encoding}", body=bomb))
    check_problem(answer, 415, "unsupported-encoding")
    entry = server.management("GET", f"/v1/quarantine/{answer.document['quarantine_id']}")
    assert entry.document["size"] == len(bomb)


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize(
    "content_type", ["multipart/form-data; boundary=x", "application/x-www-form-urlencoded"]
)
def test_a_form_is_refused_and_kept(server, content_type):
    answer = server.exchange(server.door(f"content-type: {content_type}", body=b"a=1"))
    check_problem(answer, 415, "unsupported-media-type")
    assert answer.document["quarantine_id"].startswith("qrn_")


# 39, 41, 42


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[" + b"1," * 500_000 + b"1]", 422),
        (b'{"a":[' + b"1," * 500_000 + b"1]}", 202),
        (b"{" + b",".join(b'"%d":1' % number for number in range(90_000)) + b"}", 202),
        (b'{"' + b"k" * 1_000_000 + b'":1}', 202),
        (b'{"__proto__":{"a":1},"constructor":{"prototype":{}}}', 202),
    ],
    ids=["long-list", "long-list-inside", "many-keys", "long-key", "names-of-javascript"],
)
def test_a_large_or_odd_body_is_answered(server, body, status):
    assert server.exchange(server.door(JSON, body=body)).status == status


def test_odd_names_pass_through_untouched(server):
    body = b'{ "__proto__" : {"constructor":1}, "wu_version":"2.4.13" }'
    event = server.exchange(server.door(JSON, body=body)).document["id"]
    assert server.management("GET", f"/v1/events/{event}/body").body == body


# 43, 44, 48


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("path", ["/webhooks/shop/payment_received", "/v1/sources"])
def test_a_body_that_does_not_come_is_a_timeout_and_the_connection_is_closed(server, path):
    with server.connection() as made:
        made.send(written("POST", path, JSON, "content-length: 100", body=None) + b'{"a')
        answer = made.answer()
        check_problem(answer, 408, "request-timeout")
        assert answer.headers["connection"] == "close"
        assert made.is_closed()


@pytest.mark.usefixtures("nothing_stored")
def test_a_body_that_drips_is_a_timeout_all_the_same(server):
    with server.connection() as made:
        made.send(server.door(JSON, "content-length: 100000", body=None))
        made.socket.settimeout(0.02)
        while not made.received:
            made.send(b" ")
            try:
                made.received += made.socket.recv(65_536)
            except TimeoutError:
                continue
        made.socket.settimeout(5)
        check_problem(made.answer(), 408, "request-timeout")


def test_senders_that_wait_do_not_keep_others_out(server):
    waiting = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(300)]
    for one in waiting[:150]:
        one.sendall(b"POST /webhooks/shop HTTP/1.1\r\nhost: x\r\nx-slow: ")
    try:
        assert server.exchange(written("GET", "/health/live", body=None)).status == 200
        assert server.exchange(server.door(JSON, body=GOOD)).status == 202
    finally:
        for one in waiting:
            one.close()


# 45, 47


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize(
    "headers",
    [["x-long: " + "x" * 100_000], [f"x-{number}: 1" for number in range(200)]],
    ids=["long", "many"],
)
@pytest.mark.parametrize("path", ["/webhooks/shop/payment_received", "/v1/events", "/nothing"])
def test_too_many_or_too_long_header_fields_are_refused(server, path, headers):
    answer = server.exchange(written("POST", path, *headers, body=GOOD))
    check_problem(answer, 431, "headers-too-large")
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("length", [2_001, 60_000])
@pytest.mark.parametrize("prefix", ["/webhooks/shop/", "/v1/events/", "/"])
def test_a_path_that_is_too_long_is_refused(server, prefix, length):
    path = prefix + "x" * (length - len(prefix))
    check_problem(server.exchange(written("POST", path, body=b"")), 414, "path-too-long")


def test_a_path_of_100_kilobytes_is_refused(server):
    assert server.exchange(written("POST", "/" + "x" * 102_400)).status in {400, 414}


# 46


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize(
    "request_head",
    [
        "content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n",
        "content-length: 4\r\ncontent-length: 5\r\n\r\n{} {}",
        "content-length: -1\r\n\r\n",
        "content-length: 4, 4\r\n\r\n{}  ",
        "content-length: +4\r\n\r\n{}  ",
        "transfer-encoding: identity, chunked, x\r\n\r\n0\r\n\r\n",
        "x-folded: a\r\n b\r\ncontent-length: 2\r\n\r\n{}",
        "x-nul: a\x00b\r\ncontent-length: 2\r\n\r\n{}",
        "x bad: a\r\ncontent-length: 2\r\n\r\n{}",
        "content-length : 2\r\n\r\n{}",
    ],
    ids=[
        "length-and-chunked", "chunked-and-length", "two-lengths", "negative-length",
        "list-of-lengths", "signed-length", "unknown-coding", "folded-line", "nul",
        "space-in-name", "space-before-colon",
    ],
)  # fmt: skip
def test_an_ambiguous_message_is_refused(server, request_head):
    start = f"POST /webhooks/shop/payment_received?token={server.token} HTTP/1.1\r\nhost: x\r\n"
    with server.connection() as made:
        made.send((start + request_head).encode("latin-1"))
        assert made.answer().status == 400
        assert made.is_closed()


@pytest.mark.usefixtures("nothing_stored")
def test_bare_line_feeds_are_refused(server):
    request = server.door(JSON, body=b"{}").replace(b"\r\n", b"\n")
    assert server.exchange(request).status == 400


# 49


@pytest.mark.usefixtures("nothing_stored")
def test_who_asks_first_is_refused_before_the_body_is_sent(server):
    asking = server.door(JSON, "expect: 100-continue", "content-length: 2097152", body=None)
    answer = server.exchange(asking)
    check_problem(answer, 413, "body-too-large")


def test_who_asks_first_may_go_on_within_the_limit(server):
    with server.connection() as made:
        length = f"content-length: {len(GOOD)}"
        made.send(server.door(JSON, "expect: 100-continue", length, body=None))
        assert made.answer().status == 100
        made.send(GOOD)
        assert made.answer().status == 202


# 51, 64


def test_the_host_that_a_request_names_is_never_repeated(server):
    for path in ("/", "/docs", "/openapi.json", "/v1/events", "/v1/events/", "/webhooks/shop"):
        request = written("GET", path, body=None).replace(b"relay.test", b"evil.example")
        answer = server.exchange(request)
        assert b"evil.example" not in answer.head + answer.body


@pytest.mark.parametrize(
    "text", ["' OR 1=1 --", "\x00", "../../etc/passwd", "%s", "🦊", "x" * 1500]
)
@pytest.mark.parametrize("resource", ["sources", "targets", "events", "deliveries", "quarantine"])
def test_an_id_that_is_none_is_not_found(server, resource, text):
    answer = server.management("GET", f"/v1/{resource}/{quote(text, safe='')}")
    check_problem(answer, 404, "not-found")


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("text", ["\x00", "../x", "' OR 1=1", "🦊", "UPPER", "x" * 65, "-"])
def test_a_source_or_type_that_is_none_is_refused(server, text):
    encoded = quote(text, safe="")
    answer = server.exchange(written("POST", f"/webhooks/{encoded}/x", JSON, body=GOOD))
    check_problem(answer, 404, "not-found")
    path = f"/webhooks/shop/{encoded}?token={server.token}"
    answer = server.exchange(written("POST", path, JSON, body=GOOD))
    check_problem(answer, 400, "invalid-request")
    assert answer.document["quarantine_id"].startswith("qrn_")


# 68, 69, 70


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("POST", "/webhooks/shop/x", [], 401),
        ("POST", "/webhooks/nobody/x", [], 404),
        ("GET", "/webhooks/shop/x", [], 405),
        ("GET", "/v1/events", [], 401),
        ("GET", "/v1/events?cursor=x", ["key"], 400),
        ("GET", "/v1/events?limit=0", ["key"], 422),
        ("GET", "/v1/nothing", ["key"], 404),
        ("PUT", "/v1/events", ["key"], 405),
        ("GET", "/v1/replays/rpl_1", ["key"], 404),
        ("POST", "/v1/sources", ["key", "content-type: text/xml"], 415),
    ],
)
def test_every_refusal_is_a_problem_document(server, method, path, headers, status):
    shown = [one for one in headers if one != "key"]
    if "key" in headers:
        shown.append("authorization: Bearer the-admin-key-of-the-tests-0123456789")
    answer = server.exchange(written(method, path, *shown, body=b"{}"))
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/docs"),
        ("GET", "/health/live"),
        ("GET", "/metrics"),
        ("GET", "/v1/events"),
        ("GET", "/nothing"),
        ("POST", "/webhooks/shop/x"),
        ("GET", "/webhooks/shop/x"),
    ],
)
def test_what_every_answer_carries_and_what_none_does(server, method, path):
    origin = "origin: https://evil.example"
    headers = server.exchange(written(method, path, origin, body=b"")).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] in {"no-store", "no-cache"}
    assert "server" not in headers
    assert "x-powered-by" not in headers
    assert not any(name.startswith("access-control") for name in headers)


def test_a_connection_serves_many_requests_after_a_refusal(server):
    with server.connection() as made:
        for _ in range(3):
            made.send(written("POST", "/webhooks/shop/x", JSON, body=GOOD))
            assert made.answer().status == 401
        made.send(server.door(JSON, body=GOOD))
        assert made.answer().status == 202
