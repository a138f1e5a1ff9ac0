"""A collector: takes OTLP over HTTP on loopback, and decodes what it was sent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2


@dataclass(frozen=True)
class Received:
    """One span as the collector reads it; ids are lower-case hex, `parent` is empty for a root."""

    name: str
    kind: str
    trace: str
    id: str
    parent: str
    links: list[tuple[str, str]]
    attributes: dict[str, str | int | bool]
    failed: bool
    nanoseconds: int

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace}-{self.id}-01"


@dataclass
class Collector:
    """Answers `status`, after `delay` seconds; `requests` are the bodies as they came."""

    status: int = 200
    delay: float = 0.0
    requests: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    resources: list[dict[str, str | int | bool]] = field(default_factory=list)
    spans: list[Received] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def serve(self) -> Iterator[Collector]:
        """Listen until the iterator is closed."""
        server = ThreadingHTTPServer(("127.0.0.1", self.port), _handler(self))
        server.daemon_threads = True
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield self
        server.shutdown()
        thread.join()
        server.server_close()

    def named(self, name: str) -> list[Received]:
        """The spans of one name, in the order in which they began."""
        return [span for span in self.spans if span.name == name]

    def wait(self, condition: Callable[[], object], seconds: float = 20) -> None:
        """Wait until something is true; the test fails when it does not become so."""
        until = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < until, [span.name for span in self.spans]
            time.sleep(0.02)

    def take(self, path: str, headers: dict[str, str], body: bytes) -> None:
        """Decode one request."""
        self.paths.append(path)
        self.headers.append(headers)
        self.requests.append(body)
        message = ExportTraceServiceRequest.FromString(body)
        for group in message.resource_spans:
            self.resources.append(_attributes(group.resource.attributes))
            for scope in group.scope_spans:
                self.spans += [_received(span) for span in scope.spans]


def _handler(collector: Collector) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            time.sleep(collector.delay)
            if collector.status == 200:
                headers = {name.lower(): value for name, value in self.headers.items()}
                collector.take(self.path, headers, body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(collector.status)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def _received(span: trace_pb2.Span) -> Received:
    return Received(
        name=span.name,
        kind=trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        links=[(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
        attributes=_attributes(span.attributes),
        failed=span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
        nanoseconds=span.end_time_unix_nano - span.start_time_unix_nano,
    )


def _attributes(pairs: list[KeyValue]) -> dict[str, str | int | bool]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> str | int | bool:
    kind = value.WhichOneof("value")
    assert kind in {"string_value", "int_value", "bool_value"}, kind
    found: str | int | bool = getattr(value, kind)
    return found
