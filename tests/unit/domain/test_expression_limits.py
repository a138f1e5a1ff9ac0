"""No expression, and no event, may stop the relay: what is bounded, and that the bounds hold."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import cel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.expression_program import Program, compile_program
from app.domain.expression_syntax import read_syntax
from app.domain.expressions import (
    ExpressionError,
    Variables,
    compile_filter,
    compile_mapping,
)

AT = datetime(2026, 11, 23, tzinfo=UTC)


def variables(**data):
    return Variables(
        {
            "id": "evt_1",
            "data": data,
            "occurred_at": AT,
            "payment": {"total": 59.99},
            "customer": {"name": "Jane"},
        }
    )


def refusal(text):
    with pytest.raises(ExpressionError) as caught:
        compile_filter(text)
    return caught.value.reason


def failure(expression, /, **data):
    mapping = compile_mapping({"value": expression})
    with pytest.raises(ExpressionError) as caught:
        mapping.evaluate(variables(**data))
    return caught.value.reason


def test_an_expression_has_at_most_2000_characters():
    assert compile_filter('"' + "a" * 1_991 + '"==""')
    assert refusal("a" * 2_001) == "is longer than 2000 characters"


@pytest.mark.parametrize("pair", ["()", "[]"])
def test_brackets_nest_at_most_24_deep(pair):
    assert compile_filter(pair[0] * 24 + "1" + pair[1] * 24)
    assert "nests brackets deeper than 24" in refusal(pair[0] * 25 + "1" + pair[1] * 25)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 1_999,
        "[" * 1_999,
        "{" * 1_999,
        "{1:" * 600,
        "size(" * 390,
        ")" * 1_999,
        "[1].map(x," * 190,
        "!" * 1_999,
        "- " * 999,
        "true?1:" * 280,
        "data" + ".a" * 900,
        "data" + "[0]" * 600,
        "1" + "+1" * 999,
        "1" + "==1" * 600,
        "true" + "&&true" * 320,
        "1 in " * 300 + "[1]",
        "id" + ".size()" * 280,
        "'" * 1_999,
        '"' * 1_999,
        '"\\' * 999,
        "9" * 1_999,
        "0x" + "f" * 1_990,
        "1e" + "9" * 1_990,
        "r'" * 900,
        "// " * 600,
        "\\u0000",
        "\0",
        "é",
        "\ud800",
    ],
    ids=lambda text: ascii(text)[:20],
)
def test_a_monster_of_an_expression_is_refused_or_harmless(text):
    with suppress(ExpressionError):
        compile_mapping({"value": text}).evaluate(variables())


def test_macros_nest_at_most_two_deep():
    assert compile_filter("[1].all(x, [2].all(y, x < y))")
    reason = refusal("[1].all(x, [2].all(y, [3].all(z, x < z)))")
    assert reason == "nests map, filter, all or exists over 2 deep (column 27)"


def test_macros_in_strings_and_comments_do_not_count():
    text = """'.map(x, .map(y, .map(z, ' != r"\\" // .map(((((((((((((((((((((((((((((((((((((("""
    assert compile_filter(text)(variables())


@pytest.mark.parametrize("text", ["data.items.map(i, i)", "data.items.filter(i, i >= 0)"])
def test_a_macro_takes_at_most_1000_steps(text):
    mapping = compile_mapping({"value": text})
    assert len(mapping.evaluate(variables(items=[1] * 1_000))["value"]) == 1_000
    assert failure(text, items=[1] * 1_001).startswith("takes more than 1000 steps")


@pytest.mark.parametrize(
    "text",
    [
        "data.items.all(i, i > 0)",
        "data.items.exists(i, i < 0)",
        "data.items.exists_one(i, i > 0)",
        "data.items.map(i, i > 0, i)",
        "data.items.exists(i, data.items.exists(j, i + j < 0))",
        "data.items.exists(i, data.items.exists(j, i + j < 0)) || true",
    ],
)
def test_no_macro_walks_through_fifty_thousand_items(text):
    assert failure(text, items=[1] * 50_000).startswith("takes more than 1000 steps")


def test_a_macro_takes_fewer_steps_on_a_large_event():
    filter_ = compile_filter("data.items.all(i, i > 0)")
    assert filter_(variables(items=[1] * 900, note="a" * 100_000))
    with pytest.raises(ExpressionError, match="takes more than 1000 steps"):
        filter_(variables(items=[1] * 900, note="a" * 300_000))


