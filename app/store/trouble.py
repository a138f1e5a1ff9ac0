"""What a database refused lately: said in the log, and asked for by whoever judges readiness.

A sender is told only that the store is away; without this, nobody would be told why.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

_log = structlog.get_logger(__name__)
_LATELY_SECONDS = 10.0
_SAY_AGAIN_SECONDS = 10.0
_LONGEST = 300


class Trouble:
    """Remembers when a write was refused, and says each cause in the log once in ten seconds."""

    def __init__(self, elapsed: Callable[[], float] = time.monotonic) -> None:
        self._elapsed = elapsed
        self._refused_at: float | None = None
        self._said: dict[str, float] = {}

    def met(self, error: BaseException, *, writing: bool) -> None:
        """The database refused, or did not answer."""
        now = self._elapsed()
        if writing:
            self._refused_at = now
        cause = _cause(error)
        self._said = {one: at for one, at in self._said.items() if now - at < _SAY_AGAIN_SECONDS}
        if cause not in self._said:
            self._said[cause] = now
            _log.error("store.unavailable", cause=cause, writing=writing)

    def lately(self) -> bool:
        """True when a write was refused within the last ten seconds."""
        return self._refused_at is not None and (
            self._elapsed() - self._refused_at < _LATELY_SECONDS
        )


def _cause(error: BaseException) -> str:
    """The driver's own words: no parameters stand in them, as they do in those of SQLAlchemy."""
    found = getattr(error, "orig", None) or error
    # Where the dialect translates what the driver raised, the driver's own is the cause.
    found = found.__cause__ or found
    return f"{type(found).__name__}: {found}".partition("\n")[0][:_LONGEST]
