"""Whether requests can be served, and what is said when they cannot."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import httpx
import pytest
from fastapi import FastAPI

from app.api import health
from app.api.problems import install_problem_handlers


@dataclass(frozen=True)
class Report:
    ok: bool
    checks: dict[str, str]


async def ask(ready, path: str = "/health/ready") -> httpx.Response:
    app = FastAPI()
    install_problem_handlers(app)
    app.include_router(health.health_router(ready, lambda: b"counted 1.0\n"))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://relay.test") as client:
        return await client.get(path)


async def test_a_relay_is_ready_when_every_check_is_ok():
    async def ready() -> Report:
        return Report(ok=True, checks={"database": "ok", "worker": "ok"})

    answer = await ask(ready)
    assert (answer.status_code, answer.json()["checks"]["worker"]) == (200, "ok")


async def test_a_relay_that_is_not_ready_names_the_check_that_failed():
    async def ready() -> Report:
        return Report(ok=False, checks={"database": "the schema is old", "worker": "ok"})

    answer = await ask(ready)
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (503, "store-unavailable")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "5"
    assert problem["checks"] == {"database": "the schema is old", "worker": "ok"}
    assert problem["detail"] == "Not ready. database: the schema is old"


async def test_a_database_that_hangs_is_not_ready(monkeypatch):
    monkeypatch.setattr(health, "_PATIENCE_SECONDS", 0.01)

    async def ready() -> Report:
        await asyncio.Event().wait()
        raise AssertionError

    answer = await ask(ready)
    assert (answer.status_code, "database" in answer.json()["checks"]) == (503, True)


async def test_a_check_that_fails_itself_is_not_ready_and_tells_nothing_of_the_cause():
    async def ready() -> Report:
        raise RuntimeError("canary")

    answer = await ask(ready)
    assert (answer.status_code, "canary" in answer.text) == (503, False)


@pytest.mark.parametrize("path", ["/health/live", "/metrics"])
async def test_nothing_is_looked_at_for_being_alive(path):
    async def ready() -> Report:
        raise AssertionError

    assert (await ask(ready, path)).status_code == 200