def test_the_steps_are_counted_for_each_evaluation():
    filter_ = compile_filter("data.items.all(i, i > 0)")
    shared = variables(items=[1] * 900)
    assert [filter_(shared) for _ in range(3)] == [True] * 3


@pytest.mark.parametrize(
    "text",
    [
        "[[1]]" + ".map(x, [x, x])" * 20,
        "['a']" + ".map(x, x + x)" * 20,
        "[data]" + ".map(x, {'a': x, 'b': x, 'c': x})" * 12,
        "[data.text].map(x, [x, x, x, x]).map(y, [y, y, y, y]).map(z, [z, z, z, z])",
        "data.items.map(i, data.text)",
        "data.items.map(i, data.text + data.text + data.text)",
        "data.rows.filter(row, true)",
    ],
    ids=lambda text: text[:30],
)
def test_what_macros_build_cannot_grow_without_end(text):
    reason = failure(text, text="a" * 5_000, items=[1] * 500, rows=["a" * 230] * 290)
    assert reason.startswith("takes more than 1000 steps (fewer for a large event), or makes")


def test_a_macro_has_at_most_64_names_beside_it():
    assert refusal("[id].map(x, " + "+".join(["x"] * 64) + ")") == (
        "uses more than 64 names beside a macro"
    )


def test_what_is_built_without_macros_is_bounded_by_the_weight_of_the_event():
    text = " + ".join(["data.text"] * 100)
    assert failure(text, text="a" * 1_000_000) == "the event is too large for this expression"
    assert failure("[" + "data," * 300 + "1]", items=[1] * 100_000) == (
        "the event is too large for this expression"
    )


def test_a_condition_on_a_large_event_is_no_trouble():
    text = " && ".join(["data.text != 'x'"] * 50)
    assert compile_filter(text)(variables(text="a" * 1_000_000))


def test_the_values_of_a_mapping_come_to_at_most_64_kilobytes():
    mapping = compile_mapping({"a": "data.text", "b": "data.text"})
    assert mapping.evaluate(variables(text="a" * 32_000))
    with pytest.raises(ExpressionError, match="mapping: the values come to more than 65536 bytes"):
        mapping.evaluate(variables(text="a" * 33_000))


def test_a_result_nests_at_most_64_deep():
    nested: list[object] = []
    for _ in range(100):
        nested = [nested]
    assert failure("data.nested", nested=nested) == "the result nests deeper than 64"


def test_a_mapping_has_at_most_100_fields():
    assert len(compile_mapping({f"f{number}": "id" for number in range(100)}).fields) == 100
    with pytest.raises(ExpressionError, match="mapping: has more than 100 fields"):
        compile_mapping({f"f{number}": "id" for number in range(101)})


@pytest.mark.parametrize("field", ["", "a" * 201])
def test_the_name_of_a_field_has_1_to_200_characters(field):
    with pytest.raises(ExpressionError, match="1 to 200 characters"):
        compile_mapping({field: "id"})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("id.matches(customer.name)", "matches takes one literal pattern"),
        ("id.matches('a' + 'b')", "matches takes one literal pattern"),
        ("matches(id, 'a')", "matches takes one literal pattern"),
        ("id.matches()", "matches takes one literal pattern"),
        ("id.matches('(')", "the pattern is not valid: unclosed group"),
        ("id.matches(b'a')", "a pattern is text of at most 128 characters"),
        ("id.matches('" + "a" * 129 + "')", "a pattern is text of at most 128 characters"),
        ("id.matches('a{81}')", "the pattern repeats more than 80 times"),
        ("id.matches('a{1,81}')", "the pattern repeats more than 80 times"),
        ("id.matches('a{9999,}')", "the pattern repeats more than 80 times"),
        (r"id.matches(r'\w{41}\w{41}')", "the pattern repeats more than 80 times"),
        (r"id.matches(r'(\w{9}){9}')", "the pattern repeats more than 80 times"),
        (r"id.matches('a\x7b999}')", "the pattern repeats more than 80 times"),
        ("id.matches('(?x)a{9 9 9}')", "a pattern cannot use the x flag"),
        ("[id].exists(i, i.matches('a'))", "matches is not available here"),
        ("||".join(["id.matches('a')"] * 5), "uses matches more than 4 times"),
    ],
)
def test_a_pattern_that_could_take_long_is_refused(text, reason):
    assert refusal(text).startswith(reason)


