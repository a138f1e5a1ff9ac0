"""The shared table of replies, the waits they ask for, and how rules come before it."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.connectors.classify import Reply, Rule, classify
from app.domain.outcome import OutcomeKind, delivered, dropped

NOW = datetime(2026, 10, 21, 7, 0, tzinfo=UTC)


def outcome(status: int, body: str = '{"message": "no"}', rules=(), **headers: str):
    renamed = {name.replace("_", "-"): value for name, value in headers.items()}
    return classify(httpx.Response(status, headers=renamed, text=body), rules, now=NOW)


@pytest.mark.parametrize(
    ("statuses", "kind"),
    [
        ([200, 201, 202, 204, 207, 299], OutcomeKind.DELIVERED),
        ([300, 301, 302, 303, 304, 307, 308], OutcomeKind.REJECTED),
        ([401, 403], OutcomeKind.AUTH_FAILED),
        ([408, 423, 425, 477], OutcomeKind.RETRY),
        ([429], OutcomeKind.THROTTLE),
        ([400, 402, 404, 405, 406, 409, 410, 411, 413, 415, 418, 422, 451, 499], OutcomeKind.REJECTED),
        ([501], OutcomeKind.REJECTED),
        ([500, 502, 503, 504, 505, 520, 521, 523, 524, 599, 999], OutcomeKind.RETRY),
    ],
)  # fmt: skip
def test_each_status_means_what_the_shared_table_says(statuses, kind):
    assert {outcome(status).kind for status in statuses} == {kind}


@pytest.mark.parametrize(
    ("body", "content_type"),
    [("", "application/json"), ("<!DOCTYPE html>", ""), ("  <p>", ""), ("no", "text/html")],
)
def test_a_403_that_no_api_wrote_passes(body, content_type):
    assert outcome(403, body, content_type=content_type).kind is OutcomeKind.RETRY
    limited = outcome(403, body, content_type=content_type, retry_after="9")
    assert (limited.kind, limited.after) == (OutcomeKind.THROTTLE, 9.0)


@pytest.mark.parametrize("status", [408, 425, 429, 477, 500, 503])
@pytest.mark.parametrize(
    ("asked", "after"),
    [
        ("7", 7.0),
        ("1.5", 1.5),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 28 * 60.0),
        ("Wed, 21 Oct 2026 06:00:00 GMT", 0.0),
        ("soon", None),
        ("", None),
    ],
)
def test_the_wait_is_what_retry_after_says_as_seconds_or_as_a_date(status, asked, after):
    assert outcome(status, retry_after=asked).after == after


def test_without_retry_after_the_engine_decides_about_the_wait():
    assert outcome(429).after is None


def test_a_redirect_names_the_host_it_points_to_and_nothing_else_of_the_address():
    reason = outcome(302, location="https://evil.example/?token=abc").reason
    assert "redirects to evil.example, and redirects are not followed" in reason
    assert "token" not in reason


@pytest.mark.parametrize("location", ["", "/login", "http://[", "\x7f"])
def test_a_redirect_to_nowhere_is_a_redirect_all_the_same(location):
    assert outcome(302, location=location).kind is OutcomeKind.REJECTED


def test_the_reason_holds_the_status_and_the_destinations_words():
    assert outcome(400).reason == "The destination answered 400 (Bad Request): no"
    assert outcome(599, "").reason == "The destination answered 599"


def test_the_rules_of_a_connector_go_before_the_table_and_the_first_that_applies_counts():
    rules = (
        Rule(
            {200},
            lambda reply: dropped("discarded"),
            lambda reply: b"bad" in reply.response.content,
        ),
        Rule(range(200, 300), lambda reply: delivered("51")),
    )
    assert outcome(200, "bad", rules) == dropped("discarded")
    assert outcome(200, "good", rules) == delivered("51")
    assert outcome(500, "bad", rules).kind is OutcomeKind.RETRY


@pytest.mark.parametrize("charset", ["zlib_codec", "rot13", "hex", "no-such", "utf-7"])
def test_a_charset_of_the_strangers_choice_is_not_followed(charset):
    reply = httpx.Response(
        400, content=b"caf\xc3\xa9", headers={"content-type": f"text/plain; charset={charset}"}
    )
    assert classify(reply, now=NOW).reason.endswith(": café")


@pytest.mark.parametrize(
    "body",
    [b"{", b'{"a": NaN}', b"[" * 100_000, b'{"a":1,"a":2}', b"\xff", b'"' + b"a" * 300_000 + b'"'],
)
def test_what_is_not_strict_json_is_no_document(body):
    reply = Reply(httpx.Response(400, content=body), NOW)
    assert reply.document is None


def test_secrets_are_masked_in_the_reason():
    reply = httpx.Response(401, json={"message": "token hunter2 is wrong"})
    assert "hunter2" not in classify(reply, now=NOW, secrets=["hunter2"]).reason


@given(
    st.integers(200, 999),
    st.binary(max_size=200),
    st.sampled_from(["text/html", "application/json", "", "text/plain; charset=hex"]),
    st.text(max_size=40),
)
def test_any_reply_has_an_outcome_with_a_presentable_reason(status, body, content_type, asked):
    headers = [
        (b"content-type", content_type.encode()),
        (b"retry-after", asked.encode("utf-8")),
    ]
    found = classify(httpx.Response(status, content=body, headers=headers), now=NOW)
    assert isinstance(found.kind, OutcomeKind)
    assert len(found.reason) < 500
    assert found.reason.isprintable()
