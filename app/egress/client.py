"""What the rest of the relay knows of the way out."""

from __future__ import annotations

from collections.abc import Awaitable

import httpx

from app.domain.addresses import AddressPolicy
from app.egress.guard import Resolver
from app.egress.transport import GuardedTransport, OnRefusal


class Egress:
    """Sends the requests that connectors make.

    `policy` says which addresses targets may have; `resolver` looks names up (the system's by
    default); `on_refusal(target, detail)` is told why no connection came about, in words for the
    operator's log.
    """

    def __init__(
        self,
        policy: AddressPolicy,
        *,
        user_agent: str,
        resolver: Resolver | None = None,
        on_refusal: OnRefusal | None = None,
        max_connections_per_target: int = 50,
        response_limit: int = 64 * 1024,
        keepalive_seconds: float = 15,
    ) -> None:
        self._transport = GuardedTransport(
            policy,
            user_agent=user_agent,
            resolver=resolver,
            on_refusal=on_refusal,
            max_connections_per_target=max_connections_per_target,
            response_limit=response_limit,
            keepalive_seconds=keepalive_seconds,
        )

    def send(
        self,
        request: httpx.Request,
        *,
        target: str,
        deadline: float,
        ca_certificate: str | None = None,
        response_limit: int | None = None,
    ) -> Awaitable[httpx.Response]:
        """The answer of a target, whatever its status, read as far as the limit.

        The request is written down here, and leaves when the answer is waited for.

        `deadline` is the seconds for everything: lookup, connection, TLS, request and answer.
        `ca_certificate` (PEM) makes that authority the only one trusted.
        `response_limit` (bytes) is for answers that may be longer than those of targets.
        A longer body is cut, and `response.extensions["truncated"]` is then true.
        Waiting raises TransportFailure.
        """
        request.extensions["relay_target"] = target
        request.extensions["relay_deadline"] = deadline
        request.extensions["relay_ca_certificate"] = ca_certificate
        if response_limit is not None:
            request.extensions["relay_response_limit"] = response_limit
        return self._transport.begin(request)

    async def aclose(self) -> None:
        """Close every connection; requests under way fail."""
        await self._transport.aclose()
