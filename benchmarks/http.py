"""The least HTTP that a load generator and a sink need: keep-alive, Content-Length, nothing else.

Both must cost little beside what they measure: on a small machine they share its cores.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator


class SinkProtocol(asyncio.Protocol):
    """Answers every request with 200 and an empty body; calls `arrived(body)`."""

    def __init__(self, arrived: Callable[[bytes], None]) -> None:
        self._arrived = arrived
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            length = content_length(self._buffer[:end])
            total = end + 4 + length
            if len(self._buffer) < total:
                return
            body = self._buffer[end + 4 : total]
            self._buffer = self._buffer[total:]
            self._arrived(body)
            self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")


def content_length(head: bytes) -> int:
    """The Content-Length of a message head, 0 when there is none."""
    lower = head.lower()
    at = lower.find(b"content-length:")
    if at < 0:
        return 0
    stop = lower.find(b"\r\n", at)
    return int(lower[at + 15 : stop if stop >= 0 else None])


class ClientProtocol(asyncio.Protocol):
    """Sends the next request as soon as the last one is answered; one connection of a load."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._buffer = b""
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._send()

    def _send(self) -> None:
        request = self._load.next_request()
        if request is None:
            self._transport.close()
            return
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        total = end + 4 + content_length(self._buffer[:end])
        if len(self._buffer) < total:
            return
        status = int(self._buffer[9:12])
        self._buffer = self._buffer[total:]
        self._load.answered(status, time.perf_counter() - self._sent_at)
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.closed()


class Load:
    """A closed loop: `connections` clients, each with one request under way."""

    def __init__(self, requests: Iterator[bytes], connections: int) -> None:
        self._requests = requests
        self._connections = connections
        self._open = connections
        self._done = asyncio.Event()
        self.statuses: dict[int, int] = {}
        self.latencies: list[float] = []

    def next_request(self) -> bytes | None:
        return next(self._requests, None)

    def answered(self, status: int, seconds: float) -> None:
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.latencies.append(seconds)

    def closed(self) -> None:
        self._open -= 1
        if self._open == 0:
            self._done.set()

    async def run(self, port: int) -> float:
        """Answers the requests a second."""
        loop = asyncio.get_running_loop()
        start = time.perf_counter()
        for _ in range(self._connections):
            await loop.create_connection(lambda: ClientProtocol(self), "127.0.0.1", port)
        await self._done.wait()
        return len(self.latencies) / (time.perf_counter() - start)


def post(path: str, body: bytes, token: str | None = None) -> bytes:
    """The bytes of one request, as the platform sends it."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: WordPress/6.1.9; https://network.example.test\r\nAccept: */*\r\n"
    if token:
        head += f"Authorization: Bearer {token}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body
