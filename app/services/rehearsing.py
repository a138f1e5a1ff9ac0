"""Running a connector's generator with assumed replies, and showing what it asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import structlog

from app.connectors.base import GRANT, Assignment, Connector
from app.domain import strict_json
from app.domain.outcome import Outcome, TransportFailure, retry
from app.services.configuration import BoundTarget
from app.services.masking import Masking

_log = structlog.get_logger(__name__)
_MASK = "***"
_MOST_REQUESTS = 20
_LONGEST_BODY = 64 * 1024
_WITHHELD = "(not shown: a request for a token)"
#: Everything else may hold a credential, a stranger's connector's too.
_HARMLESS = frozenset(
    {
        "accept",
        "content-encoding",
        "content-length",
        "content-type",
        "host",
        "relay-hop",
        "revision",
        "sforce-duplicate-rule-header",
        "traceparent",
        "user-agent",
        "webhook-id",
        "webhook-timestamp",
    }
)
_SCHEMES = frozenset({"basic", "bearer"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewedRequest:
    """One request; `assumed_status` is of the reply that the flow was given in its place."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: str
    truncated: bool
    assumed_status: int


@dataclass(slots=True)
class Rehearsed:
    """The requests, and how the flow ended with the assumed replies."""

    requests: list[PreviewedRequest] = field(default_factory=list)
    outcome: str = ""
    reason: str = ""


def rehearse(target: BoundTarget, assignment: Assignment) -> Rehearsed:
    """Run a delivery without sending; never raises."""
    rehearsed = Rehearsed()
    end = _run(target, assignment, rehearsed)
    rehearsed.outcome = end.kind.value
    rehearsed.reason = target.masking.text(end.reason)
    return rehearsed


def _run(target: BoundTarget, assignment: Assignment, rehearsed: Rehearsed) -> Outcome:
    connector: Connector[Any] = target.connector
    own = frozenset(name.lower() for name in getattr(connector.target.settings, "headers", ()))
    try:
        flow = connector.deliver(assignment)
        request = next(flow)
        for _ in range(_MOST_REQUESTS):
            reply = _reply(connector, request)
            rehearsed.requests.append(_shown(request, reply, target.masking, own))
            request = flow.send(reply)
        flow.close()
    except StopIteration as stop:
        ended: Outcome = stop.value
        return ended
    except TransportFailure as failure:
        return retry(failure.reason)
    except Exception as error:  # noqa: BLE001  a connector may raise anything
        _log.exception("preview.failed", target=target.id)
        return retry(f"The connector failed: {type(error).__name__}. The log has more.")
    return retry("The connector asks for more requests than a preview shows.")


def _reply(connector: Connector[Any], request: httpx.Request) -> httpx.Response:
    if GRANT in request.extensions:
        return _token(request)
    looks = request.method == "GET"
    status, body = connector.assumed_absent if looks else connector.assumed_written
    return httpx.Response(status, content=body)


def _token(request: httpx.Request) -> httpx.Response:
    """A token that is none, for the API where the token was asked for."""
    api = f"{request.url.scheme}://{request.url.netloc.decode('ascii')}"
    document = {"access_token": "assumed", "expires_in": 3600, "instance_url": api}
    return httpx.Response(200, content=strict_json.write(document))


def _shown(
    request: httpx.Request, reply: httpx.Response, masking: Masking, own: frozenset[str]
) -> PreviewedRequest:
    body = request.read()
    text = masking.text(body[:_LONGEST_BODY].decode("utf-8", "replace"))
    return PreviewedRequest(
        method=request.method,
        url=masking.url(request.url),
        headers=dict(_headers(request, masking, own)),
        body=_WITHHELD if GRANT in request.extensions else text,
        truncated=len(body) > _LONGEST_BODY,
        assumed_status=reply.status_code,
    )


def _headers(
    request: httpx.Request, masking: Masking, own: frozenset[str]
) -> Iterator[tuple[str, str]]:
    for name, value in request.headers.items():
        harmless = name not in own and (name in _HARMLESS or name.startswith("ce-"))
        yield name, masking.text(value) if harmless else _masked(value)


def _masked(value: str) -> str:
    scheme, space, _ = value.partition(" ")
    return f"{scheme} {_MASK}" if space and scheme.lower() in _SCHEMES else _MASK
