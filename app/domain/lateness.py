"""Events that come late: what they still say, and what newer ones have said since.

A sender that was cut off sends what it kept when it can, and an operator may send something old
again; by then the destination can know what happened after it.
Such an event is still told, as what happened then; but who somebody is and what they have is told
as it stands now, so that an older plan never comes back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace
from typing import TypeVar

from app.domain.model import Customer, Event, Membership

_StateT = TypeVar("_StateT", Customer, Membership)


def up_to_date(event: Event, later: Iterable[Event]) -> Event:
    """The event with the state that `later` ones, newest first, have told since.

    A membership that is lost is not made to look like another one that somebody has besides.
    """
    customer, membership = event.customer, event.membership
    types: set[str] = set()
    #: What of the customer and of the membership is settled by an event that is newer still.
    known_customer, known_membership = None, None
    for one in later:
        types.add(one.type)
        known_customer = _over(known_customer, one.customer)
        if _supersedes(event, one):
            known_membership = _over(known_membership, one.membership)
    if customer is not None:
        customer = _over(known_customer, customer)
    if membership is not None and known_membership is not None:
        plan, status = known_membership.plan, known_membership.status
        membership = replace(
            membership, plan=plan or membership.plan, status=status or membership.status
        )
    return replace(event, customer=customer, membership=membership, since=frozenset(types))


def _supersedes(event: Event, later: Event) -> bool:
    if event.membership is None or later.membership is None:
        return False
    if event.membership.id == later.membership.id:
        return True
    # What somebody has now is the other membership; that this one was lost is told as it was.
    return event.membership.status not in {"cancelled", "expired"}


def _over(newer: _StateT | None, older: _StateT | None) -> _StateT | None:
    """What the newer says, and where it says nothing, what the older says."""
    if newer is None or older is None:
        return newer or older
    said = {one.name: getattr(newer, one.name) for one in fields(newer)}
    return replace(older, **{name: value for name, value in said.items() if value is not None})
