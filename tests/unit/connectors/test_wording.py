"""The destination's own words: found, shortened, cleaned, and without what looks like a secret."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.connectors.wording import LONGEST_WORDS, presentable, words_of


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"message": "Bad"}, "Bad"),
        ({"message": "Bad", "errors": [{"message": "plan is unknown"}]}, "Bad: plan is unknown"),
        ({"message": "Bad", "errors": [{"message": "Bad"}]}, "Bad"),
        ({"error": "invalid_grant", "error_description": "expired"}, "expired"),
        ({"error": {"message": "Bad", "code": 1}}, "Bad"),
        ({"error": "nope"}, "nope"),
        ({"errors": [{"title": "Not valid", "detail": "email"}]}, "email"),
        ({"errors": ["one", "two", "three", "four"]}, "one: two: three"),
        ({"errors": {"email": ["is taken"]}}, "is taken"),
        ({"title": "Member Exists", "detail": "ada is a member"}, "ada is a member"),
        ("just text", "just text"),
        ({"message": 5}, "fallback"),
        ({"message": ""}, "fallback"),
        ([1, 2], "fallback"),
        (None, "fallback"),
    ],
)
def test_the_sentence_is_found_where_services_put_it(document, words):
    assert words_of(document, "fallback") == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<html><head><style>p {}</style></head><h1>Bad gateway</h1></html>", "Bad gateway"),
        ("  <p>a</p>\n<p>b</p>", "a b"),
        ("1 < 2", "1 < 2"),
        ("a\r\n\tb\x00c\x1b[31m", "a bc[31m"),
        ("a\u202eb\u200bc", "abc"),
        ("", ""),
    ],
)
def test_plain_text_and_pages_are_one_clean_line(text, words):
    assert words_of(None, text) == words


@pytest.mark.parametrize(
    "secret",
    [
        "Bearer eyJhbGciOiJIUzI1NiJ9.e30.abc",
        "Basic dXNlcjpwYXNz",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "https://x.example/mp?api_secret=abcdef",
        "https://x.example/?a=1&access_token=abcdef&b=2",
        "https://user:abcdef@x.example/",
        "pat-eu1-abcdef-1234-5678",
        "abcdef" * 10,
    ],
)
def test_what_looks_like_a_credential_is_masked(secret):
    words = presentable(f"refused {secret} today")
    assert words.startswith("refused")
    assert words.endswith("today")
    for part in ("eyJ", "dXNl", "MfKQ", "abcdef"):
        assert part not in words


def test_a_known_secret_is_masked_wherever_it_stands():
    assert presentable("xhunter2y", ["hunter2", ""]) == "x…y"


def test_long_words_are_cut():
    words = presentable("no " * 1000)
    assert len(words) <= LONGEST_WORDS
    assert words.endswith("…")


@given(st.text() | st.text("<>& ?=", max_size=500), st.lists(st.text(min_size=1), max_size=2))
def test_any_text_becomes_one_printable_line(text, secrets):
    words = words_of(None, text, secrets)
    assert words.isprintable()
    assert len(words) <= LONGEST_WORDS
