"""A request that comes in one piece is answered without a task; nobody can tell from the answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from app.domain import strict_json
from app.domain.errors import StoreUnavailable
from app.services.ingest import Ingest
from app.store import schema
from tests.security.real_server import BODY_LIMIT, Answer, RealServer, written

ORDER = '{"customer_id":2,"customer_user_email":"jane@customer.example","n":%d}'
#: Header fields that differ from answer to answer.
VARIES = {"date", "content-length"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    made = RealServer(tmp_path_factory.mktemp("relay"), body_timeout=5)
    asyncio.run(schema.migrate(made.runtime.database))
    made.start()
    # The first request of a source that was just made brings the routes up to date.
    made.exchange(event(made, 0))
    yield made
    made.stop()


@pytest.fixture
def taken(server, monkeypatch) -> list[bool]:
    """Of every request that was tried the short way: whether it was taken."""
    tries: list[bool] = []
    accept_at_once = Ingest.accept_at_once

    def watched(self: Ingest, *arguments: Any) -> Any:
        found = accept_at_once(self, *arguments)
        tries.extend(receipt is not None for receipt in found)
        return found

    monkeypatch.setattr(Ingest, "accept_at_once", watched)
    return tries


def event(server: RealServer, number: int, *fields: str, body: bytes | None = None) -> bytes:
    return written(
        "POST",
        "/webhooks/shop/payment_received",
        f"authorization: Bearer {server.token}",
        "content-type: application/json",
        *fields,
        body=(ORDER % number).encode() if body is None else body,
    )


def in_two_pieces(server: RealServer, request: bytes) -> Answer:
    head, body = request.split(b"\r\n\r\n", 1)
    with server.connection() as made:
        made.send(head + b"\r\n\r\n" + body[:5])
        time.sleep(0.05)
        made.send(body[5:])
        return made.answer()


def test_a_request_in_one_piece_is_taken_at_once_and_stored(server, taken):
    before = server.events()
    answer = server.exchange(event(server, 1))
    assert (answer.status, answer.document["duplicate"]) == (202, False)
    assert (taken, server.events() - before) == ([True], 1)
    again = server.exchange(event(server, 1))
    assert again.document == {**answer.document, "duplicate": True}


def test_both_ways_give_the_same_answer(server, taken):
    short = server.exchange(event(server, 2))
    assert taken == [True]
    long = in_two_pieces(server, event(server, 3))
    assert taken == [True]
    assert short.head.split(b"\r\n")[0] == long.head.split(b"\r\n")[0]
    assert list(short.headers) == list(long.headers)
    fixed = [{k: v for k, v in one.headers.items() if k not in VARIES} for one in (short, long)]
    assert fixed[0] == fixed[1]
    assert set(short.document) == set(long.document)


def test_requests_behind_one_another_are_answered_in_their_order(server):
    with server.connection() as made:
        made.send(b"".join(event(server, 10 + number) for number in range(20)))
        told = [made.answer() for _ in range(20)]
    assert {answer.status for answer in told} == {202}
    ids = [answer.document["id"] for answer in told]
    assert len(set(ids)) == 20
    for number, event_id in enumerate(ids):
        repeat = server.exchange(event(server, 10 + number))
        assert repeat.document["id"] == event_id


def test_a_connection_is_kept_or_closed_as_the_sender_asks(server, taken):
    with server.connection() as made:
        for number in (40, 41):
            made.send(event(server, number))
            assert "connection" not in made.answer().headers
        made.send(event(server, 42, "connection: close"))
        assert made.answer().headers["connection"] == "close"
        assert made.is_closed()
    assert taken == [True, True, True]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"fields": ("authorization: Bearer wrong",)}, 401),
        ({"body": b"{"}, 400),
        ({"body": b'{"payment_id":{}}'}, 422),
        ({"body": b"[" + b" " * BODY_LIMIT + b"]"}, 413),
        ({"fields": tuple(f"x-{n}: y" for n in range(150))}, 431),
        ({"fields": ("content-encoding: gzip",)}, 415),
    ],
    ids=["credential", "json", "field", "length", "fields", "encoding"],
)
def test_whatever_is_not_plain_is_left_to_the_door(server, taken, change, status):
    fields = change.get("fields", ())
    request = event(server, 50, *fields, body=change.get("body"))
    if fields and fields[0].startswith("authorization"):
        request = request.replace(b"authorization: Bearer " + server.token.encode() + b"\r\n", b"")
    answer = server.exchange(request)
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
    assert True not in taken


def test_what_is_wrong_with_one_request_is_nothing_to_those_that_come_with_it(server, taken):
    requests = [event(server, 51), event(server, 52, body=b"{"), event(server, 53)]
    connections = [server.connection() for _ in requests]
    with ExitStack() as open_ones:
        made = [open_ones.enter_context(connection) for connection in connections]
        for connection, request in zip(made, requests, strict=True):
            connection.send(request)
        assert [connection.answer().status for connection in made] == [202, 400, 202]
    assert sorted(taken) == [False, True, True]


def test_the_same_id_with_another_body_is_a_conflict(server, taken):
    server.exchange(event(server, 60, "webhook-id: order-60"))
    answer = server.exchange(event(server, 61, "webhook-id: order-60"))
    assert taken == [True, True]
    assert (answer.status, answer.document["type"]) == (409, "conflict")
    assert answer.headers["cache-control"] == "no-store"


def test_a_store_that_is_away_is_said_and_the_event_can_be_sent_again(server, monkeypatch):
    async def away(*_: object) -> None:
        raise StoreUnavailable("away", headers={"Retry-After": "5"})

    with monkeypatch.context() as patch:
        patch.setattr(server.runtime.database, "write_once", away)
        answer = server.exchange(event(server, 70))
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert server.exchange(event(server, 70)).document["duplicate"] is False


def test_a_fault_of_the_relay_is_a_problem_document_on_either_way(server, monkeypatch):
    def fails(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr("app.services.ingest.plan_request", fails)
        patch.setattr("app.services.ingest.plan_together", fails)
        answer = server.exchange(event(server, 75))
    assert (answer.status, answer.document["type"]) == (500, "internal-error")
    assert b"ZeroDivision" not in answer.body
    assert server.exchange(event(server, 75)).status == 202


def test_a_sender_that_hangs_up_before_the_commit_disturbs_nobody(server, monkeypatch):
    before = server.events()
    write_once = server.runtime.database.write_once

    async def slow(work: Any) -> Any:
        await asyncio.sleep(0.1)
        return await write_once(work)

    monkeypatch.setattr(server.runtime.database, "write_once", slow)
    with server.connection() as made:
        made.send(event(server, 80))
    assert server.exchange(event(server, 81)).status == 202
    assert server.events() - before == 2


def test_a_sender_that_waits_to_be_asked_for_the_body_is_asked(server, taken):
    head, body = event(server, 90, "expect: 100-continue").split(b"\r\n\r\n", 1)
    with server.connection() as made:
        made.send(head + b"\r\n\r\n")
        assert made.until(b"\r\n\r\n").startswith(b"HTTP/1.1 100")
        made.send(body)
        assert made.answer().status == 202
    assert taken == []


def test_a_source_with_a_rate_limit_is_counted_once_for_each_request(server, taken):
    made = server.management(
        "POST",
        "/v1/sources",
        strict_json.write(
            {
                "name": "paced",
                "kind": "ultimate_multisite",
                "settings": {"rate_per_second": 0.1},
            }
        ),
    )
    token = made.document["token"]
    statuses = [
        server.exchange(
            written(
                "POST",
                "/webhooks/paced/payment_received",
                f"authorization: Bearer {token}",
                "content-type: application/json",
                body=(ORDER % (100 + number)).encode(),
            )
        ).status
        for number in range(11)
    ]
    assert statuses == [202] * 10 + [429]
    assert True not in taken
