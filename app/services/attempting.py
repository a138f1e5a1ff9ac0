"""One attempt: drive a connector's generator over the door out, within one deadline.

An attempt composes its first request when it is made, and waits for nothing then: a worker begins
many before it sends the first, and each is cheaper for it (docs/adr/0019).
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx
import structlog

from app.connectors.base import GRANT
from app.domain.outcome import Outcome, TransportFailure, retry
from app.services.masking import Masking

_log = structlog.get_logger(__name__)
_EXCERPT = 4096
#: Stands in the log for a reply that holds a token, or may.
_WITHHELD = "(not kept: the reply to a request for a token)"
_SHOWN_HEADERS = ("content-type", "retry-after", "location")
_SHOWN_NAMES = frozenset(name.encode() for name in _SHOWN_HEADERS)


class Sender(Protocol):
    """The door out (`app.egress`)."""

    def send(
        self,
        request: httpx.Request,
        *,
        target: str,
        deadline: float,
        ca_certificate: str | None = None,
    ) -> Awaitable[httpx.Response]:
        """Send one request, trusting only that authority if it is given.

        It leaves when the answer is waited for, which raises TransportFailure.
        """
        ...


@dataclass(slots=True)
class Attempted:
    """What happened: the requests with their replies, and how it ended."""

    end: Any = None
    exchanges: list[dict[str, Any]] = field(default_factory=list)


class Attempt:
    """A generator that is driven to its end; an exception of its own ends it as a retry."""

    def __init__(
        self,
        flow: Generator[httpx.Request, httpx.Response, Any],
        sender: Sender,
        *,
        target: str,
        seconds: float,
        masking: Masking,
        ca_certificate: str | None = None,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._flow = flow
        self._sender = sender
        self._target = target
        self._seconds = seconds
        self._masking = masking
        self._ca_certificate = ca_certificate
        self._elapsed = elapsed
        self._until = elapsed() + seconds
        self._attempted = Attempted()
        self._sending: tuple[httpx.Request, Awaitable[httpx.Response]] | None = None
        try:
            self._ask(next(flow))
        except Exception as error:  # noqa: BLE001  a connector may raise anything; see _end
            self._end(error)

    async def drive(self) -> Attempted:
        """What came of it."""
        while self._sending is not None:
            (request, sending), self._sending = self._sending, None
            try:
                try:
                    response = await sending
                except TransportFailure as failure:
                    self._tell(request, failure)
                else:
                    self._answer(request, response)
            except Exception as error:  # noqa: BLE001  a connector may raise anything; see _end
                self._end(error)
        return self._attempted

    def _tell(self, request: httpx.Request, failure: TransportFailure) -> None:
        self._attempted.exchanges.append(_failed(request, failure, self._masking))
        self._ask(self._flow.throw(failure))

    def _answer(self, request: httpx.Request, response: httpx.Response) -> None:
        # A token that was answered from the store was not asked of anybody.
        if GRANT not in response.extensions:
            self._attempted.exchanges.append(_answered(request, response, self._masking))
        self._ask(self._flow.send(response))

    def _ask(self, request: httpx.Request) -> None:
        left = self._until - self._elapsed()
        if left <= 0:
            # A kept connection sends before it looks at a clock.
            self._sending = (request, _too_late(self._seconds))
            return
        sending = self._sender.send(
            request, target=self._target, deadline=left, ca_certificate=self._ca_certificate
        )
        self._sending = (request, sending)

    def _end(self, error: Exception) -> None:
        """Take what the generator returned or raised for the end."""
        if isinstance(error, StopIteration):
            self._attempted.end = error.value
        elif isinstance(error, TransportFailure):
            self._attempted.end = retry(error.reason)
        else:
            _log.error("connector.failed", target=self._target, exc_info=error)
            name = type(error).__name__
            self._attempted.end = retry(f"The connector failed: {name}. The log has more.")


async def _too_late(seconds: float) -> httpx.Response:
    reason = f"The attempt was not over within {seconds:g} seconds."
    raise TransportFailure("timeout", reason, may_have_arrived=False)


def _answered(request: httpx.Request, response: httpx.Response, masking: Masking) -> dict[str, Any]:
    exchange: dict[str, Any] = {
        "method": request.method,
        "url": masking.url(request.url),
        "status": response.status_code,
    }
    headers = _shown_headers(response, masking)
    if headers:
        exchange["headers"] = headers
    body = response.content
    if body and GRANT in request.extensions:
        exchange["body"] = _WITHHELD
    elif body:
        exchange["body"] = masking.text(body[:_EXCERPT].decode("utf-8", "replace"))
        exchange["truncated"] = len(body) > _EXCERPT or bool(response.extensions.get("truncated"))
    return exchange


def _shown_headers(response: httpx.Response, masking: Masking) -> dict[str, str]:
    # Looking each up by its name costs more than to look at all there are, which are few.
    if _SHOWN_NAMES.isdisjoint([name.lower() for name, _ in response.headers.raw]):
        return {}
    return {
        name: masking.header(name, response.headers[name])
        for name in _SHOWN_HEADERS
        if name in response.headers
    }


def _failed(request: httpx.Request, failure: TransportFailure, masking: Masking) -> dict[str, Any]:
    return {
        "method": request.method,
        "url": masking.url(request.url),
        "status": None,
        "error": failure.code,
        "detail": failure.reason,
    }


def outcomes(end: Any, count: int) -> Sequence[Outcome] | None:
    """The outcomes of a batch in order, or None when it was refused as a whole.

    A connector that does not say what became of each delivery has failed: each is a retry.
    """
    if isinstance(end, Outcome):
        return [end] if count == 1 else None
    if isinstance(end, Sequence) and len(end) == count:
        return end
    _log.error("connector.unclear", deliveries=count, answered=type(end).__name__)
    return [retry("The connector failed: it did not say what became of the delivery.")] * count
