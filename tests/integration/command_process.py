"""The relay's long-running commands as processes of their own, what they print read apart."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Self, TypeVar

import httpx

from tests.fakes import Fake
from tests.fakes.webhook_sink import WebhookSink

FakeT = TypeVar("FakeT", bound=Fake)
ROOT = Path(__file__).resolve().parents[2]
_NUMBERS = itertools.count()


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def sink_beside() -> AbstractContextManager[WebhookSink]:
    """A sink that runs in a thread, so that commands can run in the test's own."""
    return beside(WebhookSink())


@contextmanager
def beside(fake: FakeT) -> Iterator[FakeT]:
    """A stand-in that runs in a thread, so that commands can run in the test's own."""
    loop = asyncio.new_event_loop()
    serving = fake.serve()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_forever()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(serving.__aenter__(), loop).result(30)
        yield fake
        asyncio.run_coroutine_threadsafe(serving.__aexit__(None, None, None), loop).result(30)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


class CommandProcess:
    """`python -m app <words>` in a folder, with an environment of its own."""

    def __init__(self, folder: Path, *words: str, **variables: str) -> None:
        kept = {name: value for name, value in os.environ.items() if name[:6] != "RELAY_"}
        self.folder = folder
        number = next(_NUMBERS)
        self.printed, self.logged = folder / f"printed-{number}", folder / f"logged-{number}"
        self.environment = {
            **kept,
            "PYTHONPATH": str(ROOT),
            "RELAY_DATA_DIR": "data",
            "RELAY_ALLOWED_PRIVATE_NETWORKS": "127.0.0.0/8",
            **variables,
        }
        with self.printed.open("wb") as out, self.logged.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app", *words],
                cwd=folder,
                env=self.environment,
                stdout=out,
                stderr=log,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(30)

    @property
    def text(self) -> str:
        """What it has printed so far."""
        return self.printed.read_text()

    def wait_for(self, pattern: str) -> str:
        """Wait until it has printed `pattern`; answers its first group, or all of it."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            found = re.search(pattern, self.text, re.MULTILINE)
            if found is not None:
                return found.group(found.re.groups and 1)
            assert self.process.poll() is None, self.text + self.logged.read_text()
            time.sleep(0.02)
        raise AssertionError(f"{pattern} was not printed: " + self.text + self.logged.read_text())

    def ready(self) -> str:
        """Wait until a `relay serve` can take events; answers its base URL."""
        base = self.wait_for(r"^Lifecycle Relay \S+ on (http\S+)$")
        # The greeting is printed when connections are taken: this one waits its turn.
        answer = httpx.get(f"{base}/health/ready", timeout=30, verify=False, trust_env=False)
        assert answer.status_code == 200, answer.text
        return base

    def end(self) -> tuple[int, str, str]:
        """Wait until it ends by itself: exit code, standard output, standard error."""
        return self.process.wait(60), self.text, self.logged.read_text()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Stop it as an operator would; answers the exit code."""
        self.process.send_signal(how)
        return self.process.wait(60)
