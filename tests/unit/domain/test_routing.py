"""Which targets an event goes to."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.routing import (
    Route,
    RoutingTable,
    check_pattern,
    compile_patterns,
    is_event_type,
)


@pytest.mark.parametrize(
    "text",
    ["a", "checkout_completed", "membership_status_to_on-hold", "relay.test", "a" * 64, "a.b-9"],
)
def test_an_event_type_begins_with_a_letter_and_has_up_to_64_characters(text):
    assert is_event_type(text)


@pytest.mark.parametrize(
    "text",
    [*("", "A", "9a", "_a", ".a", "a" * 65, "a b", "a\n", "a\0", "a/b", "é", "a*", "a\r\nX: 1")],
    ids=ascii,
)
def test_anything_else_is_no_event_type(text):
    assert not is_event_type(text)


@pytest.mark.parametrize(
    "text", ["*", "a", "membership_*", "*_failed", "a*b*c", "9", "relay.*", "**"]
)
def test_a_pattern_is_an_event_type_with_stars(text):
    assert check_pattern(text) == text


@pytest.mark.parametrize(
    "text", ["", "A*", "a?", "[a]", "a b", "*" * 65, "a\n", "a|b", ".é", "a/*"]
)
def test_anything_else_is_no_pattern(text):
    with pytest.raises(ValueError, match="pattern"):
        check_pattern(text)


@pytest.mark.parametrize(
    ("patterns", "event_type", "matched"),
    [
        (["*"], "checkout_completed", True),
        (["*"], "relay", True),
        (["*"], "relay_thing", True),
        (["*"], "relay.target_disabled", False),
        (["**"], "relay.target_disabled", False),
        (["*_disabled"], "relay.target_disabled", False),
        (["r*"], "relay.target_disabled", False),
        (["relay*"], "relay.target_disabled", False),
        (["relay.*"], "relay.target_disabled", True),
        (["relay.*_disabled"], "relay.target_disabled", True),
        (["relay.target_disabled"], "relay.target_disabled", True),
        (["relay.*"], "relay_thing", False),
        (["*", "relay.*"], "relay.target_disabled", True),
        (["*", "relay.*"], "checkout_completed", True),
        (["membership_*"], "membership_expired", True),
        (["membership_*"], "membership_", True),
        (["membership_*"], "membership", False),
        (["membership_*"], "a_membership_expired", False),
        (["*_failed"], "payment_failed", True),
        (["*_failed"], "payment_failed_again", False),
        (["*_to_*"], "payment_status_to_paid", True),
        (["a*b*c"], "abc", True),
        (["a*b*c"], "axxbxxc", True),
        (["a*b*c"], "acb", False),
        (["a*a"], "a", False),
        (["ab*ba"], "aba", False),
        (["*ab*ab"], "xabxab", True),
        (["*ab*ab"], "xab", False),
        (["a.b"], "axb", False),
        (["a.*"], "a.b", True),
        (["a.*"], "axb", False),
        (["payment_received", "*_failed"], "payment_received", True),
        ([], "payment_received", False),
    ],
)
def test_patterns_match(patterns, event_type, matched):
    assert compile_patterns(patterns)(event_type) is matched


def test_a_pattern_full_of_stars_takes_no_time():
    matches = compile_patterns(["*a" * 32])
    assert not matches("a" * 31 + "b" * 33)
    assert matches("a" * 64)


TYPES = st.from_regex(r"[a-b][ab._-]{0,20}", fullmatch=True)
PATTERNS = st.from_regex(r"[ab.*_-]{1,12}", fullmatch=True)


@given(st.lists(PATTERNS, max_size=4), TYPES)
def test_a_star_stands_for_any_run_of_characters(patterns, event_type):
    expected = any(
        re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), event_type)
        for pattern in patterns
    )
    assert compile_patterns(patterns)(event_type) is expected


@given(st.lists(PATTERNS, max_size=4), st.lists(PATTERNS, max_size=4), TYPES)
def test_more_patterns_never_match_less(some, more, event_type):
    if compile_patterns(some)(event_type):
        assert compile_patterns([*some, *more])(event_type)


@given(st.lists(PATTERNS, max_size=4), TYPES)
def test_the_news_of_the_relay_reach_only_those_who_ask(patterns, ending):
    assert not compile_patterns(patterns)("relay." + ending)


def route(name, *patterns, sources=None):
    return Route(name, compile_patterns(patterns), sources and frozenset(sources))


def ids(routes):
    return [found.target_id for found in routes]


TABLE = [
    route("everything", "*"),
    route("crm", "customer_*", "membership_*"),
    route("one-source", "*", sources=["shop"]),
    route("news", "relay.*"),
]


@pytest.mark.parametrize(
    ("source", "event_type", "targets"),
    [
        ("shop", "customer_post_create", ["everything", "crm", "one-source"]),
        ("blog", "customer_post_create", ["everything", "crm"]),
        ("blog", "site_published", ["everything"]),
        ("relay", "relay.contact_linked", ["news"]),
    ],
)
def test_the_routes_of_a_source_and_type_come_in_their_order(source, event_type, targets):
    table = RoutingTable(TABLE)
    assert ids(table.candidates(source, event_type)) == targets
    assert ids(table.candidates(source, event_type)) == targets


def test_an_empty_table_has_no_candidates():
    assert RoutingTable([]).candidates("shop", "site_published") == ()


def test_the_second_question_is_answered_from_memory():
    table = RoutingTable(TABLE)
    first = table.candidates("shop", "site_published")
    assert table.candidates("shop", "site_published") is first


def test_the_memory_is_bounded_whatever_types_are_sent():
    table = RoutingTable(TABLE)
    for number in range(10_000):
        assert ids(table.candidates("blog", f"invented_{number}")) == ["everything"]
    assert len(table._memo) <= 4_096
