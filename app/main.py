"""The HTTP face of the relay: the door for senders in front, the management API behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from app import __version__
from app.api import (
    api_keys,
    connectors,
    deliveries,
    event_types,
    events,
    jobs,
    quarantine,
    replays,
    sources,
    statistics,
    target_links,
    target_trials,
    targets,
)
from app.api.at_once import Application
from app.api.bodies import BodyLimits, WholeBodies
from app.api.documentation import documentation_router
from app.api.faults import log_fault
from app.api.health import health_router
from app.api.ingest import PREFIX, Door
from app.api.limits import Limits
from app.api.methods import HeadAsGet
from app.api.problems import install_problem_handlers
from app.runtime import Runtime, spare_the_collector
from app.settings import Settings
from app.web.pages import pages_router

_ROUTERS = (
    sources.router,
    targets.router,
    target_links.router,
    target_trials.router,
    events.router,
    deliveries.router,
    quarantine.router,
    replays.router,
    jobs.router,
    jobs.reconciliations,
    jobs.backfills,
    api_keys.router,
    event_types.router,
    connectors.router,
    statistics.router,
)


class Relay:
    """Sends senders' requests to the door, everything else to the management API."""

    def __init__(self, door: ASGIApp, api: ASGIApp) -> None:
        self._door = door
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        if scope["type"] == "http" and scope["path"].startswith(PREFIX):
            await self._door(scope, receive, send)
            return
        try:
            await self._api(scope, receive, send)
        except Exception as error:
            # It was answered as a problem; raised further, the server would log its text, which
            # may quote what was sent.
            if scope["type"] != "http":
                raise
            log_fault("request.failed", error, method=scope["method"])


def create_app(runtime: Runtime) -> Application:
    """The application a server runs; its lifespan starts and stops `runtime`."""
    settings = runtime.settings
    limits = BodyLimits(settings.body_limit, settings.body_timeout)
    metrics = runtime.metrics

    def refused(slug: str) -> None:
        metrics.refusals.labels(slug).inc()

    door = Door(
        runtime.services.ingest,
        runtime.clock,
        limits,
        accepted=metrics.accepted,
        refused=refused,
    )
    return Application(
        _limited(settings, Relay(door, WholeBodies(HeadAsGet(create_api(runtime)), limits))),
        runtime.services.ingest,
        runtime.clock,
        body_bytes=settings.body_limit,
        accepted=metrics.accepted,
        refused=refused,
    )


def create_health_app(runtime: Runtime) -> ASGIApp:
    """What a process without an API serves: its health and its metrics.

    Whoever starts and stops `runtime` does so elsewhere.
    """
    settings = runtime.settings
    api = FastAPI(openapi_url=None, redirect_slashes=False)
    install_problem_handlers(api)
    api.include_router(health_router(runtime.ready, runtime.metrics_text))
    return _limited(settings, WholeBodies(HeadAsGet(api), BodyLimits(settings.body_limit, 1)))


def _limited(settings: Settings, app: ASGIApp) -> Limits:
    return Limits(app, header_bytes=settings.header_limit, header_count=settings.header_count_limit)


def create_api(runtime: Runtime) -> FastAPI:
    """Everything but the door and the limits: the management API, health, pages, documentation."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await runtime.start()
        spare_the_collector()
        try:
            yield
        finally:
            await runtime.stop()

    api = FastAPI(
        title="Lifecycle Relay",
        version=__version__,
        lifespan=lifespan,
        openapi_url=None,
        # A redirect to the path without its slash would name the host the request named.
        redirect_slashes=False,
    )
    api.state.services = runtime.services
    install_problem_handlers(api)
    routers = [
        *_ROUTERS,
        health_router(runtime.ready, runtime.metrics_text),
        pages_router(docs=runtime.settings.docs),
    ]
    if runtime.settings.docs:
        routers.append(documentation_router(api))
    for router in routers:
        # include_router() would build each route once more, at the first request. There is
        # nothing to add to them: every router says its own prefix, tag and answers.
        api.router.routes.extend(router.routes)
    return api
