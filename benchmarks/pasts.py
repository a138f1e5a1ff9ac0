"""The same work on an empty database and on one with a past, turn and turn about.

The disk and the neighbours of a machine change their pace within minutes; two measurements an hour
apart would compare those.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from benchmarks import history
from benchmarks.parts import Relay, Sink, folder, free_port, relay, send

ROUNDS = 5


class _Place:
    """A database with a source and a target, and how far its events are numbered."""

    def __init__(self, url: str, place: Path, past: int, sink_port: int) -> None:
        self.url, self.place, self.next = url, place, 0
        history.write(url, past)
        with self.relay() as process:
            self.token = process.source()
            process.target("sink", sink_port)

    def relay(self) -> AbstractContextManager[Relay]:
        """The API alone, on it."""
        return relay(self.url, self.place, "--no-worker")

    def send(self, process: Relay, count: int) -> float:
        """Events a second, each another one."""
        load = send(process.port, self.token, self.next, count)
        assert set(load.statuses) == {202}, load.statuses
        self.next += count
        return float(load.rate)


def ingest(place: _Place, count: int, _sink: Sink) -> float:
    """Durable requests a second, deliveries queued but not sent."""
    with place.relay() as process:
        place.send(process, count // 4)
        return place.send(process, count)


def drain(place: _Place, count: int, sink: Sink) -> float:
    """Deliveries a second of one worker process; empties the queue."""
    with place.relay() as process:
        place.send(process, count)
    sink.reset()
    process = Relay(place.url, place.place)
    worker = process.command("worker")
    report = sink.wait_for(count, 300)
    worker.terminate()
    worker.wait(40)
    process.client.close()
    assert report["count"] == count, report
    return report["rate"]


def compare(
    make: Callable[[Path], str], work: Callable[[_Place, int, Sink], float], count: int, past: int
) -> tuple[float, float, float]:
    """Medians without and with the past, and the median of the rounds' ratios."""
    sink = Sink()
    port = free_port() if work is ingest else sink.port
    try:
        with folder() as here, folder() as there:
            empty = _Place(make(here), here, 1, port)
            full = _Place(make(there), there, past, port)
            without, with_past = [], []
            for number in range(ROUNDS):
                # Who comes second finds the machine warmer, or its neighbours awake.
                for place in (empty, full) if number % 2 else (full, empty):
                    found = without if place is empty else with_past
                    found.append(work(place, count, sink))
            ratios = [b / a for a, b in zip(without, with_past, strict=True)]
        return tuple(map(statistics.median, (without, with_past, ratios)))  # type: ignore[return-value]  three of three
    finally:
        sink.stop()
