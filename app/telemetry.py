"""What the relay says about itself: structured logs without secrets, and Prometheus metrics."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

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
        self.attempts = Counter(
            "relay_attempts_total",
            "Attempts, by target and outcome.",
            ["target", "outcome"],
            registry=self.registry,
        )
        self.attempt_seconds = Histogram(
            "relay_attempt_seconds",
            "How long attempts took.",
            ["target"],
            buckets=(0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
            registry=self.registry,
        )
        # Looking a series up by its labels is dearer than to count.
        self._accepted: dict[tuple[str, bool], Counter] = {}
        self._attempted: dict[tuple[str, str], tuple[Counter, Histogram]] = {}
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
        found = self._attempted.get((target, outcome))
        if found is None:
            found = self.attempts.labels(target, outcome), self.attempt_seconds.labels(target)
            self._attempted[target, outcome] = found
        count, duration = found
        count.inc()
        duration.observe(seconds)

    def text(self) -> bytes:
        """The exposition text Prometheus reads."""
        return generate_latest(self.registry)
