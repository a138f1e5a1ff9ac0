"""What the one JSON reader takes, what it refuses, and what it says about it."""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import Unreadable
from app.domain.strict_json import canonical, read_strict, read_trusted, rfc3339, write


def refusal(body: bytes, **options: int) -> str:
    with pytest.raises(Unreadable) as caught:
        read_strict(body, **options)
    return caught.value.detail


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"42", 42),
        (b" [1 , 2]\r\n\t", [1, 2]),
        (b'{"a" : {"a" : 1}, "b":{"a":2}}', {"a": {"a": 1}, "b": {"a": 2}}),
        (b'{"url":"https:\\/\\/shop.example\\/?a=1"}', {"url": "https://shop.example/?a=1"}),
        (b'{"__proto__":1,"constructor":2}', {"__proto__": 1, "constructor": 2}),
        (b'"\\ud83d\\ude00 \xf0\x9f\x98\x80"', "😀 😀"),
        (b"9223372036854775807", 2**63 - 1),
        (b"-9223372036854775808", -(2**63)),
        (b"[0.1234567890123456789012345]", [0.12345678901234568]),
        (b"[1e22, 12345678901234567890.5]", [1e22, 12345678901234567890.5]),
        (b"1e-999999999999999999999999", 0.0),
        (b'["1234567890123456789012345"]', ["1234567890123456789012345"]),
    ],
)
def test_a_valid_document_is_read(body, value):
    assert read_strict(body) == value


def test_a_nul_inside_a_string_is_data():
    assert read_strict(b'{"note":"a\\u0000b"}') == {"note": "a\0b"}


def test_minus_zero_keeps_its_sign_as_a_float_only():
    assert math.copysign(1, read_strict(b"-0.0")) == -1
    assert repr(read_strict(b"-0")) == "0"


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "The body is empty; it must be a JSON document."),
        (b" \r\n", "The body is empty; it must be a JSON document."),
        (b"\xef\xbb\xbf{}", "The body starts with a byte order mark; it must be plain UTF-8."),
        ("{}".encode("utf-16"), "The body is UTF-16 or UTF-32; it must be UTF-8."),
        ("{}".encode("utf-16-be"), "The body is UTF-16 or UTF-32; it must be UTF-8."),
        ("[1]".encode("utf-32-le"), "The body is UTF-16 or UTF-32; it must be UTF-8."),
        (b'{"a":"\xff"}', "The body is not UTF-8: byte 6 is 0xff."),
        (b'"\xed\xa0\x80"', "The body is not UTF-8: byte 1 is 0xed."),
        (
            b'{"a":\n[1,NaN]}',
            "The body has NaN or Infinity at line 2, column 4; JSON has no such numbers.",
        ),
        (
            b"-Infinity",
            "The body has NaN or Infinity at line 1, column 2; JSON has no such numbers.",
        ),
        (b"[1e400]", "The body has a number at line 1, column 2 that is too large."),
        (b"[-1e400]", "The body has a number at line 1, column 2 that is too large."),
        (b"1" * 5000, "The body has a number at line 1, column 1 that is too large."),
        (
            b'["\\ud800"]',
            "The body has half of a surrogate pair at line 1, column 3; the text is not valid Unicode.",
        ),
        (
            b'{"\\udc00":1}',
            "The body has half of a surrogate pair at line 1, column 3; the text is not valid Unicode.",
        ),
    ],
)
def test_what_other_readers_disagree_about_is_refused_with_its_place(body, detail):
    assert refusal(body) == detail


@pytest.mark.parametrize(
    "body",
    [
        b"{} x",
        b'{"a":1}{"a":1}',
        b'{"a":1,}',
        b"[1",
        b"{'a':1}",
        b"01",
        b"1.",
        b"tru",
        b'"\n"',
        b"//",
    ],
)
def test_a_document_that_is_not_json_is_refused_with_line_and_column(body):
    assert refusal(body).startswith("The body is not valid JSON at line 1, column ")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b'{"a":1,"a":2}', "#/a"),
        (b'{"a":1,"\\u0061":2}', "#/a"),
        (b'{"a" \t: 1, "b": 2, "a"\n: 2}', "#/a"),
        (b'{"":1,"":2}', "#/"),
        (b'[1,[2,3],{"a~/b":{"z":0,"z":0}}]', "#/2/a~0~1b/z"),
        (b'{"x":[{"k":1},{"k":1,"k":2}],"y":{}}', "#/x/1/k"),
        (b'{"note":"\\":\\":","a":1,"a":2}', "#/a"),
        (b'{"a\\\\":1,"b":"x","a\\\\":2}', "#/a\\"),
    ],
)
def test_a_repeated_key_is_refused_with_its_pointer(body, pointer):
    assert refusal(body) == f"A key stands twice in one object, at {pointer}."


