"""Credentials of senders against a real server (reference B7: 6, 7, 11-19, 25, 26)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from app.domain.errors import Unauthorized
from app.domain.signing import decode_secret, sign
from app.services.source_definition import SourceDraft
from app.store import schema
from tests.integration.world import World
from tests.security.real_server import Answer, RealServer, written

BODY = b'{"type":"payment_received","timestamp":"2026-11-23T19:09:31Z","data":{"payment_id":3}}'
PATH = "/webhooks/bridge"


@dataclass(frozen=True)
class Bridge:
    """A server with a source that signs, and its secret."""

    server: RealServer
    secret: str

    def headers(self, body: bytes = BODY, *, age: int = 0, message_id: str = "msg_1") -> list[str]:
        """The three headers, made by the reference library."""
        moment = datetime.fromtimestamp(int(time.time()) - age, UTC)
        signature = Webhook(self.secret).sign(message_id, moment, body.decode("latin-1"))
        return [
            "content-type: application/json",
            f"webhook-id: {message_id}",
            f"webhook-timestamp: {int(moment.timestamp())}",
            f"webhook-signature: {signature}",
        ]

    def send(self, headers: list[str], body: bytes = BODY) -> Answer:
        return self.server.exchange(written("POST", PATH, *headers, body=body))

    def stored(self) -> tuple[int, int]:
        return self.server.events(), self.server.quarantined()


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    server = RealServer(tmp_path_factory.mktemp("relay"))
    asyncio.run(schema.migrate(server.runtime.database))
    server.start()
    made = server.management("POST", "/v1/sources", b'{"name":"bridge","kind":"standard_webhooks"}')
    yield Bridge(server, made.document["signing_secret"])
    server.stop()


def refused(bridge: Bridge, headers: list[str], body: bytes = BODY) -> None:
    before = bridge.stored()
    answer = bridge.send(headers, body)
    assert (answer.status, answer.document["type"]) == (401, "unauthorized")
    assert bridge.stored() == before


def changed(headers: list[str], name: str, value: str) -> list[str]:
    return [f"{name}: {value}" if header.startswith(f"{name}:") else header for header in headers]


def test_what_the_reference_library_signs_is_accepted(bridge):
    answer = bridge.send(bridge.headers(message_id="msg_accepted"))
    assert (answer.status, answer.document["duplicate"]) == (202, False)


def test_the_same_message_within_the_window_is_the_first_event(bridge):
    headers = bridge.headers(message_id="msg_twice")
    first, second = (bridge.send(headers).document for _ in range(2))
    assert (first["duplicate"], second["duplicate"]) == (False, True)
    assert first["id"] == second["id"]


def test_header_names_may_be_written_in_any_case(bridge):
    headers = bridge.headers(message_id="msg_case")
    loud = [name.upper() + ":" + value for name, _, value in (h.partition(":") for h in headers)]
    assert bridge.send(loud).status == 202


@pytest.mark.parametrize("age", [-400, 400, 600])
def test_a_message_of_another_time_is_refused(bridge, age):
    refused(bridge, bridge.headers(age=age))


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_header_that_comes_twice_is_refused(bridge, name):
    headers = bridge.headers(message_id="msg_repeated")
    again = next(header for header in headers if header.startswith(name))
    refused(bridge, [*headers, again])


@pytest.mark.parametrize(
    "timestamp", ["nan", "inf", "-1", "", "1e9", "1_614_265_330", "1614265330.9", "9" * 400, "\xff"]
)
def test_a_timestamp_that_is_none_is_refused_and_no_fault(bridge, timestamp):
    refused(bridge, changed(bridge.headers(), "webhook-timestamp", timestamp))


@pytest.mark.parametrize(
    "signature",
    ["", "v1,", "v1,\xff\xfe", "v1,a,b", "v2,{}", "v1a,{}", "v1,abc " * 2000, "garbage", "\x80"],
)
def test_a_signature_that_is_none_is_refused_and_no_fault(bridge, signature):
    headers = bridge.headers(message_id="msg_odd")
    good = headers[-1].rpartition(",")[2]
    refused(bridge, changed(headers, "webhook-signature", signature.replace("{}", good)))


@pytest.mark.parametrize("place", [0, len(BODY) // 2, -1])
def test_one_changed_byte_is_refused(bridge, place):
    body = bytearray(BODY)
    body[place] ^= 1
    refused(bridge, bridge.headers(), bytes(body))


@pytest.mark.parametrize("tail", [b"\n", b"\r\n", b" "])
def test_the_signature_covers_the_bytes_and_not_their_meaning(bridge, tail):
    refused(bridge, bridge.headers(), BODY + tail)


@pytest.mark.parametrize("body", [b"[" * 100_000, b"{", b"\xff", b"", b'{"a":1,"a":2}'])
def test_an_unsigned_body_is_refused_before_it_is_read(bridge, body):
    refused(bridge, ["content-type: application/json"], body)
    refused(bridge, bridge.headers(), body)


def test_a_signed_body_that_cannot_be_read_is_kept(bridge):
    events, kept = bridge.stored()
    body = b"\x1f\x8b not json"
    stamp = int(time.time())
    headers = [
        "content-type: application/json",
        "webhook-id: msg_bytes",
        f"webhook-timestamp: {stamp}",
        f"webhook-signature: {sign('msg_bytes', stamp, body, [decode_secret(bridge.secret)])}",
    ]
    assert bridge.send(headers, body).status == 400
    assert bridge.stored() == (events, kept + 1)


def test_the_token_of_a_source_that_signs_is_not_a_thing(bridge):
    refused(bridge, [f"authorization: Bearer {bridge.secret}"])
    refused(bridge, [f"authorization: Bearer {bridge.server.token}"])


async def test_a_captured_request_is_a_repeat_at_first_and_refused_ten_minutes_later(
    world: World, clock
):
    made = await world.sources.create(
        SourceDraft(name="bridge", kind="standard_webhooks", settings={})
    )
    await world.configuration.refresh()
    stamp = int(clock().timestamp())
    signature = sign("msg_1", stamp, BODY, [decode_secret(made.signing_secret or "")])
    shown = {
        "webhook_id": "msg_1",
        "webhook_timestamp": str(stamp),
        "webhook_signature": signature,
    }
    first = await world.send(BODY, None, source="bridge", **shown)
    clock.advance(290)
    again = await world.send(BODY, None, source="bridge", **shown)
    assert (again.id, again.duplicate) == (first.id, True)
    clock.advance(310)
    with pytest.raises(Unauthorized):
        await world.send(BODY, None, source="bridge", **shown)
