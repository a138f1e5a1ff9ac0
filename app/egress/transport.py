"""httpx requests over guarded connections: the only door out of the relay.

Of aiohttp this uses the connector (pool, happy eyeballs, TLS) and the parser of answers; the
request is written here, in one piece.
Its client session would copy headers, look for cookies and redirects, and start a task for each
body; without it a request costs about half.
There are no redirects, no cookies, no proxies and no decompression, because there is no code for
them.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Generator
from functools import cache
from http import HTTPStatus
from typing import Any

import httpx
from aiohttp import ClientOSError, ServerDisconnectedError
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import RawResponseMessage
from aiohttp.streams import StreamReader

from app.domain.addresses import AddressPolicy
from app.egress.failures import EXPECTED, Failure, explain, timed_out
from app.egress.guard import Guard, Resolver, SystemResolver
from app.egress.message import Unsendable, request_body, request_head
from app.egress.pool import Pools, TargetPool, wire_of
from app.egress.wire import Wire

#: Told (target, detail) whenever no connection came about; for the operator's log.
OnRefusal = Callable[[str, str], None]

_DEFAULT_DEADLINE = 30.0
_UNREACHED = frozenset({"address", "dns", "connect", "tls"})
_FIRST_NO_STATUS = 600
_DISCONNECTED = (ServerDisconnectedError, ClientOSError, ConnectionResetError)


class GuardedTransport(httpx.AsyncBaseTransport):
    """Sends requests to targets, each over connections of its own.

    A request names its target in `extensions["relay_target"]`, and may bring
    `relay_deadline` (seconds in total, lookup included) and `relay_ca_certificate` (PEM; then
    only that authority is trusted) and `relay_response_limit` (bytes, instead of the transport's).
    The answer's body is complete and at most `response_limit` bytes long;
    `extensions["truncated"]` says whether there was more.
    Its bytes are as they came: an encoding the target used without being asked is not undone.
    Raises TransportFailure and nothing else.
    """

    def __init__(
        self,
        policy: AddressPolicy,
        *,
        user_agent: str,
        resolver: Resolver | None = None,
        on_refusal: OnRefusal | None = None,
        max_connections_per_target: int = 50,
        max_targets: int = 512,
        response_limit: int = 64 * 1024,
        keepalive_seconds: float = 15,
    ) -> None:
        self._resolver = resolver or SystemResolver()
        self._guard = Guard(policy, self._resolver)
        self._on_refusal = on_refusal
        self._user_agent = user_agent.encode("ascii")
        self._response_limit = response_limit
        self._max_connections = max_connections_per_target
        self._keepalive_seconds = keepalive_seconds
        self._public_authorities = _public_authorities()
        self._pools = Pools(self._new_pool, max_targets)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and read its answer, inside the deadline."""
        return await self.begin(request)

    def begin(self, request: httpx.Request) -> Awaitable[httpx.Response]:
        """Write a request down; waiting for it sends it and reads its answer."""
        limit = request.extensions.get("relay_response_limit") or self._response_limit
        return _Exchange(self, request, limit, self._user_agent)

    async def carry_out(self, exchange: _Exchange) -> httpx.Response:
        """What waiting for `begin` comes to. Raises TransportFailure."""
        request = exchange.request
        extensions = request.extensions
        target = extensions["relay_target"]
        try:
            exchange.require_written()
            async with asyncio.timeout_at(exchange.until):
                pool = self._pools.of(target, extensions.get("relay_ca_certificate"))
                pool.in_flight += 1
                try:
                    return await exchange.run(pool)
                finally:
                    pool.in_flight -= 1
        except TimeoutError:
            deadline = extensions.get("relay_deadline", _DEFAULT_DEADLINE)
            failure = timed_out(deadline, connected=exchange.sent)
        except EXPECTED as error:
            failure = explain(error, secure=request.url.scheme == "https")
        self._tell(target, failure)
        raise failure.raised(may_have_arrived=exchange.sent)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._pools.aclose()
        await self._resolver.aclose()

    def _new_pool(self, ca_certificate: str | None) -> TargetPool:
        return TargetPool(
            self._guard,
            self._public_authorities if ca_certificate is None else _tls(ca_certificate),
            max_connections=self._max_connections,
            keepalive_seconds=self._keepalive_seconds,
        )

    def _tell(self, target: str, failure: Failure) -> None:
        if self._on_refusal is not None and failure.code in _UNREACHED:
            self._on_refusal(target, failure.detail)


class _Exchange:
    """One request and its answer, which whoever waits for it gets.

    `sent` is true once bytes of the request may have left; `until` is when the event loop's clock
    ends it.
    It waits for nothing until then, so one that is forgotten leaves nothing behind.
    """

    __slots__ = ("_failure", "_limit", "_message", "_transport", "request", "sent", "until")

    def __init__(
        self, transport: GuardedTransport, request: httpx.Request, limit: int, user_agent: bytes
    ) -> None:
        self.request = request
        self.sent = False
        self._transport = transport
        self._limit = limit
        self._message = b""
        self._failure: Exception | None = None
        seconds = request.extensions.get("relay_deadline", _DEFAULT_DEADLINE)
        self.until = asyncio.get_running_loop().time() + seconds
        try:
            body = request_body(request)
            self._message = request_head(request, body, user_agent) + body
        except EXPECTED as error:
            self._failure = error.with_traceback(None)

    def __await__(self) -> Generator[Any, Any, httpx.Response]:
        return self._transport.carry_out(self).__await__()

    def require_written(self) -> None:
        """Raise the trouble there was with writing the request down: one of the EXPECTED errors."""
        if self._failure is not None:
            try:
                raise self._failure
            finally:
                # Its traceback holds this exchange.
                self._failure = None

    async def run(self, pool: TargetPool) -> httpx.Response:
        """Raises TimeoutError or one of the EXPECTED errors."""
        connection = await pool.connect(self.request.url, fresh=False)
        wire = wire_of(connection)
        try:
            return await self._over(connection, wire)
        except _DISCONNECTED:
            # A kept connection that the target closed at the moment it was used again: not a
            # byte came back. Deliveries repeat their id, so sending once more is safe.
            if wire.uses == 1 or wire.heard:
                raise
        connection = await pool.connect(self.request.url, fresh=True)
        return await self._over(connection, wire_of(connection))

    async def _over(self, connection: Connection, wire: Wire) -> httpx.Response:
        try:
            wire.send(self._message, answer_has_body=self.request.method != "HEAD")
            self.sent = True
            head, payload = await wire.answer()
            _check(head)
            body, truncated = await self._read(payload)
        except BaseException:
            # Not closed but cut: a peer that does not read must not keep what was to be written.
            wire.abort()
            connection.close()
            raise
        wire.rest()
        connection.release()  # which closes it when there is more of the answer to come
        return _Answer(self.request, head, body, truncated=truncated)

    async def _read(self, payload: StreamReader) -> tuple[bytes, bool]:
        """The body up to the limit, and whether there was more."""
        if payload.is_eof():
            body = payload.read_nowait()
            return body[: self._limit], len(body) > self._limit
        pieces: list[bytes] = []
        size = 0
        while size <= self._limit and (piece := await payload.readany()):
            pieces.append(piece)
            size += len(piece)
        return b"".join(pieces)[: self._limit], size > self._limit


class _Answer(httpx.Response):
    """An answer that has been read: its content is the bytes as they came.

    httpx would undo a Content-Encoding, and turn 64 KiB into 64 MiB.
    """

    def __init__(
        self,
        request: httpx.Request,
        head: RawResponseMessage,
        body: bytes,
        *,
        truncated: bool,
    ) -> None:
        super().__init__(
            head.code,
            headers=head.raw_headers,
            stream=httpx.ByteStream(body),
            request=request,
            extensions={"truncated": truncated},
        )
        # What `read` leaves behind, without the decoders it goes through.
        self._content = body
        self.is_stream_consumed = True
        self.is_closed = True


def _check(head: RawResponseMessage) -> None:
    if head.version.major != 1:
        raise HttpProcessingError(message="The answer is of another version of HTTP")
    if head.code == HTTPStatus.SWITCHING_PROTOCOLS or head.code >= _FIRST_NO_STATUS:
        raise HttpProcessingError(message="The status is none that a final answer can have")


@cache
def _public_authorities() -> ssl.SSLContext:
    """The system's authorities; reading them takes longer than all else at a transport's start."""
    return _tls(None)


def _tls(ca_certificate: str | None) -> ssl.SSLContext:
    """Verification as browsers do it, TLS 1.2 or later; of one authority only when it is given.

    Raises Unsendable when the certificate cannot be read.
    """
    try:
        context = ssl.create_default_context(cadata=ca_certificate)
    except (ssl.SSLError, ValueError, TypeError) as error:
        raise Unsendable("the certificate it pins is not PEM") from error
    context.set_alpn_protocols(["http/1.1"])
    return context
