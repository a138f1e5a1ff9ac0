"""What of a request and a reply may be shown and kept."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.services.masking import Masking

MASKING = Masking({"write_key"}, ("planted-secret", "short"))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a.example/in?token=abc&x=1", "https://a.example/in?token=***&x=1"),
        ("https://a.example/in?WRITE_KEY=1", "https://a.example/in?WRITE_KEY=***"),
        ("https://a.example/in?write_key=1", "https://a.example/in?write_key=***"),
        ("https://a.example/planted-secret/in", "https://a.example/***/in"),
        ("https://a.example/in", "https://a.example/in"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url, shown):
    assert MASKING.url(httpx.URL(url)) == shown


def test_a_short_secret_masks_no_ordinary_words():
    assert MASKING.text("a short answer") == "a short answer"


def test_a_secret_is_masked_wherever_a_reply_repeats_it():
    assert MASKING.text("the key planted-secret\x00\x1b is unknown") == "the key ***�� is unknown"


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("/in?token=abc&x=1", "/in?token=***&x=1"),
        ("https://b.example/in?token=abc", "https://b.example/in?token=***"),
        ("//b.example/planted-secret", "//b.example/***"),
        ("http://a:b/in?token=abc", "http://a:b/in"),
        ("http://xn--/", "http://xn--/"),
    ],
)
def test_a_redirect_is_shown_without_the_secrets_it_repeats(location, shown):
    assert MASKING.header("location", location) == shown


def test_another_header_is_masked_as_text():
    assert MASKING.header("content-type", "a/planted-secret?token=1") == "a/***?token=1"


@given(st.text(st.characters(max_codepoint=255)))
def test_whatever_a_header_holds_can_be_shown(value):
    shown = MASKING.header("location", f"{value}?token=planted-secret")
    assert "planted-secret" not in shown


@pytest.mark.parametrize(
    "text",
    [r'{"key": "a\"secret/with+signs"}', "key=a%22secret%2Fwith%2Bsigns", 'a"secret/with+signs'],
)
def test_a_secret_is_masked_in_json_and_in_forms_too(text):
    shown = Masking(secrets=['a"secret/with+signs']).text(text)
    assert "secret" not in shown
    assert "***" in shown
