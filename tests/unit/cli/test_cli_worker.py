"""A worker process ends when it is told to, and when it stands still."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from app.cli import worker


def runtime(*states: str) -> SimpleNamespace:
    """A runtime whose worker is in one state after another."""
    found = iter(states)

    async def ready() -> SimpleNamespace:
        return SimpleNamespace(checks={"worker": next(found)})

    return SimpleNamespace(ready=ready)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(worker, "_LOOK_EVERY", 0.001)


async def test_a_loop_that_has_stopped_ends_the_process():
    with pytest.raises(worker.WorkerStopped, match="a loop has stopped"):
        await worker._watch(runtime("ok", "ok", "a loop has stopped"), asyncio.Event())


async def test_a_worker_that_was_told_to_stop_is_not_blamed_for_it():
    stop = asyncio.Event()
    stop.set()
    await worker._watch(runtime(), stop)
    assert stop.is_set()
