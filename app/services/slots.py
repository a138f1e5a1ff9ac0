"""Who gets how many of a worker's free slots: limits first, then fairness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.store.claim import ReadyTarget

_MICROS = 1_000_000
#: Clocks of two workers differ by less.
_MOST_AHEAD = 60 * _MICROS


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a target may start now; `tokens` is None where it has no rate limit.

    A token is a request, and pays for up to `batch` deliveries.
    """

    target_id: str
    most: int
    tokens: float | None
    batch: int = 1

    def left_after(self, count: int) -> float:
        """The tokens that are left when so many deliveries are started."""
        return (self.tokens or 0.0) + (-count // self.batch)


def allowance(target: ReadyTarget, now: int, batch: int = 1) -> Allowance:
    """What the target's own limits allow: free slots, and tokens of a bucket one second deep."""
    free = max(0, target.max_in_flight - target.leased)
    if target.per_second is None:
        return Allowance(target.id, free, None, batch)
    depth = max(1.0, target.per_second)
    if target.refilled_at - now > _MOST_AHEAD:
        # The clock was set back: the target must not wait until it is that late again.
        return Allowance(target.id, min(free, int(depth) * batch), depth, batch)
    passed = max(0, now - target.refilled_at) / _MICROS
    tokens = min(depth, target.tokens + passed * target.per_second)
    return Allowance(target.id, min(free, int(tokens) * batch), tokens, batch)


def share(allowances: Sequence[Allowance], free: int) -> list[tuple[str, int]]:
    """Divide `free` slots: nobody gets more than it may use, and nobody waits for another's backlog.

    The modest ones are served in full; what they leave is shared equally by the rest.
    """
    shares: list[tuple[str, int]] = []
    waiting = sorted((one for one in allowances if one.most > 0), key=lambda one: one.most)
    for position, one in enumerate(waiting):
        remaining = len(waiting) - position
        granted = min(one.most, -(-free // remaining))
        if granted:
            shares.append((one.target_id, granted))
        free -= granted
    return shares
