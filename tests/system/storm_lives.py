"""People's lives on a platform, as envelopes of the bridge: what a storm is made of.

Each life holds two payments, three plans, a failure, a refund and, for some, a cancellation.
"""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

#: Who signed up is called by one of these.
NAMES = ("Ada", "Bob", "Cleo", "Dora", "Emil", "Frida", "Gero", "Hana")
BROWSER = "Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0"


@dataclass(frozen=True)
class Life:
    """One person: what happens, and how it ends."""

    number: int
    began: datetime

    @property
    def email(self) -> str:
        return f"{NAMES[self.number].lower()}@people.example"

    @property
    def payments(self) -> tuple[str, str]:
        """The ids of the first payment and of the renewal."""
        return str(100 + self.number), str(200 + self.number)

    @property
    def last_plan(self) -> str:
        """The plan they end with."""
        return f"Premium {self.number}"

    @property
    def leaves(self) -> bool:
        """Whether the membership is cancelled in the end."""
        return self.number % 3 == 0

    @property
    def last_status(self) -> str:
        return "cancelled" if self.leaves else "active"

    def events(self) -> list[bytes]:
        """The envelopes in the order in which things happened, both announcements of a payment
        in either order."""
        first, second = self.payments
        bought = [
            self._event("checkout_completed", 1, plan="Starter", payment=first, billed=1),
            self._event("payment_received", 1, plan="Starter", payment=first, billed=1),
            self._event("payment_status_to_completed", 1, plan="Starter", payment=first, billed=1),
        ]
        if self.number % 2:
            bought.reverse()
        renewed = [
            self._event("payment_received", 5, plan="Pro", payment=second, billed=2),
            self._event("payment_status_to_completed", 5, plan="Pro", payment=second, billed=2),
        ]
        if self.number % 3:
            renewed.reverse()
        status = self.last_status
        left = [self._event("membership_status_to_cancelled", 8, status=status)]
        return [
            self._event("customer_post_create", 0),
            *bought,
            self._event("membership_plan_changed", 2, plan="Pro"),
            self._event("payment_failed", 3, plan="Pro"),
            self._event("payment_status_to_failed", 3, plan="Pro", payment=second, paid="failed"),
            *renewed,
            self._event("membership_renewed", 5, plan="Pro", billed=2),
            self._event("payment_status_to_refunded", 6, payment=second, paid="refunded"),
            self._event("membership_plan_changed", 7, plan=self.last_plan),
            *(left if self.leaves else []),
            self._event("membership_post_update", 9, plan=self.last_plan, status=status),
        ]

    def late(self) -> list[bytes]:
        """What the platform could not send in time: it is older than what it sent meanwhile."""
        return [
            self._event("membership_plan_changed", 4, plan="Basic"),
            self._event("membership_status_to_active", 4, plan="Basic"),
        ]

    def _event(
        self,
        kind: str,
        minute: int,
        *,
        plan: str | None = None,
        payment: str | None = None,
        paid: str = "completed",
        status: str = "active",
        billed: int = 1,
    ) -> bytes:
        person = str(self.number + 1)
        data: dict[str, Any] = {"customer": self._customer(person)}
        if plan is not None or kind.startswith("membership"):
            data["membership"] = _membership(person, plan or self.last_plan, status, billed)
        if payment is not None:
            data["payment"] = _payment(person, payment, paid)
        return json.dumps(
            {
                "spec": "lifecycle-relay/1",
                "id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{person} {kind} {minute}")),
                "type": kind,
                "occurred_at": _text(self.began + timedelta(minutes=minute)),
                "context": {
                    "consent": {"analytics": True, "marketing": True},
                    "ga_client_id": f"1234567890.{1795461463 + self.number}",
                    "fbp": f"fb.1.1795461463.{self.number}",
                    "user_agent": BROWSER,
                },
                "data": data,
            }
        ).encode()

    def _customer(self, person: str) -> dict[str, Any]:
        return {
            "id": person,
            "user_id": str(self.number + 50),
            "email": self.email,
            "name": f"{NAMES[self.number]} Lovelace",
            "signup_date": _text(self.began),
            "country": "US",
        }


def lives(people: int) -> list[Life]:
    """So many people who signed up ten minutes ago."""
    began = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=10)
    return [Life(number, began) for number in range(people)]


def with_repeats(events: list[bytes], chance: random.Random) -> Iterator[bytes]:
    """The events in their order, one in three again at once, one in five again later."""
    earlier: list[bytes] = []
    for event in events:
        yield event
        if chance.random() < 1 / 3:
            yield event
        if earlier and chance.random() < 1 / 5:
            yield chance.choice(earlier)
        earlier.append(event)


def _membership(person: str, plan: str, status: str, billed: int) -> dict[str, Any]:
    return {
        "id": person,
        "customer_id": person,
        "status": status,
        "plan": {"id": str(len(plan)), "name": plan, "slug": plan.lower().replace(" ", "-")},
        "amount": "49.99",
        "currency": "USD",
        "expires_at": "2027-01-23T23:59:59Z",
        "times_billed": billed,
        "cancellation_reason": "too_expensive" if status == "cancelled" else None,
    }


def _payment(person: str, number: str, status: str) -> dict[str, Any]:
    return {
        "id": number,
        "customer_id": person,
        "membership_id": person,
        "status": status,
        "total": "59.99",
        "currency": "USD",
        "line_items": [{"title": "Plan", "quantity": 1, "unit_price": "59.99", "total": "59.99"}],
        "gateway": "stripe",
    }


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
