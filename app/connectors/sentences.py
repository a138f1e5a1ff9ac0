"""A lifecycle event as one sentence in plain words, for people who read a channel.

What a customer typed (a name, a title) goes through `quoted`, which takes away whatever a chat
would read as markup.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.connectors.analytics_steps import is_renewal
from app.connectors.lifecycle import (
    Happening,
    Money,
    customer_id,
    happening,
    paid,
    paid_back,
    why_no_refund,
    why_no_sale,
)
from app.connectors.wording import presentable
from app.domain.model import Event, Plan

#: Takes the markup out of a text.
Quoted = Callable[[str], str]

_LONGEST_PART = 120
_LONGEST_REASON = 300
_STATUS_PREFIX = "membership_status_to_"


@dataclass(frozen=True, slots=True)
class Words:
    """The parts that sentences are made of."""

    event: Event
    quoted: Quoted

    def text(self, text: str | None, longest: int = _LONGEST_PART) -> str:
        """A text of the sender's, in one line; empty when there is none."""
        return self.quoted(presentable(text, longest=longest)) if text else ""

    @property
    def who(self) -> str:
        """The customer by name, else by address, else by id."""
        customer = self.event.customer
        if customer is not None:
            full = " ".join(filter(None, (customer.first_name, customer.last_name)))
            named = self.text(customer.name or full or customer.email)
            if named:
                return named
        known = customer_id(self.event)
        return f"Customer {self.text(known)}" if known else "Somebody"

    def plan(self, plan: Plan | None = None) -> str:
        """The plan by name, "a plan" when it is not known."""
        membership = self.event.membership
        plan = plan or (membership.plan if membership else None)
        return self.text(plan.name or plan.slug if plan else None) or "a plan"

    def data(self, name: str, longest: int = _LONGEST_PART) -> str:
        """A text of the event's data."""
        value = self.event.data.get(name)
        return self.text(value, longest) if isinstance(value, str) else ""


def sentence_of(event: Event, quoted: Quoted) -> str | None:
    """What happened, in one sentence; None when there is none for it."""
    make = _SENTENCES.get(event.type) or _BY_HAPPENING.get(happening(event.type))
    if make is None and event.type.startswith(_STATUS_PREFIX):
        make = _status_changed
    if make is None or _why_not(event) is not None:
        return None
    said = make(Words(event, quoted))
    return f"Test: {said}" if event.test else said


def why_no_sentence(event: Event) -> str | None:
    """Why there is no sentence for the event (one sentence), None when there is one."""
    if sentence_of(event, str) is not None:
        return None
    return _why_not(event) or (
        f"There is no sentence for {event.type}; a mapping of the field text gives it one."
    )


def _why_not(event: Event) -> str | None:
    told = happening(event.type)
    if told is Happening.SALE and not _is_free(event):
        return why_no_sale(event)
    return why_no_refund(event) if told is Happening.REFUND else None


def _is_free(event: Event) -> bool:
    """A checkout with nothing to pay: no sale, and still worth a message."""
    return event.type == "checkout_completed" and (
        event.payment is not None and event.payment.total == 0
    )


def amount(money: Money | None) -> str:
    """`59.99 USD`; empty when it is not known."""
    return f"{money.amount:.2f} {money.currency}" if money else ""


def _signed_up(words: Words) -> str:
    return f"{words.who} signed up."


def _sold(words: Words) -> str:
    sum_paid = amount(paid(words.event))
    if not sum_paid:
        return f"{words.who} started with {words.plan()}; nothing was to pay."
    what = "to renew" if is_renewal(words.event) else "for"
    return f"{words.who} paid {sum_paid} {what} {words.plan()}."


def _refunded(words: Words) -> str:
    return f"{words.who} was paid back {amount(paid_back(words.event))}."


def _failed(words: Words) -> str:
    sum_due = amount(paid(words.event))
    return (
        f"A payment{' of ' if sum_due else ''}{sum_due} by {words.who} for {words.plan()} failed."
    )


def _lost(words: Words) -> str:
    membership = words.event.membership
    if words.event.type != "membership_status_to_cancelled":
        return f"{words.who}'s membership ({words.plan()}) has run out."
    reason = words.text(membership.cancellation_reason if membership else None)
    return f"{words.who} cancelled {words.plan()}{': ' if reason else ''}{reason or '.'}"


def _status_changed(words: Words) -> str:
    status = words.text(words.event.type.removeprefix(_STATUS_PREFIX))
    return f"{words.who}'s membership ({words.plan()}) is now {status}."


def _plan_changed(words: Words) -> str:
    membership = words.event.membership
    before = membership.previous_plan if membership else None
    if before is None:
        return f"{words.who} moved to {words.plan()}."
    return f"{words.who} moved from {words.plan(before)} to {words.plan()}."


def _deleted(words: Words) -> str:
    return f"{words.who} was deleted as a customer."


def _site(words: Words) -> str:
    site = words.event.site
    title = words.text((site.title or site.url) if site else None)
    return f"{words.who}'s site {title or 'without a title'} went live."


def _site_expiring(words: Words) -> str:
    site = words.event.site
    title = words.text((site.title or site.url) if site else None)
    return f"{words.who}'s demo site {title or 'without a title'} is about to expire."


def _domain(words: Words) -> str:
    domain = words.event.domain
    return f"{words.who} mapped the domain {words.text(domain.name if domain else None) or '?'}."


def _due(words: Words) -> str:
    due = amount(paid(words.event)) or "A payment"
    return f"{due} is due from {words.who} to renew {words.plan()}."


def _target_disabled(words: Words) -> str:
    reason = words.data("reason", _LONGEST_REASON)
    return f"The relay switched off its target {words.data('target')}: {reason}"


def _delivery_failed(words: Words) -> str:
    reason = words.data("reason", _LONGEST_REASON)
    what, whither = words.data("event_type"), words.data("target")
    return f"The relay could not deliver {what} to {whither}: {reason}"


_Sentence = Callable[[Words], str]
_BY_HAPPENING: Mapping[Happening | None, _Sentence] = {
    Happening.SIGN_UP: _signed_up,
    Happening.SALE: _sold,
    Happening.REFUND: _refunded,
    Happening.PAYMENT_FAILURE: _failed,
    Happening.CHURN: _lost,
}
_SENTENCES: Mapping[str, _Sentence] = {
    "membership_plan_changed": _plan_changed,
    "customer_post_delete": _deleted,
    "site_published": _site,
    "demo_site_expiring": _site_expiring,
    "domain_created": _domain,
    "renewal_payment_created": _due,
    "relay.target_disabled": _target_disabled,
    "relay.delivery_failed": _delivery_failed,
}
