"""Filters and mappings: what an expression gives, and what an operator is told when it fails."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from app.domain.expressions import (
    ExpressionError,
    Variables,
    compile_filter,
    compile_mapping,
    variables_of,
)
from app.domain.model import (
    Customer,
    Domain,
    Event,
    LineItem,
    Membership,
    Payment,
    Plan,
)

EVENT = Event(
    id="evt_1",
    type="payment_received",
    source="network",
    occurred_at=datetime(2026, 11, 23, 19, 9, 31, tzinfo=UTC),
    received_at=datetime(2026, 11, 23, 19, 9, 32, 500_000, tzinfo=UTC),
    test=False,
    subject="network/customer/2",
    data={"payment_total_raw": 59.99, "ids": [1, 2, 3], "empty": [], "note": None, "a b": "c"},
    customer=Customer(id="2", email="jane@customer.example", name="Jane Doe"),
    membership=Membership(id="2", plan=Plan(name="Pro", price=Decimal("49.99")), times_billed=3),
    payment=Payment(
        id="3",
        total=Decimal("59.99"),
        currency="USD",
        created_at=datetime(2026, 11, 23, tzinfo=UTC),
        line_items=(
            LineItem(title="Pro", total=Decimal("49.99"), kind="product"),
            LineItem(title="Setup", total=Decimal(10), kind="fee"),
        ),
    ),
    domain=Domain(id="1", active=True),
)


def value_of(text):
    return compile_mapping({"field": text}).evaluate(variables_of(EVENT))["field"]


def refusal(text):
    with pytest.raises(ExpressionError) as caught:
        compile_filter(text)
    return caught.value.reason


def failure(text):
    filter_ = compile_filter(text)
    with pytest.raises(ExpressionError) as caught:
        filter_(variables_of(EVENT))
    return caught.value.reason


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("payment.total > 50", True),
        ("payment.total > 100.0", False),
        ("payment.total == 59.99", True),
        ("payment.total >= 59.99 && payment.currency == 'USD'", True),
        ("membership.times_billed > 2.5", True),
        ('type == "payment_received"', True),
        ("type(payment.total) == double", True),
        ("test", False),
        ("!test", True),
        ("has(payment.total)", True),
        ("has(payment.tax_total)", False),
        ("has(site.url)", False),
        ("has(site.url) && site.url.startsWith('https')", False),
        ("has(context.ga_client_id) || domain.active", True),
        ('occurred_at > timestamp("2026-01-01T00:00:00Z")', True),
        ('received_at - occurred_at < duration("2s")', True),
        ("occurred_at.getFullYear() == 2026", True),
        ('"a b" in data && data["a b"] == "c"', True),
        ("data.note == null", True),
        ("2 in data.ids", True),
        ("data.ids.exists(i, i > 2)", True),
        ("payment.line_items.all(item, item.total > 10)", False),
        ('customer.email.endsWith("@customer.example")', True),
        (r'customer.email.matches("^[a-z]+@customer\\.(example|test)$")', True),
        (r"customer.email.matches(r'^\d+@')", False),
        ("subject.contains('customer') // a comment", True),
        ("true || 1 / 0 == 1", True),
    ],
)
def test_a_filter_is_a_condition_on_the_event(text, passes):
    assert compile_filter(text)(variables_of(EVENT)) is passes


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("membership.plan.name", "Pro"),
        (" customer.email ", "jane@customer.example"),
        ("payment.total", 59.99),
        ("payment.total * 100.0", 5999.0),
        ("occurred_at", "2026-11-23T19:09:31Z"),
        ("received_at", "2026-11-23T19:09:32.500000Z"),
        ('occurred_at - duration("24h")', "2026-11-22T19:09:31Z"),
        ("received_at - occurred_at", "1.5s"),
        ('customer.name + " (" + customer.id + ")"', "Jane Doe (2)"),
        ("payment.total > 50 ? 'large' : 'small'", "large"),
        ("has(customer.phone) ? customer.phone : null", None),
        ("payment.line_items.map(item, item.title)", ["Pro", "Setup"]),
        ("payment.line_items.filter(i, i.kind == 'fee').map(i, i.total)", [10.0]),
        ("payment.line_items.map(i, i.kind == 'fee', i.title)", ["Setup"]),
        ("data.ids.map(i, data.ids.filter(j, j < i))", [[], [1], [1, 2]]),
        ("payment.line_items[0].title", "Pro"),
        ("data.ids", [1, 2, 3]),
        ("data.note", None),
        ("membership.plan", {"name": "Pro", "price": 49.99}),
        ('{"z": 1, "a": {"when": occurred_at}}', {"z": 1, "a": {"when": "2026-11-23T19:09:31Z"}}),
        ("type(1)", "int"),
        ("[1u].map(x, x + 1u)", [2]),
    ],
)
def test_a_mapping_gives_values_that_json_knows(text, value):
    assert value_of(text) == value


def test_a_map_comes_with_its_keys_sorted_because_the_library_keeps_no_order():
    assert list(value_of('{"c": 1, "a": 2, "d": 3, "b": 4}')) == ["a", "b", "c", "d"]


def test_the_fields_of_a_mapping_keep_their_order():
    mapping = compile_mapping({"z": "id", "a": "'x'", "m": "customer.email"})
    assert mapping.fields == ("z", "a", "m")
    assert list(mapping.evaluate(variables_of(EVENT))) == ["z", "a", "m"]


def test_an_empty_mapping_gives_nothing():
    assert compile_mapping({}).evaluate(variables_of(EVENT)) == {}


@pytest.mark.parametrize(
    "path", ["customer.phone", "site.url", "membership.previous_plan.name", "data.nothing.at.all"]
)
def test_a_path_to_what_the_event_lacks_leaves_its_field_out(path):
    mapping = compile_mapping({"missing": path, "email": "customer.email"})
    assert mapping.evaluate(variables_of(EVENT)) == {"email": "jane@customer.example"}


@pytest.mark.parametrize("path", ["data.empty.name", "data.note.name", "data.payment_total_raw.x"])
def test_a_path_through_something_without_fields_leaves_its_field_out(path):
    assert compile_mapping({"field": path}).evaluate(variables_of(EVENT)) == {}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ("  // nothing", "is empty"),
        ("1 +", "cannot be read at line 1, column 4: mismatched input '<EOF>'"),
        ("test\n  && )", "')' closes nothing (line 2, column 6)"),
        ("(test", "the bracket is never closed (column 1)"),
        ('test && "abc', "cannot be read from column 9 on"),
        ("test & test", "cannot be read from column 6 on"),
        ("payment.?total", "cannot be read at line 1, column 8: unsupported syntax '.?'"),
        (".payment.total > 1", ".payment is not available in this form"),
        ("Payment{total: 1}", 'typed messages are not available; write {"key": value} (column 1)'),
        ("[1].map(x)", "write list.map(name, expression) (column 5)"),
        ("[1].all(i, v, v)", "write list.all(name, expression) (column 5)"),
        ("site.url.host == ''", "'url' has no fields (column 10)"),
        (
            "[1].map(__x, 1) == []",
            "names that begin with two underscores are reserved (column 9)",
        ),
    ],
)
def test_what_does_not_compile_is_refused_with_its_place(text, reason):
    assert refusal(text) == reason


def test_a_misspelt_variable_is_refused_with_the_known_ones():
    assert refusal("true && paymnt.total > 1") == (
        "unknown name 'paymnt' (did you mean 'payment'?); there are id, type, source, subject,"
        " test, occurred_at, received_at, data, customer, membership, payment, site, domain,"
        " context (column 9)"
    )


def test_a_misspelt_field_is_refused_with_the_known_ones():
    assert refusal("membership.plan.nam == 'Pro'") == (
        "unknown field 'nam' (did you mean 'name'?); there are id, slug, name, price (column 17)"
    )


@pytest.mark.parametrize("text", ["payment.totl", "has(payment.totl)", "payment.totl == 1"])
def test_a_misspelt_field_is_found_wherever_it_stands(text):
    with pytest.raises(ExpressionError, match="unknown field 'totl'"):
        compile_mapping({"value": text})


def test_an_unknown_function_is_refused_with_the_known_ones():
    assert refusal("customer.name.lower() == 'a'").startswith(
        "unknown function 'lower'; there are bytes, contains, double, "
    )
    assert "did you mean 'startsWith'?" in refusal("startwith(id, 'a')")
    assert refusal("__step(1)").startswith("unknown function '__step'")


def test_a_name_bound_by_a_macro_is_known_inside_it():
    assert value_of("payment.line_items.map(payment, payment.title)") == ["Pro", "Setup"]


def test_a_field_of_a_bound_name_is_not_checked_against_the_model():
    assert compile_filter("data.ids.all(customer, customer.anything == 1)")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("customer.phone == ''", "the event has no 'phone' there; ask has(…) first"),
        ("payment.tax_total > 100.0", "the event has no 'tax_total' there; ask has(…) first"),
        ("site.url == ''", "the event has no 'url' there; ask has(…) first"),
        ("1 / 0 == 1", "division by zero in CEL expression"),
        ("data.ids[7] == 1", "index out of bounds: 7"),
        ("int(customer.name) == 1", "Function 'int' error: string parse error: invalid digit"),
        ("size(payment.total) == 1", "size is not available for these values"),
        ("9223372036854775807 + 1 == 0", "Arithmetic overflow in 'add'"),
        ("payment.total", "gives float, not true or false"),
        ("customer", "gives dict, not true or false"),
        ("null", "gives NoneType, not true or false"),
    ],
)
def test_what_fails_on_an_event_is_explained(text, reason):
    assert failure(text).startswith(reason)


@pytest.mark.parametrize("text", ["payment.total + 1 > 2.0", "'a' + 1 == ''", "customer.name > 1"])
def test_mixed_types_are_explained_with_what_to_write(text):
    assert "write 100.0 to calculate with an amount" in failure(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1.0 / 0.0", "gives a number that is not finite, which JSON cannot say"),
        ('double("nan")', "gives a number that is not finite, which JSON cannot say"),
        ("b'abc'", "gives bytes, which JSON cannot say"),
        ("{1: 2}", "gives a map whose keys are not text, which JSON cannot say"),
        ("[{'a': b'b'}]", "gives bytes, which JSON cannot say"),
    ],
)
def test_a_result_that_json_cannot_say_is_an_error(text, reason):
    with pytest.raises(ExpressionError) as caught:
        value_of(text)
    assert caught.value.reason == reason


def test_an_error_names_the_expression():
    mapping = compile_mapping({"email": "customer.email", "bad/field": "customer.phone + ''"})
    with pytest.raises(ExpressionError) as caught:
        mapping.evaluate(variables_of(EVENT))
    assert caught.value.name == "mapping/bad/field"
    assert str(caught.value).startswith("mapping/bad/field: the event has no 'phone'")
    with pytest.raises(ExpressionError, match="filter: is empty"):
        compile_filter("")


def test_every_error_is_one_line():
    for text in ('customer.email.matches("(")', "1 +\n\n)", '"abc', "a\nb"):
        with pytest.raises(ExpressionError) as caught:
            compile_mapping({"a": text})
        assert "\n" not in str(caught.value)


def test_the_variables_hold_what_the_sender_said_and_nothing_else():
    variables = variables_of(EVENT)
    assert list(variables) == [
        *("id", "type", "source", "subject", "test", "occurred_at", "received_at", "data"),
        *("customer", "membership", "payment", "site", "domain", "context"),
    ]
    assert variables["customer"] == {
        "id": "2",
        "email": "jane@customer.example",
        "name": "Jane Doe",
    }
    assert variables["membership"]["plan"] == {"name": "Pro", "price": 49.99}
    assert variables["payment"]["line_items"][1] == {
        "title": "Setup",
        "quantity": 1,
        "total": 10.0,
        "kind": "fee",
    }
    assert variables["site"] == variables["context"] == {}
    assert variables["occurred_at"] is EVENT.occurred_at
    assert variables["data"] is EVENT.data


def test_an_event_without_a_subject_has_a_null_subject():
    event = dataclasses.replace(EVENT, subject=None)
    assert compile_filter("subject == null")(variables_of(event))


def test_an_expression_takes_a_plain_mapping_as_well():
    assert compile_filter("payment.total > 1")({"payment": {"total": 2.0}})


def test_a_variable_that_a_plain_mapping_lacks_is_an_error():
    with pytest.raises(ExpressionError, match="payment is not available"):
        compile_filter("payment.total > 1")({})


def test_values_that_the_library_cannot_take_are_an_error():
    with pytest.raises(ExpressionError, match="filter: "):
        compile_filter("data.a == 1")({"data": {"a": object()}})


def test_expressions_share_the_variables_of_one_event():
    variables = variables_of(EVENT)
    assert isinstance(variables, Variables)
    assert compile_filter("payment.total > 1")(variables)
    assert compile_filter("payment.total > 1 && customer.id == '2'")(variables)
    assert compile_mapping({"x": "data.ids.map(i, i)"}).evaluate(variables) == {"x": [1, 2, 3]}
    assert compile_filter("data.ids.all(i, i < 9)")(variables)
