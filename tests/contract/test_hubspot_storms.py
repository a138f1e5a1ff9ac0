"""Storms of events against the stand-in of HubSpot, alone and in batches, with answers lost.

Whatever comes: one contact per person, with the latest address and plan, and nothing erased that
others wrote.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.connectors.hubspot import HubSpot
from app.domain.model import Event, Plan
from app.domain.outcome import Outcome, OutcomeKind
from tests.contract.contacts import answering
from tests.contract.driving import play_by
from tests.contract.events import ADA, PRO, assignment, bound, event
from tests.fakes.hubspot import LIFECYCLE, STANDARD, FakeHubSpot

PEOPLE = ("ada", "bob", "eve")


@dataclass
class Relay:
    """What the engine does with deliveries, as far as it matters here."""

    fake: FakeHubSpot
    connector: Any = field(default_factory=lambda: bound(HubSpot, token="pat-eu1-correct"))
    links: dict[str, str] = field(default_factory=dict)

    def carry_out(self, events: Sequence[Event], lost: frozenset[int]) -> None:
        """One event of each person, together; what failed is tried again, at last one by one."""
        left = list(events)
        for _ in range(4):
            left = self._attempt(left, lost)
            lost = frozenset()
        assert left == []

    def _attempt(self, events: list[Event], lost: frozenset[int]) -> list[Event]:
        given_out = [assignment(of, remembered_id=self.links.get(of.subject)) for of in events]
        if not given_out:
            return []
        if len(given_out) == 1:
            ended: Any = play_by(
                self.connector.deliver(given_out[0]), answering(self.fake, lost)
            ).outcome
        else:
            flow = self.connector.deliver_many(given_out)
            ended = play_by(flow, answering(self.fake, lost)).outcome
        if isinstance(ended, Outcome) and len(events) > 1:
            if ended.kind is OutcomeKind.REJECTED:
                return [of for one in events for of in self._attempt([one], frozenset())]
            ended = [ended] * len(events)
        outcomes = [ended] if isinstance(ended, Outcome) else ended
        return [of for of, end in zip(events, outcomes, strict=True) if self._again(of, end)]

    def _again(self, of: Event, outcome: Outcome) -> bool:
        if outcome.forget_id:
            self.links.pop(of.subject, None)
        if outcome.external_id:
            self.links[of.subject] = outcome.external_id
        assert outcome.kind in {OutcomeKind.DELIVERED, OutcomeKind.RETRY}, outcome
        return outcome.kind is OutcomeKind.RETRY


@dataclass
class Person:
    """How somebody stands at the sender."""

    name: str
    email: str
    plan: str | None = None

    def event(self) -> Event:
        """What the sender says of them now."""
        customer = replace(ADA, id=self.name, email=self.email, first_name=self.name)
        parts: dict[str, Any] = {"customer": customer}
        if self.plan is not None:
            parts["membership"] = replace(PRO, plan=Plan(name=self.plan))
        return event("customer_post_update", subject=self.name, **parts)


_CHANGES = st.tuples(
    st.sampled_from(PEOPLE), st.sampled_from(["repeat", "move", "gone", "merge", "Pro", "Plus"])
)
_ROUNDS = st.lists(
    st.tuples(st.lists(_CHANGES, min_size=1, max_size=3), st.frozensets(st.integers(0, 4))),
    min_size=1,
    max_size=6,
)


@given(st.sets(st.sampled_from(PEOPLE)), _ROUNDS)
def test_every_person_ends_as_one_contact_and_nothing_of_others_is_erased(there, rounds):
    fake = FakeHubSpot(properties=STANDARD | LIFECYCLE | {"phone"})
    people = {name: Person(name, f"{name}0@example.com") for name in PEOPLE}
    for name in there:
        fake.add(email=people[name].email, phone=f"phone of {name}")
    phones = {f"phone of {name}" for name in there}
    relay = Relay(fake)
    told: set[str] = set()
    for number, (changes, lost) in enumerate(rounds):
        for name, change in changes:
            _apply(change, people[name], fake, relay, phones, number)
        affected = list(dict.fromkeys(name for name, _ in changes))
        told |= set(affected)
        relay.carry_out([people[name].event() for name in affected], lost)
    for name in told:
        held = fake.contacts[relay.links[name]]
        assert held["email"] == people[name].email
        assert held.get("plan") == people[name].plan
        assert held["firstname"] == name
    assert len({contact["email"] for contact in fake.contacts.values()}) == len(fake.contacts)
    assert {c["phone"] for c in fake.contacts.values() if "phone" in c} == phones


def _apply(
    change: str, person: Person, fake: FakeHubSpot, relay: Relay, phones: set[str], number: int
) -> None:
    known = relay.links.get(person.name)
    if change in {"Pro", "Plus"}:
        person.plan = change
    elif change == "move" and known in fake.contacts:
        person.email = f"{person.name}{number + 1}@example.com"
    elif change == "gone" and known in fake.contacts:
        phones.discard(fake.contacts.pop(known).get("phone", ""))
        fake.merged = {k: v for k, v in fake.merged.items() if v != known}
    elif change == "merge" and known in fake.contacts:
        other = fake.add(**fake.contacts.pop(known))
        fake.merged |= {known: other, **{k: other for k, v in fake.merged.items() if v == known}}
