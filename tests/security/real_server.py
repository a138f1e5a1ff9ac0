"""The relay behind a real server on loopback, and requests written by hand, byte by byte."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from app.cli.server_config import server_config
from app.domain import strict_json
from app.main import create_app
from app.runtime import Runtime
from app.settings import Settings

ADMIN_KEY = "the-admin-key-of-the-tests-0123456789"
BODY_LIMIT = 1_048_576
#: Longer than anything here takes, so that a test that hangs fails.
PATIENCE = 10.0


@dataclass(frozen=True)
class Answer:
    """One answer as it stood on the wire."""

    head: bytes
    body: bytes

    @property
    def status(self) -> int:
        return int(self.head.split(b" ", 2)[1])

    @property
    def headers(self) -> dict[str, str]:
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        return {
            name.lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)
        }

    @property
    def document(self) -> Any:
        return strict_json.read_strict(self.body)


class Connection:
    """One connection to the server; answers are read as they come."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.received = b""

    def send(self, data: bytes) -> None:
        """Send; a server that has closed already is no error of the test's."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return

    def until(self, end: bytes) -> bytes:
        """What comes up to `end`."""
        while end not in self.received:
            data = self.socket.recv(65_536)
            assert data, f"the server closed the connection after {self.received[:200]!r}"
            self.received += data
        found, self.received = self.received.split(end, 1)
        return found

    def answer(self, *, head_only: bool = False) -> Answer:
        """The next answer."""
        head = self.until(b"\r\n\r\n")
        length = 0 if head_only else int(Answer(head, b"").headers.get("content-length", 0))
        while len(self.received) < length:
            data = self.socket.recv(65_536)
            assert data, "the server closed the connection inside a body"
            self.received += data
        body, self.received = self.received[:length], self.received[length:]
        return Answer(head, body)

    def is_closed(self) -> bool:
        """True when nothing more comes but the end."""
        try:
            return not self.received and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        """Hang up."""
        self.socket.close()


class RealServer:
    """The relay on a port of its own, with one source; it runs in a thread."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        values = {"data_dir": folder, "admin_key": ADMIN_KEY, "body_timeout": 0.3} | settings
        self.runtime = Runtime(Settings(_env_file=None, **values), worker=False)
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self.socket.getsockname()[1]
        config = server_config(
            self.runtime.settings, create_app(self.runtime), log_level="critical"
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, args=([self.socket],), daemon=True)
        self.token = ""

    def start(self) -> None:
        self.thread.start()
        until = time.monotonic() + PATIENCE
        while not self.server.started:
            assert time.monotonic() < until, "the server did not start"
            assert self.thread.is_alive(), "the server died"
            time.sleep(0.01)
        made = self.management(
            "POST", "/v1/sources", b'{"name":"shop","kind":"ultimate_multisite"}'
        )
        self.token = made.document["token"]

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(PATIENCE)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        made = Connection(self.port)
        try:
            yield made
        finally:
            made.close()

    def exchange(self, request: bytes, *, head_only: bool = False) -> Answer:
        """Send one request on a connection of its own; answers the first answer."""
        with self.connection() as made:
            made.send(request)
            return made.answer(head_only=head_only)

    def management(self, method: str, path: str, body: bytes = b"") -> Answer:
        """Ask the management API with the admin key."""
        key = f"authorization: Bearer {ADMIN_KEY}"
        return self.exchange(
            written(method, path, key, "content-type: application/json", body=body)
        )

    def events(self) -> int:
        """How many events are stored."""
        return len(self.management("GET", "/v1/events?limit=200").document["items"])

    def quarantined(self) -> int:
        """How many requests are kept in quarantine."""
        return len(self.management("GET", "/v1/quarantine?limit=200").document["items"])

    def door(self, *headers: str, body: bytes | None = b"", **options: Any) -> bytes:
        """A request to the source, with its token in the query."""
        path = f"/webhooks/shop/payment_received?token={self.token}"
        return written("POST", path, *headers, body=body, **options)


def written(method: str, path: str, *headers: str, body: bytes | None = b"") -> bytes:
    """A request on the wire; with `body=None` neither length nor body."""
    lines = [f"{method} {path} HTTP/1.1", "host: relay.test", *headers]
    if body is not None:
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)
