"""What an event leaves unsaid that the platform it came from knows.

The built-in webhooks of Ultimate Multisite say neither the day a customer signed up nor what a
membership buys, and an event about a customer alone names no membership at all.
Here stands what to ask for, and how an answer becomes part of the event: only where the sender
said nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from app.domain.model import Customer, Event, Membership, Plan

_NUMBER = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
#: At these moments a customer has no membership yet, or no more.
_WITHOUT_MEMBERSHIP = frozenset(
    {"customer_post_create", "customer_created", "customer_post_delete"}
)


class About(StrEnum):
    """What a question is about; its number is that of the customer, or of the membership."""

    CUSTOMER = "customer"
    MEMBERSHIP = "membership"
    THEIR_MEMBERSHIP = "membership of the customer"


@dataclass(frozen=True, slots=True)
class Question:
    """One question to the platform."""

    about: About
    number: str


#: What the platform has under a question's number, None when there is nothing.
Found = Customer | Membership | None


def questions(event: Event, *, plan: bool) -> Iterator[Question]:
    """What to ask so that the event says when its customer signed up and, with `plan`, what for."""
    customer, membership = event.customer, event.membership
    number = _number(customer.id) if customer else None
    if customer is not None and customer.signup_date is None and number:
        yield Question(About.CUSTOMER, number)
    if not plan:
        return
    if membership is not None:
        named = membership.plan is not None and membership.plan.name is not None
        if not named and (held := _number(membership.id)):
            yield Question(About.MEMBERSHIP, held)
    elif number and event.type not in _WITHOUT_MEMBERSHIP:
        yield Question(About.THEIR_MEMBERSHIP, number)


def filled(event: Event, answers: Mapping[Question, Found]) -> Event:
    """The event with what was found, where it said nothing itself."""
    for question, found in answers.items():
        if isinstance(found, Customer):
            event = _with_signup_date(event, found)
        elif isinstance(found, Membership) and question.about is About.MEMBERSHIP:
            event = _with_plan(event, found.plan)
        elif isinstance(found, Membership):
            event = _with_membership(event, found)
    return event


def in_words(question: Question, found: Found) -> str:
    """What was found, in a sentence for the operator."""
    if isinstance(found, Customer) and found.signup_date:
        return f"The customer signed up on {found.signup_date.date().isoformat()}."
    if isinstance(found, Membership) and found.plan and found.plan.name:
        return f"The plan is {found.plan.name!r}."
    if found is not None:
        return f"The {question.about} is there, but does not say what was asked for."
    if question.about is About.THEIR_MEMBERSHIP:
        return "The customer has no running membership, or several."
    return f"There is no {question.about} with this number."


def _number(text: str | None) -> str | None:
    return text if text and _NUMBER.fullmatch(text) else None


def _with_signup_date(event: Event, found: Customer) -> Event:
    customer = event.customer
    if customer is None or customer.signup_date is not None:
        return event
    return replace(event, customer=replace(customer, signup_date=found.signup_date))


def _with_plan(event: Event, found: Plan | None) -> Event:
    membership = event.membership
    if membership is None or found is None:
        return event
    told = membership.plan
    if told is None:
        return replace(event, membership=replace(membership, plan=found))
    if told.id is not None and told.id != found.id:
        # The sender speaks of another plan than the membership has by now.
        return event
    plan = Plan(
        id=told.id or found.id,
        slug=told.slug or found.slug,
        name=told.name or found.name,
        price=found.price if told.price is None else told.price,
    )
    return replace(event, membership=replace(membership, plan=plan))


def _with_membership(event: Event, found: Membership) -> Event:
    """The plan of a customer's one membership; its status is no news of this event."""
    if event.membership is not None or found.plan is None:
        return event
    held = Membership(id=found.id, customer_id=found.customer_id, plan=found.plan)
    return replace(event, membership=held)