def test_strings_that_look_like_keys_do_not_hide_a_repeated_key():
    decoys = b",".join(b'"d%d":"\\":"' % number for number in range(20))
    assert "#/a" in refusal(b'{"a":1,' + decoys + b',"a":1}')


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b"9223372036854775808", "#"),
        (b"-9223372036854775809", "#"),
        (b'{"order":{"ids":[1,18446744073709551616]}}', "#/order/ids/1"),
        (b'{"a":"1234567890123456789012345","b":100000000000000000000000}', "#/b"),
    ],
)
def test_an_integer_outside_64_bits_is_refused_with_its_pointer(body, pointer):
    expected = "An integer is outside the range of 64 bits; send it as a string"
    assert refusal(body) == f"{expected}, at {pointer}."


def test_nesting_of_64_is_read_and_of_65_is_refused_with_its_pointer():
    assert read_strict(b"[" * 64 + b"]" * 64)
    detail = "The body nests arrays and objects deeper than 64, at #"
    assert refusal(b"[" * 65 + b"]" * 65) == f"{detail}{'/0' * 64}."
    assert refusal(b'{"a":' * 65 + b"1" + b"}" * 65) == f"{detail}{'/a' * 64}."


@pytest.mark.parametrize("opened", [200, 500, 1_000, 5_000])
def test_nesting_that_is_never_closed_is_too_deep_as_well(opened):
    detail = "The body nests arrays and objects deeper than 64, at #"
    assert refusal(b"[" * opened) == f"{detail}{'/0' * 64}."


def test_what_the_parser_has_no_room_for_is_not_called_too_deep_where_it_is_not():
    detail = "The body is not valid JSON: it opens more than the parser has room for."
    assert refusal(b"[" * 200, max_depth=1000) == detail


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b'{"a":[1,{"b":{}}],"c":[[[]]]}', "#/a/1/b"),
        (b'{"a":1,"a":[18446744073709551616,[[]]]}', "#/a/1/0"),
        (b'{"a/b":{"~":{"c":1,"d":[]}}}', "#/a~1b/~0/d"),
        (b'{"\\u0061":[[[', "#/a/0/0"),
    ],
)
def test_what_is_too_deep_is_named_by_its_pointer(body, pointer):
    deep = body if body.endswith(b"}") else body + b"[" * 2000
    assert refusal(deep, max_depth=3) == (
        f"The body nests arrays and objects deeper than 3, at {pointer}."
    )


def test_the_pointer_to_what_is_too_deep_is_cut_where_it_is_long():
    detail = refusal(b'{"%b":' % (b"x" * 500) + b"[" * 64 + b"]" * 64 + b"}")
    assert detail == f"The body nests arrays and objects deeper than 64, at #/{'x' * 198}…."


def test_what_is_too_deep_is_not_looked_for_in_a_document_of_a_million_items():
    body = b"[" + b"1," * 500_000 + b"[" * 64 + b"]" * 65
    assert refusal(body) == "The body nests arrays and objects deeper than 64."


@pytest.mark.parametrize("depth", [65, 1_000, 1_025, 100_000])
@pytest.mark.parametrize("closed", [True, False])
def test_deep_nesting_is_refused_without_recursion(depth, closed):
    body = b"[" * depth + b"]" * depth * closed
    assert refusal(body).startswith("The body ")


def test_the_depth_allowed_can_be_lowered():
    assert read_strict(b'[{"a":[]}]', max_depth=3) == [{"a": []}]
    assert refusal(b'[{"a":[]}]', max_depth=2).endswith("deeper than 2, at #/0/a.")


def test_many_brackets_side_by_side_are_not_deep():
    assert len(read_strict(b"[" + b",".join([b"[{}]"] * 1_000) + b"]")) == 1_000
    assert read_strict(b'{"brackets":"' + b"[{" * 200 + b'"}')["brackets"] == "[{" * 200


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b"1," * 400_000 + b"1]",
        b"{" + b",".join(b'"%d":1' % number for number in range(80_000)) + b"}",
        b'{"' + b"k" * 1_000_000 + b'":1}',
    ],
)
def test_a_body_of_a_megabyte_is_read(body):
    assert read_strict(body)


def test_a_place_beyond_the_part_that_is_searched_is_not_named():
    keys = b",".join(b'"%d":1' % number for number in range(30_000))
    assert refusal(b"{" + keys + b',"0":1}') == "A key stands twice in one object."


def test_what_cannot_be_printed_in_a_pointer_is_written_out():
    detail = refusal('{"é\\u0000\\u001b\\u202e":{"a":1,"a":2}}'.encode())
    assert detail == r"A key stands twice in one object, at #/é\x00\x1b\u202e/a."


def test_a_long_pointer_is_cut():
    detail = refusal(b'{"' + b"k" * 500 + b'":{"a":1,"a":2}}')
    assert detail.endswith("k….")


def test_a_refusal_does_not_repeat_values_of_the_body():
    assert "hunter2" not in refusal(b'{"password":"hunter2","password":"hunter2"}')


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
DOCUMENTS = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=40
)


@given(
    DOCUMENTS, st.booleans(), st.sampled_from([None, (",", ":"), (" ,\n", "\t:\r ")]), st.booleans()
)
def test_every_valid_document_is_read_as_the_standard_library_does(
    document, ascii_only, separators, escaped_slash
):
    text = json.dumps(document, ensure_ascii=ascii_only, separators=separators)
    if escaped_slash:
        text = text.replace("/", "\\/")
    assert repr(read_strict(text.encode())) == repr(json.loads(text))


