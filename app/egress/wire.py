"""One connection to a target, and the rule that it speaks only when spoken to.

aiohttp's protocol parses whatever arrives, also while the connection waits in the pool: a second
answer to the last request would then be taken for the answer to the next.
This one is hung up on.
"""

from __future__ import annotations

import asyncio
import select
from http import HTTPStatus

from aiohttp import ClientPayloadError
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import RawResponseMessage
from aiohttp.streams import StreamReader

#: Bytes of status lines and headers, interim answers (1xx) included, before the final one.
#: aiohttp bounds each answer's own header (128 fields of 8 190 bytes), not how many there are.
MOST_HEAD_BYTES = 1_048_576
#: The parser stops reading when twice as much waits to be taken.
_READ_BYTES = 65_536


class Wire(ResponseHandler):
    """A connection that knows whether it was used before and what it has heard.

    `uses` counts the requests carried, `heard` the bytes received for the current one.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.uses = 0
        self.heard = 0
        self._idle = True
        self._answered = False
        self._readiness = select.poll()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the socket, to be able to ask whether something waits in it."""
        super().connection_made(transport)
        self._readiness.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def is_quiet(self) -> bool:
        """True when the peer neither hung up nor spoke, not even so that only the kernel knows."""
        return self.is_connected() and not self._readiness.poll(0)

    def send(self, message: bytes, *, answer_has_body: bool) -> None:
        """Write a request and get ready for its answer."""
        self.uses += 1
        self.heard = 0
        self._idle = False
        self._answered = False
        self.set_response_params(
            skip_payload=not answer_has_body,
            read_until_eof=True,
            auto_decompress=False,
            read_bufsize=_READ_BYTES,
        )
        transport = self.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the connection was closed before the request was sent")
        transport.write(message)

    async def answer(self) -> tuple[RawResponseMessage, StreamReader]:
        """The final answer: its head, and the stream of its body."""
        while True:
            message, payload = await self.read()
            if message.code >= HTTPStatus.OK or message.code == HTTPStatus.SWITCHING_PROTOCOLS:
                self._answered = True
                return message, payload

    def rest(self) -> None:
        """From here on nothing is expected."""
        self._idle = True

    def data_received(self, data: bytes) -> None:
        """Take bytes of the answer; hang up on any that nobody asked for."""
        if self._idle:
            if data and self.transport is not None:
                self.transport.abort()
            return
        if self.heard > MOST_HEAD_BYTES and not self._answered:
            self.set_exception(HttpProcessingError(message="The header of the answer has no end"))
            if self.transport is not None:
                self.transport.abort()
            return
        self.heard += len(data)
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Wake whoever reads the body: aiohttp does not when a chunk could not be parsed."""
        payload = self._payload
        super().connection_lost(exc)
        if payload is not None and not payload.is_eof() and payload.exception() is None:
            payload.set_exception(ClientPayloadError("The body of the answer has no end"))
