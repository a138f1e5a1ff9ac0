"""A relay that answers the plugin as it is told."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from app.domain import signing
from tests.wordpress.bridge_network import SECRET


class Receiver:
    """A relay that answers as it is told, and remembers what it was sent."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.headers: dict[str, str] = {}
        self.pause = 0.0
        self.received: list[tuple[str, bytes]] = []
        self.failures: list[Exception] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.check(dict(self.headers.items()), body)
                time.sleep(receiver.pause)
                self.send_response(receiver.answers.pop(0) if receiver.answers else 202)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/webhooks/my-network"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def check(self, headers: dict[str, str], body: bytes) -> None:
        """Remember a request, and whether the relay's own verification accepts it."""
        try:
            signing.verify(headers, body, [signing.decode_secret(SECRET)], int(time.time()))
        except signing.InvalidSignature as error:
            self.failures.append(error)
        names = {name.lower(): value for name, value in headers.items()}
        self.received.append((names["webhook-id"], body))

    @property
    def ids(self) -> list[str]:
        return [event_id for event_id, _ in self.received]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
