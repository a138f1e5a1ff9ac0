"""`relay serve`: the API, and the worker inside it unless told otherwise."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from typing import Annotated, Any

import typer
import uvicorn
from uvicorn.supervisors import Multiprocess

from app.cli import greeting, listening, lookup, session
from app.cli.server_config import allow_open_files, server_config
from app.domain.clock import system_clock
from app.domain.errors import RelayError
from app.runtime import Runtime
from app.services import bootstrap
from app.settings import Settings
from app.store import schema
from app.tracing import open_tracer

#: What uvicorn's processes end with when the application did not start.
_STARTUP_FAILURE = 3


class ServerFailed(RelayError):
    """The server ended before it served; the log says why."""


def serve(
    *,
    no_worker: Annotated[
        bool, typer.Option("--no-worker", help="The API alone; `relay worker` delivers.")
    ] = False,
    host: Annotated[str | None, typer.Option(help="Instead of RELAY_HOST.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Instead of RELAY_PORT.")
    ] = None,
) -> None:
    """Start the relay: prepare what is missing, say how to use it, and serve until stopped."""
    with session.plain_errors():
        embedded_worker = False if no_worker else None
        settings = session.load_settings(host=host, port=port, embedded_worker=embedded_worker)
        with listening.bound(settings.host, settings.port) as sockets:
            # Port 0 has become a real one.
            _start(settings.model_copy(update={"port": sockets[0].getsockname()[1]}), sockets)


def application() -> Any:
    """The ASGI application of one process, from the environment: uvicorn imports this by name."""
    return _application(session.load_settings())


def _application(settings: Settings) -> Any:
    # The API and its framework: a third of what there is to import, and no other command needs it.
    from app.main import create_app  # noqa: PLC0415  see above

    tracer = open_tracer(settings)
    return create_app(Runtime(settings, worker=settings.embedded_worker, tracer=tracer))


def _start(settings: Settings, sockets: list[socket.socket]) -> None:
    session.make_folder(settings)
    start = session.run(_prepare(settings))
    allow_open_files(settings)
    listening.listen(sockets)
    greeting.show(settings, start)
    if settings.processes > 1:
        _serve_many(settings, sockets)
    else:
        _serve_one(settings, sockets)


async def _prepare(settings: Settings) -> greeting.Start:
    """Make what the first start makes: schema (SQLite only), master key, source, admin key."""
    runtime = Runtime(settings, worker=False)
    try:
        with session.named_database(settings):
            if runtime.database.dialect == "sqlite":
                await schema.migrate(runtime.database)
            await session.require_schema(runtime.database)
            # What would fail in the server fails here, in one sentence.
            await runtime.start()
            made = await bootstrap.ensure_first_source(runtime.services.sources)
            sources = await lookup.everything(runtime.services.sources.page)
            # The key last: nothing must fail between making it and showing it.
            key = await bootstrap.ensure_admin_key(runtime.database, settings, system_clock)
        source = made.source if made else lookup.ready_source(sources)
        return greeting.Start(admin_key=key, made=made, source=source)
    finally:
        await runtime.database.close()


def _serve_one(settings: Settings, sockets: list[socket.socket]) -> None:
    server = uvicorn.Server(_config(settings, lambda: _application(settings)))
    # uvicorn raises the signal again after a graceful stop; with its own handler in this place
    # too, that changes nothing, and the process ends as one that did what it was told.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, server.handle_exit)
    try:
        server.run(sockets)
    except SystemExit:
        raise ServerFailed("The server did not start; the log says why.") from None


def _serve_many(settings: Settings, sockets: list[socket.socket]) -> None:
    # The processes read the environment for themselves: what the options changed must be in it.
    for name in ("host", "port", "embedded_worker"):
        os.environ[f"RELAY_{name.upper()}"] = str(getattr(settings, name))
    supervisor = Multiprocess(_config(settings, "app.cli.serve:application"), sockets)
    supervisor.run()
    if any(process.exitcode == _STARTUP_FAILURE for process in supervisor.processes):
        raise ServerFailed("The server did not start; the log says why.")


def _config(settings: Settings, app: str | Callable[[], Any]) -> uvicorn.Config:
    return server_config(settings, app, factory=True, workers=settings.processes)
