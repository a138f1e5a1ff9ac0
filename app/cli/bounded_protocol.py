"""What a connection may cost before a request of it is complete: time, bytes, and a place.

Uvicorn waits for the head of a request for ever, keeps whatever is sent as one, and keeps an
answer until it is read.
The limits of the application begin where a head is complete; these begin where a connection does.

Requests pay next to nothing for it: there is one timer for each connection and none for a request,
and the state of a head is read from what uvicorn keeps anyway.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from app.cli.problem_protocol import refusal
from app.cli.single_protocol import SingleProtocol
from app.domain.errors import HeadersTooLarge, RequestTimeout

_TOO_SLOW = refusal(RequestTimeout("The head of the request was not complete in time."))
_TOO_LARGE = refusal(HeadersTooLarge("The head of the request is larger than a head may be."))
#: So many times its limits a head may have before it is cut off without waiting for its end.
#: Up to then the application answers, which lets the sender finish and see the answer.
_ROOM = 8


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Seconds for a head; the limits of the application for its bytes and fields; connections.

    `connections` is how many there may be at all: one more is closed unanswered.
    """

    head_seconds: float
    head_bytes: int
    head_fields: int
    connections: int


class BoundedProtocol(SingleProtocol):
    """HTTP/1.1 for senders that cannot be trusted to finish what they begin.

    The first head of a connection must be complete within `head_seconds`, a later one within twice
    that at most: it is looked for once in each such time.
    An answer of which nothing was read between two looks is thrown away with its connection.
    """

    def __init__(self, *arguments: Any, limits: ConnectionLimits, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._limits = limits
        self._watch: asyncio.TimerHandle | None = None
        self._answered: RequestResponseCycle | None = None
        # What the last look saw: the request after which a head was outstanding, and the one whose
        # answer was not read, with the bytes left of it.
        self._seen: object = None
        self._unread: tuple[object, int] | None = None
        # The head whose bytes are counted, and those that came after its first piece.
        self._counted: object = None
        self._bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Begin to wait for the first head."""
        super().connection_made(transport)
        if len(self.connections) > self._limits.connections:
            transport.abort()
            return
        self._watch = self.loop.call_later(self._limits.head_seconds, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop to wait, and tell the request that is being answered.

        Uvicorn tells the newest one, which, when several were sent at once, is not that one: it
        would go on to write where nobody is, and the next ones after it.
        """
        if self._watch is not None:
            self._watch.cancel()
        self.pipeline.clear()
        answered = self._answered
        if answered is not None and not answered.response_complete:
            answered.disconnected = True
            answered.message_event.set()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answered = cycle
        super()._start_asgi_task(cycle, app)

    def data_received(self, data: bytes) -> None:
        """Pass on what came, and count it where it neither completed a head nor was of a body."""
        before = self.cycle
        size = 0 if before is None else len(before.body)
        super().data_received(data)
        cycle = self.cycle
        if (
            cycle is None
            or self.scope is not cycle.scope
            # The frames of chunks, or trailers, which no limit of a body knows of.
            or (cycle is before and cycle.more_body and len(cycle.body) == size)
        ):
            self._count(len(data))

    def _count(self, size: int) -> None:
        scope = self.scope
        if scope is None:  # nothing yet but empty lines
            return
        if self._counted is not scope:
            # How much of this piece belongs to the head is not known.
            self._counted, self._bytes = scope, 0
        else:
            self._bytes += size
        limits = self._limits
        if self.transport.is_closing():
            return
        too_long = self._bytes > _ROOM * limits.head_bytes
        if too_long or len(self.headers) > _ROOM * limits.head_fields:
            cycle = self.cycle
            if cycle is not None and cycle.scope is scope and cycle.response_started:
                # Trailers of a request that is being refused: another answer would be one too many.
                self.transport.close()
            else:
                self.refuse(_TOO_LARGE)

    def _look(self) -> None:
        size = self.transport.get_write_buffer_size()
        unread = (self._answered, size) if size else None
        if unread is not None and unread == self._unread:
            self.transport.abort()
            return
        cycle = self.cycle
        # Uvicorn's own timer runs while nothing has come since the last answer.
        outstanding = self.timeout_keep_alive_task is None and (
            cycle is None or cycle.response_complete
        )
        if outstanding and unread is None and (cycle is None or cycle is self._seen):
            self._give_up()
            return
        self._unread = unread
        self._seen = cycle if outstanding else None
        self._watch = self.loop.call_later(self._limits.head_seconds, self._look)

    def _give_up(self) -> None:
        cycle = self.cycle
        begun = self.scope is not None and (cycle is None or self.scope is not cycle.scope)
        if begun:
            self.refuse(_TOO_SLOW)
        else:
            self.transport.close()
