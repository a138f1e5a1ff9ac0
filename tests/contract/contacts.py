"""What the tests of CRMs share: the bodies a flow sent, and running one against a stand-in."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from typing import Any

import httpx

from app.domain.outcome import Outcome
from tests.contract.driving import LOST, Played, drive, over, play_by
from tests.contract.events import assignment
from tests.fakes import Call, Fake, loopback_client


def bodies(played: Played) -> list[Any]:
    """The JSON bodies of the requests that had one."""
    return [json.loads(request.content) for request in played.requests if request.content]


def answering(fake: Fake, lost: Collection[int] = ()) -> Callable[[httpx.Request], httpx.Response]:
    """Answers requests as the stand-in does, without a network between.

    The answers to the requests at the positions `lost` (from 0) do not come back.
    """
    count = 0

    def respond(request: httpx.Request) -> httpx.Response:
        nonlocal count
        call = Call(
            method=request.method,
            path=request.url.raw_path.partition(b"?")[0].decode(),
            query=dict(request.url.params),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=request.content,
        )
        fake.calls.append(call)
        answer = fake.handle(call)
        count += 1
        if count - 1 in lost:
            raise LOST
        return httpx.Response(answer.status, headers=dict(answer.headers), content=answer.body)

    return respond


def carried_out(
    fake: Fake, connector: Any, of: Any, remembered: str | None = None, **changes: Any
) -> Outcome:
    """Carry out one delivery against a stand-in, without a network between."""
    flow = connector.deliver(assignment(of, remembered_id=remembered, **changes))
    outcome: Outcome = play_by(flow, answering(fake)).outcome
    return outcome


async def over_http(connector: Any, of: Any, patience: float) -> Outcome:
    """Carry out one delivery over HTTP; an answer that takes longer than `patience` is lost."""
    async with loopback_client(timeout=patience) as client:
        return await drive(connector.deliver(assignment(of)), over(client))