@pytest.mark.parametrize(
    "pattern",
    [
        r"^\d{4}-\d{2}-\d{2}$",
        "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
        "(?i)^evt_",
        r"^\+?[0-9 ]{7,20}$",
        "^(pro|team)-{1,2}plan$",
    ],
)
def test_an_ordinary_pattern_is_fine(pattern):
    assert compile_filter(f"id.matches(r'{pattern}')")


def test_a_pattern_is_not_run_over_a_very_large_event():
    reason = failure("data.text.matches('(a|aa)+$')", text="a" * 300_000)
    assert reason == "the event is too large for this expression"


class Broken:
    """Stands in for a compiled program: the library has no known input that makes it panic."""

    def __init__(self, error):
        self.error = error

    def execute(self, context):
        raise self.error


class PanicException(BaseException):
    """What pyo3 raises when the library panics is not an Exception either."""


def broken(error):
    return Program("filter", Broken(error), (), references=0, metered=False, matches=False)


def test_a_panic_of_the_library_is_an_expression_error():
    with pytest.raises(ExpressionError, match="filter: made the expression library fail"):
        broken(PanicException("entered unreachable code")).run(variables())


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_signal_to_stop_is_not_swallowed(error):
    with pytest.raises(error):
        broken(error()).run(variables())


@pytest.mark.parametrize(
    "text",
    [
        "[1, 2, 3].map(x, x * 2)",
        "[3, 1].filter(x, x > 2)",
        "[1, 2].map(x, x > 1, [x, [x].all(y, y == x)])",
        "[1u, 2u].map(x, x + 1u)",
        "[1, 2].exists(x, x / 0 == 1 || x == 2)",
        "[2, 1].exists(x, x == 2 || x / 0 == 1)",
        "[].all(x, x)",
        "[[1], []].map(x, x.size())",
        '{"a": 1}.map(key, key + "!")',
        "[duration('1s')].map(d, d + d)",
        "[1].map(x, type(x) == int)",
        "[1] .map ( x , // a comment )\n x ) == [1]",
        "[')', ']'].map(x, x + '([{')",
    ],
)
def test_a_metered_expression_gives_what_the_plain_one_gives(text):
    shared = variables()
    program = compile_program("value", text)
    assert program.metered
    try:
        expected = repr(cel.compile(text).execute({}))
    except ArithmeticError:
        expected = "error"
    try:
        found = repr(program.run(shared))
    except ExpressionError:
        found = "error"
    assert found == expected


def test_each_body_of_a_macro_is_wrapped_in_the_meter():
    syntax = read_syntax("value", "[1].map(x, x > 0, x)")
    meter = ".map(__v, __step(__v, x) ? __v : [][0])[0]"
    assert syntax.metered() == f"[1].map(x, [(x > 0)]{meter}, [(x)]{meter})"


VALUES = st.sampled_from(
    [
        *("1", "0", "-1", "1u", "1.5", "1e308", "9223372036854775807", "null", "true", "''", "'é'"),
        *("b'x'", "[]", "[1, 'a']", "{}", "{'a': 1}", "id", "data", "data.a", "payment.total"),
        *("occurred_at", "duration('1h')", "i", "j", "int", "customer.name", "data.list"),
    ]
)


def larger(inner):
    operators = st.sampled_from([*"+-*/%<>", "==", "!=", "<=", ">=", "&&", "||", "in"])
    macros = st.sampled_from(["map", "filter", "all", "exists", "exists_one"])
    functions = st.sampled_from(["size", "string", "int", "double", "timestamp", "duration"])
    methods = st.sampled_from(["a", "getHours()", "size()", "getFullYear()", "contains('a')"])
    return (
        st.builds("{} {} {}".format, inner, operators, inner)
        | st.builds("({})".format, inner)
        | st.builds("{}[{}]".format, inner, inner)
        | st.builds("{}.{}({}, {})".format, inner, macros, st.sampled_from("ij"), inner)
        | st.builds("{}({})".format, functions, inner)
        | st.builds("{} ? {} : {}".format, inner, inner, inner)
        | st.builds("[{}, {}]".format, inner, inner)
        | st.builds("{{{}: {}}}".format, inner, inner)
        | st.builds("{}{}".format, st.sampled_from("!-"), inner)
        | st.builds("{}.{}".format, inner, methods)
    )


@given(st.recursive(VALUES, larger, max_leaves=12) | st.text(max_size=40))
def test_any_text_gives_json_or_an_expression_error(text):
    with suppress(ExpressionError):
        values = compile_mapping({"value": text}).evaluate(variables(a=[1, 2.5], list=["a", None]))
        assert values.keys() <= {"value"}
