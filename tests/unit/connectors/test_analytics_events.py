"""A lifecycle event in the words that all product analytics share."""

from __future__ import annotations

import uuid
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given

from app.connectors.analytics_events import dedupe_id_of, tell, user_of
from app.connectors.analytics_properties import DEFAULT_MAPPING, wrong_properties
from app.connectors.analytics_steps import Step, step_of
from app.domain.expressions import compile_mapping, variables_of
from app.domain.model import Customer, Domain, LineItem, Plan, Site
from tests.contract.events import ADA, PAID, PRO, any_event, assignment, catalogue_events, event

CHECKOUT = event("checkout_completed", customer=ADA, membership=PRO, payment=PAID)
STEPS = {name: of for name, of in catalogue_events().items() if step_of(of) is not None}
SHOP = Site(id="3", title="Ada's", url="https://ada.example", description="x")


def told(of, values=None, *, named=False):
    return tell(assignment(of), values, named=named)


def test_a_purchase_in_neutral_words():
    purchase = told(CHECKOUT)
    assert purchase.step is Step.PURCHASE
    assert purchase.user == "shop:2"
    assert purchase.time == CHECKOUT.occurred_at
    assert (purchase.amount, purchase.revenue, purchase.currency) == (59.99, 59.99, "USD")
    assert purchase.order_id == "shop:17"
    assert purchase.properties == {
        "source": "shop",
        "plan": "Pro",
        "plan_id": "4",
        "membership_status": "active",
        "times_billed": 1,
        "tax": 9.58,
    }
    assert purchase.products == [
        {
            "product_id": "4",
            "name": "Pro",
            "category": "subscription",
            "price": 49.99,
            "quantity": 1,
        },
        {"name": "Setup Fee", "category": "fee", "price": 10.0, "quantity": 1},
    ]
    assert purchase.profile == {"plan": "Pro", "membership_status": "active"}
    assert purchase.profile_once == {"signup_date": "2026-01-05T10:00:00Z"}


@pytest.mark.parametrize("of", STEPS.values(), ids=STEPS)
def test_the_default_mapping_says_what_every_event_is_sent_with(of):
    said = compile_mapping(DEFAULT_MAPPING).evaluate(variables_of(of))
    sent = told(of).properties
    assert {name: sent.get(name) for name in DEFAULT_MAPPING} == {
        name: said.get(name) for name in DEFAULT_MAPPING
    }


@pytest.mark.parametrize(
    ("name", "amount", "revenue", "order_id"),
    [
        ("checkout", 59.99, 59.99, "shop:17"),
        ("renewal", 59.99, 59.99, "shop:17"),
        ("refund", 59.99, -59.99, "shop:17"),
        ("cancelled", 49.0, None, None),
        ("failed", None, None, None),
        ("sign-up", None, None, None),
        ("site", None, None, None),
    ],
)
def test_revenue_is_what_came_in_and_other_amounts_are_none(name, amount, revenue, order_id):
    step = told(catalogue_events()[name])
    assert (step.amount, step.revenue, step.order_id) == (amount, revenue, order_id)
    assert (step.currency is None) is (amount is None)


def test_a_failed_payment_with_an_amount_names_it():
    of = event("payment_failed", customer=ADA, payment=replace(PAID, status="failed"))
    assert (told(of).amount, told(of).currency, told(of).revenue) == (59.99, "USD", None)
    assert told(of).order_id == "shop:17"


def test_a_lost_membership_tells_why_and_a_changed_one_what_was_before():
    lost = event(
        "membership_status_to_cancelled",
        membership=replace(PRO, status="cancelled", cancellation_reason="too_expensive"),
    )
    assert told(lost).properties["reason"] == "too_expensive"
    moved = event(
        "membership_plan_changed",
        membership=replace(PRO, previous_plan=Plan(name="Basic"), previous_status="trialing"),
    )
    assert told(moved).properties["previous_plan"] == "Basic"
    assert told(moved).properties["previous_status"] == "trialing"


def test_without_lines_the_plan_was_bought_and_without_a_plan_what_the_payment_is_called():
    bare = replace(PAID, line_items=())
    (plan,) = told(event("payment_received", membership=PRO, payment=bare)).products
    assert (plan["product_id"], plan["name"], plan["price"]) == ("4", "Pro", 49.0)
    (called,) = told(event("payment_received", payment=bare)).products
    assert (called["name"], called["price"]) == ("Pro, Setup Fee", 59.99)


def test_lines_that_take_away_are_no_products_and_pieces_are_at_least_one():
    lines = (
        LineItem(title="Discount", unit_price=Decimal(-10), kind="discount"),
        LineItem(title="Pro", quantity=0, unit_price=Decimal("sNaN")),
        LineItem(title="Seat", quantity=-4, total=Decimal(5)),
    )
    found = told(event("payment_received", payment=replace(PAID, line_items=lines))).products
    assert [(product["name"], product["quantity"]) for product in found] == [("Seat", 1)]


