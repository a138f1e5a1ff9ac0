"""One attempt has one deadline, over all of its requests."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import httpx

from app.domain.outcome import Outcome, delivered
from app.services.attempting import drive
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
    attempted = await drive(
        two_steps(), door, target="tgt_1", seconds=20, masking=Masking([]), elapsed=lambda: door.now
    )
    assert door.sent == ["GET"]
    assert attempted.end.kind == "retry"
    assert [exchange["status"] for exchange in attempted.exchanges] == [200, None]
    assert attempted.exchanges[1]["error"] == "timeout"
