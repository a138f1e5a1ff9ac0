"""Whether this process is traced, as the settings say, and how long its last spans may take."""

from __future__ import annotations

from app import __version__
from app.domain.trace import Tracer
from app.settings import Settings
from app.worker.identity import identity

#: Seconds that a stop takes for the last spans, whatever is left of the grace time.
_LEAST, _MOST = 1.0, 5.0


def open_tracer(settings: Settings) -> Tracer | None:
    """Where the spans begin of a process that takes events or delivers; None without a collector."""
    if not settings.otlp_endpoint:
        return None
    # OpenTelemetry's SDK costs time and memory, which only those shall pay who use it.
    from app.otlp import OtlpTracer  # noqa: PLC0415  see above

    return OtlpTracer(
        settings.otlp_endpoint,
        fields=settings.otlp_fields,
        ratio=settings.trace_ratio,
        version=__version__,
        instance=identity(),
    )


async def close_tracer(tracer: Tracer | None, left: float) -> None:
    """Send the last spans while `left` seconds of the grace time are left, within bounds."""
    if tracer is not None:
        await tracer.close(min(max(left, _LEAST), _MOST))
