"""The sender's trace, from the door to a custom webhook, on both databases."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from app.domain.trace import trace_of
from tests.integration.world import World

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def received(world: World, **headers: str) -> list[httpx.Headers]:
    """What a target gets of one event that came with these headers."""
    await world.send(**headers)
    await world.work()
    return [request.headers for _, request in world.sender.sent]


@pytest.fixture
async def arranged(world: World) -> World:
    await world.source()
    return world


async def test_a_trace_is_handed_on_as_it_came(arranged):
    await arranged.target()
    (headers,) = await received(arranged, traceparent=TRACE, tracestate="vendor=1")
    assert headers["traceparent"] == TRACE
    assert "tracestate" not in headers


async def test_every_attempt_has_the_trace(arranged, clock):
    await arranged.target()
    arranged.sender.script = [httpx.Response(500)]
    await received(arranged, traceparent=TRACE)
    clock.advance(60)
    await arranged.work()
    assert [one.headers["traceparent"] for _, one in arranged.sender.sent] == [TRACE, TRACE]


async def test_without_a_trace_none_is_made_up(arranged):
    await arranged.target()
    (headers,) = await received(arranged)
    assert "traceparent" not in headers


async def test_an_operators_own_field_goes_before_the_senders(arranged):
    settings: dict[str, Any] = {"url": "http://127.0.0.1:9/", "headers": {"Traceparent": "mine"}}
    await arranged.target(settings=settings)
    (headers,) = await received(arranged, traceparent=TRACE)
    assert headers.get_list("traceparent") == ["mine"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        TRACE.upper(),
        TRACE + "-00",
        TRACE[:-1],
        "ff" + TRACE[2:],
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01",
        f"{TRACE}, {TRACE}",
        TRACE.replace("4", "٤"),
        TRACE + "\n",
    ],
)
def test_what_is_no_trace_is_left_out(text):
    assert trace_of({"traceparent": text}) is None


def test_a_trace_is_read_from_among_other_headers():
    assert trace_of({"host": "x", "traceparent": TRACE}) == TRACE
    assert trace_of({"host": "x"}) is None
