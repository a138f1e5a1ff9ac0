"""How fast a source may send: a bucket of tokens in the memory of this process."""

from __future__ import annotations

import math
from collections.abc import Mapping

from app.domain.errors import TooManyRequests

#: Requests that may come at once, however low the rate: one checkout is several events.
_LEAST_BURST = 10


class Pace:
    """So many requests per second, and the burst that may come at once.

    Each process has its own: with four processes a source may send four times as fast.
    A count that all share would be a write for every refusal, which is what this is to spare.
    """

    __slots__ = ("_at", "_burst", "_tokens", "per_second")

    def __init__(self, per_second: float) -> None:
        self.per_second = per_second
        self._burst = max(per_second, _LEAST_BURST)
        self._tokens = self._burst
        self._at = 0.0

    def take(self, now: float) -> None:
        """Count a request at `now`, in seconds. Raises TooManyRequests when there are too many."""
        # A clock that was set back gives nothing, and takes nothing away.
        gained = max(0.0, now - self._at) * self.per_second
        self._tokens = min(self._burst, self._tokens + gained)
        self._at = now
        if self._tokens < 1:
            wait = math.ceil((1 - self._tokens) / self.per_second)
            raise TooManyRequests(
                f"This source may send {self.per_second:g} requests per second; nothing of this one"
                f" was kept. Send it again in {wait} s.",
                headers=self._headers(wait),
            )
        self._tokens -= 1

    def _headers(self, wait: int) -> Mapping[str, str]:
        # The second pair as in draft-ietf-httpapi-ratelimit-headers.
        window = math.ceil(self._burst / self.per_second)
        return {
            "Retry-After": str(wait),
            "RateLimit-Policy": f'"source";q={math.floor(self._burst)};w={window}',
            "RateLimit": f'"source";r=0;t={wait}',
        }


class Paces:
    """The pace of each source, which outlives the configuration it was read from."""

    def __init__(self) -> None:
        self._paces: dict[str, Pace] = {}

    def of(self, source_id: str, per_second: float | None) -> Pace | None:
        """The pace of a source, with what it has used up; None for a source without a limit."""
        if per_second is None:
            self._paces.pop(source_id, None)
            return None
        pace = self._paces.get(source_id)
        if pace is None or pace.per_second != per_second:
            pace = self._paces[source_id] = Pace(per_second)
        return pace
