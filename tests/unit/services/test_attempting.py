"""One attempt has one deadline, over all of its requests."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import httpx

from app.domain.outcome import Outcome, delivered
from app.services.attempting import Attempt
from app.services.masking import Masking


class SlowDoor:
    """Takes longer than it was given, and answers all the same."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.now = 0.0

    async def send(self, request: httpx.Request, **_: Any) -> httpx.Response:
        self.sent.append(request.method)
        self.now += 30
        return httpx.Response(200)


def two_steps() -> Generator[httpx.Request, httpx.Response, Outcome]:
    yield httpx.Request("GET", "https://vendor.example/")
    yield httpx.Request("POST", "https://vendor.example/")
    return delivered()


async def test_a_step_that_would_begin_after_the_deadline_is_not_sent():
    door = SlowDoor()
    attempt = Attempt(
        two_steps(), door, target="tgt_1", seconds=20, masking=Masking([]), elapsed=lambda: door.now
    )
    attempted = await attempt.drive()
    assert door.sent == ["GET"]
    assert attempted.end.kind == "retry"
    assert [exchange["status"] for exchange in attempted.exchanges] == [200, None]
    assert attempted.exchanges[1]["error"] == "timeout"


async def test_the_first_request_is_composed_at_once_and_sent_when_the_attempt_is_driven():
    door = SlowDoor()
    composed: list[str] = []

    def one_step() -> Generator[httpx.Request, httpx.Response, Outcome]:
        composed.append("composed")
        yield httpx.Request("POST", "https://vendor.example/")
        return delivered()

    attempt = Attempt(one_step(), door, target="tgt_1", seconds=20, masking=Masking([]))
    assert (composed, door.sent) == (["composed"], [])
    assert (await attempt.drive()).end.kind == "delivered"
    assert door.sent == ["POST"]


async def test_a_connector_that_fails_before_its_first_request_ends_as_a_retry():
    door = SlowDoor()

    def broken() -> Generator[httpx.Request, httpx.Response, Outcome]:
        raise ZeroDivisionError
        yield

    attempt = Attempt(broken(), door, target="tgt_1", seconds=20, masking=Masking([]))
    attempted = await attempt.drive()
    assert (attempted.end.kind, door.sent, attempted.exchanges) == ("retry", [], [])
