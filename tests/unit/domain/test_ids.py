"""Ids that sort by time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.domain.ids import IdFactory, boundary, is_id, new_id


def test_an_id_has_its_prefix_and_no_dot():
    made = new_id("evt")
    assert is_id(made, "evt")
    assert "." not in made


def test_ids_of_one_millisecond_sort_in_the_order_they_were_made():
    factory = IdFactory(milliseconds=lambda: 1_795_435_200_000)
    made = [factory.new("dlv") for _ in range(2000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_ids_keep_their_order_when_the_clock_goes_back():
    moments = iter([2000, 1000, 1500, 2001])
    factory = IdFactory(milliseconds=lambda: next(moments))
    made = [factory.new("evt") for _ in range(4)]
    assert made == sorted(made)


@given(st.integers(1, 2**47), st.integers(0, 10_000))
def test_every_id_made_before_a_moment_sorts_below_its_boundary(moment: int, later: int):
    factory = IdFactory(milliseconds=lambda: moment - 1)
    assert factory.new("evt") < boundary("evt", moment + later)


@given(st.text(max_size=40))
def test_no_other_text_is_taken_for_an_id(text: str):
    assert not is_id(text, "evt") or len(text) == 30


def test_an_id_of_another_kind_is_not_taken():
    assert not is_id(new_id("dlv"), "evt")
