"""Requests through the real way out, as the tests of it make them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from app.domain.addresses import AddressPolicy, parse_networks
from app.domain.outcome import TransportFailure
from app.egress.client import Egress

PUBLIC_ONLY = AddressPolicy()
LOOPBACK = AddressPolicy(allowed_networks=parse_networks(["127.0.0.1/32"]))
USER_AGENT = "Lifecycle-Relay/test"


@asynccontextmanager
async def way_out(policy: AddressPolicy = LOOPBACK, **options: Any) -> AsyncIterator[Egress]:
    egress = Egress(policy, user_agent=USER_AGENT, **options)
    try:
        yield egress
    finally:
        await egress.aclose()


async def post(
    egress: Egress,
    url: str,
    *,
    target: str = "tgt_1",
    deadline: float = 10,
    ca_certificate: str | None = None,
    **request: Any,
) -> httpx.Response:
    request.setdefault("method", "POST")
    if "stream" not in request:
        request.setdefault("content", b"{}")
    return await egress.send(
        httpx.Request(url=url, **request),
        target=target,
        deadline=deadline,
        ca_certificate=ca_certificate,
    )


async def failure(egress: Egress, url: str, **options: Any) -> TransportFailure:
    with pytest.raises(TransportFailure) as caught:
        await post(egress, url, **options)
    return caught.value
