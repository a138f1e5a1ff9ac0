"""What the server refuses before the application sees it is a problem document too (reference B7: 46, 48, 68)."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from tests.security.real_server import written

ALIVE = written("GET", "/health/live", body=None)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"hello\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        written("POST", "/webhooks/shop", "content-length: 1, 2", body=None),
        written("POST", "/webhooks/shop", "x-secret\x00: planted-canary", body=None),
    ],
    ids=["no-http", "version", "lengths", "nul"],
)
def test_what_is_no_http_is_answered_with_a_problem(server, request_bytes):
    with server.connection() as made:
        made.send(request_bytes)
        answer = made.answer()
        assert made.is_closed()
    assert (answer.status, answer.document["type"]) == (400, "invalid-request")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["connection"] == "close"
    assert answer.headers["cache-control"] == "no-store"
    assert b"canary" not in answer.body


def test_one_connection_too_many_is_told_to_wait(server, monkeypatch):
    with ExitStack() as stack:
        for _ in range(5):
            # Each is known to the server once it was answered.
            waiting = stack.enter_context(server.connection())
            waiting.send(ALIVE)
            assert waiting.answer().status == 200
        monkeypatch.setattr(server.server.config, "limit_concurrency", 5)
        answer = server.exchange(ALIVE)
    assert (answer.status, answer.document["type"]) == (503, "too-many-connections")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["x-content-type-options"] == "nosniff"
    monkeypatch.undo()
    assert server.exchange(ALIVE).status == 200
