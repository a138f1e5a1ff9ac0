"""A sink in a process of its own: counts what arrives, and when.

`python -m benchmarks.sink PORT` answers `GET`-free: every request is counted; a request whose body
is `report` is answered with nothing, and the counts go to standard output as one JSON line.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import uvloop

from benchmarks.http import SinkProtocol


async def main(port: int) -> None:
    times: list[float] = []

    def arrived(body: bytes) -> None:
        if body == b"reset":
            times.clear()
        elif body == b"report":
            print(json.dumps(summary(times)), flush=True)
        else:
            times.append(time.perf_counter())

    server = await asyncio.get_running_loop().create_server(
        lambda: SinkProtocol(arrived), "127.0.0.1", port, backlog=1024
    )
    print("ready", flush=True)
    await server.serve_forever()


def summary(times: list[float]) -> dict[str, float]:
    """How many arrived, and the rate between the first and the last."""
    if len(times) < 2:
        return {"count": len(times), "rate": 0.0}
    return {"count": len(times), "rate": (len(times) - 1) / (times[-1] - times[0])}


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
