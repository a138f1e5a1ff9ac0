"""One attempt: drive a connector's generator over the door out, within one deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

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
EndT = TypeVar("EndT")


class Sender(Protocol):
    """The door out (`app.egress`)."""

    async def send(
        self,
        request: httpx.Request,
        *,
        target: str,
        deadline: float,
        ca_certificate: str | None = None,
    ) -> httpx.Response:
        """Send one request, trusting only that authority if it is given. Raises TransportFailure."""
        ...


@dataclass(slots=True)
class Attempted:
    """What happened: the requests with their replies, and how it ended."""

    end: Any = None
    exchanges: list[dict[str, Any]] = field(default_factory=list)


async def drive(
    flow: Generator[httpx.Request, httpx.Response, EndT],
    sender: Sender,
    *,
    target: str,
    seconds: float,
    masking: Masking,
    ca_certificate: str | None = None,
    elapsed: Callable[[], float] = time.monotonic,
) -> Attempted:
    """Run a generator to its end. An exception of its own ends it as a retry, and is logged."""
    attempted = Attempted()
    until = elapsed() + seconds
    try:
        request = next(flow)
        while True:
            try:
                response = await sender.send(
                    request,
                    target=target,
                    deadline=_left(until - elapsed(), seconds),
                    ca_certificate=ca_certificate,
                )
            except TransportFailure as failure:
                attempted.exchanges.append(_failed(request, failure, masking))
                request = flow.throw(failure)
            else:
                # A token that was answered from the store was not asked of anybody.
                if GRANT not in response.extensions:
                    attempted.exchanges.append(_answered(request, response, masking))
                request = flow.send(response)
    except StopIteration as stop:
        attempted.end = stop.value
    except TransportFailure as failure:
        attempted.end = retry(failure.reason)
    except Exception as error:  # noqa: BLE001  a connector may raise anything; the worker goes on
        _log.exception("connector.failed", target=target)
        attempted.end = retry(f"The connector failed: {type(error).__name__}. The log has more.")
    return attempted


def _left(deadline: float, seconds: float) -> float:
    """The rest of the time, if there is any: a kept connection sends before it looks at a clock."""
    if deadline <= 0:
        reason = f"The attempt was not over within {seconds:g} seconds."
        raise TransportFailure("timeout", reason, may_have_arrived=False)
    return deadline


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
