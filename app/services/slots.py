"""Who gets how many of a worker's free slots: limits first, then fairness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.store.claim import ReadyTarget

_MICROS = 1_000_000
#: Clocks of two workers differ by less.
_MOST_AHEAD = 60 * _MICROS
#: Where tokens come in faster, several are waited for.
_LEAST_WAIT = _MICROS // 20


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a target may start now; `tokens` is None where it has no rate limit.

    A token is a request, and pays for up to `batch` deliveries.
    """

    target_id: str
    most: int
    tokens: float | None
    batch: int = 1

    def requests(self, count: int) -> int:
        """How many requests so many deliveries are at the least."""
        return -(-count // self.batch)

    def left_after(self, count: int) -> float:
        """The tokens that are left when so many deliveries are started."""
        return (self.tokens or 0.0) - self.requests(count)


@dataclass(frozen=True, slots=True)
class Spending:
    """What a claim takes out of the rate buckets.

    `left` is the new state of each (target, tokens, moment), `paid` how many requests were counted.
    `next_token` is when a bucket that is empty has one again, None when none is.
    """

    left: Sequence[tuple[str, float, int]]
    paid: Mapping[str, int]
    next_token: int | None


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
    return Allowance(target.id, min(free, int(max(0.0, tokens)) * batch), tokens, batch)


def share(allowances: Sequence[Allowance], free: int) -> list[tuple[str, int]]:
    """Divide `free` slots: nobody gets more than it may use, and nobody waits for another's backlog.

    A slot is a request, and holds up to a batch; the answer says how many deliveries that is.
    The modest ones are served in full; what they leave is shared equally by the rest.
    """
    shares: list[tuple[str, int]] = []
    waiting = [(one.requests(one.most), one) for one in allowances if one.most > 0]
    waiting.sort(key=lambda wanted: wanted[0])
    for position, (wanted, one) in enumerate(waiting):
        remaining = len(waiting) - position
        granted = min(wanted, -(-free // remaining))
        if granted:
            shares.append((one.target_id, min(one.most, granted * one.batch)))
        free -= granted
    return shares


def spending(
    ready: Sequence[ReadyTarget],
    allowances: Sequence[Allowance],
    counts: Mapping[str, int],
    now: int,
) -> Spending:
    """The price of starting `counts` deliveries of each target; its allowance stands beside it."""
    left: list[tuple[str, float, int]] = []
    paid: dict[str, int] = {}
    moments: list[int] = []
    for target, one in zip(ready, allowances, strict=True):
        if target.per_second is None:
            continue
        count = counts.get(target.id, 0)
        paid[target.id] = one.requests(count)
        tokens = one.left_after(count)
        left.append((target.id, tokens, now))
        if tokens < 1:
            wait = int((1 - tokens) / target.per_second * _MICROS) + 1
            moments.append(now + max(wait, _LEAST_WAIT))
    return Spending(left, paid, min(moments, default=None))
