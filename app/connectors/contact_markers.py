"""Tags and lists that tell how a customer stands: which to put on a contact, which to take off.

A lost membership and a failed payment each have a marker, and plans may have one each.
A completed payment takes the first two off again: somebody who pays has neither left nor failed.
What the relay did not put there is never taken off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Generic, TypeVar

from pydantic import Field

from app.connectors.lifecycle import Happening, happening, settled_since, why_no_sale
from app.domain.model import Event, Plan

#: A tag or list in settings, for destinations that know it by a number.
MarkerId = Annotated[int, Field(gt=0, le=2**31 - 1)]
#: What the destination knows a tag or list by: a number or a name.
MarkerT = TypeVar("MarkerT", int, str)

_RUNNING = frozenset({"active", "trialing"})
_RESUMED = "membership_status_to_active"


@dataclass(frozen=True, slots=True)
class MarkerChanges(Generic[MarkerT]):
    """What to put on a contact and what to take off; no marker stands in both."""

    add: tuple[MarkerT, ...] = ()
    remove: tuple[MarkerT, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.add or self.remove)


@dataclass(frozen=True, slots=True)
class Markers(Generic[MarkerT]):
    """The markers of one target; `plans` goes by a plan's slug, id or name."""

    cancelled: MarkerT | None = None
    payment_failed: MarkerT | None = None
    plans: Mapping[str, MarkerT] = field(default_factory=dict)

    def changes(self, event: Event) -> MarkerChanges[MarkerT]:
        """What the event changes.

        A person may hold several memberships, and an event tells of one: a plan's marker goes
        when a membership of that plan is lost or moves to another plan.
        """
        told = happening(event.type)
        add: list[MarkerT | None] = []
        remove: list[MarkerT | None] = []
        # What comes late leaves the markers as what happened since has put them.
        paid_since = settled_since(event, Happening.SALE)
        lost_since = settled_since(event, Happening.CHURN)
        sold = told is Happening.SALE and why_no_sale(event) is None
        if told is Happening.CHURN and not _resumed_since(event):
            add.append(self.cancelled)
        if told is Happening.PAYMENT_FAILURE and not paid_since:
            add.append(self.payment_failed)
        if sold and not settled_since(event, Happening.PAYMENT_FAILURE):
            remove.append(self.payment_failed)
        if (sold or event.type == _RESUMED) and not lost_since:
            remove.append(self.cancelled)
        self._of_plans(event, add, remove)
        added = _each_once(add)
        return MarkerChanges(added, tuple(m for m in _each_once(remove) if m not in added))

    def _of_plans(
        self, event: Event, add: list[MarkerT | None], remove: list[MarkerT | None]
    ) -> None:
        membership = event.membership
        if membership is None or not self.plans:
            return
        if happening(event.type) is Happening.CHURN and not _resumed_since(event):
            remove.append(self._of(membership.plan))
        elif membership.status in _RUNNING:
            add.append(self._of(membership.plan))
            remove.append(self._of(membership.previous_plan))

    def _of(self, plan: Plan | None) -> MarkerT | None:
        for name in (plan.slug, plan.id, plan.name) if plan else ():
            if name and name in self.plans:
                return self.plans[name]
        return None


def _resumed_since(event: Event) -> bool:
    return settled_since(event, Happening.SALE) or _RESUMED in event.since


def _each_once(markers: list[MarkerT | None]) -> tuple[MarkerT, ...]:
    return tuple(dict.fromkeys(marker for marker in markers if marker is not None))
