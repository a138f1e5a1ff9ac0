"""A worker's claims: how many deliveries of which targets, and what came of a claim that failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from app.domain.clock import Clock, to_micros
from app.services.configuration import BoundTarget, ConfigurationCache
from app.services.holdings import CLAIM_BYTES, Holdings
from app.services.slots import Allowance, allowance, share, spending
from app.store import claim, taking
from app.store.claim import ClaimedDelivery, ReadyTarget
from app.store.database import Database, WriteConnection
from app.store.taking import Lease

_WIDEST = 1 << 20


class Taken(NamedTuple):
    """What was leased, when there may be more, and the requests that were paid for.

    `more` is true when the size of the bodies, not the number of slots or deliveries, was the end.
    """

    deliveries: Sequence[ClaimedDelivery]
    next_due: int | None
    paid: Mapping[str, int]
    more: bool = False


class Claiming:
    """Leases due deliveries for one worker, fairly over the targets."""

    def __init__(
        self,
        database: Database,
        configuration: ConfigurationCache,
        clock: Clock,
        *,
        owner: str,
        lease_micros: int,
    ) -> None:
        self._database = database
        self._configuration = configuration
        self._clock = clock
        self._owner = owner
        self._lease = lease_micros
        # Leased by a claim that then failed: nobody sends them.
        self._unsendable: list[ClaimedDelivery] = []
        # How many deliveries are asked for where the last bodies were large: what is leased beyond
        # the budget of bytes is only given back.
        self._width = _WIDEST
        #: The targets that had done nothing but fail when they were last claimed from.
        self.failing: frozenset[str] = frozenset()

    async def take(self, free: int, held: Holdings) -> Taken:
        """Lease up to `free` due deliveries, beside what is `held`. Raises StoreUnavailable."""
        await self._put_back()
        return await self._database.write_briefly(
            lambda c: self._take(c, free, held), durable=False
        )

    def abandon(self, taken: Taken) -> None:
        """What was taken cannot be sent: the next claim puts it back."""
        self._unsendable += taken.deliveries

    async def _put_back(self) -> None:
        """Their lease would hold them back, and be taken for a worker that was lost."""
        if self._unsendable:
            lost = [(one.id, one.fence) for one in self._unsendable]
            await self._database.write(lambda c: claim.put_back(c, lost))
            self._unsendable.clear()

    def _take(self, connection: WriteConnection, free: int, held: Holdings) -> Taken:
        now = to_micros(self._clock())
        ready = claim.ready_targets(connection, now)
        known = self._configuration
        if ready and (ready[0].version != known.current.version or known.stale(now)):
            known.load_if_moved(connection)
        bound = known.current.targets
        # One that cannot be used here is left to a worker that can.
        ready = [one for one in ready if one.id in bound]
        allowances = [_allowance(one, bound[one.id], now, held) for one in ready]
        slots = share(allowances, min(free, self._width), held.requests)
        budget = max(1, min(CLAIM_BYTES, held.free_bytes // 2))
        found = self._leased(connection, ready, slots, now, budget) if slots else taking.Taken([])
        taken = found.deliveries
        self.failing = frozenset(one.id for one in ready if one.failing)
        spent = spending(ready, allowances, Counter(one.target_id for one in taken), now)
        if taken:
            claim.spend_tokens(connection, spent.left)
            more = self._widen(len(taken), free, cut=found.cut)
            return Taken(taken, spent.next_token, spent.paid, more)
        moments = [spent.next_token, claim.next_due(connection, now)]
        return Taken([], min((one for one in moments if one is not None), default=None), {})

    def _leased(
        self,
        connection: WriteConnection,
        ready: Sequence[ReadyTarget],
        slots: Sequence[tuple[str, int]],
        now: int,
        budget: int,
    ) -> taking.Taken:
        lease = Lease(now, now + self._lease, self._owner)
        crowded = {one.id for one in ready if one.crowded}
        return taking.take(connection, slots, lease, budget=budget, crowded=crowded)

    def _widen(self, count: int, free: int, *, cut: bool) -> bool:
        """Fit the next claim to the bodies of this one; answers whether there may be more."""
        narrow = self._width < free
        self._width = 2 * count if cut else min(_WIDEST, 2 * self._width)
        return cut or narrow


def _allowance(target: ReadyTarget, bound: BoundTarget, now: int, held: Holdings) -> Allowance:
    found = allowance(target, now, bound.connector.limits.batch_size)
    return found._replace(most=0) if held.too_large(target.id) else found
