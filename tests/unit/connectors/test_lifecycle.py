"""What counts as a sale, a refund, a loss: the same for every connector."""

from __future__ import annotations

from decimal import Decimal

import pytest

from app.connectors.lifecycle import (
    Happening,
    Money,
    customer_id,
    effect_of,
    happening,
    money,
    types_of,
    why_no_refund,
    why_no_sale,
)
from app.domain.catalogue import CATALOGUE
from app.domain.model import Customer, Membership, Payment
from tests.contract.events import event


@pytest.mark.parametrize("event_type", types_of(*Happening))
def test_every_type_that_tells_something_is_known_to_the_platform(event_type):
    assert event_type in CATALOGUE


@pytest.mark.parametrize(
    ("event_type", "told"),
    [
        ("customer_post_create", Happening.SIGN_UP),
        ("checkout_completed", Happening.SALE),
        ("payment_status_to_refunded", Happening.REFUND),
        ("payment_failed", Happening.PAYMENT_FAILURE),
        ("membership_status_to_cancelled", Happening.CHURN),
        ("payment_status_to_partially-refunded", None),
        ("membership_status_to_active", None),
        ("relay.target_disabled", None),
    ],
)
def test_what_a_type_tells(event_type, told):
    assert happening(event_type) is told


@pytest.mark.parametrize(
    ("amount", "currencies", "found"),
    [
        (Decimal("1.50"), ["usd"], Money(Decimal("1.50"), "USD")),
        (Decimal("1.50"), [None, "", "$", "EUR"], Money(Decimal("1.50"), "EUR")),
        (Decimal("1.50"), [None], None),
        (Decimal("1.50"), ["USDT"], None),
        (Decimal(0), ["USD"], None),
        (Decimal(-1), ["USD"], None),
        (Decimal("NaN"), ["USD"], None),
        (Decimal("sNaN"), ["USD"], None),
        (Decimal("Infinity"), ["USD"], None),
        (Decimal("1e12"), ["USD"], None),
        (None, ["USD"], None),
    ],
)
def test_money_is_above_zero_and_has_a_currency(amount, currencies, found):
    assert money(amount, *currencies) == found


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ({"customer": Customer(id="2")}, "2"),
        ({"customer": Customer(id=""), "membership": Membership(customer_id="3")}, "3"),
        ({"payment": Payment(customer_id="4")}, "4"),
        ({"customer": Customer()}, None),
        ({}, None),
    ],
)
def test_the_customer_is_named_by_whichever_part_knows_it(parts, found):
    assert customer_id(event("x", **parts)) == found


@pytest.mark.parametrize("total", [Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity")])
def test_a_total_that_is_no_number_is_neither_sale_nor_refund(total):
    of = event("x", payment=Payment(id="1", status="completed", total=total, currency="USD"))
    assert why_no_sale(of)
    assert why_no_refund(of)


def test_a_payment_that_fails_twice_fails_twice():
    of = event("payment_failed", payment=Payment(id="17"), membership=Membership(id="7"))
    assert effect_of(of) is None
