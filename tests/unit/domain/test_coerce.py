"""What a sender's JSON values mean."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import coerce
from app.domain.coerce import ImpossibleValue

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)
HUGE = pytest.param(10**5000, id="5000 digits")
COERCIONS = (
    coerce.identifier,
    coerce.amount,
    coerce.moment,
    coerce.flag,
    coerce.count,
    coerce.text,
    coerce.email,
)


def as_seen_by_a_database(found: Any) -> None:
    if isinstance(found, str):
        assert "\0" not in found
        found.encode()


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        (3, "3"),
        ("3", "3"),
        (" 3 ", "3"),
        (3.0, "3"),
        ("cus_a4", "cus_a4"),
        ("é", "é"),
        (0, None),
        ("0", None),
        ("", None),
        (None, None),
        (False, None),
        ([], None),
        (2**63 - 1, "9223372036854775807"),
        ("a" * 128, "a" * 128),
    ],
)
def test_an_id_is_text_whatever_type_it_came_in(value: Any, meaning: str | None) -> None:
    assert coerce.identifier(value) == meaning


@pytest.mark.parametrize(
    "value",
    [True, 3.5, math.nan, [3], {"id": 3}, "a" * 129, HUGE, "a\0b", "\ud800"],
)
def test_what_cannot_be_an_id_is_refused(value: Any) -> None:
    with pytest.raises(ImpossibleValue, match="must be an id"):
        coerce.identifier(value)


@pytest.mark.parametrize(
    ("value", "zero"),
    [(0, True), ("0", True), (0.0, True), (None, False), ("", False), (False, False), (3, False)],
)
def test_a_zero_id_is_told_from_a_missing_one(value: Any, *, zero: bool) -> None:
    assert coerce.is_zero_identifier(value) is zero


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        (59.99, "59.99"),
        ("59.9900", "59.99"),
        ("59.99", "59.99"),
        (0, "0"),
        (0.0, "0"),
        (-0.0, "0"),
        ("-0.00", "0"),
        ("0.0000", "0"),
        (100, "100"),
        (100.0, "100"),
        ("100", "100"),
        ("100.0000", "100"),
        ("-20.0000", "-20"),
        (-20.5, "-20.5"),
        ("7.", "7"),
        (0.1 + 0.2, "0.3"),
        (1e-9, "0"),
        (1e-05, "0.00001"),
        ("12.3456789", "12.3456789"),
        ("999999999999999.999999999999", "999999999999999.999999999999"),
    ],
)
def test_an_amount_is_a_decimal_without_trailing_zeros(value: Any, meaning: str) -> None:
    assert coerce.amount(value) == Decimal(meaning)
    assert f"{coerce.amount(value):f}" == meaning


def test_equal_amounts_in_two_notations_print_the_same() -> None:
    assert str(coerce.amount("59.9900")) == str(coerce.amount(59.99)) == "59.99"
    assert str(coerce.amount("100.0000")) == str(coerce.amount(100.0)) == "100"


@pytest.mark.parametrize("value", [None, "", "  ", False, []])
def test_no_amount_is_none_and_not_nought(value: Any) -> None:
    assert coerce.amount(value) is None


@pytest.mark.parametrize(
    "value",
    ["$ 59.99", "59,99", "1 000", "1e3", "NaN", "٣", "--1", ".", ".5", "0x10", "1_000"],
)
def test_formatted_money_is_never_read(value: str) -> None:
    with pytest.raises(ImpossibleValue, match="plain decimal"):
        coerce.amount(value)


@pytest.mark.parametrize("value", [True, math.inf, math.nan, 1e300, 10**15, [1], {"amount": 1}])
def test_what_cannot_be_an_amount_is_refused(value: Any) -> None:
    with pytest.raises(ImpossibleValue):
        coerce.amount(value)


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        ("2026-11-23 19:09:31", datetime(2026, 11, 23, 19, 9, 31, tzinfo=UTC)),
        ("2026-11-23T19:09:31Z", datetime(2026, 11, 23, 19, 9, 31, tzinfo=UTC)),
        ("2026-11-23T20:09:31+01:00", datetime(2026, 11, 23, 19, 9, 31, tzinfo=UTC)),
        ("2026-11-23T19:09:31.250Z", datetime(2026, 11, 23, 19, 9, 31, 250_000, tzinfo=UTC)),
        ("2026-11-23", datetime(2026, 11, 23, tzinfo=UTC)),
        ("", None),
        (None, None),
        (False, None),
        ([], None),
        ("0000-00-00 00:00:00", None),
        ("0000-00-00", None),
    ],
)
def test_a_time_is_in_utc(value: Any, meaning: datetime | None) -> None:
    assert coerce.moment(value) == meaning


@pytest.mark.parametrize(
    "value",
    [
        "yesterday",
        "2026-W01-1",
        "20261123T190931Z",
        "2026-13-01 00:00:00",
        "2026-11-23 25:00:00",
        "0001-01-01T00:00:00+23:59",
        "23/11/2026",
        1_795_461_466,
        True,
        {},
    ],
)
def test_what_cannot_be_a_time_is_refused(value: Any) -> None:
    with pytest.raises(ImpossibleValue, match="must be a time"):
        coerce.moment(value)


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        (True, True),
        (False, False),
        ("true", True),
        ("FALSE", False),
        ("1", True),
        ("0", False),
        (1, True),
        (0, False),
        ("", None),
        (None, None),
    ],
)
def test_a_flag_is_true_or_false_or_not_said(value: Any, *, meaning: bool | None) -> None:
    assert coerce.flag(value) is meaning


@pytest.mark.parametrize("value", ["maybe", 2, -1, 1.5, [True], {}])
def test_what_cannot_be_a_flag_is_refused(value: Any) -> None:
    with pytest.raises(ImpossibleValue, match="must be true or false"):
        coerce.flag(value)


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        (2, 2),
        ("2", 2),
        (2.0, 2),
        ("0", 0),
        (0, 0),
        ("", None),
        (None, None),
        (2**31 - 1, 2**31 - 1),
    ],
)
def test_a_count_is_a_whole_number(value: Any, meaning: int | None) -> None:
    assert coerce.count(value) == meaning


@pytest.mark.parametrize("value", [-1, "-1", 2**31, "9" * 11, 1.5, True, "two", {}])
def test_what_cannot_be_a_count_is_refused(value: Any) -> None:
    with pytest.raises(ImpossibleValue, match="must be a whole number"):
        coerce.count(value)


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        ("Jane Doe", "Jane Doe"),
        (" Jane ", "Jane"),
        ("Zoë\n1 Main St", "Zoë\n1 Main St"),
        (42, "42"),
        (1.5, "1.5"),
        ("", None),
        (" ", None),
        (None, None),
        (False, None),
        ([], None),
    ],
)
def test_a_text_is_trimmed_and_never_empty(value: Any, meaning: str | None) -> None:
    assert coerce.text(value) == meaning


def test_a_nul_in_a_text_is_left_out() -> None:
    assert coerce.text("Jane\0 Doe") == "Jane Doe"


def test_a_very_long_text_is_cut() -> None:
    assert coerce.text("x" * 5000) == "x" * coerce.TEXT_LIMIT


@pytest.mark.parametrize("value", [True, ["a"], {"first": "Jane"}, math.inf, HUGE, "\udfff"])
def test_what_cannot_be_a_text_is_refused(value: Any) -> None:
    with pytest.raises(ImpossibleValue, match="must be a text"):
        coerce.text(value)


def test_an_address_keeps_its_spelling() -> None:
    assert coerce.email(" Jane.Doe@Customer.example ") == "Jane.Doe@Customer.example"


@pytest.mark.parametrize(
    "value", [3, True, ["a@b.example"], "a\0@b.example", "a" * 321, "\ud800@b"]
)
def test_what_cannot_be_an_address_is_refused(value: Any) -> None:
    with pytest.raises(ImpossibleValue, match="must be an e-mail address"):
        coerce.email(value)


def test_a_refusal_does_not_repeat_the_value() -> None:
    with pytest.raises(ImpossibleValue) as refused:
        coerce.amount("secret-canary")
    assert "canary" not in refused.value.detail


@given(value=ANYTHING)
def test_any_value_is_read_or_refused_and_fits_a_database(value: Any) -> None:
    for coercion in COERCIONS:
        try:
            as_seen_by_a_database(coercion(value))
        except ImpossibleValue as refused:
            as_seen_by_a_database(refused.detail)


@given(cents=st.integers(-(10**12), 10**12))
def test_an_amount_means_the_same_as_number_and_as_text(cents: int) -> None:
    exact = Decimal(cents) / 100
    assert coerce.amount(float(exact)) == coerce.amount(f"{exact:.4f}") == exact
