"""What the relay is measured against: routes that store nothing, and a bare loop over the transport."""

from __future__ import annotations

import asyncio
import time

import httpx
import orjson
import uvicorn
from fastapi import FastAPI, Request, Response

from app.domain.addresses import AddressPolicy
from app.egress.client import Egress
from benchmarks.parts import LOOPBACK

app = FastAPI()


@app.post("/webhooks/{source}/{event_type}", status_code=202)
async def read_and_parse(source: str, event_type: str, request: Request) -> Response:
    """Read the body and parse it; store nothing."""
    orjson.loads(await request.body())
    return Response(
        b'{"id":"evt_0","type":"x","duplicate":false}', 202, media_type="application/json"
    )


async def bare_loop(port: int, count: int, body: bytes, in_flight: int) -> float:
    """POSTs a second of the transport alone: no claim, no signature, no log."""
    egress = Egress(AddressPolicy(allowed_networks=LOOPBACK), user_agent="bare")
    url = httpx.URL(f"http://127.0.0.1:{port}/")
    left = iter(range(count))

    async def client() -> None:
        for _ in left:
            request = httpx.Request(
                "POST", url, content=body, headers={"content-type": "application/json"}
            )
            response = await egress.send(request, target="bare", deadline=20)
            assert response.status_code == 200

    start = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(in_flight)))
    rate = count / (time.perf_counter() - start)
    await egress.aclose()
    return rate


if __name__ == "__main__":
    import sys

    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        log_level="warning",
        access_log=False,
        server_header=False,
    )
