"""The door: what it makes of a request, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from app.api.bodies import BodyLimits
from app.api.ingest import Door
from app.domain.errors import Conflict, StoreUnavailable, Unauthorized
from app.domain.model import RawRequest
from tests.asgi import DISCONNECT, Receiving, Sending, parts, scope
from tests.clocks import FrozenClock

LIMITS = BodyLimits(size=64, seconds=0.05)


@dataclass(frozen=True)
class Told:
    id: str = "evt_1"
    type: str = "payment_received"
    duplicate: bool = False
    events: tuple[Told, ...] = ()


@dataclass
class Recorder:
    """Stands in for the ingest service: remembers what it was given, answers or raises."""

    answer: Told = field(default_factory=Told)
    error: Exception | None = None
    given: list[tuple[str, RawRequest]] = field(default_factory=list)
    welcome: frozenset[str] = frozenset()
    greeting: bytes | None = None

    async def accept(self, source_name: str, request: RawRequest) -> Told:
        self.given.append((source_name, request))
        if self.error is not None:
            raise self.error
        return self.answer

    def greets(self, source_name: str, request: RawRequest) -> bool:
        return request.body == self.greeting

    async def permits(self, source_name: str, origin: str) -> bool:
        return f"{source_name} {origin}" in self.welcome


class Counted:
    def __init__(self) -> None:
        self.accepted: list[tuple[str, bool]] = []
        self.refused: list[str] = []


async def pass_through(ingest, request_scope, messages=None, counted=None) -> Sending:
    counted = counted or Counted()
    door = Door(
        ingest,
        FrozenClock(),
        LIMITS,
        accepted=lambda source, duplicate: counted.accepted.append((source, duplicate)),
        refused=counted.refused.append,
    )
    sending = Sending()
    await door(request_scope, Receiving(parts(b"{}") if messages is None else messages), sending)
    return sending


async def seen(request_scope, messages=None) -> tuple[str, RawRequest]:
    ingest = Recorder()
    await pass_through(ingest, request_scope, messages)
    return ingest.given[0]


async def test_an_event_is_answered_202_with_its_id():
    sending = await pass_through(Recorder(), scope())
    assert sending.status == 202
    assert sending.headers["content-type"] == "application/json"
    assert sending.headers["content-length"] == str(len(sending.body))
    assert sending.document == {"id": "evt_1", "type": "payment_received", "duplicate": False}


async def test_a_repeat_is_answered_as_one():
    sending = await pass_through(Recorder(Told(duplicate=True)), scope())
    assert sending.document["duplicate"] is True


@pytest.mark.parametrize(
    ("path", "raw_path", "source", "event_type"),
    [
        ("/webhooks/shop", None, "shop", None),
        ("/webhooks/shop/", None, "shop", None),
        ("/webhooks/shop/payment_received", None, "shop", "payment_received"),
        ("/webhooks/shop/payment_received/", None, "shop", "payment_received"),
        ("/webhooks/shop/a b", b"/webhooks/shop/a%20b", "shop", "a b"),
        ("/webhooks/shop/a/b", b"/webhooks/shop/a%2Fb", "shop", "a/b"),
        ("/webhooks/shop/é", b"/webhooks/shop/%C3%A9", "shop", "é"),
        ("/webhooks/shop/�", b"/webhooks/shop/%ff", "shop", "�"),
        ("/webhooks/sh\x00p", b"/webhooks/sh%00p", "sh\x00p", None),
    ],
)
async def test_source_and_type_stand_in_the_path(path, raw_path, source, event_type):
    name, request = await seen(scope(path, raw_path=raw_path))
    assert (name, request.event_type) == (source, event_type)


@pytest.mark.parametrize(
    "path", ["/webhooks/", "/webhooks//x", "/webhooks/a/b/c", "/webhooks/a/b//"]
)
async def test_a_path_of_another_shape_is_not_found(path):
    ingest = Recorder()
    sending = await pass_through(ingest, scope(path))
    assert (sending.status, sending.document["type"], ingest.given) == (404, "not-found", [])


async def test_header_names_are_lower_case_and_values_latin_1():
    _, request = await seen(scope(headers=[(b"x-name", b"\xff\xe9"), (b"accept", b"*/*")]))
    assert request.headers == {"x-name": "ÿé", "accept": "*/*"}
    assert request.repeated_headers == frozenset()


async def test_headers_that_came_twice_are_named():
    fields = [(b"webhook-id", b"a"), (b"accept", b"*/*"), (b"webhook-id", b"b")]
    _, request = await seen(scope(headers=fields))
    assert request.repeated_headers == {"webhook-id"}


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        (b"", {}),
        (b"token=abc", {"token": "abc"}),
        (b"token=a%2Bb&x=", {"token": "a+b", "x": ""}),
        (b"token=a+b", {"token": "a b"}),
        (b"token=first&token=second", {"token": "first"}),
        (b"token=%31&token=2", {"token": "1"}),
        (b"token", {"token": ""}),
        (b"token=a=b", {"token": "a=b"}),
    ],
)
async def test_the_query_is_read(query, fields):
    _, request = await seen(scope(query=query))
    assert request.query == fields


async def test_the_body_is_handed_over_byte_for_byte_with_the_time_of_receipt():
    _, request = await seen(scope(), parts(b"\xff\x00{", b"", b"}\n"))
    assert request.body == b"\xff\x00{}\n"
    assert request.received_at == FrozenClock()()


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_another_method_is_not_allowed(method):
    ingest = Recorder()
    sending = await pass_through(ingest, scope(method=method))
    assert (sending.status, sending.headers["allow"], ingest.given) == (405, "POST", [])
    assert sending.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Unauthorized("no"), 401),
        (Conflict("used"), 409),
        (StoreUnavailable("away", headers={"Retry-After": "5"}), 503),
    ],
)
async def test_a_refusal_is_a_problem_document(error, status):
    counted = Counted()
    sending = await pass_through(Recorder(error=error), scope(), counted=counted)
    assert (sending.status, sending.document["type"]) == (status, error.slug)
    assert sending.headers["content-type"] == "application/problem+json"
    assert sending.headers.get("retry-after") == ("5" if status == 503 else None)
    assert (counted.refused, counted.accepted) == ([error.slug], [])


async def test_what_was_quarantined_is_named():
    error = Conflict("kept", extra={"quarantine_id": "qrn_1"})
    sending = await pass_through(Recorder(error=error), scope())
    assert sending.document["quarantine_id"] == "qrn_1"


async def test_a_fault_is_answered_500_and_logged_without_what_was_sent(capsys):
    error = RuntimeError("canary of the body")
    sending = await pass_through(Recorder(error=error), scope(query=b"token=canary"))
    assert (sending.status, sending.document["type"]) == (500, "internal-error")
    logged = "".join(capsys.readouterr())
    assert "RuntimeError" in logged
    assert "test_door.py" in logged
    assert "canary" not in sending.body.decode() + logged


async def test_what_happened_is_counted():
    counted = Counted()
    await pass_through(Recorder(Told(duplicate=True)), scope(), counted=counted)
    assert (counted.accepted, counted.refused) == ([("shop", True)], [])


async def test_a_sender_that_goes_away_in_the_body_leaves_nothing():
    ingest = Recorder()
    sending = await pass_through(ingest, scope(), [*parts(b"{", b"")[:1], DISCONNECT])
    assert (ingest.given, sending.messages) == ([], [])


async def test_a_body_that_does_not_come_is_a_timeout_and_the_connection_is_closed():
    ingest = Recorder()
    sending = await pass_through(ingest, scope(), parts(b"{", b"")[:1])
    assert (sending.status, sending.headers["connection"], ingest.given) == (408, "close", [])


async def test_a_body_over_the_limit_is_refused_and_the_connection_is_closed():
    ingest = Recorder()
    sending = await pass_through(ingest, scope(), parts(b"x" * 65))
    assert (sending.status, sending.headers["connection"], ingest.given) == (413, "close", [])
    assert sending.document["type"] == "body-too-large"


async def test_a_batch_is_answered_with_all_its_events():
    told = (Told(), Told("evt_2", "invoice_sent", duplicate=True))
    counted = Counted()
    sending = await pass_through(Recorder(Told(events=told)), scope(), counted=counted)
    assert sending.status == 202
    assert sending.document == {
        "id": "evt_1",
        "type": "payment_received",
        "duplicate": False,
        "events": [
            {"id": "evt_1", "type": "payment_received", "duplicate": False},
            {"id": "evt_2", "type": "invoice_sent", "duplicate": True},
        ],
    }
    assert counted.accepted == [("shop", False), ("shop", True)]


# The handshake of CloudEvents (http-webhook.md, section 4)

ORIGIN = (b"webhook-request-origin", b"emitter.example")
WELCOME = frozenset({"shop emitter.example"})


async def test_a_sender_that_is_welcome_is_told_so_and_at_what_rate():
    fields = [ORIGIN, (b"webhook-request-rate", b"120")]
    sending = await pass_through(
        Recorder(welcome=WELCOME), scope("/webhooks/shop", method="OPTIONS", headers=fields)
    )
    assert sending.status == 200
    assert sending.headers["webhook-allowed-origin"] == "emitter.example"
    assert sending.headers["webhook-allowed-rate"] == "*"
    assert sending.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/webhooks/other", [ORIGIN]),
        ("/webhooks/shop", [(b"webhook-request-origin", b"evil.example")]),
        ("/webhooks/shop", [(b"origin", b"emitter.example")]),
    ],
)
async def test_a_sender_that_is_not_welcome_is_told_that_only_post_is_allowed(path, fields):
    sending = await pass_through(
        Recorder(welcome=WELCOME), scope(path, method="OPTIONS", headers=fields)
    )
    assert (sending.status, sending.headers["allow"]) == (405, "POST")
    assert "webhook-allowed-origin" not in sending.headers


async def test_a_handshake_at_a_path_of_another_shape_is_not_found():
    sending = await pass_through(
        Recorder(welcome=WELCOME), scope("/webhooks/a/b/c", method="OPTIONS", headers=[ORIGIN])
    )
    assert sending.status == 404


async def test_a_senders_test_of_its_url_is_answered_200_and_counts_as_no_refusal():
    counted = Counted()
    ingest = Recorder(error=Unauthorized("no"), greeting=b"webhook_id=7")
    sending = await pass_through(ingest, scope(), parts(b"webhook_id=7"), counted)
    assert (sending.status, counted.refused, counted.accepted) == (200, [], [])


async def test_any_other_request_without_a_credential_stays_refused():
    ingest = Recorder(error=Unauthorized("no"), greeting=b"webhook_id=7")
    assert (await pass_through(ingest, scope(), parts(b"{}"))).status == 401
