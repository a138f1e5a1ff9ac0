"""Cursors: what a list hands out is taken back, anything else is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.pagination import decode_cursor, decode_key_cursor, encode_cursor
from app.domain.errors import InvalidCursor
from app.domain.ids import new_id


@given(st.text(st.characters(codec="utf-8")))
def test_a_key_comes_back_as_it_was(key):
    assert decode_key_cursor(encode_cursor("subject:" + key), "subject:") == key


@given(st.text())
def test_any_text_is_a_cursor_of_ours_or_refused(text):
    try:
        key = decode_key_cursor(text, "")
    except InvalidCursor:
        return
    assert encode_cursor(key) == text


def test_a_cursor_is_plain_in_a_url():
    assert encode_cursor(new_id("evt")).replace("-", "").replace("_", "").isalnum()


def test_a_single_changed_character_is_noticed():
    cursor = encode_cursor(new_id("evt"))
    for position, character in enumerate(cursor):
        other = "B" if character == "A" else "A"
        with pytest.raises(InvalidCursor):
            decode_cursor(cursor[:position] + other + cursor[position + 1 :], "evt")


@pytest.mark.parametrize("ending", ["=", "==", "A", " ", "\n"])
def test_nothing_may_follow(ending):
    with pytest.raises(InvalidCursor):
        decode_cursor(encode_cursor(new_id("evt")) + ending, "evt")


def test_a_cursor_of_another_list_is_refused():
    with pytest.raises(InvalidCursor):
        decode_cursor(encode_cursor(new_id("evt")), "dlv")


@pytest.mark.parametrize("key", ["", "evt_", "evt_' OR 1=1", "subject:shop/customer/2"])
def test_a_well_made_cursor_of_no_id_is_refused(key):
    with pytest.raises(InvalidCursor):
        decode_cursor(encode_cursor(key), "evt")
