"""`/health/live`, `/health/ready` and `/metrics`: for load balancers and Prometheus."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from fastapi import APIRouter, Response
from pydantic import BaseModel

from app.api.faults import log_fault
from app.api.problems import problem_responses
from app.domain.errors import StoreUnavailable

_PATIENCE_SECONDS = 5.0
_EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"
_METRICS_EXAMPLE = """\
# HELP relay_events_total Events accepted, by source and whether they were repeats.
# TYPE relay_events_total counter
relay_events_total{duplicate="false",source="my-network"} 41.0
"""


class ReadinessReport(Protocol):
    """Whether requests can be served; each check says `ok` or what is wrong."""

    @property
    def ok(self) -> bool:
        """True when every check is."""
        ...

    @property
    def checks(self) -> dict[str, str]:
        """Check to result."""
        ...


class Liveness(BaseModel):
    """The process runs."""

    model_config = {"json_schema_extra": {"examples": [{"status": "ok"}]}}

    status: str


class ReadyAnswer(BaseModel):
    """Every check is `ok`."""

    model_config = {
        "json_schema_extra": {
            "examples": [{"status": "ok", "checks": {"database": "ok", "worker": "ok"}}]
        }
    }

    status: str
    checks: dict[str, str]


def health_router(
    ready: Callable[[], Awaitable[ReadinessReport]], metrics: Callable[[], bytes]
) -> APIRouter:
    """The routes; `ready` looks at the database and the worker, `metrics` writes the exposition."""
    router = APIRouter(
        tags=["Health"], generate_unique_id_function=lambda route: f"get_{route.name}"
    )

    async def live() -> Liveness:
        """Answers as long as the process does; looks at nothing else."""
        return Liveness(status="ok")

    async def readiness() -> ReadyAnswer:
        """200 when the database answers with the right schema and the worker runs, else 503."""
        checks = await _checks(ready)
        wrong = [f"{name}: {text}" for name, text in checks.items() if text != "ok"]
        if wrong:
            raise StoreUnavailable(
                f"Not ready. {' '.join(wrong)}",
                extra={"checks": checks},
                headers={"Retry-After": "5"},
            )
        return ReadyAnswer(status="ok", checks=checks)

    async def exposition() -> Response:
        """Counters and gauges of this process, in Prometheus' text format."""
        return Response(metrics(), headers={"Content-Type": _EXPOSITION})

    text: dict[int | str, dict[str, Any]] = {
        200: {
            "description": "The exposition.",
            "content": {"text/plain": {"schema": {"type": "string"}, "example": _METRICS_EXAMPLE}},
        }
    }
    router.add_api_route("/health/live", live, summary="Is the process alive?")
    router.add_api_route(
        "/health/ready",
        readiness,
        summary="Can requests be served?",
        responses=problem_responses(503),
    )
    router.add_api_route(
        "/metrics",
        exposition,
        summary="Metrics for Prometheus",
        responses=text,
        response_class=Response,
    )
    return router


async def _checks(ready: Callable[[], Awaitable[ReadinessReport]]) -> dict[str, str]:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return (await ready()).checks
    except TimeoutError:
        return {"database": f"no answer within {_PATIENCE_SECONDS:g} seconds"}
    except Exception as error:  # noqa: BLE001  whatever it is, the relay is not ready
        log_fault("health.failed", error)
        return {"relay": "the check itself failed; the log says why"}