@pytest.mark.parametrize(
    ("parts", "user"),
    [
        ({"customer": ADA}, "shop:2"),
        ({"membership": PRO}, "shop:2"),
        ({"customer": Customer(), "subject": "shop/membership/7"}, "shop:membership:7"),
        ({"subject": None}, "shop:evt_01kaxm3v5n0000000000000000"),
    ],
)
def test_a_user_is_an_opaque_id_with_the_source_before_it(parts, user):
    assert user_of(event("x", **parts)) == user


def test_an_id_that_is_an_address_becomes_a_digest():
    user = user_of(event("x", customer=replace(ADA, id="ada@example.com")))
    assert len(user) == 40
    assert "ada" not in user


def test_all_announcements_of_one_sale_have_one_dedupe_id():
    announced = ("checkout_completed", "payment_received", "payment_status_to_completed")
    made = {
        dedupe_id_of(assignment(event(name, payment=PAID), dedupe_id=str(uuid.uuid4())))
        for name in announced
    }
    assert len(made) == 1
    assert str(uuid.UUID(made.pop())) != assignment(CHECKOUT).dedupe_id


def test_another_payment_and_another_source_have_another_dedupe_id():
    sales = (
        CHECKOUT,
        replace(CHECKOUT, source="shop-2"),
        replace(CHECKOUT, payment=replace(PAID, id="18")),
    )
    assert len({dedupe_id_of(assignment(of)) for of in sales}) == 3


def test_what_may_happen_again_has_the_dedupe_id_of_its_delivery():
    of = event("payment_failed", customer=ADA, membership=PRO)
    assert dedupe_id_of(assignment(of)) == assignment(of).dedupe_id


@pytest.mark.parametrize("name", ["renewal", "refund", "failed", "site", "domain"])
def test_what_changes_nobody_leaves_the_profile_alone(name):
    step = told(catalogue_events()[name], named=True)
    assert (step.profile, step.profile_once) == ({}, {})


def test_people_are_named_only_where_the_operator_chose_so():
    of = event("customer_post_update", customer=ADA, membership=PRO, site=SHOP)
    assert told(of).profile == {"plan": "Pro", "membership_status": "active"}
    assert told(of).site_details == {}
    named = told(of, named=True)
    assert named.profile == {
        "plan": "Pro",
        "membership_status": "active",
        "email": "ada@example.com",
        "name": "Ada Lovelace",
        "first_name": "Ada",
        "last_name": "Lovelace",
    }
    assert named.site_details == {"title": "Ada's", "url": "https://ada.example"}


def test_a_domain_is_told_where_people_may_be_named():
    of = event("domain_created", site=SHOP, domain=Domain(id="1", name="ada.example"))
    assert "domain" not in told(of).site_details
    assert told(of, named=True).site_details["domain"] == "ada.example"


def test_a_value_that_names_the_customer_is_left_out():
    plan = Plan(id="4", name="For Ada Lovelace")
    step = told(replace(CHECKOUT, membership=replace(PRO, plan=plan)))
    assert "plan" not in step.properties
    assert "plan" not in step.profile


def test_a_mapped_value_that_names_somebody_is_withheld_and_its_name_kept():
    values = {
        "team": "eu",
        "contact": "ada@example.com",
        "who": {"ADA LOVELACE": 1},
        "list": [1, ["x@y.z"]],
        "nothing": None,
    }
    step = told(CHECKOUT, values)
    assert step.mapped == {"team": "eu"}
    assert step.withheld == ("contact", "who", "list")
    named = told(CHECKOUT, values, named=True)
    assert named.mapped.keys() == {"team", "contact", "who", "list"}
    assert named.withheld == ()


def test_long_texts_are_cut():
    of = event("membership_expired", membership=replace(PRO, plan=Plan(name="P" * 900)))
    assert told(of).properties["plan"] == "P" * 255


@pytest.mark.parametrize("field", ["", " ", "x" * 256, "a\nb", "$set", "mp_x", "order_id"])
def test_a_mapping_to_what_is_no_property_is_named(field):
    wrong = wrong_properties([field, "coupon"], "Acme", frozenset({"order_id"}), ("$", "mp_"))
    assert wrong.keys() == {field}


def test_an_event_that_is_no_step_cannot_be_told():
    with pytest.raises(KeyError):
        told(event("ticket.opened"))


@given(any_event())
def test_any_event_that_is_a_step_can_be_told(of):
    if step_of(of) is not None:
        step = told(of)
        assert step.user
        assert (step.amount is None) is (step.currency is None)
