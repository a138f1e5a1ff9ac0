"""Accept to received: from the first byte of a request to its arrival at the target, at a fixed rate."""

from __future__ import annotations

import asyncio
import re
import statistics
import time
from collections import deque

from benchmarks.http import SinkProtocol, content_length, post
from benchmarks.parts import numbered

_NUMBER = re.compile(rb'"payment_id":(\d{9})')
_CONNECTIONS = 20


class PacedProtocol(asyncio.Protocol):
    """One keep-alive connection that sends when told and counts the answers.

    It stands in `free`, in the order of the answers, so that all of them are used in turn: one
    that says nothing for long is closed by the relay.
    """

    def __init__(self, statuses: dict[int, int], free: deque[PacedProtocol]) -> None:
        self._statuses = statuses
        self._free = free
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._free.append(self)

    def send(self, request: bytes) -> None:
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or len(self._buffer) < (total := end + 4 + content_length(self._buffer[:end])):
            return
        status = int(self._buffer[9:12])
        self._statuses[status] = self._statuses.get(status, 0) + 1
        self._buffer = self._buffer[total:]
        self._free.append(self)

    def close(self) -> None:
        self._transport.close()


async def measure(
    relay_port: int, token: str, sink_port: int, *, per_second: int, seconds: float, first: int
) -> dict[str, float]:
    """Median and 99th percentile in milliseconds, and how many arrived of how many were sent."""
    loop = asyncio.get_running_loop()
    sent: dict[int, float] = {}
    took: list[float] = []

    def arrived(body: bytes) -> None:
        now = time.perf_counter()
        found = _NUMBER.search(body)
        start = sent.pop(int(found[1]), None) if found else None
        if start is not None:
            took.append(now - start)

    server = await loop.create_server(lambda: SinkProtocol(arrived), "127.0.0.1", sink_port)
    statuses: dict[int, int] = {}
    free: deque[PacedProtocol] = deque()
    clients = []
    for _ in range(_CONNECTIONS):
        _, client = await loop.create_connection(
            lambda: PacedProtocol(statuses, free), "127.0.0.1", relay_port
        )
        clients.append(client)
    count = int(per_second * seconds)
    start = loop.time()
    for number in range(first, first + count):
        due = start + (number - first) / per_second
        if (wait := due - loop.time()) > 0:
            await asyncio.sleep(wait)
        while not free:
            await asyncio.sleep(0.0005)
        request = post("/webhooks/bench/payment_received", numbered(number), token)
        sent[100_000_000 + number] = time.perf_counter()
        free.popleft().send(request)
    for _ in range(200):
        if len(took) >= count:
            break
        await asyncio.sleep(0.02)
    for client in clients:
        client.close()
    server.close()
    await asyncio.sleep(0.05)
    took.sort()
    return {
        "per_second": per_second,
        "sent": count,
        "arrived": len(took),
        "median_ms": 1000 * statistics.median(took),
        "p99_ms": 1000 * took[int(len(took) * 0.99)],
    }
