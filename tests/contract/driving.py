"""Drives a connector's generator: with scripted replies, or over real HTTP."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx

from app.domain.outcome import Outcome, TransportFailure, retry

EndT = TypeVar("EndT")
Send = Callable[[httpx.Request], Awaitable[httpx.Response]]

#: The reply was lost: the request may have been carried out.
LOST = TransportFailure("timeout", "no answer in time", may_have_arrived=True)
#: Nothing was sent.
UNREACHED = TransportFailure("connect", "the connection was refused", may_have_arrived=False)


@dataclass
class Played:
    """What a flow asked for, and how it ended."""

    outcome: Any = None
    requests: list[httpx.Request] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        """Method and target of each request, as they stand in the request line."""
        return [f"{r.method} {r.url.raw_path.decode()}" for r in self.requests]

    @property
    def documents(self) -> list[Any]:
        """The bodies of the requests."""
        return [json.loads(request.content) for request in self.requests]


def play(
    flow: Generator[httpx.Request, httpx.Response, EndT],
    *replies: httpx.Response | TransportFailure,
) -> Played:
    """Run a flow that is given these replies, and check that it takes every one of them."""
    waiting = list(replies)

    def respond(request: httpx.Request) -> httpx.Response:
        assert waiting, f"no reply is left for {request!r}"
        reply = waiting.pop(0)
        if isinstance(reply, TransportFailure):
            raise reply
        return reply

    played = play_by(flow, respond)
    assert not waiting, f"the flow ended before {waiting!r}"
    return played


def play_by(
    flow: Generator[httpx.Request, httpx.Response, EndT],
    respond: Callable[[httpx.Request], httpx.Response],
) -> Played:
    """Run a flow; `respond` answers each request, or raises TransportFailure."""
    played = Played()
    try:
        request = next(flow)
        while True:
            played.requests.append(request)
            try:
                response = respond(request)
            except TransportFailure as failure:
                request = flow.throw(failure)
            else:
                request = flow.send(response)
    except StopIteration as stop:
        played.outcome = stop.value
    except TransportFailure as failure:
        played.outcome = retry(failure.reason)
    return played


async def drive(flow: Generator[httpx.Request, httpx.Response, Outcome], send: Send) -> Outcome:
    """Run a flow over `send`, which raises TransportFailure when no usable answer came."""
    try:
        request = next(flow)
        while True:
            try:
                response = await send(request)
            except TransportFailure as failure:
                request = flow.throw(failure)
            else:
                request = flow.send(response)
    except StopIteration as stop:
        outcome: Outcome = stop.value
        return outcome
    except TransportFailure as failure:
        return retry(failure.reason)


def over(client: httpx.AsyncClient) -> Send:
    """A sender over a plain httpx client, for fakes on the loopback."""

    async def send(request: httpx.Request) -> httpx.Response:
        try:
            return await client.send(request)
        except httpx.ConnectError as error:
            raise TransportFailure("connect", str(error), may_have_arrived=False) from None
        except httpx.TransportError as error:
            raise TransportFailure("timeout", str(error), may_have_arrived=True) from None

    return send
