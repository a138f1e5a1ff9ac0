"""The way of a request that can be answered without a task of its own (app/api/at_once.py).

Uvicorn starts the application as soon as the head of a request is there.
Here a request that the application may take waits for its body, if that comes in the same piece;
what is not complete then is started as ever.
"""

from __future__ import annotations

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
    """An ASGI application that can do some things without a task."""

    def may_take(self, scope: Any) -> bool:
        """Whether it is worth waiting for the body."""
        ...

    def take(self, held: HeldRequest) -> None:
        """Begin to answer a complete request."""
        ...


class HeldRequest:
    """A complete request that waits for its answer."""

    __slots__ = ("_cycle", "_protocol", "body", "scope")

    def __init__(self, protocol: PromptProtocol, cycle: RequestResponseCycle) -> None:
        self._protocol = protocol
        self._cycle = cycle
        self.scope: Any = cycle.scope
        self.body = bytes(cycle.body)

    def tell(self, body: bytes) -> None:
        """Answer 202 with this body."""
        self._protocol.tell(self._cycle, body)

    def leave_to(self, app: Any) -> None:
        """Let an application answer."""
        self._protocol.leave_to(self._cycle, app)


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
        """Let the application take the request, where it is one of those."""
        super().on_message_complete()
        cycle, prompt = self._held, self._prompt
        if cycle is not None and prompt is not None:
            self._held = None
            prompt.take(HeldRequest(self, cycle))

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

    def leave_to(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Start an application that answers."""
        if not cycle.disconnected:
            super()._start_asgi_task(cycle, app)

    def tell(self, cycle: RequestResponseCycle, body: bytes) -> None:
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