def standard_reading(body: bytes) -> Any:
    """The rules once more, slowly, on top of the standard library; ValueError refuses."""

    def no_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise ValueError
        return dict(pairs)

    def no_constant(name: str) -> float:
        raise ValueError(name)

    value = json.loads(
        body.decode("utf-8"), object_pairs_hook=no_repetition, parse_constant=no_constant
    )
    check_limits(value, 1)
    return value


def check_limits(value: Any, depth: int) -> None:
    if isinstance(value, str):
        value.encode()
    elif isinstance(value, int | float):
        too_large = not -(2**63) <= value < 2**63 if isinstance(value, int) else math.isinf(value)
        if too_large:
            raise ValueError
    elif value is not None and depth > 64:
        raise ValueError
    if isinstance(value, dict):
        for key, item in value.items():
            check_limits(key, depth)
            check_limits(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            check_limits(item, depth + 1)


PIECES = st.sampled_from(
    [
        *'{}[]":,-+.eE019 \n\\/ubfé',
        *('"a"', '"b"', '"a":', '":', '\\"', "null", "true", "NaN", "-Infinity", "1e5", "1e400"),
        *("9223372036854775808", "-9223372036854775808", "\\ud800", "\\u0000"),
    ]
)
FRAGMENTS = st.lists(PIECES, max_size=30).map("".join).map(str.encode)
OBJECTS = st.lists(
    st.tuples(st.sampled_from(["a", "b", 'a\\"', "a\\\\", "\\u0061"]), FRAGMENTS | st.just(b"1"))
).map(lambda pairs: b"{" + b",".join(b'"%b":%b' % (k.encode(), v) for k, v in pairs) + b"}")


@given(FRAGMENTS | OBJECTS | OBJECTS.map(lambda body: b"[" + body + b"]"))
def test_exactly_what_the_rules_allow_is_read(body):
    try:
        expected = repr(standard_reading(body))
    except ValueError:
        expected = "refused"
    try:
        found = repr(read_strict(body))
    except Unreadable:
        found = "refused"
    assert found == expected


@given(st.binary())
def test_any_bytes_give_a_value_or_unreadable(body):
    with suppress(Unreadable):
        assert repr(read_strict(body)) == repr(json.loads(body))


def test_stored_bytes_are_read_without_the_checks():
    assert read_trusted(b'{"a":[1,2.5,null]}') == {"a": [1, 2.5, None]}


@dataclass(frozen=True, slots=True)
class Sample:
    amount: Decimal
    at: datetime
    note: str | None = None


def test_a_dataclass_is_written_with_every_field():
    sample = Sample(Decimal("59.99"), datetime(2026, 11, 23, 19, 9, 31, tzinfo=UTC))
    assert write(sample) == b'{"amount":59.99,"at":"2026-11-23T19:09:31Z","note":null}'


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (Decimal("59.90"), b"59.9"),
        (Decimal(10), b"10.0"),
        (Decimal("0.1"), b"0.1"),
        (Decimal("0.12345678901234567890"), b'"0.12345678901234567890"'),
        (Decimal("1e400"), b'"1E+400"'),
        (Decimal("NaN"), b'"NaN"'),
        (Decimal("Infinity"), b'"Infinity"'),
        (datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))), b'"2026-01-01T00:00:00Z"'),
        (datetime(2026, 1, 1, 0, 0, 0, 5, tzinfo=UTC), b'"2026-01-01T00:00:00.000005Z"'),
        (date(2026, 1, 1), b'"2026-01-01"'),
        (MappingProxyType({"a": 1}), b'{"a":1}'),
        (OrderedDict(b=1, a=2), b'{"b":1,"a":2}'),
        (("a", None, True), b'["a",null,true]'),
        (float("nan"), b"null"),
        ("é\0", '"é\\u0000"'.encode()),
    ],
)
def test_values_are_written_as_compact_json(value, written):
    assert write(value) == written


@pytest.mark.parametrize(
    "value",
    [
        b"bytes",
        datetime(2026, 1, 1),  # noqa: DTZ001 - a datetime without a zone is the case
        2**64,
        "\ud800",
        {1: "a"},
        {"a": object()},
    ],
)
def test_what_json_cannot_say_is_a_type_error(value):
    with pytest.raises(TypeError):
        write(value)


def test_a_moment_without_a_zone_has_no_text():
    with pytest.raises(TypeError, match="without a zone"):
        rfc3339(datetime(2026, 1, 1))  # noqa: DTZ001 - a datetime without a zone is the case


def test_equal_documents_have_one_canonical_form():
    first = read_strict(b'{"b": [1, 2.50], "a": {"y": null, "x": "\\u00e9"}}')
    second = read_strict('{"a":{"x":"é","y":null},"b":[1,2.5]}'.encode())
    assert canonical(first) == canonical(second) == b'{"a":{"x":"\xc3\xa9","y":null},"b":[1,2.5]}'


@given(DOCUMENTS)
def test_what_is_written_is_read_again(document):
    assert repr(read_strict(write(document))) == repr(document)
