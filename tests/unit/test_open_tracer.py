"""Whether a process is traced, and what it loads for that."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from app.settings import Settings
from app.tracing import close_tracer, open_tracer

ROOT = Path(__file__).resolve().parents[2]
_STARTED = """
import sys
from app.cli.serve import _application
from app.settings import Settings
settings = Settings(_env_file=None, data_dir=sys.argv[1], otlp_endpoint=sys.argv[2])
application = _application(settings)
ingest = application._ingest
print(type(ingest).__name__, *sorted(
    name for name in sys.modules
    if name in {"opentelemetry.sdk", "opentelemetry.exporter", "app.otlp", "google.protobuf", "requests"}
))
"""


def started(folder: Path, endpoint: str) -> list[str]:
    """The kind of door a serving process has, and which of the SDK's modules it loaded."""
    done = subprocess.run(
        [sys.executable, "-c", _STARTED, str(folder), endpoint],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_without_a_collector_nothing_of_the_sdk_is_loaded_and_nothing_is_traced(tmp_path):
    assert started(tmp_path, "") == ["Ingest"]


def test_with_a_collector_the_sdk_is_loaded(tmp_path):
    kind, *loaded = started(tmp_path, "http://127.0.0.1:9")
    assert kind == "TracedIngest"
    assert {"app.otlp", "opentelemetry.sdk"} <= set(loaded)


def test_without_a_collector_there_is_no_tracer():
    assert open_tracer(Settings(_env_file=None)) is None


class Closing:
    """A tracer that remembers how long it was given."""

    def __init__(self) -> None:
        self.given: list[float] = []

    def server(self, *_):
        raise NotImplementedError

    client = server

    async def close(self, seconds: float) -> None:
        self.given.append(seconds)


@pytest.mark.parametrize(("left", "given"), [(-3.0, 1.0), (0.2, 1.0), (2.5, 2.5), (25.0, 5.0)])
async def test_the_last_spans_have_what_is_left_of_the_grace_time_within_bounds(left, given):
    tracer = Closing()
    await close_tracer(tracer, left)
    assert tracer.given == [given]
