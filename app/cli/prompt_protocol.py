"""The way of a request that can be answered without a task of its own (app/api/at_once.py).

Uvicorn starts the application as soon as the head of a request is there.
Here a request that the application may take at once waits for its body, if that comes in the same
piece; what is not taken then, or not complete, is started as ever.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from app.cli.bounded_protocol import BoundedProtocol

#: Status line and fields, around the fields of every answer and the length; what the application
#: would send, in its order (app/api/ingest.py, app/api/limits.py).
_TOLD = (
    b"HTTP/1.1 202 Accepted\r\n%bcontent-type: application/json\r\ncontent-length: %d\r\n"
    b"x-content-type-options: nosniff\r\ncache-control: no-store\r\n%b\r\n%b"
)
_CLOSE = b"connection: close\r\n"


class Prompt(Protocol):
    """An ASGI application that can do some things at once."""

    def may_take(self, scope: Any) -> bool:
        """Whether it is worth waiting for the body."""
        ...

    def take(
        self,
        scope: Any,
        body: bytes,
        tell: Callable[[bytes], None],
        refuse: Callable[[Any], None],
    ) -> bool:
        """Begin to answer, by one of the callables, when the time has come; False to decline."""
        ...


class PromptProtocol(BoundedProtocol):
    """HTTP/1.1 as the base speaks it, with a short cut for events."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # Another application (a worker's) has no short cut.
        self._prompt: Prompt | None = self.app if hasattr(self.app, "may_take") else None

    #: True while the parser runs: what it starts may wait for what it still has to read.
    _parsing = False
    #: The request whose body is being waited for.
    _held: RequestResponseCycle | None = None

    def data_received(self, data: bytes) -> None:
        """Read what came; start what could not be taken at once."""
        self._parsing = True
        try:
            super().data_received(data)
        finally:
            self._parsing = False
        if self._held is not None:
            self._start_held()

    def on_message_complete(self) -> None:
        """Take the request at once, or start it."""
        super().on_message_complete()
        cycle, prompt = self._held, self._prompt
        if cycle is None or prompt is None:
            return
        if prompt.take(
            cycle.scope,
            bytes(cycle.body),
            lambda body: self._tell(cycle, body),
            lambda refusing: self._refuse(cycle, refusing),
        ):
            self._held = None
        else:
            self._start_held()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if (
            self._parsing
            and self._prompt is not None
            # Not the one that says that there are too many connections.
            and app is self.app
            and not cycle.waiting_for_100_continue
            and not cycle.flow.write_paused
            and self._prompt.may_take(cycle.scope)
        ):
            self._held = cycle
        else:
            super()._start_asgi_task(cycle, app)

    def _start_held(self) -> None:
        if self._held is not None:
            cycle, self._held = self._held, None
            super()._start_asgi_task(cycle, self.app)

    def _refuse(self, cycle: RequestResponseCycle, app: Any) -> None:
        if not cycle.disconnected:
            super()._start_asgi_task(cycle, app)

    def _tell(self, cycle: RequestResponseCycle, body: bytes) -> None:
        """Write a 202 as the cycle would have written it."""
        if cycle.disconnected:
            return
        cycle.response_started = cycle.response_complete = True
        fields = b"".join([b"%b: %b\r\n" % field for field in cycle.default_headers])
        close = b"" if cycle.keep_alive else _CLOSE
        cycle.transport.write(_TOLD % (fields, len(body), close, body))
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()
