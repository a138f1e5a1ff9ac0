"""`relay worker`: deliver, and nothing else; on a port of its own it says how it is."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Annotated

import typer
import uvicorn

from app.cli import listening, output, session
from app.cli.server_config import allow_open_files, server_config
from app.domain.errors import RelayError
from app.runtime import Runtime, spare_the_collector
from app.settings import Settings

#: Seconds between two looks at whether the loops still run.
_LOOK_EVERY = 5.0
_PORT = "RELAY_WORKER_PORT"


class WorkerStopped(RelayError):
    """A loop of the worker ended by itself; whoever started the process should start it again."""


class _Server(uvicorn.Server):
    """A server inside a process that listens to signals itself."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them alone."""
        yield


def worker(
    *,
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="Instead of RELAY_WORKER_PORT: answer /health/live, /health/ready and /metrics"
            " there.",
        ),
    ] = None,
) -> None:
    """Deliver queued events until SIGTERM or Ctrl-C, without an API."""
    with session.plain_errors():
        settings = session.load_settings(worker_port=port)
        allow_open_files(settings)
        if not settings.worker_port:
            session.run(_work(settings))
            return
        with listening.bound(settings.host, settings.worker_port, setting=_PORT) as sockets:
            session.run(_work(settings, sockets))


async def _work(settings: Settings, sockets: Sequence[socket.socket] = ()) -> None:
    stop = _stop_signal()
    async with (
        session.running(settings, worker=True) as runtime,
        _answering(runtime, sockets),
    ):
        output.say(
            f"Delivering from {session.database_name(settings)}, at most"
            f" {settings.max_in_flight} at a time. Stop with Ctrl-C."
        )
        for one in sockets:
            output.say("Health and metrics are on {} port {}.".format(*one.getsockname()))
        spare_the_collector()
        await _watch(runtime, stop)


@asynccontextmanager
async def _answering(runtime: Runtime, sockets: Sequence[socket.socket]) -> AsyncIterator[None]:
    """Serve the worker's health and metrics on these sockets, if there are any."""
    if not sockets:
        yield
        return
    # The framework takes long to import; a worker without a port does not need it.
    from app.main import create_health_app  # noqa: PLC0415  see above

    listening.listen(sockets, setting=_PORT)
    app = create_health_app(runtime)
    # The runtime lives longer than the server, so the server does not start or stop it.
    server = _Server(server_config(runtime.settings, app, lifespan="off"))
    serving = asyncio.create_task(server.serve([*sockets]))
    try:
        yield
    finally:
        server.should_exit = True
        await serving


async def _watch(runtime: Runtime, stop: asyncio.Event) -> None:
    """Return when told to stop. Raises WorkerStopped when nothing is delivered any more."""
    while not stop.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _LOOK_EVERY)
        state = (await runtime.ready()).checks["worker"]
        if state != "ok" and not stop.is_set():
            raise WorkerStopped(f"The worker stands still: {state}.")


def _stop_signal() -> asyncio.Event:
    """Set by the first SIGTERM or SIGINT; the second ends the process at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stopping(number: signal.Signals) -> None:
        stop.set()
        loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping, number)
    return stop
