"""How batches are divided: by bytes before they are sent, by halves after a 413."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.connectors.batch_sizes import fitting, halved
from app.connectors.contact_batches import Waiting, carry_parts
from app.domain.outcome import OutcomeKind, TransportFailure, delivered, rejected, retry
from tests.contract.driving import LOST, play_by
from tests.contract.events import ADA, assignment, event

OK = httpx.Response(200)
TOO_LARGE = httpx.Response(413)
ABOUT_ADA = assignment(event("customer_post_create", customer=ADA))


def send(part):
    """Names what it sends; a 400 refuses all of it, anything else is an outcome each."""
    response = yield httpx.Request("POST", "https://x.example/", content=" ".join(part))
    if response.status_code >= 400:
        return rejected(str(response.status_code))
    return [delivered(name) for name in part]


def sent(played):
    return [request.content.decode() for request in played.requests]


def taking(most, spoilt=""):
    def respond(request):
        names = request.content.decode().split()
        if spoilt and spoilt in names:
            return httpx.Response(400)
        return OK if len(names) <= most else TOO_LARGE

    return respond


@given(st.lists(st.integers(0, 40)), st.integers(1, 100))
def test_parts_hold_everything_in_order_and_none_is_too_large_but_for_one_alone(sizes, most):
    parts = list(fitting(sizes, lambda size: size, most))
    assert [size for part in parts for size in part] == sizes
    assert all(part and (sum(part) <= most or len(part) == 1) for part in parts)


def test_what_is_taken_whole_is_one_request():
    played = play_by(halved("abcd", send), taking(4))
    assert sent(played) == ["a b c d"]


def test_halves_are_sent_until_they_are_taken_and_every_result_finds_its_own():
    played = play_by(halved("abcde", send), taking(2))
    assert sent(played) == ["a b c d e", "a b", "c d e", "c", "d e"]
    assert [outcome.external_id for outcome in played.outcome] == list("abcde")


def test_what_is_too_large_alone_is_refused_and_the_others_are_delivered():
    def respond(request):
        return TOO_LARGE if b"b" in request.content else OK

    ended = play_by(halved("abc", send), respond).outcome
    assert [outcome.kind for outcome in ended] == [
        OutcomeKind.DELIVERED,
        OutcomeKind.REJECTED,
        OutcomeKind.DELIVERED,
    ]


def test_a_half_that_is_refused_as_a_whole_refuses_the_batch_which_is_then_driven_one_by_one():
    ended = play_by(halved("abcd", send), taking(2, spoilt="d")).outcome
    assert ended == rejected("400")


def test_a_half_that_waits_lets_the_other_go():
    def respond(request):
        if len(request.content) > 3:
            return TOO_LARGE
        return httpx.Response(503 if b"a" in request.content else 200)

    def passing(part):
        response = yield httpx.Request("POST", "https://x.example/", content=" ".join(part))
        return retry("away") if response.status_code == 503 else [delivered()] * len(part)

    ended = play_by(halved("abcd", passing), respond).outcome
    assert [outcome.kind for outcome in ended] == [OutcomeKind.RETRY] * 2 + [
        OutcomeKind.DELIVERED
    ] * 2


def test_a_lost_answer_is_the_flow_s_own_matter():
    def catching(part):
        try:
            yield httpx.Request("POST", "https://x.example/")
        except TransportFailure as failure:
            return [retry(failure.reason)] * len(part)
        return []

    def respond(_request):
        raise LOST

    assert play_by(halved("ab", catching), respond).outcome == [retry(LOST.reason)] * 2
    assert play_by(halved("ab", send), respond).outcome == retry(LOST.reason)


@pytest.mark.parametrize(
    ("most_bytes", "expected"), [(1000, ["a b c"]), (70, ["a b", "c"]), (1, ["a", "b", "c"])]
)
def test_contacts_travel_in_requests_of_at_most_so_many_bytes(most_bytes, expected):
    waiting = [Waiting(at, ABOUT_ADA, key, key, size=30) for at, key in enumerate("abc")]
    flow = carry_parts(waiting, lambda part: send([one.key for one in part]), most_bytes)
    played = play_by(flow, taking(3))
    assert sent(played) == expected
    assert {at: end.external_id for at, end in played.outcome.items()} == {0: "a", 1: "b", 2: "c"}
