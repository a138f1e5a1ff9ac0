"""A worker whose database is away says why, not only what a sender would be told."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from app.store.database import unavailable
from app.worker import jobs, upkeep
from app.worker.jobs import JobsLoop
from app.worker.upkeep import UpkeepLoop

WHY = "[Errno 111] Connect call failed ('192.0.2.1', 5432)"


class Away:
    """Stands for everything that asks the database."""

    async def lease_owners(self) -> list[str]:
        raise unavailable(OSError(f"{WHY}\n[SQL: SELECT 1]"))

    async def release_all(self) -> None:
        return None


def loops() -> dict[str, Any]:
    away: Any = Away()
    every = timedelta(hours=1)
    return {
        "jobs": JobsLoop(away),
        "upkeep": UpkeepLoop(away, lambda: None, reconciliations=away, reconcile_every=every),
    }


class Log:
    """The first line that is logged."""

    def __init__(self) -> None:
        self.first: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    def warning(self, event: str, **about: Any) -> None:
        if not self.first.done():
            self.first.set_result({"event": event, **about})


@pytest.mark.parametrize(("name", "module"), [("jobs", jobs), ("upkeep", upkeep)])
async def test_the_log_says_why_the_store_does_not_answer(name, module, monkeypatch):
    log = Log()
    monkeypatch.setattr(module, "_log", log)
    monkeypatch.setattr(upkeep, "_TICK_SECONDS", 0.01)
    running = asyncio.create_task(loops()[name].run())
    logged = await asyncio.wait_for(log.first, 5)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert logged["event"] == f"{name}.store_unavailable"
    assert logged["cause"] == WHY


def test_an_error_with_nothing_behind_it_has_no_cause():
    assert unavailable(OSError()).cause == ""
