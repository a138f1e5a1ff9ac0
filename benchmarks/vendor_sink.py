"""A stand-in for a vendor's API in a process of its own: says what the vendor would, and counts.

`python -m benchmarks.vendor_sink PORT` answers by path; a request whose body is `report` puts the
counts on standard output as one JSON line, one whose body is `reset` forgets them.
It is no judge of what it is sent: the tests' stand-ins are.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Callable
from typing import cast

import uvloop

from benchmarks.http import content_length

_IDS = itertools.count(1)
#: What each event of a request holds once, by the last part of the path.
_MARKS = {
    "batch": (b'"type":"track"', b'"distinct_id":'),
    "import": (b'"$insert_id":',),
    "httpapi": (b'"insert_id":',),
    "upsert": (b'"objectWriteTraceId":',),
}


def answer(path: str, body: bytes) -> tuple[int, bytes, int]:
    """Status, body, and how many events the request held."""
    last = path.partition("?")[0].rstrip("/").rpartition("/")[2]
    if last == "collect":
        return 204, b"", 1
    if last == "upsert":
        return 200, _upserted(body), body.count(b'"objectWriteTraceId":')
    if last == "read":
        return 200, b'{"status":"COMPLETE","results":[]}', 0
    count = sum(body.count(mark) for mark in _MARKS.get(last, ()))
    return 200, b'{"code":200,"status":1,"success":true}', count


def _upserted(body: bytes) -> bytes:
    results = [
        {"id": str(next(_IDS)), "objectWriteTraceId": one["objectWriteTraceId"], "new": True}
        for one in json.loads(body)["inputs"]
    ]
    return json.dumps({"status": "COMPLETE", "results": results}).encode()


class VendorProtocol(asyncio.Protocol):
    """Answers every request by `respond(path, body)`."""

    def __init__(self, respond: Callable[[str, bytes], tuple[int, bytes]]) -> None:
        self._respond = respond
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports write, but are of no such class.
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._buffer[:end])
            total = end + 4 + content_length(head)
            if len(self._buffer) < total:
                return
            body = bytes(self._buffer[end + 4 : total])
            del self._buffer[:total]
            status, content = self._respond(head.split(b" ", 2)[1].decode(), body)
            start = f"HTTP/1.1 {status} OK\r\ncontent-length: {len(content)}\r\n\r\n"
            self._transport.write(start.encode() + content)


class Counts:
    """What came, and when the first and the last of it did."""

    def __init__(self) -> None:
        self.calls = 0
        self.times: list[tuple[float, int]] = []

    def respond(self, path: str, body: bytes) -> tuple[int, bytes]:
        if body == b"reset":
            self.calls, self.times = 0, []
            return 200, b""
        if body == b"report":
            print(json.dumps(self._summary()), flush=True)
            return 200, b""
        status, content, events = answer(path, body)
        self.calls += 1
        if events:
            self.times.append((time.perf_counter(), events))
        return status, content

    def _summary(self) -> dict[str, float]:
        count = sum(events for _, events in self.times)
        rate = 0.0
        if len(self.times) > 1:
            # What the first request held was under way before the clock was started.
            passed = self.times[-1][0] - self.times[0][0]
            rate = (count - self.times[0][1]) / passed
        return {"count": count, "calls": self.calls, "rate": rate}


async def main(port: int) -> None:
    counts = Counts()
    server = await asyncio.get_running_loop().create_server(
        lambda: VendorProtocol(counts.respond), "127.0.0.1", port, backlog=1024
    )
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
