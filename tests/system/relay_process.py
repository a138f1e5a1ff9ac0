"""The real relay as a process of its own, on a database that outlives it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import httpx

from tests.system.forked_relay import ROOT, ForkedRelay

ADMIN_KEY = "system-test-admin-key-0123456789abcdef"


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Started(Protocol):
    """A process of the relay that was started."""

    @property
    def is_running(self) -> bool: ...

    def send_signal(self, how: signal.Signals) -> None: ...

    def wait(self, seconds: float) -> int: ...


class CommandedRelay:
    """`python -m app <arguments>`, as a container or an operator starts it."""

    def __init__(
        self, arguments: tuple[str, ...], environment: Mapping[str, str], log: Path
    ) -> None:
        with log.open("ab") as written:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "app", *arguments],
                cwd=ROOT,
                env=dict(environment),
                stdout=written,
                stderr=written,
            )

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def send_signal(self, how: signal.Signals) -> None:
        """Send a signal; what has ended already gets none."""
        self._process.send_signal(how)

    def wait(self, seconds: float) -> int:
        """Wait for the end; answers the exit code."""
        return self._process.wait(seconds)


class RelayProcess:
    """`relay serve` (or another command) that can be killed and started again.

    `start` is how: by a fork of a process that has read the code, or by the command itself.
    """

    def __init__(
        self,
        database_url: str,
        folder: Path,
        *,
        start: Callable[[tuple[str, ...], dict[str, str], Path], Started] = ForkedRelay,
        **settings: str,
    ) -> None:
        self._start = start
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.log = folder / "relay.log"
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("RELAY_")},
            "RELAY_HOST": "127.0.0.1",
            "RELAY_PORT": str(self.port),
            "RELAY_ADMIN_KEY": ADMIN_KEY,
            "RELAY_DATABASE_URL": database_url,
            "RELAY_DATA_DIR": str(folder),
            "RELAY_ALLOWED_PRIVATE_NETWORKS": "127.0.0.0/8",
            **settings,
        }
        self._processes: list[Started] = []
        self.api = httpx.Client(
            base_url=self.base,
            headers={"authorization": f"Bearer {ADMIN_KEY}"},
            verify=False,
            trust_env=False,
            timeout=30,
        )

    def command(self, *arguments: str) -> Started:
        """Start one of the relay's commands."""
        process = self._start(arguments, self.environment, self.log)
        self._processes.append(process)
        return process

    def serve(self, *arguments: str) -> None:
        """Start `relay serve` and wait until it is ready."""
        process = self.command("serve", *arguments)
        until = time.monotonic() + 60
        while time.monotonic() < until and process.is_running:
            with contextlib.suppress(httpx.TransportError):
                if self.api.get("/health/ready").status_code == 200:
                    return
            time.sleep(0.05)
        raise AssertionError("the relay did not start:\n" + self.log.read_text()[-3000:])

    def kill(self) -> None:
        """`kill -9` everything that runs."""
        self._end(signal.SIGKILL)

    def stop(self) -> list[int]:
        """Stop everything as an operator would; answers the exit codes."""
        return self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> list[int]:
        running, self._processes = self._processes, []
        for process in running:
            process.send_signal(how)
        return [process.wait(60) for process in running]

    def close(self) -> None:
        """Kill what still runs, and let go of the connections."""
        self.kill()
        self.api.close()

    def make(self, path: str, **body: Any) -> dict[str, Any]:
        """Create something through the API."""
        answer = self.api.post(path, json=body)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def waiting(self, **query: Any) -> bool:
        """Whether a delivery waits or is under way; one is enough to know, all would be read anew
        by everybody who waits for the end."""
        return any(
            self.api.get("/v1/deliveries", params={"status": status, "limit": 1, **query}).json()[
                "items"
            ]
            for status in ("pending", "in_flight")
        )

    def every(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """All pages of a list."""
        items: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            params = {"limit": 200, **query, **({"cursor": cursor} if cursor else {})}
            answer = self.api.get(path, params=params)
            assert answer.status_code == 200, answer.text
            page = answer.json()
            items += page["items"]
            cursor = page["next"]
            if cursor is None:
                return items


async def until(condition: Any, seconds: float = 60) -> None:
    """Wait until `condition()` is true; the test fails when it does not become so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.05)
