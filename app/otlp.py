"""Spans on their way to a collector: OpenTelemetry's SDK, exporting by OTLP over HTTP.

Only this module knows OpenTelemetry, and it is only imported where a collector is configured.
Nothing here can fail or hold up an event: spans are gathered in memory, a thread sends them, and
what does not go is lost.
No provider is registered globally, so that no library is traced by itself.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from threading import Thread, local

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from app.domain.trace import Attributes
from app.telemetry import redact

_log = structlog.get_logger(__name__)
_EXPORT_SECONDS = 5.0
_TELL_EVERY = 60.0
#: Spans that wait to be sent, some 3 KB each; more are lost.
_MOST_WAITING = 4_096
_TOGETHER = 512
_DELAY_MILLIS = 1_000
_LONGEST_VALUE = 256
_SAMPLED = 0x01


class _Reason(local, logging.Filter):
    """Keeps what the exporter says of a failure from the log, and remembers how it began.

    The exporter says why first, and then that it gave up; each tracer sends in a thread of its own.
    """

    text = ""

    def filter(self, record: logging.LogRecord) -> bool:
        """Take the message; it goes no further."""
        self.text = self.text or record.getMessage()
        return False


_REASON = _Reason()
logging.getLogger("opentelemetry.exporter.otlp.proto.http.trace_exporter").addFilter(_REASON)


class OtlpTracer:
    """Where spans begin when there is a collector at `endpoint` (its URL, without `/v1/traces`).

    `fields` are header fields for it; `ratio` is the share of the traces that are kept, among those
    that no sender decided about; `version` and `instance` say which process this is.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        fields: Mapping[str, str],
        ratio: float,
        version: str,
        instance: str,
    ) -> None:
        self._exporter = _Watched(
            OTLPSpanExporter(
                f"{endpoint.rstrip('/')}/v1/traces", headers=dict(fields), timeout=_EXPORT_SECONDS
            )
        )
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(ratio)),
            resource=Resource.create({
                "service.name": "lifecycle-relay",
                "service.version": version,
                "service.instance.id": instance,
            }),
            # The end of the process would wait for the collector.
            shutdown_on_exit=False,
        )  # fmt: skip
        self._provider.add_span_processor(
            BatchSpanProcessor(
                self._exporter,
                max_queue_size=_MOST_WAITING,
                schedule_delay_millis=_DELAY_MILLIS,
                max_export_batch_size=_TOGETHER,
            )
        )
        self._tracer = self._provider.get_tracer("lifecycle-relay", version)

    def server(self, name: str, parent: str | None) -> OtlpSpan:
        """Something asked of the relay."""
        return OtlpSpan(self._tracer.start_span(name, _inside(parent), kind=trace.SpanKind.SERVER))

    def client(self, name: str, parent: str | None, *, link: str | None = None) -> OtlpSpan:
        """Something the relay asks of others."""
        links = [] if link is None else [trace.Link(_named(link))]
        return OtlpSpan(
            self._tracer.start_span(name, _inside(parent), kind=trace.SpanKind.CLIENT, links=links)
        )

    async def close(self, seconds: float) -> None:
        """Send what is left, for so many seconds at most."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def send() -> None:
            self._provider.shutdown()
            # Nobody may be waiting any more.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(done.set)

        # Not a thread of the loop's own, whose end the loop would wait for.
        Thread(target=send, daemon=True).start()
        try:
            async with asyncio.timeout(seconds):
                await done.wait()
        except TimeoutError:
            _log.warning("tracing.unsent", seconds=round(seconds, 1))
            self._exporter.shutdown()


class OtlpSpan:
    """One span; what is said of it goes through the log's masking."""

    __slots__ = ("_span", "traceparent")

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        own = span.get_span_context()
        flags = own.trace_flags & _SAMPLED
        self.traceparent = f"00-{own.trace_id:032x}-{own.span_id:016x}-{flags:02x}"

    def end(self, attributes: Attributes, *, error: str | None = None) -> None:
        """Say what it was, and queue it."""
        span = self._span
        if not span.is_recording():
            return
        span.set_attributes({
            name: _shown(name, value) if isinstance(value, str) else value
            for name, value in attributes.items()
        })  # fmt: skip
        if error is not None:
            span.set_attribute("error.type", _shown("error.type", error))
            span.set_status(trace.StatusCode.ERROR)
        span.end()


class _Watched(SpanExporter):
    """An exporter whose failures are logged once a minute, with how many spans they cost.

    `elapsed` tells seconds from any beginning.
    """

    def __init__(
        self, exporter: SpanExporter, elapsed: Callable[[], float] = time.monotonic
    ) -> None:
        self._exporter = exporter
        self._elapsed = elapsed
        self._lost = 0
        self._tell_at = 0.0
        self._shut = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send some; whatever goes wrong ends here."""
        _REASON.text = ""
        try:
            result = self._exporter.export(spans)
        except Exception as error:  # noqa: BLE001  the thread that sends must go on
            _REASON.text = type(error).__name__
            result = SpanExportResult.FAILURE
        if result is SpanExportResult.SUCCESS:
            self._went()
        else:
            self._failed(len(spans))
        return result

    def shutdown(self) -> None:
        """Send nothing more, and do not try again what is being sent."""
        if not self._shut:
            self._shut = True
            self._exporter.shutdown()

    def _went(self) -> None:
        if self._lost:
            _log.info("tracing.collector_back", spans_lost=self._lost)
        self._lost, self._tell_at = 0, 0.0

    def _failed(self, count: int) -> None:
        self._lost += count
        now = self._elapsed()
        if now >= self._tell_at:
            self._tell_at = now + _TELL_EVERY
            _log.warning("tracing.collector_away", spans_lost=self._lost, reason=_REASON.text)


@lru_cache(maxsize=1024)
def _shown(name: str, value: str) -> str:
    """The value as the log would show it, and not too long; most come again and again."""
    # The SDK would cut it as well, and warn each time.
    return str(redact(value, name))[:_LONGEST_VALUE]


def _named(traceparent: str) -> trace.SpanContext:
    _, trace_id, span_id, flags = traceparent.split("-")
    return trace.SpanContext(
        int(trace_id, 16),
        int(span_id, 16),
        is_remote=True,
        trace_flags=trace.TraceFlags(int(flags, 16) & _SAMPLED),
    )


def _inside(parent: str | None) -> Context:
    """The context of a child of `parent`, or of what begins a trace."""
    # Never the current one: nothing here is traced by where it is called from.
    context = Context()
    if parent is None:
        return context
    return trace.set_span_in_context(trace.NonRecordingSpan(_named(parent)), context)
