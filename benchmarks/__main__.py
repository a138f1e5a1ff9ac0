"""`make bench`: ingest, drain and latency on both databases, each against its yardstick.

`--only batches` counts the calls of the destinations that take batches instead.

Absolute figures belong to the machine; the ratios are what counts.
Each is the median of some rounds, and in each round work and yardstick follow one another: a
machine that others use changes its pace within minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks import batches, history, latency, pasts, yardsticks
from benchmarks.parts import BODY, ROOT, Relay, Sink, databases, folder, free_port, relay, send

_ENVELOPE_BYTES = 3_300
_IN_FLIGHT = 50


def bare_route(count: int) -> float:
    """Requests a second of the FastAPI route that stores nothing."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.yardsticks", str(port)], cwd=ROOT)
    try:
        for _ in range(200):
            with contextlib.suppress(httpx.TransportError):
                httpx.post(
                    f"http://127.0.0.1:{port}/webhooks/bench/payment_received",
                    content=BODY,
                    trust_env=False,
                )
                break
            time.sleep(0.05)
        send(port, None, 0, count // 4)
        return float(send(port, None, 0, count).rate)
    finally:
        process.terminate()
        process.wait()


def ingest(database_url: str, place: Path, count: int, targets: int) -> float:
    """Durable requests a second, deliveries queued but not sent."""
    with relay(database_url, place, "--no-worker") as process:
        token = process.source()
        for number in range(targets):
            process.target(f"sink-{number}", free_port())
        send(process.port, token, 0, count // 4)
        load = send(process.port, token, count, count)
        assert set(load.statuses) == {202}, load.statuses
        return float(load.rate)


def drain(database_url: str, place: Path, count: int, targets: int) -> tuple[float, float, float]:
    """Deliveries a second of one worker process, and of the two bare loops to the same sink."""
    sink = Sink()
    try:
        with relay(database_url, place, "--no-worker") as process:
            token = process.source()
            for number in range(targets):
                process.target(f"sink-{number}", sink.port)
            send(process.port, token, 0, count // targets)
        body = b"x" * _ENVELOPE_BYTES
        before = uvloop.run(yardsticks.bare_loop(sink.port, count, body, _IN_FLIGHT))
        sink.reset()
        process = Relay(database_url, place)
        worker = process.command("worker")
        report = sink.wait_for(count, 300)
        worker.terminate()
        worker.wait(40)
        process.client.close()
        assert report["count"] == count, report
        after = uvloop.run(yardsticks.bare_loop(sink.port, count, body, _IN_FLIGHT))
        session = uvloop.run(yardsticks.session_loop(sink.port, count, body, _IN_FLIGHT))
        return report["rate"], (before + after) / 2, session
    finally:
        sink.stop()


def latencies(database_url: str, place: Path, seconds: float) -> list[dict[str, float]]:
    """Accept to received at 50, 200 and 1 000 events a second, one process."""
    rows = []
    with relay(database_url, place) as process:
        token = process.source()
        port = free_port()
        process.target("sink", port)
        send(process.port, token, 0, 200, connections=4)
        first = 1_000_000
        uvloop.run(
            latency.measure(process.port, token, port, per_second=100, seconds=2, first=500_000)
        )
        for per_second in (50, 200, 1000):
            found = uvloop.run(
                latency.measure(
                    process.port, token, port, per_second=per_second, seconds=seconds, first=first
                )
            )
            first += 1_000_000
            rows.append(found)
    return rows


def memory(database_url: str, place: Path, waiting: int) -> float:
    """Resident mebibytes of the serving process with so many deliveries waiting."""
    with relay(database_url, place) as process:
        token = process.source()
        target = process.target("sink", free_port())
        process.client.post(f"/v1/targets/{target}/pause").raise_for_status()
        send(process.port, token, 0, waiting)
        process.client.post(f"/v1/targets/{target}/resume").raise_for_status()
        time.sleep(5)
        return process.resident_mebibytes()


def main() -> None:
    """Run what was asked for, print tables, write JSON."""
    options = _options()
    found: dict[str, Any] = {"python": sys.version.split()[0]}
    with databases() as makers:
        for name in options.databases:
            found[name] = _measure(name, makers[name], options)
    _show(found)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(found, indent=2) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--count", type=int, default=20_000, help="events a measurement")
    parser.add_argument("--rounds", type=int, default=3, help="how often ingest and drain")
    parser.add_argument("--seconds", type=float, default=10, help="length of a latency step")
    parser.add_argument(
        "--history", type=int, default=0, help="past events to measure with as well"
    )
    parser.add_argument("--waiting", type=int, default=0, help="deliveries for the memory figure")
    parser.add_argument(
        "--batch-events", type=int, default=10_000, help="events a vendor, for --only batches"
    )
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--only", nargs="+", default=["ingest", "drain", "latency"])
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results/latest.json")
    return parser.parse_args()


def _measure(name: str, make: Callable[[Path], str], options: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def fresh(measure: Callable[..., Any], *arguments: Any) -> Any:
        with folder() as place:
            url = make(place)
            if name == "postgresql":
                history.write(url, 1)
            return measure(url, place, *arguments)

    for what, once in (("ingest", _ingest_round), ("drain", _drain_round)):
        if what in options.only:
            found[what] = [once(fresh, options.count) for _ in range(options.rounds)]
    if options.history:
        found |= _pasts(make, options)
    if "latency" in options.only:
        found["latency"] = fresh(latencies, options.seconds)
    if "batches" in options.only:
        found["batches"] = {
            vendor: fresh(batches.measure, vendor, options.batch_events)
            for vendor in batches.VENDORS
        }
    if options.waiting:
        found["resident_mebibytes"] = fresh(memory, options.waiting)
    return found


def _ingest_round(fresh: Callable[..., Any], count: int) -> dict[str, float]:
    before = bare_route(count)
    one, five = fresh(ingest, count, 1), fresh(ingest, count, 5)
    return {
        "ingest_1": one,
        "ingest_5": five,
        "bare_route": (before + bare_route(count)) / 2,
    }


def _drain_round(fresh: Callable[..., Any], count: int) -> dict[str, float]:
    found: dict[str, float] = {}
    for targets in (1, 5):
        drained, bare, session = fresh(drain, count, targets)
        found[f"drain_{targets}"] = drained
        found[f"bare_loop_{targets}"] = bare
        found[f"session_loop_{targets}"] = session
    return found


def _pasts(
    make: Callable[[Path], str], options: argparse.Namespace
) -> dict[str, tuple[float, float, float]]:
    return {
        f"{what}_past": pasts.compare(make, work, options.count, options.history)
        for what, work in (("ingest", pasts.ingest), ("drain", pasts.drain))
        if what in options.only
    }


def _show(found: dict[str, Any]) -> None:
    console = Console(width=100)
    rates = Table("database", "what", "per second", "yardstick", "ratio")
    calls = Table("database", "destination", "calls per 10 000 events", "events a second")
    times = Table("database", "events/s", "median ms", "99th percentile ms", "arrived")
    for name in ("sqlite", "postgresql"):
        values = found.get(name, {})
        for row in _rates(values):
            rates.add_row(name, *row)
        for row in values.get("latency", []):
            times.add_row(
                name,
                f"{row['per_second']}",
                f"{row['median_ms']:.1f}",
                f"{row['p99_ms']:.1f}",
                f"{row['arrived']} of {row['sent']}",
            )
        for vendor, row in values.get("batches", {}).items():
            calls.add_row(name, vendor, f"{row['calls']:,.0f}", f"{row['rate']:,.0f}")
        if "resident_mebibytes" in values:
            rates.add_row(name, "resident MiB", f"{values['resident_mebibytes']:.0f}", "200", "")
    for table in (rates, times, calls):
        if table.row_count:
            console.print(table)


def _rates(values: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """What was measured, a second, against which yardstick, and the ratio."""
    for what, yardstick in (
        ("ingest_1", "bare_route"),
        ("ingest_5", "bare_route"),
        ("drain_1", "bare_loop_1"),
        ("drain_1", "session_loop_1"),
        ("drain_5", "bare_loop_5"),
        ("drain_5", "session_loop_5"),
    ):
        if rounds := values.get(what.partition("_")[0]):
            rate = statistics.median(each[what] for each in rounds)
            against = statistics.median(each[yardstick] for each in rounds)
            ratio = statistics.median(each[what] / each[yardstick] for each in rounds)
            yield what, f"{rate:,.0f}", f"{yardstick} {against:,.0f}", f"{ratio:.2f}"
    for what in ("ingest_past", "drain_past"):
        if what in values:
            without, with_past, ratio = values[what]
            yield what, f"{with_past:,.0f}", f"without {without:,.0f}", f"{ratio:.2f}"


if __name__ == "__main__":
    main()
