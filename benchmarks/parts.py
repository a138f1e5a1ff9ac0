"""Processes and databases of a benchmark run."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path

import httpx
import uvloop

from benchmarks.http import Load, post
from tests.databases import PostgresServer

LOOPBACK = (ip_network("127.0.0.0/8"),)
ROOT = Path(__file__).resolve().parents[1]
ADMIN_KEY = "benchmark-admin-key-0123456789abcdef"
_BODY = (ROOT / "tests/fixtures/ultimate-multisite/payment_received.json").read_bytes()
BODY = json.loads(_BODY)["raw_body"].encode()
_MARK = b'"payment_id":3,'
#: As the server of compose.yaml makes its databases.
_AS_COMPOSED = "TEMPLATE template0 LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'"


def numbered(number: int) -> bytes:
    """The captured body with a payment id of its own, so that no two are the same event."""
    return BODY.replace(_MARK, b'"payment_id":%09d,' % (100_000_000 + number), 1)


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Sink:
    """A counting sink, in a process of its own."""

    def __init__(self, module: str = "benchmarks.sink") -> None:
        self.port = free_port()
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, str(self.port)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        # One for all: each new client reads the authorities anew, 15 ms of what is measured.
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", trust_env=False)

    def _say(self, word: bytes) -> None:
        self._client.post("/", content=word)

    def reset(self) -> None:
        """Forget what came."""
        self._say(b"reset")

    def report(self) -> dict[str, float]:
        """How many came, and at what rate."""
        self._say(b"report")
        assert self._process.stdout is not None
        found: dict[str, float] = json.loads(self._process.stdout.readline())
        return found

    def wait_for(self, count: int, seconds: float) -> dict[str, float]:
        """Wait until so many have come."""
        until = time.time() + seconds
        while (report := self.report())["count"] < count and time.time() < until:
            time.sleep(0.2)
        return report

    def stop(self) -> None:
        self._client.close()
        self._process.terminate()
        self._process.wait()


class Relay:
    """A relay process on a fresh database."""

    def __init__(self, database_url: str, folder: Path) -> None:
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("RELAY_")},
            "RELAY_PORT": str(self.port),
            "RELAY_HOST": "127.0.0.1",
            "RELAY_ADMIN_KEY": ADMIN_KEY,
            "RELAY_DATABASE_URL": database_url,
            "RELAY_DATA_DIR": str(folder),
            "RELAY_ALLOWED_PRIVATE_NETWORKS": "127.0.0.0/8",
            "RELAY_LOG_LEVEL": "warning",
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.client = httpx.Client(
            base_url=self.base,
            headers={"authorization": f"Bearer {ADMIN_KEY}"},
            trust_env=False,
            timeout=60,
        )

    def command(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start one of the relay's commands."""
        log = (self._folder / "log").open("ab")
        return subprocess.Popen(
            [sys.executable, "-m", "app", *arguments],
            cwd=ROOT,
            env=self.environment,
            stdout=log,
            stderr=log,
        )

    def start(self, *arguments: str) -> None:
        """Start `relay serve` and wait until it is ready."""
        self.process = self.command("serve", *arguments)
        for _ in range(600):
            with contextlib.suppress(httpx.TransportError):
                if self.client.get("/health/ready").status_code == 200:
                    return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError((self._folder / "log").read_text()[-3000:])

    def stop(self) -> None:
        """Stop it as an operator would."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(40)
            self.process = None

    def source(self) -> str:
        """Make the source `bench`; answers its token."""
        made = self.client.post("/v1/sources", json={"name": "bench", "kind": "ultimate_multisite"})
        made.raise_for_status()
        return str(made.json()["token"])

    def target(self, name: str, port: int, **values: object) -> str:
        """Make a webhook target; answers its id."""
        body = {
            "name": name,
            "connector": "webhook",
            "settings": {"url": f"http://127.0.0.1:{port}/"},
            "max_in_flight": 600,
        }
        made = self.client.post("/v1/targets", json=body | values)
        made.raise_for_status()
        return str(made.json()["id"])

    def resident_mebibytes(self) -> float:
        """The resident memory of the serving process."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024


@contextlib.contextmanager
def relay(database_url: str, place: Path, *arguments: str) -> Iterator[Relay]:
    """A relay on a database, stopped in the end."""
    process = Relay(database_url, place)
    process.start(*arguments)
    try:
        yield process
    finally:
        process.stop()
        process.client.close()


def send(port: int, token: str | None, first: int, count: int, connections: int = 200) -> Load:
    """Send `count` different events over keep-alive connections; answers the load with `.rate`."""

    def requests() -> Iterator[bytes]:
        for number in range(first, first + count):
            yield post("/webhooks/bench/payment_received", numbered(number), token)

    async def run() -> Load:
        load = Load(requests(), connections)
        load.rate = await load.run(port)  # type: ignore[attr-defined]  kept with what it measured
        return load

    return uvloop.run(run())


@contextlib.contextmanager
def databases() -> Iterator[dict[str, object]]:
    """Makers of fresh databases: `sqlite` and `postgresql`, each called with a folder."""
    server = PostgresServer(durable=True)
    try:
        yield {
            "sqlite": lambda folder: f"sqlite:///{folder / 'relay.db'}",
            "postgresql": lambda _folder: server.new_database(_AS_COMPOSED),
        }
    finally:
        server.stop()


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A temporary folder."""
    made = Path(tempfile.mkdtemp(prefix="relay-bench-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
