"""The elements of an array, byte for byte."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import strict_json
from app.domain.json_elements import elements


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"[]", []),
        (b" [ \n ] ", []),
        (b"[1]", [b"1"]),
        (b"[1, 2 ,3]", [b"1", b"2", b"3"]),
        (b'[{"a": [1, 2]}, [], {}]', [b'{"a": [1, 2]}', b"[]", b"{}"]),
        (b'["a,b", "]", "\\"],["]', [b'"a,b"', b'"]"', b'"\\"],["']),
        ('["é", "\\ud83d\\ude00"]'.encode(), ['"é"'.encode(), b'"\\ud83d\\ude00"']),
        (b"[null,true,-1.5e3]", [b"null", b"true", b"-1.5e3"]),
    ],
)
def test_elements_are_cut_out_as_they_stand(body: bytes, found: list[bytes]):
    assert elements(body) == found


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",))),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=("Cs",))), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.lists(JSON, max_size=6))
def test_each_element_reads_as_the_whole_does(values: list[Any]):
    body = strict_json.write(values)
    assert [strict_json.read_trusted(part) for part in elements(body)] == (
        strict_json.read_trusted(body)
    )
