"""Stand-ins for the services the relay talks to: small, stateful, and strict about the rules.

Each is an ASGI app. `async with FakeX().serve() as fake` runs it on a free port of the loopback,
where `fake.base_url` says.
`answer_next` scripts replies that come before the fake's own, `stall_next` makes it do its work
but answer too late, as a service does whose answer is lost.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qsl, unquote

import httpx
import uvicorn

JSON = {"content-type": "application/json"}


@dataclass(frozen=True)
class Call:
    """A request as the fake got it; header names are lower-case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON, None when it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass(frozen=True)
class Answer:
    """What is sent back."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def as_json(status: int, document: Any, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer with a JSON body."""
    return Answer(status, json.dumps(document).encode(), {**JSON, **(headers or {})})


class Fake:
    """The ASGI side that all fakes share; `handle` is a fake's own."""

    def __init__(self) -> None:
        self.base_url = ""
        self.calls: list[Call] = []
        self._scripted: deque[Answer] = deque()
        self._stalls: deque[float] = deque()
        self._closing = asyncio.Event()

    def handle(self, call: Call) -> Answer:
        """Do what the service does, and say what it says."""
        raise NotImplementedError

    def answer_next(self, *answers: Answer) -> None:
        """Answer the next requests so, without doing anything."""
        self._scripted.extend(answers)

    def stall_next(self, seconds: float = 30.0) -> None:
        """Carry out the next request, but answer only after `seconds`."""
        self._stalls.append(seconds)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        call = await _read(scope, receive)
        self.calls.append(call)
        answer = self._scripted.popleft() if self._scripted else self.handle(call)
        if self._stalls:
            # Ends early when the test is over, so that nothing waits for it.
            with_limit = asyncio.wait_for(self._closing.wait(), self._stalls.popleft())
            await asyncio.gather(with_limit, return_exceptions=True)
        headers = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
        start = {"type": "http.response.start", "status": answer.status, "headers": headers}
        await send(start)
        await send({"type": "http.response.body", "body": answer.body})

    @asynccontextmanager
    async def serve(self, port: int = 0) -> AsyncIterator[Self]:
        """Run on the loopback."""
        listening = socket.create_server(("127.0.0.1", port))
        self.base_url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        config = uvicorn.Config(self, lifespan="off", ws="none", log_config=None, access_log=False)
        server = uvicorn.Server(config)
        # Not serve(): it takes over the signals of the process.
        running = asyncio.create_task(server._serve([listening]))
        try:
            yield self
        finally:
            self._closing.set()
            server.should_exit = True
            await running


async def _read(scope: Any, receive: Any) -> Call:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return Call(
        method=scope["method"],
        # As it stood in the request line: an address in the path holds escaped characters.
        path=scope["raw_path"].decode(),
        query=dict(parse_qsl(scope["query_string"].decode())),
        headers={name.decode(): value.decode("latin-1") for name, value in scope["headers"]},
        body=body,
    )


def loopback_client(
    timeout: float = 5.0, headers: Mapping[str, str] | None = None
) -> httpx.AsyncClient:
    """A client for the loopback, without TLS: authorities take longer to be read than most tests."""
    return httpx.AsyncClient(verify=False, trust_env=False, timeout=timeout, headers=headers)


def unescaped(segment: str) -> str:
    """One segment of a path as the service reads it."""
    return unquote(segment)
