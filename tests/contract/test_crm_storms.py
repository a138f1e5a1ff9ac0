"""Storms of events against the stand-ins of four CRMs: repeats, moves, lost answers, gone contacts.

Whatever comes, in whatever order: one contact per person, with the latest address and plan, nobody
resubscribed or asked again, and nothing erased that others wrote.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.connectors.activecampaign import ActiveCampaign
from app.connectors.brevo import Brevo
from app.connectors.fluentcrm import FluentCrm
from app.connectors.mailchimp import Mailchimp
from app.domain.model import Plan
from app.domain.outcome import OutcomeKind
from tests.contract.contacts import answering
from tests.contract.driving import play_by
from tests.contract.events import ADA, PAID, PRO, assignment, bound, event
from tests.fakes.activecampaign import FakeActiveCampaign
from tests.fakes.brevo import FakeBrevo
from tests.fakes.fluentcrm import FakeFluentCrm
from tests.fakes.mailchimp import LIFECYCLE, STANDARD, FakeMailchimp

CANCELLED, FAILED = 5, 6
TAGS = {"cancelled_tag": CANCELLED, "payment_failed_tag": FAILED}
PEOPLE = ("ada", "eve")


@dataclass
class Person:
    """What a contact should look like, or does."""

    email: str
    plan: str | None = None
    markers: frozenset[Any] = frozenset()
    unsubscribed: bool = False
    foreign: str | None = None


@dataclass
class World:
    """A connector, its stand-in, and how to look into it."""

    fake: Any
    connector: Any
    seed: Callable[[Person], Any]
    people: Callable[[], list[Person]]
    #: A person who wants no mail keeps the old address where a new one would mean consent.
    keeps_address: bool = False
    markers: dict[int, Any] = field(default_factory=lambda: {CANCELLED: CANCELLED, FAILED: FAILED})


def fluentcrm() -> World:
    fake = FakeFluentCrm()
    account = {"username": "relay", "application_password": "abcd efgh ijkl"}
    connector = bound(
        FluentCrm, base_url="https://s.example", new_status="subscribed", **account, **TAGS
    )

    def seed(person: Person) -> None:
        status = "unsubscribed" if person.unsubscribed else "subscribed"
        fake.add(person.email, status, custom_values={"theirs": person.foreign})

    def people() -> list[Person]:
        assert fake.mails == fake.invalid == []
        return [
            Person(
                one["email"],
                one["custom_values"].get("plan"),
                frozenset(one["tags"]),
                one["status"] == "unsubscribed",
                one["custom_values"].get("theirs"),
            )
            for one in fake.contacts.values()
        ]

    return World(fake, connector, seed, people)


def mailchimp() -> World:
    fake = FakeMailchimp(merge_fields=STANDARD | LIFECYCLE | {"THEIRS"})
    settings = {"api_key": "0123456789abcdef-us6", "list_id": "57afe96172"}
    connector = bound(Mailchimp, status_if_new="subscribed", **settings)

    def seed(person: Person) -> None:
        status = "unsubscribed" if person.unsubscribed else "subscribed"
        fake.add(person.email, status, merge_fields={"THEIRS": person.foreign})

    def people() -> list[Person]:
        assert fake.mails == fake.invalid == []
        return [
            Person(
                one["email"],
                one["merge_fields"].get("PLAN"),
                frozenset(one["tags"]),
                one["status"] == "unsubscribed",
                one["merge_fields"].get("THEIRS"),
            )
            for one in fake.members.values()
        ]

    names = {CANCELLED: "Cancelled", FAILED: "Payment failed"}
    return World(fake, connector, seed, people, markers=names)


def brevo() -> World:
    fake = FakeBrevo()
    connector = bound(
        Brevo,
        api_key="xkeysib-correct",
        new_lists=(2,),
        cancelled_list=CANCELLED,
        payment_failed_list=FAILED,
    )

    def seed(person: Person) -> None:
        left = [2] if person.unsubscribed else []
        fake.add(
            person.email,
            emailBlacklisted=person.unsubscribed,
            listUnsubscribed=left,
            attributes={"THEIRS": person.foreign},
        )

    def people() -> list[Person]:
        assert fake.invalid == []
        return [
            Person(
                one["email"],
                one["attributes"].get("PLAN"),
                frozenset(one["listIds"]) - {2},
                one["emailBlacklisted"] and one["listUnsubscribed"] == [2],
                one["attributes"].get("THEIRS"),
            )
            for one in fake.contacts.values()
        ]

    return World(fake, connector, seed, people, keeps_address=True)


def activecampaign() -> World:
    fake = FakeActiveCampaign()
    connector = bound(
        ActiveCampaign,
        base_url="https://ac.example",
        api_key="ac-correct",
        subscribe_to_list=2,
        **TAGS,
    )

    def seed(person: Person) -> None:
        lists = {"2": 2 if person.unsubscribed else 1}
        fake.add(person.email, lists=lists, fields={"THEIRS": person.foreign})

    def people() -> list[Person]:
        assert fake.invalid == []
        return [
            Person(
                one["email"],
                one["fields"].get("PLAN"),
                frozenset(int(tag) for tag in fake.tags_of(identifier)),
                one["lists"].get("2") == 2,
                one["fields"].get("THEIRS"),
            )
            for identifier, one in fake.contacts.items()
        ]

    return World(fake, connector, seed, people)


def customer(who: str, email: str):
    return replace(ADA, id=who, email=email, first_name=who, name=None)


def sign_up(who, person):
    return event("customer_post_create", customer=customer(who, person.email))


def moves(who, person):
    return event("customer_post_update", customer=customer(who, person.email))


def pays(who, person):
    plan = replace(PRO, plan=Plan(name=person.plan))
    known = customer(who, person.email)
    return event("payment_received", customer=known, membership=plan, payment=PAID)


def fails(who, person):
    return event("payment_failed", customer=customer(who, person.email))


def leaves(who, person):
    lost = replace(PRO, status="cancelled", plan=Plan(name=person.plan))
    return event(
        "membership_status_to_cancelled",
        customer=customer(who, person.email) if person.unsubscribed else None,
        membership=lost,
    )


def tries(who, person):
    trial = replace(PAID, total=Decimal(0))
    return event("payment_received", customer=customer(who, person.email), payment=trial)


@dataclass
class Storm:
    """Delivers as the engine does: in order for each person, again until it is done."""

    world: World
    remembered: dict[str, str] = field(default_factory=dict)
    expected: dict[str, Person] = field(default_factory=dict)

    def deliver(self, who: str, of: Any, lost: frozenset[int]) -> None:
        for attempt in range(3):
            flow = self.world.connector.deliver(
                assignment(of, remembered_id=self.remembered.get(who), attempt=attempt + 1)
            )
            # Another answer is lost the second time, and none after that.
            losing = {position - attempt for position in lost} if attempt < 2 else set()
            outcome = play_by(flow, answering(self.world.fake, losing)).outcome
            if outcome.external_id:
                self.remembered[who] = outcome.external_id
            elif outcome.forget_id:
                self.remembered.pop(who, None)
            if outcome.kind is not OutcomeKind.RETRY:
                break
        assert outcome.kind is OutcomeKind.DELIVERED, outcome


def happen(storm: Storm, who: str, what: str, number: int, lost: frozenset[int]) -> None:
    person, markers = storm.expected[who], storm.world.markers
    if what == "moves":
        person.email = f"{who}{number % 3}@example.com"
        storm.deliver(who, moves(who, person), lost)
    elif what == "pays":
        person.plan, person.markers = f"Plan {number}", frozenset()
        storm.deliver(who, pays(who, person), lost)
        storm.deliver(who, pays(who, person), frozenset())
    elif what == "fails":
        person.markers |= {markers[FAILED]}
        storm.deliver(who, fails(who, person), lost)
    elif what == "leaves":
        person.plan = person.plan or "Basic"
        person.markers |= {markers[CANCELLED]}
        storm.deliver(who, leaves(who, person), lost)
    else:
        storm.deliver(who, tries(who, person), lost)


LOST_ANSWERS = st.frozensets(st.integers(0, 3), max_size=2)
STEPS = st.tuples(
    st.sampled_from(PEOPLE),
    st.sampled_from(["moves", "pays", "fails", "leaves", "tries"]),
    st.integers(0, 9),
    LOST_ANSWERS,
)


@pytest.mark.parametrize("make", [fluentcrm, mailchimp, brevo, activecampaign])
@given(
    known=st.dictionaries(st.sampled_from(PEOPLE), st.booleans()),
    first=LOST_ANSWERS,
    steps=st.lists(STEPS, max_size=8),
)
def test_every_person_ends_as_one_contact_with_what_came_last(make, known, first, steps):
    storm = Storm(make())
    for who in PEOPLE:
        person = Person(f"{who}@example.com", unsubscribed=known.get(who, False))
        if who in known:
            person.foreign = f"{who}'s"
            storm.world.seed(person)
        storm.expected[who] = person
        storm.deliver(who, sign_up(who, person), first)
    for step in steps:
        happen(storm, *step)
    if storm.world.keeps_address:
        for who, person in storm.expected.items():
            if person.unsubscribed:
                person.email = f"{who}@example.com"
    by_address = {person.email: person for person in storm.world.people()}
    assert by_address == {person.email: person for person in storm.expected.values()}
    assert len(storm.world.people()) == len(PEOPLE)
