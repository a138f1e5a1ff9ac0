"""Rows 72 and 73 of reference B7: what a target may not make the relay send."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.header_rules import UnsafeHeader, check_custom_headers, credentials_in


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Api-Key": "secret value with spaces"},
        {"Authorization": "Bearer abc.def-ghi=="},
        {"x-odd!#$%&'*+.^_`|~": "~"},
        {"Accept": "application/json"},
    ],
)
def test_harmless_headers_come_back_as_they_were(headers):
    assert check_custom_headers(headers) == headers


@pytest.mark.parametrize(
    "value",
    [
        *("a\r\nX-Evil: 1", "a\nb", "a\rb", "a\0b", "a\x7fb", "a\x1bb", "a\tb"),
        *(" a", "a ", "\ta", " ", "", "é", "\xff", "日本", "a\u2028b", "\ud800"),
    ],
    ids=ascii,
)
def test_a_value_that_is_not_plain_visible_text_is_refused(value):
    with pytest.raises(UnsafeHeader):
        check_custom_headers({"X-A": value})


@pytest.mark.parametrize(
    "name",
    [
        "",
        "X A",
        "X-A\r\nE",
        "X-A:",
        " X-A",
        "X-A ",
        "é",
        "X\0A",
        "(X)",
        "X/A",
        "X\ud800",
        "X" * 129,
    ],
    ids=ascii,
)
def test_a_name_that_is_not_a_token_is_refused(name):
    with pytest.raises(UnsafeHeader):
        check_custom_headers({name: "a"})


@pytest.mark.parametrize(
    "name",
    [
        *("Host", "Content-Length", "Transfer-Encoding", "Connection", "Cookie", "Expect", "TE"),
        *("Trailer", "Upgrade", "Keep-Alive", "Proxy-Authorization", "Proxy-Connection"),
        *("webhook-id", "Webhook-Signature", "WEBHOOK-ANYTHING", "Content-Type"),
        *("Content-Encoding", "Accept-Encoding", "User-Agent", "Relay-Hop", "hOsT"),
    ],
)
def test_a_header_the_relay_sets_is_refused_in_any_case(name):
    with pytest.raises(UnsafeHeader, match="itself") as caught:
        check_custom_headers({name: "a"})
    assert caught.value.name == name


def test_the_same_name_in_other_capitals_is_refused():
    with pytest.raises(UnsafeHeader, match="twice"):
        check_custom_headers({"X-A": "1", "x-a": "2"})


def test_twenty_headers_are_taken_and_one_more_is_not():
    headers = {f"X-{number}": "1" for number in range(20)}
    assert check_custom_headers(headers) == headers
    with pytest.raises(UnsafeHeader, match="20"):
        check_custom_headers({**headers, "X-20": "1"})


def test_four_kilobytes_are_taken_and_one_byte_more_is_not():
    value = "v" * (4096 - len("X-A: \r\n"))
    assert check_custom_headers({"X-A": value}) == {"X-A": value}
    with pytest.raises(UnsafeHeader, match="4096"):
        check_custom_headers({"X-A": value + "v"})


def test_a_refusal_never_repeats_the_value():
    with pytest.raises(UnsafeHeader) as caught:
        check_custom_headers({"Authorization": "Bearer canary\n"})
    assert "canary" not in caught.value.reason


@given(st.dictionaries(st.text(max_size=12), st.text(max_size=12), max_size=4))
def test_whatever_is_taken_makes_exactly_one_line_each(headers):
    try:
        taken = check_custom_headers(headers)
    except UnsafeHeader:
        return
    for name, value in taken.items():
        assert re.fullmatch(r"[!-~]+: [ -~]+", f"{name}: {value}")


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("Bearer abcdefgh", ("Bearer abcdefgh", "abcdefgh")),
        ("Basic dXNlcjpwYXNz", ("Basic dXNlcjpwYXNz", "dXNlcjpwYXNz")),
        ("abcdefgh", ("abcdefgh",)),
        ("three words here", ("three words here",)),
        ("Bearer abc", ("Bearer abc",)),
        ("1", ()),
    ],
)
def test_what_may_be_a_credential_is_found_with_and_without_its_scheme(value, found):
    assert credentials_in({"X-A": value}) == found
