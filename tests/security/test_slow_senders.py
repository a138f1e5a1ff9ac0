"""Connections that cost time or memory before a request is complete (reference B7: 43, 45, 48)."""

from __future__ import annotations

import asyncio
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from app.cli.server_config import allow_open_files
from app.settings import Settings
from app.store import schema
from tests.captured import captured
from tests.security.real_server import PATIENCE, Connection, RealServer, written

JSON = "content-type: application/json"
GOOD = captured("payment_received").raw_body
ALIVE = written("GET", "/health/live", body=None)
BEGUN = b"GET /health/live HTTP/1.1\r\nhost: relay.test\r\nx-slow: "
HEADER_TIMEOUT = 0.2


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    made = RealServer(
        tmp_path_factory.mktemp("relay"),
        header_timeout=HEADER_TIMEOUT,
        keep_alive_timeout=0.2,
        header_limit=4096,
        header_count_limit=20,
        body_timeout=5,
        max_connections=10,
    )
    asyncio.run(schema.migrate(made.runtime.database))
    made.start()
    yield made
    made.stop()


@pytest.fixture
def faults(monkeypatch) -> list[str]:
    """What went wrong inside the application."""
    found: list[str] = []
    monkeypatch.setattr("app.main.log_fault", lambda name, *_, **__: found.append(name))
    return found


def trickle(made: Connection, drop: bytes) -> None:
    """Send `drop` again and again until the server says or does something."""
    until = time.monotonic() + PATIENCE
    made.socket.settimeout(0.02)
    while not made.received:
        assert time.monotonic() < until, "the server let it go on"
        try:
            made.socket.sendall(drop)
            data = made.socket.recv(65_536)
        except TimeoutError:
            continue
        except ConnectionError:
            break
        if not data:
            break
        made.received += data
    made.socket.settimeout(PATIENCE)


def test_a_head_that_trickles_is_a_timeout(server):
    with server.connection() as made:
        made.send(BEGUN)
        trickle(made, b"x")
        answer = made.answer()
        assert made.is_closed()
    assert (answer.status, answer.document["type"]) == (408, "request-timeout")
    assert answer.headers["connection"] == "close"
    assert "date" in answer.headers


def test_a_later_head_that_trickles_is_a_timeout_too(server):
    with server.connection() as made:
        made.send(ALIVE)
        assert made.answer().status == 200
        made.send(BEGUN)
        trickle(made, b"x")
        assert made.answer().status == 408
        assert made.is_closed()


@pytest.mark.parametrize("said", [b"", b"\r\n"], ids=["nothing", "an-empty-line"])
def test_a_connection_that_says_nothing_is_closed_without_an_answer(server, said):
    with server.connection() as made:
        made.send(said)
        assert made.is_closed()


def test_empty_lines_do_not_keep_a_connection_after_an_answer(server):
    with server.connection() as made:
        made.send(ALIVE)
        assert made.answer().status == 200
        trickle(made, b"\r\n")
        assert made.is_closed()


def test_a_connection_that_is_not_used_again_is_closed(server):
    with server.connection() as made:
        made.send(ALIVE)
        assert made.answer().status == 200
        assert made.is_closed()


def test_a_connection_that_is_used_again_in_time_stays(server):
    until = time.monotonic() + 4 * HEADER_TIMEOUT
    with server.connection() as made:
        while time.monotonic() < until:
            made.send(ALIVE)
            assert made.answer().status == 200
            time.sleep(HEADER_TIMEOUT / 10)


def test_a_slow_body_has_a_time_of_its_own(server):
    with server.connection() as made:
        made.send(server.door(JSON, f"content-length: {len(GOOD)}", body=None))
        pieces = [GOOD[start : start + 200] for start in range(0, len(GOOD), 200)]
        for piece in pieces:
            made.send(piece)
            time.sleep(3 * HEADER_TIMEOUT / len(pieces))
        assert made.answer().status == 202


def test_heads_that_follow_one_another_at_once_are_all_answered(server):
    with server.connection() as made:
        made.send(ALIVE * 8)
        assert [made.answer().status for _ in range(8)] == [200] * 8


@pytest.mark.parametrize(
    "piece", [b"x" * 65_536, b"1\r\nx: " * 3000], ids=["one-long-field", "many-fields"]
)
def test_a_head_without_end_is_cut_by_its_size(server, piece):
    with server.connection() as made:
        made.send(BEGUN)
        trickle(made, piece)
        # The rest of what was sent may have made the answer unreadable.
        assert made.received == b"" or made.answer().status == 431


def test_a_connection_far_too_many_is_closed_unanswered(server):
    with ExitStack() as stack:
        waiting = [stack.enter_context(server.connection()) for _ in range(20)]
        for one in waiting[:5]:
            one.send(BEGUN)
        with server.connection() as one_more:
            one_more.send(ALIVE)
            assert one_more.is_closed()
        assert all(one.socket.fileno() > 0 for one in waiting)


def test_an_answer_that_nobody_reads_does_not_stay(server, faults):
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with made:
        made.connect(("127.0.0.1", server.port))
        made.sendall(written("GET", "/openapi.json", body=None) * 40)
        until = time.monotonic() + PATIENCE
        # It is there once its first answer is, and goes although it never reads it.
        assert made.recv(1) == b"H"
        while server.server.server_state.connections:
            assert time.monotonic() < until, "the answer is still kept"
            time.sleep(0.02)
    assert faults == []


def test_requests_that_were_sent_at_once_end_with_their_connection(server, faults):
    with server.connection() as made:
        made.send(written("GET", "/openapi.json", body=None) * 40)
        assert made.answer().status == 200
    until = time.monotonic() + PATIENCE
    while server.server.server_state.connections or server.server.server_state.tasks:
        assert time.monotonic() < until, "somebody still answers"
        time.sleep(0.02)
    assert faults == []


def test_a_process_may_open_as_many_files_as_connections():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    settings = Settings(_env_file=None, max_connections=600, max_in_flight=10)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
        allow_open_files(settings)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (1200 + 10 + 256, hard)
        allow_open_files(settings.model_copy(update={"max_connections": 10}))
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (1200 + 10 + 256, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
