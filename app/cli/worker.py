"""`relay worker`: deliver, and nothing else."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress

from app.cli import output, session
from app.domain.errors import RelayError
from app.runtime import Runtime, spare_the_collector
from app.settings import Settings

#: Seconds between two looks at whether the loops still run.
_LOOK_EVERY = 5.0


class WorkerStopped(RelayError):
    """A loop of the worker ended by itself; whoever started the process should start it again."""


def worker() -> None:
    """Deliver queued events until SIGTERM or Ctrl-C, without an API."""
    with session.plain_errors():
        settings = session.load_settings()
        session.run(_work(settings))


async def _work(settings: Settings) -> None:
    stop = _stop_signal()
    async with session.running(settings, worker=True) as runtime:
        output.say(
            f"Delivering from {session.database_name(settings)}, at most"
            f" {settings.max_in_flight} at a time. Stop with Ctrl-C."
        )
        spare_the_collector()
        await _watch(runtime, stop)


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
