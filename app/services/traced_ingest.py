"""The way in where it is traced: a server span for each request that was accepted.

The span stands in the place of the sender's `traceparent` from then on: it is stored with the
event, and what is done for the event later is its child.
Requests that are refused have none: whoever may not send must not be able to fill a collector.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from urllib.parse import quote, urlsplit

from app.domain.clock import Clock
from app.domain.model import RawRequest
from app.domain.trace import Span, Tracer, trace_of
from app.services.configuration import ConfigurationCache
from app.services.ingest import Ingest
from app.services.receipts import Receipt
from app.store.database import Database

SYSTEM = "lifecycle_relay"
_ACCEPTED = 202


class TracedIngest(Ingest):
    """Accepts requests of senders, and tells `tracer` of each; `url` is the relay's own."""

    def __init__(
        self,
        database: Database,
        configuration: ConfigurationCache,
        clock: Clock,
        arrived: Callable[[], None] = lambda: None,
        *,
        tracer: Tracer,
        url: str,
    ) -> None:
        super().__init__(database, configuration, clock, arrived)
        self._tracer = tracer
        own = urlsplit(url)
        self._place = {"url.scheme": own.scheme, "server.address": own.hostname or ""}

    async def accept(self, source_name: str, request: RawRequest) -> Receipt:
        """Store what a sender sent, as `Ingest.accept` does."""
        span = self._begin(request)
        receipt = await super().accept(source_name, replace(request, trace=span.traceparent))
        self._end(span, source_name, request, receipt)
        return receipt

    def accept_at_once(
        self, asked: Sequence[tuple[str, RawRequest]]
    ) -> list[asyncio.Future[Receipt] | None]:
        """The receipts that come with the commit, as `Ingest.accept_at_once` gives them."""
        spans = [self._begin(request) for _, request in asked]
        stored = super().accept_at_once(
            [
                (name, replace(request, trace=span.traceparent))
                for span, (name, request) in zip(spans, asked, strict=True)
            ]
        )
        for span, (name, request), receipt in zip(spans, asked, stored, strict=True):
            if receipt is not None:
                receipt.add_done_callback(partial(self._settled, span, name, request))
        return stored

    def _begin(self, request: RawRequest) -> Span:
        return self._tracer.server(f"POST {_route(request)}", trace_of(request.headers))

    def _settled(
        self, span: Span, source_name: str, request: RawRequest, stored: asyncio.Future[Receipt]
    ) -> None:
        if not stored.cancelled() and stored.exception() is None:
            self._end(span, source_name, request, stored.result())

    def _end(self, span: Span, source_name: str, request: RawRequest, receipt: Receipt) -> None:
        together = {"messaging.batch.message_count": len(receipt.events)} if receipt.events else {}
        span.end({
            **self._place,
            "http.request.method": "POST",
            "http.request.body.size": len(request.body),
            "http.response.status_code": _ACCEPTED,
            "http.route": _route(request),
            "url.path": _path(source_name, request),
            "messaging.system": SYSTEM,
            "messaging.operation.name": "accept",
            "messaging.destination.name": source_name,
            "messaging.message.id": receipt.id,
            "relay.source": source_name,
            "relay.event.type": receipt.type,
            "relay.event.duplicate": receipt.duplicate,
            **together,
        })  # fmt: skip


def _route(request: RawRequest) -> str:
    return "/webhooks/{source}" + ("" if request.event_type is None else "/{event_type}")


def _path(source_name: str, request: RawRequest) -> str:
    parts = (source_name,) if request.event_type is None else (source_name, request.event_type)
    return "/".join(("/webhooks", *(quote(part, safe="") for part in parts)))
