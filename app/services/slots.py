"""Who gets how many of a worker's free slots: limits first, then fairness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from app.store.claim import ReadyTarget

_MICROS = 1_000_000
#: Clocks of two workers differ by less.
_MOST_AHEAD = 60 * _MICROS
#: Where tokens come in faster, several are waited for.
_LEAST_WAIT = _MICROS // 20
#: The deliveries of a target under way while it does nothing but fail, over all workers.
TRIAL = 4
#: How many times as many slots as stay free one target may hold: nine tenths, if it is alone.
_GREED = 9
_NOTHING: Mapping[str, int] = {}


class Allowance(NamedTuple):
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
    """What the target's own limits allow: free slots, and tokens of a bucket one second deep.

    A target that does nothing but fail is tried with a few, until one succeeds.
    """
    most = min(target.max_in_flight, TRIAL) if target.failing else target.max_in_flight
    free = max(0, most - target.leased)
    if target.per_second is None:
        return Allowance(target.id, free, None, batch)
    depth = max(1.0, target.per_second)
    if target.refilled_at - now > _MOST_AHEAD:
        # The clock was set back: the target must not wait until it is that late again.
        return Allowance(target.id, min(free, int(depth) * batch), depth, batch)
    passed = max(0, now - target.refilled_at) / _MICROS
    tokens = min(depth, target.tokens + passed * target.per_second)
    return Allowance(target.id, min(free, int(max(0.0, tokens)) * batch), tokens, batch)


def share(
    allowances: Sequence[Allowance], free: int, held: Mapping[str, int] = _NOTHING
) -> list[tuple[str, int]]:
    """Divide `free` slots: nobody gets more than it may use, and nobody waits for another's backlog.

    A slot is a request, and holds up to a batch; the answer says how many deliveries that is.
    The modest ones are served in full; what they leave is shared equally by the rest.
    Some stay free for those who come later, and whoever holds many already (`held`) leaves them
    alone: slow targets, however many, never hold all.
    """
    shares: list[tuple[str, int]] = []
    waiting = [(one.requests(one.most), one) for one in allowances if one.most > 0]
    waiting.sort(key=lambda wanted: wanted[0])
    left = _decent(free, 0)
    for position, (wanted, one) in enumerate(waiting):
        remaining = len(waiting) - position
        granted = min(wanted, -(-left // remaining), _decent(free, held.get(one.target_id, 0)))
        if granted > 0:
            shares.append((one.target_id, min(one.most, granted * one.batch)))
            left -= granted
    return shares


def _decent(free: int, held: int) -> int:
    """How many of the `free` slots may be taken by somebody who holds so many."""
    most = (_GREED * free - held) // (_GREED + 1)
    return most if held else max(most, min(free, 1))


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
