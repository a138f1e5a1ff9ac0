"""When a token is asked for, which is used, and what is never said about it."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from app.connectors.base import GRANT
from app.connectors.oauth import Authority, granted
from app.domain.grant import Grant
from app.domain.outcome import OutcomeKind, TransportFailure, auth_failed, delivered, rejected
from tests.contract.driving import LOST, play
from tests.contract.events import ADA, NOW, assignment, event

EVENT = event("x", customer=ADA)


def authorise(request, grant):
    headers = {"authorization": f"Bearer {grant.token}"}
    return httpx.Request(request.method, request.url, headers=headers)


def authority(**changes):
    known = {
        "url": "https://accounts.example/token",
        "form": {"grant_type": "client_credentials", "client_secret": "s3cret-value"},
        "user_agent": "relay",
        "authorise": authorise,
        "secrets": ("s3cret-value",),
        "keep": ("instance_url",),
    }
    return Authority(**{**known, **changes})


def kept(token="kept", ends=None, issued_for=None):
    """A grant as the engine hands it over."""
    return Grant(token, ends, {"issued_for": issued_for or authority().issued_for})


def issued(token="fresh", **more):
    return httpx.Response(200, json={"access_token": token, **more})


def from_store(grant):
    return httpx.Response(200, extensions={GRANT: grant})


def one_request():
    response = yield httpx.Request("GET", "https://api.example/")
    if response.status_code == 401:
        return auth_failed(f"refused: {response.text}")
    return delivered("51")


def run(grant, *replies, work=one_request, of=None):
    flow = granted(work(), assignment(EVENT, grant=grant), of or authority())
    return play(flow, *replies)


def tokens(played):
    """The token of each request, `?` where one was asked for."""
    return [
        "?" if GRANT in request.extensions else request.headers["authorization"].split()[1]
        for request in played.requests
    ]


OK = httpx.Response(200)
REFUSED = httpx.Response(401)


@pytest.mark.parametrize(
    ("grant", "replies", "asked", "handed_back", "kind"),
    [
        (kept(), [OK], ["kept"], None, "delivered"),
        (kept(ends=NOW + timedelta(hours=1)), [OK], ["kept"], None, "delivered"),
        (None, [issued(), OK], ["?", "fresh"], "fresh", "delivered"),
        (kept(ends=NOW), [issued(), OK], ["?", "fresh"], "fresh", "delivered"),
        (kept(ends=NOW + timedelta(seconds=59)), [issued(), OK], ["?", "fresh"], "fresh", "delivered"),
        (kept(issued_for="others"), [issued(), OK], ["?", "fresh"], "fresh", "delivered"),
        (kept(), [REFUSED, issued(), OK], ["kept", "?", "fresh"], "fresh", "delivered"),
        (kept(), [REFUSED, issued(), REFUSED], ["kept", "?", "fresh"], "fresh", "auth_failed"),
        (
            None,
            [issued("one"), REFUSED, issued("two"), REFUSED],
            ["?", "one", "?", "two"],
            "two",
            "auth_failed",
        ),
        (kept(), [REFUSED, from_store(kept("new")), OK], ["kept", "?", "new"], None, "delivered"),
        (
            kept(),
            [REFUSED, from_store(kept("new")), REFUSED, issued(), OK],
            ["kept", "?", "new", "?", "fresh"],
            "fresh",
            "delivered",
        ),
        (
            None,
            [from_store(kept("old", NOW)), issued(), OK],
            ["?", "?", "fresh"],
            "fresh",
            "delivered",
        ),
        (
            None,
            [from_store(kept("other", issued_for="others")), issued(), OK],
            ["?", "?", "fresh"],
            "fresh",
            "delivered",
        ),
        (None, [from_store(kept("old", NOW))] * 4, ["?"] * 4, None, "retry"),
    ],
)  # fmt: skip
def test_which_token_is_used_and_when_another_is_asked_for(
    grant, replies, asked, handed_back, kind
):
    played = run(grant, *replies)
    assert tokens(played) == asked
    assert played.outcome.kind == kind
    assert (played.outcome.grant.token if played.outcome.grant else None) == handed_back


def test_tokens_that_are_always_refused_do_not_go_on_for_ever():
    replies = [REFUSED, *([from_store(kept("new")), REFUSED] * 4)]
    assert run(kept(), *replies).outcome.kind is OutcomeKind.AUTH_FAILED


def test_a_token_is_asked_for_with_the_form():
    played = run(None, issued(), OK)
    request = played.requests[0]
    assert (request.method, str(request.url)) == ("POST", "https://accounts.example/token")
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert dict(httpx.QueryParams(request.content.decode())) == authority().form


@pytest.mark.parametrize(
    ("seconds", "ends"),
    [
        (3600, NOW + timedelta(hours=1)),
        (0.5, NOW + timedelta(seconds=0.5)),
        ("3600", None),
        (0, None),
        (-1, None),
        (10**12, None),
        (None, None),
    ],
)
def test_how_long_a_token_lives_is_what_the_server_says(seconds, ends):
    assert run(None, issued(expires_in=seconds), OK).outcome.grant.expires_at == ends


def test_what_is_needed_to_use_the_token_is_kept_beside_it():
    reply = issued(instance_url="https://eu42.example", scope="api")
    extra = run(None, reply, OK).outcome.grant.extra
    assert extra == {"instance_url": "https://eu42.example", "issued_for": authority().issued_for}
    assert "instance_url" not in run(None, issued(instance_url=7), OK).outcome.grant.extra


def test_tokens_of_one_secret_are_not_those_of_another():
    other = authority(form={"grant_type": "client_credentials", "client_secret": "another"})
    assert other.issued_for != authority().issued_for
    assert authority().issued_for == authority().issued_for
    assert "s3cret" not in authority().issued_for


@pytest.mark.parametrize("token", ["", "a\nb", "é", 7, None])
def test_a_token_that_cannot_be_sent_is_none(token):
    outcome = run(None, issued(token)).outcome
    assert outcome.kind is OutcomeKind.AUTH_FAILED
    assert "it gave no token" in outcome.reason


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (httpx.Response(200, json={"error": "invalid_code"}), "auth_failed"),
        (httpx.Response(400, json={"error": "invalid_grant"}), "auth_failed"),
        (httpx.Response(400, text="no"), "auth_failed"),
        (httpx.Response(401, json={"error": "invalid_client"}), "auth_failed"),
        (httpx.Response(403, json={"error": "no"}), "auth_failed"),
        (httpx.Response(403, text="<html>"), "retry"),
        (httpx.Response(404), "auth_failed"),
        (httpx.Response(301), "auth_failed"),
        (httpx.Response(408), "retry"),
        (httpx.Response(429, headers={"retry-after": "9"}), "throttle"),
        (httpx.Response(500), "retry"),
        (httpx.Response(501), "auth_failed"),
        (httpx.Response(204), "retry"),
    ],
)
def test_a_reply_without_a_token_never_rejects_the_event(reply, kind):
    assert run(None, reply).outcome.kind == kind


def test_a_token_that_could_not_be_fetched_is_not_a_request_that_may_have_arrived():
    seen = []

    def careful():
        try:
            yield httpx.Request("GET", "https://api.example/")
        except TransportFailure as failure:
            seen.append(failure)
        return rejected("gave up")

    outcome = run(None, LOST, work=careful).outcome
    assert (outcome.kind, seen) == (OutcomeKind.RETRY, [])
    assert outcome.reason.startswith("No token could be fetched")


def test_a_lost_answer_reaches_the_connector_and_the_token_is_kept():
    outcome = run(None, issued(), LOST).outcome
    assert (outcome.kind, outcome.grant.token) == (OutcomeKind.RETRY, "fresh")
    without = granted(one_request(), assignment(EVENT, grant=kept()), authority())
    next(without)
    with pytest.raises(TransportFailure):
        without.throw(LOST)


def test_a_flow_that_sends_nothing_asks_for_no_token():
    def nothing():
        return delivered()
        yield

    assert run(None, work=nothing).requests == []


def test_a_batch_hands_the_token_back_with_its_first_outcome():
    def batch():
        yield httpx.Request("GET", "https://api.example/")
        return [delivered("1"), delivered("2")]

    ended = run(None, issued(), OK, work=batch).outcome
    assert [one.grant.token if one.grant else None for one in ended] == ["fresh", None]
    assert [one.external_id for one in ended] == ["1", "2"]


def test_a_token_never_stands_in_a_reason_or_a_repr():
    refusal = httpx.Response(401, text="The token tok-1234 is expired")
    outcome = run(None, issued("tok-1234"), refusal, issued("tok-1234"), refusal).outcome
    assert outcome.kind is OutcomeKind.AUTH_FAILED
    assert "tok-1234" not in f"{outcome.reason} {outcome!r} {assignment(EVENT, grant=kept())!r}"
    assert "kept" not in repr(kept())
    words = httpx.Response(400, json={"error_description": "wrong: s3cret-value"})
    assert "s3cret-value" not in run(None, words).outcome.reason
