"""Ids that sort by time."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import count, pairwise

import pytest
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


def test_ids_keep_their_order_when_the_clock_goes_back_for_longer_than_can_be_counted():
    moments = iter([5000])
    factory = IdFactory(lambda: next(moments, 1000))
    made = [factory.new("evt") for _ in range(2**20)]
    assert all(earlier < later for earlier, later in pairwise(made))


@given(st.lists(st.integers(0, 4000), min_size=2, max_size=50))
def test_ids_sort_in_the_order_they_were_made_whatever_the_clock_says(moments: list[int]):
    ticking = iter(moments)
    factory = IdFactory(milliseconds=lambda: next(ticking))
    made = [factory.new("evt") for _ in moments]
    assert all(is_id(one, "evt") for one in made)
    assert all(earlier < later for earlier, later in pairwise(made))


def test_two_factories_make_no_id_twice():
    one, other = (IdFactory(milliseconds=lambda: 1_795_435_200_000) for _ in range(2))
    assert not {one.new("evt") for _ in range(2000)} & {other.new("evt") for _ in range(2000)}


def test_threads_make_no_id_twice():
    clock = count()
    factory = IdFactory(milliseconds=lambda: next(clock) // 3)
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda _: factory.new("evt"), range(20_000)))
    assert len(set(made)) == len(made)


def test_a_process_that_was_forked_off_draws_its_own_chance(monkeypatch: pytest.MonkeyPatch):
    ticking = count(1_795_435_200_000)
    factory = IdFactory(milliseconds=lambda: next(ticking))
    chance = [factory.new("evt")[14:26] for _ in range(2)]
    monkeypatch.setattr(os, "getpid", lambda: 4321)
    chance += [factory.new("evt")[14:26] for _ in range(2)]
    assert chance[0] == chance[1] != chance[2] == chance[3]


@given(st.integers(1, 2**47), st.integers(0, 10_000))
def test_every_id_made_before_a_moment_sorts_below_its_boundary(moment: int, later: int):
    factory = IdFactory(milliseconds=lambda: moment - 1)
    assert factory.new("evt") < boundary("evt", moment + later)


@given(st.text(max_size=40))
def test_no_other_text_is_taken_for_an_id(text: str):
    assert not is_id(text, "evt") or len(text) == 30


def test_an_id_of_another_kind_is_not_taken():
    assert not is_id(new_id("dlv"), "evt")
