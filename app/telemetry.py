"""What the relay says about itself: structured logs without secrets, and Prometheus metrics."""

from __future__ import annotations

import logging
import math
import re
import sys
from bisect import bisect_left
from collections.abc import Iterator, MutableMapping
from itertools import accumulate
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

_SECRET_NAMES = re.compile(
    r"token|secret|password|authorization|signature|referer|cookie|api_?key|verification_link|payment_url|invoice_url",
    re.IGNORECASE,
)
_SECRET_VALUES = re.compile(
    r"(?i)(whsec_|rk_)[A-Za-z0-9_+/=-]{8,}|((?:token|api_secret|access_token|key|password)=)[^&\s\"']+"
    r"|(bearer\s+|basic\s+)[A-Za-z0-9._~+/=-]+|(://)[^/\s:@]+:[^/\s@]+@"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x1b]")
_LONGEST = 2_000


def redact(value: Any, name: str = "") -> Any:
    """The value as it may be logged: secrets masked, control characters out, length capped."""
    if _SECRET_NAMES.search(name):
        return "***"
    if isinstance(value, str):
        text = _SECRET_VALUES.sub(
            lambda m: (m.group(1) or m.group(2) or m.group(3) or m.group(4) or "") + "***", value
        )
        text = _CONTROL.sub("�", text)
        if len(text) <= _LONGEST:
            return text
        # A traceback says what happened in its last lines.
        return "…" + text[-_LONGEST:] if name == "exception" else text[:_LONGEST] + "…"
    if isinstance(value, dict):
        return {key: redact(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact(item) for item in value]
    return value


def _redact_event(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    return {name: redact(value, name) for name, value in event.items()}


def configure_logging(level: str, form: str) -> None:
    """Send structlog and the standard library's loggers to standard error, in one form."""
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            *shared,
            structlog.processors.format_exc_info,
            _redact_event,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _redact_event,
                renderer,
            ],
            foreign_pre_chain=[*shared, structlog.processors.format_exc_info],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING if level != "debug" else logging.INFO)


class Metrics:
    """The counters of one process. Labels are names an operator chose, never a sender's text."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.events = Counter(
            "relay_events_total",
            "Events accepted, by source and whether they were repeats.",
            ["source", "duplicate"],
            registry=self.registry,
        )
        self.refusals = Counter(
            "relay_refusals_total",
            "Requests refused at the door, by problem.",
            ["problem"],
            registry=self.registry,
        )
        self._attempts = _Attempts()
        self.registry.register(self._attempts)
        # Looking a series up by its labels is dearer than to count.
        self._accepted: dict[tuple[str, bool], Counter] = {}
        self.in_flight = Gauge(
            "relay_deliveries_in_flight",
            "Deliveries this process holds.",
            registry=self.registry,
        )

    def accepted(self, source: str, duplicate: bool) -> None:  # noqa: FBT001  the door's own words
        """Count an event of `source`."""
        counter = self._accepted.get((source, duplicate))
        if counter is None:
            counter = self.events.labels(source, str(duplicate).lower())
            self._accepted[source, duplicate] = counter
        counter.inc()

    def attempted(self, target: str, outcome: str, seconds: float) -> None:
        """Count an attempt at `target`, and how long it took."""
        self._attempts.add(target, outcome, seconds)

    def text(self) -> bytes:
        """The exposition text Prometheus reads."""
        return generate_latest(self.registry)


class _Attempts(Collector):
    """Attempts by target and outcome, and how long they took: plain numbers until somebody reads them.

    The library's own counters take a lock for each of the three they move at every attempt.
    """

    _BOUNDS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, math.inf)

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}
        # Of each target: how many ended within each bound and not the one before, and their seconds.
        self._times: dict[str, tuple[list[int], list[float]]] = {}

    def add(self, target: str, outcome: str, seconds: float) -> None:
        key = (target, outcome)
        self._counts[key] = self._counts.get(key, 0) + 1
        times = self._times.get(target)
        if times is None:
            times = self._times[target] = ([0] * len(self._BOUNDS), [0.0])
        ended, total = times
        ended[bisect_left(self._BOUNDS, seconds)] += 1
        total[0] += seconds

    def collect(self) -> Iterator[Metric]:
        attempts = CounterMetricFamily(
            "relay_attempts", "Attempts, by target and outcome.", labels=["target", "outcome"]
        )
        for labels, count in self._counts.items():
            attempts.add_metric(labels, count)
        yield attempts
        seconds = HistogramMetricFamily(
            "relay_attempt_seconds", "How long attempts took.", labels=["target"]
        )
        names = [str(bound) if bound < math.inf else "+Inf" for bound in self._BOUNDS]
        for target, (ended, total) in self._times.items():
            buckets = list(zip(names, accumulate(ended), strict=True))
            seconds.add_metric([target], buckets, total[0])
        yield seconds
