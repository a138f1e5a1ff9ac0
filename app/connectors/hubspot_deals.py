"""One HubSpot deal per payment, where the operator wants deals.

A deal carries the payment's id in a property of unique values, and is looked for by it before it
is made: an event that comes twice, or a worker that dies between the two, makes no second deal,
and HubSpot refuses one besides.
A deal that is there is left as it is, since people move deals on.
A refund is noted on the payment's deal, and moves it where a stage is set for that.
Facts: developers.hubspot.com, deals guide (create with associations; deal to contact is HubSpot's
own type 3), properties guide (`hasUniqueValue`), and "Updating objects by custom field"
(`idProperty` of a GET or PATCH).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import httpx

from app.connectors.base import Assignment, Flow
from app.connectors.hubspot_account import Account
from app.connectors.hubspot_properties import DEAL, PAYMENT_ID, mapped_properties
from app.connectors.hubspot_replies import CONFLICT, NOT_FOUND
from app.connectors.lifecycle import (
    Happening,
    happening,
    paid,
    paid_back,
    why_no_refund,
    why_no_sale,
)
from app.domain.model import Event, Payment
from app.domain.outcome import Outcome, delivered, retry

_BAD_REQUEST = 400
_DEAL_TO_CONTACT = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 3}
#: The properties of deals that every account lacks at first.
PROPERTIES: tuple[Mapping[str, Any], ...] = tuple(
    {
        "name": name,
        "label": label,
        "type": kind,
        "fieldType": field_type,
        "groupName": "dealinformation",
        **more,
    }
    for name, label, kind, field_type, more in (
        (PAYMENT_ID, "Relay payment id", "string", "text", {"hasUniqueValue": True}),
        ("relay_refunded_at", "Relay refunded at", "datetime", "date", {}),
        ("relay_refunded_amount", "Relay refunded amount", "number", "number", {}),
    )
)


@dataclass(frozen=True, slots=True)
class DealRules:
    """Where deals stand; `currency` says whether the payment's currency is written."""

    pipeline: str
    stage: str
    refunded_stage: str | None
    currency: bool


class Deals:
    """The deals of one account."""

    def __init__(self, account: Account, rules: DealRules) -> None:
        self._account = account
        self._rules = rules

    def concerns(self, event: Event) -> bool:
        """True when the event makes or changes a deal."""
        told = happening(event.type)
        if told is Happening.SALE:
            return why_no_sale(event) is None
        return told is Happening.REFUND and why_no_refund(event) is None

    def carry(
        self, assignment: Assignment, mapped: Mapping[str, Any] | None, contact: str | None
    ) -> Flow:
        """Make the payment's deal, or note its refund, for the contact of this id."""
        payment = assignment.event.payment
        if payment is None or not payment.id:
            return delivered()
        url = self._account.record("deals", _key(assignment.event, payment), PAYMENT_ID)
        if happening(assignment.event.type) is Happening.REFUND:
            return (yield from self._refund(url, assignment))
        return (yield from self._sale(url, assignment, mapped, contact))

    def _sale(
        self,
        url: str,
        assignment: Assignment,
        mapped: Mapping[str, Any] | None,
        contact: str | None,
    ) -> Flow:
        there = yield self._account.request("GET", url)
        if there.is_success:
            return delivered()
        if there.status_code != NOT_FOUND:
            return self._unreadable(there, assignment)
        if contact is None:
            return retry("HubSpot named no contact that the deal could be of.")
        document = {
            "properties": self._properties(assignment.event) | deal_properties(mapped),
            "associations": [{"to": {"id": contact}, "types": [_DEAL_TO_CONTACT]}],
        }
        made = yield self._account.request("POST", f"{self._account.objects}/deals", document)
        if made.status_code in {_BAD_REQUEST, CONFLICT}:
            # Somebody was faster, or the first answer was lost on its way.
            there = yield self._account.request("GET", url)
            if there.is_success:
                return delivered()
        return delivered() if made.is_success else self._account.failed(made, assignment)

    def _unreadable(self, response: httpx.Response, assignment: Assignment) -> Outcome:
        outcome = self._account.failed(response, assignment)
        if response.status_code != _BAD_REQUEST:
            return outcome
        hint = "preparing the target makes the properties of deals that this needs"
        return replace(outcome, reason=f"{outcome.reason} ({hint})")

    def _refund(self, url: str, assignment: Assignment) -> Flow:
        event, rules = assignment.event, self._rules
        back = paid_back(event)
        noted: dict[str, Any] = {"relay_refunded_at": event.occurred_at}
        if back is not None:
            noted["relay_refunded_amount"] = back.amount
        if rules.refunded_stage is not None:
            noted["dealstage"] = rules.refunded_stage
        document = {"properties": mapped_properties(noted)}
        response = yield self._account.request("PATCH", url, document)
        if response.status_code == NOT_FOUND:
            return delivered(reason="The refunded payment has no deal in HubSpot.")
        return delivered() if response.is_success else self._account.failed(response, assignment)

    def _properties(self, event: Event) -> dict[str, str]:
        payment, sold = event.payment, paid(event)
        if payment is None or sold is None:
            return {}
        known: dict[str, Any] = {
            PAYMENT_ID: _key(event, payment),
            "dealname": _name(event, payment),
            "amount": sold.amount,
            "pipeline": self._rules.pipeline,
            "dealstage": self._rules.stage,
            "closedate": event.occurred_at,
        }
        if self._rules.currency:
            known["deal_currency_code"] = sold.currency
        return mapped_properties(known)


def deal_properties(mapped: Mapping[str, Any] | None) -> dict[str, str]:
    """What an operator's mapping says of the deal, under its own names."""
    told = {
        name.removeprefix(DEAL): value
        for name, value in (mapped or {}).items()
        if name.startswith(DEAL)
    }
    return mapped_properties(told)


def _key(event: Event, payment: Payment) -> str:
    """A payment's id is unique within its source only."""
    return f"{event.source}:{payment.id}"


def _name(event: Event, payment: Payment) -> str:
    plan = event.membership.plan if event.membership else None
    title = (plan.name if plan else None) or payment.product_names or "Payment"
    return f"{title} #{payment.reference_code or payment.id}"
