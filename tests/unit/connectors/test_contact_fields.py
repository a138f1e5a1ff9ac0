"""What CRMs are told of a contact: facts, values, addresses."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.connectors.contact_fields import (
    EXPRESSIONS,
    STANDARD,
    address_of,
    as_address,
    as_day,
    as_text,
    default_mapping,
    facts_of,
    same_address,
    standard_only,
    why_no_contact,
    written,
)
from app.connectors.mapping import bind_mapping
from app.domain import strict_json
from tests.contract.events import ADA, PAID, PRO, any_event, catalogue_events, event

SAME = {fact: fact for fact in EXPRESSIONS}


def test_a_fact_goes_under_the_name_the_destination_has_for_it():
    of = event("payment_received", customer=ADA, membership=PRO, payment=PAID)
    assert facts_of(of, {"plan": "PLAN", "first_name": "FNAME"}) == {"PLAN": "Pro", "FNAME": "Ada"}


def test_a_default_mapping_has_the_same_names():
    assert default_mapping({"plan": "PLAN"}) == {"PLAN": "membership.plan.name"}


def test_the_standard_facts_are_address_and_name():
    assert tuple(standard_only(SAME)) == STANDARD


@pytest.mark.parametrize(
    ("event_type", "fact"),
    [
        ("membership_expired", "churned_at"),
        ("payment_received", "last_payment_at"),
        ("payment_failed", "last_payment_failed_at"),
    ],
)
def test_the_day_of_something_older_does_not_replace_that_of_a_newer_one(event_type, fact):
    of = event(event_type, customer=ADA, membership=PRO, payment=PAID)
    assert fact in facts_of(of, {fact: fact})
    assert fact not in facts_of(replace(of, since=frozenset({event_type})), {fact: fact})


@pytest.mark.parametrize("of", catalogue_events().values(), ids=catalogue_events())
def test_the_default_mapping_computes_what_the_facts_say(of):
    mapped = bind_mapping(default_mapping(SAME))(of)
    assert written(mapped or {}, as_day) == written(facts_of(of, SAME), as_day)


@given(any_event())
def test_any_event_has_facts_that_can_be_written(of):
    values = written(facts_of(of, SAME), as_day)
    strict_json.write(values)
    assert all(as_text(value).strip() for value in values.values())


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("Ada", "Ada", None),
        ("Ada Lovelace", "Ada", "Lovelace"),
        (" Ada  King of Lovelace ", "Ada", "King of Lovelace"),
        ("", None, None),
        (None, None, None),
    ],
)
def test_a_display_name_is_split_at_its_first_space(name, first, last):
    customer = replace(ADA, first_name=None, last_name=None, name=name)
    values = written(facts_of(event("x", customer=customer), SAME), as_day)
    assert (values.get("first_name"), values.get("last_name")) == (first, last)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (" Pro ", "Pro"),
        ("", None),
        (" ", None),
        (None, None),
        (0, 0),
        (False, False),
        (59.99, 59.99),
        (Decimal("59.99"), 59.99),
        (float("nan"), None),
        (Decimal("Infinity"), None),
        (["a", "", None, 1], ["a", 1]),
        ([""], None),
        ({"a": 1}, {"a": 1}),
        ({}, None),
        (datetime(2026, 1, 5, 23, tzinfo=UTC), "2026-01-05"),
        ("2026-01-05T23:00:00Z", "2026-01-05"),
        ("2026-01-05T23:00:00.123456Z", "2026-01-05"),
        ("2026-13-05T23:00:00Z", "2026-13-05T23:00:00Z"),
        ("0026-01-05T23:00:00Z", "0026-01-05"),
    ],
)
def test_a_value_is_kept_as_json_holds_it_or_left_out(value, kept):
    assert written({"x": value}, as_day) == ({} if kept is None else {"x": kept})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Pro", "Pro"),
        (3, "3"),
        (59.0, "59"),
        (1e16, "10000000000000000"),
        (True, "true"),
        (["a", 1, True], "a, 1, true"),
        ({"a": [1]}, '{"a":[1]}'),
    ],
)
def test_a_value_as_one_text(value, text):
    assert as_text(value) == text


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (" ada@example.com\n", "ada@example.com"),
        ("ada@", None),
        ("a b@example.com", None),
        ("a@b@c.example", None),
        ("", None),
        (None, None),
        (7, None),
    ],
)
def test_an_address_is_recognised(text, address):
    assert as_address(text) == address


@given(st.text())
def test_an_address_never_holds_a_space_or_a_control_character(text):
    address = as_address(text)
    assert address is None or (address.count("@") == 1 and len(address.split()) == 1)


def test_an_event_without_a_customer_has_no_address():
    assert address_of(event("x")) is None


@pytest.mark.parametrize(
    ("told", "same"), [("ADA@Example.com ", True), ("eve@example.com", False), (None, False)]
)
def test_addresses_are_compared_without_regard_to_case(told, same):
    assert same_address(told, "ada@example.com") is same


def test_a_contact_is_about_customers_and_real_events():
    assert why_no_contact(event("payment_failed"), "X") is None
    for of in (event("x", test=True), event("customer_post_delete"), event("relay.resumed")):
        assert why_no_contact(of, "X")
