"""What the relay is measured against: a route that stores nothing, and bare loops that only send.

One loop goes over the relay's own transport.
The other goes over the plain way to put httpx's types on aiohttp, its client session, which the
relay's transport does without.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import aiohttp
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

    async def send(request: httpx.Request) -> httpx.Response:
        return await egress.send(request, target="bare", deadline=20)

    try:
        return await _loop(send, port, count, body, in_flight)
    finally:
        await egress.aclose()


async def session_loop(port: int, count: int, body: bytes, in_flight: int) -> float:
    """POSTs a second of httpx's types handed to aiohttp's client session."""
    connector = aiohttp.TCPConnector(limit=in_flight)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:

        async def send(request: httpx.Request) -> httpx.Response:
            async with session.request(
                request.method,
                str(request.url),
                headers=request.headers.multi_items(),
                data=request.content,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=20),
            ) as answer:
                content = await answer.read()
                return httpx.Response(
                    answer.status,
                    headers=list(answer.raw_headers),
                    content=content,
                    request=request,
                )

        return await _loop(send, port, count, body, in_flight)


async def _loop(
    send: Callable[[httpx.Request], Awaitable[httpx.Response]],
    port: int,
    count: int,
    body: bytes,
    in_flight: int,
) -> float:
    url = httpx.URL(f"http://127.0.0.1:{port}/")
    left = iter(range(count))

    async def client() -> None:
        for _ in left:
            request = httpx.Request(
                "POST", url, content=body, headers={"content-type": "application/json"}
            )
            response = await send(request)
            assert response.status_code == 200

    start = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(in_flight)))
    return count / (time.perf_counter() - start)


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
