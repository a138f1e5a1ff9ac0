"""Spans on their way to a collector that is there, slow, or away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from app import otlp
from app.otlp import OtlpTracer
from tests.collector import Collector

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SENDER = "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SENDER}-01"


@pytest.fixture
def collector() -> Iterator[Collector]:
    yield from Collector().serve()


def tracer_to(url: str, **changes: Any) -> OtlpTracer:
    return OtlpTracer(
        url, **{"fields": {}, "ratio": 1.0, "version": "1", "instance": "a"} | changes
    )


async def test_a_span_arrives_with_what_was_said_of_it(collector):
    tracer = tracer_to(collector.url)
    span = tracer.server("take", PARENT)
    span.end({"relay.source": "shop", "relay.event.duplicate": False, "relay.attempt.number": 2})
    await tracer.close(5)
    (found,) = collector.spans
    assert (found.name, found.kind, found.failed) == ("take", "server", False)
    assert (found.trace, found.parent) == (TRACE, SENDER)
    assert found.traceparent == span.traceparent
    assert found.attributes == {
        "relay.source": "shop",
        "relay.event.duplicate": False,
        "relay.attempt.number": 2,
    }
    assert collector.paths == ["/v1/traces"]


async def test_the_process_says_who_it_is(collector):
    tracer = tracer_to(collector.url, version="1.2", instance="host:1")
    tracer.client("send", None).end({})
    await tracer.close(5)
    (resource,) = collector.resources
    assert resource["service.name"] == "lifecycle-relay"
    assert (resource["service.version"], resource["service.instance.id"]) == ("1.2", "host:1")


async def test_a_collectors_key_and_path_are_used(collector):
    tracer = tracer_to(f"{collector.url}/otlp/", fields={"x-key": "of-the-collector"})
    tracer.client("send", None).end({})
    await tracer.close(5)
    assert collector.paths == ["/otlp/v1/traces"]
    assert collector.headers[0]["x-key"] == "of-the-collector"


async def test_a_failure_is_a_code_and_no_text(collector):
    tracer = tracer_to(collector.url)
    tracer.client("send", None).end({}, error="503")
    await tracer.close(5)
    (found,) = collector.spans
    assert found.failed
    assert found.attributes == {"error.type": "503"}


async def test_a_link_names_a_span_of_another_trace(collector):
    tracer = tracer_to(collector.url)
    tracer.client("send", None, link=PARENT).end({})
    await tracer.close(5)
    (found,) = collector.spans
    assert found.links == [(TRACE, SENDER)]
    assert (found.parent, found.trace == TRACE) == ("", False)


async def test_what_looks_like_a_secret_is_masked_and_what_is_long_is_cut(collector, caplog):
    tracer = tracer_to(collector.url)
    tracer.client("send", None).end({
        "note": "https://user:planted-password@host/?token=planted-token",
        "authorization": "planted-header",
        "long": "x" * 5000,
    })  # fmt: skip
    await tracer.close(5)
    assert b"planted" not in b"".join(collector.requests)
    assert len(str(collector.spans[0].attributes["long"])) == 256
    assert caplog.records == []


async def test_a_span_that_is_not_ended_is_not_told_of(collector):
    tracer = tracer_to(collector.url)
    tracer.server("refused", None)
    tracer.server("taken", None).end({})
    await tracer.close(5)
    assert [span.name for span in collector.spans] == ["taken"]


async def test_spans_go_by_themselves_while_the_process_runs(collector):
    tracer = tracer_to(collector.url)
    tracer.server("taken", None).end({})
    collector.wait(lambda: collector.spans)
    await tracer.close(5)


@pytest.mark.parametrize(("flags", "kept"), [("00", 0), ("01", 1), ("03", 1)])
async def test_the_sender_decides_whether_its_trace_is_kept(collector, flags, kept):
    tracer = tracer_to(collector.url, ratio=0.5)
    span = tracer.server("take", f"00-{TRACE}-{SENDER}-{flags}")
    span.end({})
    await tracer.close(5)
    assert len(collector.spans) == kept
    assert span.traceparent.startswith(f"00-{TRACE}-")
    assert span.traceparent.endswith(f"-0{kept}")


async def test_of_what_no_sender_decided_a_share_is_kept(collector):
    tracer = tracer_to(collector.url, ratio=0.25)
    for _ in range(400):
        tracer.server("take", None).end({})
    await tracer.close(5)
    assert 50 < len(collector.spans) < 150


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spans go at once, and a collector that is away is not waited for."""
    monkeypatch.setattr(otlp, "_DELAY_MILLIS", 20)
    monkeypatch.setattr(otlp, "_EXPORT_SECONDS", 0.05)


def _told(log: list[Any]) -> list[Any]:
    return [one for one in log if str(one["event"]).startswith("tracing.")]


async def test_a_collector_that_is_away_is_told_of_once_and_again_when_it_is_back(
    collector, hasty, caplog
):
    collector.status = 503
    with capture_logs() as log:
        tracer = tracer_to(collector.url)
        for _ in range(5):
            tracer.server("lost", None).end({})
            await asyncio.sleep(0.1)
        collector.status = 200
        tracer.server("kept", None).end({})
        await tracer.close(5)
    away, back = _told(log)
    assert (away["event"], away["log_level"]) == ("tracing.collector_away", "warning")
    assert "Failed to export" in away["reason"]
    assert (back["event"], back["spans_lost"]) == ("tracing.collector_back", 5)
    assert [span.name for span in collector.spans] == ["kept"]
    assert caplog.records == []


async def test_a_port_where_nobody_listens_blocks_and_raises_nothing(hasty, caplog):
    with capture_logs() as log:
        tracer = tracer_to("http://127.0.0.1:9")
        begun = time.monotonic()
        for _ in range(2000):
            tracer.server("lost", None).end({})
        assert time.monotonic() - begun < 5
        await tracer.close(5)
    assert [one["event"] for one in _told(log)] == ["tracing.collector_away"]
    assert caplog.records == []


async def test_a_stop_does_not_wait_for_a_collector_that_does_not_answer(collector):
    collector.delay = 3
    tracer = tracer_to(collector.url)
    tracer.server("lost", None).end({})
    begun = time.monotonic()
    with capture_logs() as log:
        await tracer.close(0.2)
    assert time.monotonic() - begun < 2
    assert "tracing.unsent" in [one["event"] for one in log]


async def test_what_waits_too_long_behind_a_slow_collector_is_dropped_and_said_in_a_line(
    collector, caplog
):
    collector.delay = 1
    tracer = tracer_to(collector.url)
    begun = time.monotonic()
    for _ in range(otlp._MOST_WAITING + 2000):
        tracer.server("taken", None).end({})
    assert time.monotonic() - begun < 10
    await tracer.close(0.1)
    # The SDK says it every twenty seconds, and a new twenty may have begun meanwhile.
    assert {record.getMessage() for record in caplog.records} == {"Queue full, dropping Span."}
    assert len(caplog.records) <= 2


async def test_the_reason_is_the_collectors_own_answer(collector):
    collector.status = 401
    with capture_logs() as log:
        tracer = tracer_to(collector.url)
        tracer.server("lost", None).end({})
        await tracer.close(5)
    (told,) = _told(log)
    assert "Unauthorized" in told["reason"]
