"""Senders whose signature and places are settings."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

import pytest

from app.domain.errors import InvalidPayload, InvalidRequest, ValidationFailed
from app.services.source_definition import checked_settings
from app.sources.generic_hmac import GenericHmac
from tests.senders import NOW, passes, read, request, sample

SECRET = "generic-secret"
STAMP = str(NOW)
# Computed with openssl, over what the name says.
HEX_BODY_512 = (
    "c6da4afe30c095bbcd1c524335bdca2b6a534265e90fa2e1a2dedb83177c6c5e"
    "13094c7651a7eddccd44b37ee437be849bb2ffe8edfcb8742e3668b590a1227d"
)
BASE64_BODY = "syD/XqWdLEJtmCbmMDZavmcihdF2AvS/yvG/oYySBeQ="
HEX_SLACK = "b200211b781e7f0794f07089c1e92ec6b4ccf65873062adb64e1a35fa700422d"
HEX_ID_STAMP_BODY = "55e8c55809df6b610de2fbf4283706ca986e0136c4034b3f657782a8c94537cc"
HEX_STAMP_BODY = "895562981562835f3da3df7942ac7d9ee2f127a8dc9750340fe935528f9477e0"
HEX_BODY_HEX_KEY = "765873f3dafd21b3f6b80830322c090ebe394f8eaa8cc3d7cc6660ed04c2b81d"
KEY = bytes(range(16))

SLACK = {
    "header": "X-Slack-Signature",
    "prefix": "v0=",
    "timestamp_header": "X-Slack-Request-Timestamp",
    "signed": "v0:{timestamp}:{body}",
}
PADDLE = {
    "header": "Paddle-Signature",
    "prefix": "h1=",
    "timestamp_header": "Paddle-Signature",
    "timestamp_prefix": "ts=",
    "signed": "{timestamp}:{body}",
}
WITH_ID = {
    "header": "x-signature",
    "id": "X-Message-Id",
    "timestamp_header": "x-time",
    "signed": "{id}.{timestamp}.{body}",
}


def adapter(**settings: Any) -> GenericHmac:
    chosen = {"header": "x-signature"} | settings
    return GenericHmac().configured(checked_settings(GenericHmac(), chosen))


@pytest.mark.parametrize(
    ("settings", "headers"),
    [
        ({"header": "X-Paystack-Signature", "algorithm": "sha512"}, {"x-paystack-signature": HEX_BODY_512}),
        ({"algorithm": "sha512"}, {"x-signature": HEX_BODY_512.upper()}),
        ({"header": "X-Shopify-Hmac-Sha256", "encoding": "base64"}, {"x-shopify-hmac-sha256": BASE64_BODY}),
        ({"encoding": "base64", "prefix": "sha256="}, {"x-signature": f"sha256={BASE64_BODY}"}),
        (SLACK, {"x-slack-signature": f"v0={HEX_SLACK}", "x-slack-request-timestamp": STAMP}),
        (PADDLE, {"paddle-signature": f"ts={STAMP};h1={HEX_STAMP_BODY}"}),
        (PADDLE, {"paddle-signature": f"ts={STAMP};h1={'0' * 64};h1={HEX_STAMP_BODY}"}),
        (PADDLE, {"paddle-signature": f"ts={STAMP}, h1={HEX_STAMP_BODY}"}),
        (WITH_ID, {"x-signature": HEX_ID_STAMP_BODY, "x-time": STAMP, "x-message-id": "msg-1"}),
    ],
    ids=["sha512", "upper case", "base64", "prefix", "slack", "paddle", "two", "spaces", "id"],
)  # fmt: skip
def test_a_request_signed_as_the_settings_say_passes(
    settings: dict[str, Any], headers: dict[str, str]
):
    assert passes(adapter(**settings), request(b"body", headers), SECRET)


@pytest.mark.parametrize(
    ("settings", "headers"),
    [
        ({"algorithm": "sha512"}, {}),
        ({"algorithm": "sha512"}, {"x-signature": ""}),
        ({"algorithm": "sha256"}, {"x-signature": HEX_BODY_512}),
        ({"algorithm": "sha512"}, {"x-signature": HEX_BODY_512[:-2]}),
        ({"algorithm": "sha512", "prefix": "sha512="}, {"x-signature": HEX_BODY_512}),
        ({"encoding": "base64"}, {"x-signature": BASE64_BODY.rstrip("=")}),
        ({"encoding": "hex"}, {"x-signature": BASE64_BODY}),
        ({"encoding": "base64"}, {"x-signature": "\xff"}),
        (PADDLE, {"paddle-signature": f"h1={HEX_STAMP_BODY}"}),
        (PADDLE, {"paddle-signature": f"ts={STAMP};ts={STAMP};h1={HEX_STAMP_BODY}"}),
        (PADDLE, {"paddle-signature": f"ts=nan;h1={HEX_STAMP_BODY}"}),
        (PADDLE, {"paddle-signature": f"ts={STAMP}"}),
        (SLACK, {"x-slack-signature": f"v0={HEX_SLACK}"}),
        (SLACK, {"x-slack-signature": f"v0={HEX_SLACK}", "x-slack-request-timestamp": "9" * 400}),
        (WITH_ID, {"x-signature": HEX_ID_STAMP_BODY, "x-time": STAMP}),
        (WITH_ID, {"x-signature": HEX_ID_STAMP_BODY, "x-time": STAMP, "x-message-id": "msg-2"}),
    ],
)
def test_anything_else_is_refused(settings: dict[str, Any], headers: dict[str, str]):
    assert not passes(adapter(**settings), request(b"body", headers), SECRET)


@pytest.mark.parametrize(
    ("off", "tolerance", "valid"),
    [
        (-301, 300, False),
        (-300, 300, True),
        (300, 300, True),
        (301, 300, False),
        (-3600, 3600, True),
        (11, 10, False),
    ],
)
def test_the_timestamp_must_be_near(off: int, tolerance: int, *, valid: bool):
    asked = request(b"body", {"paddle-signature": f"ts={STAMP};h1={HEX_STAMP_BODY}"})
    assert passes(adapter(**PADDLE, tolerance=tolerance), asked, SECRET, now=NOW + off) is valid


@pytest.mark.parametrize("stamp", ["1795461463000", "2026-11-23T19:17:43Z"])
def test_a_timestamp_may_count_milliseconds_or_be_written_out(stamp: str):
    signed = adapter(timestamp_header="x-time", signed="{timestamp}.{body}")
    digest = hmac.new(SECRET.encode(), f"{stamp}.body".encode(), hashlib.sha256).hexdigest()
    asked = request(b"body", {"x-signature": digest, "x-time": stamp})
    assert passes(signed, asked, SECRET)
    assert not passes(signed, asked, SECRET, now=NOW + 301)


@pytest.mark.parametrize("name", ["x-signature", "x-time", "x-message-id"])
def test_a_header_that_came_twice_is_refused(name: str):
    fields = {"x-signature": HEX_ID_STAMP_BODY, "x-time": STAMP, "x-message-id": "msg-1"}
    asked = request(b"body", fields, repeated_headers=frozenset({name}))
    assert not passes(adapter(**WITH_ID), asked, SECRET)


@pytest.mark.parametrize(
    ("encoding", "secret"), [("hex", KEY.hex()), ("base64", b64encode(KEY).decode())]
)
def test_the_key_may_be_encoded_in_the_secret(encoding: str, secret: str):
    asked = request(b"body", {"x-signature": HEX_BODY_HEX_KEY})
    assert passes(adapter(secret_encoding=encoding), asked, secret)


@pytest.mark.parametrize(
    ("encoding", "secret"),
    [
        ("text", "seven-7"),
        ("text", "x" * 513),
        ("text", " with spaces "),
        ("text", "line\nbreak-in-it"),
        ("hex", "not hexadecimal"),
        ("hex", "0123456789abcde"),
        ("hex", "0123456789"),
        ("base64", "not base64!"),
        ("base64", "QUJDRA=="),
    ],
)
def test_a_secret_of_the_wrong_form_is_refused_and_not_repeated(encoding: str, secret: str):
    with pytest.raises(ValueError, match="secret") as refused:
        adapter(secret_encoding=encoding).signing_key(secret)
    assert secret not in str(refused.value)


def test_an_empty_body_is_signed_like_any_other():
    asked = request(b"", {"x-signature": HEX_BODY_512})
    assert not passes(adapter(algorithm="sha512"), asked, SECRET)


def test_what_is_left_of_a_removed_source_lets_nobody_in():
    asked = request(b"body", {"x-signature": BASE64_BODY})
    assert not passes(GenericHmac(), asked, SECRET)


@pytest.mark.parametrize(
    ("settings", "pointer"),
    [
        ({"header": None}, "#/settings/header"),
        ({"header": ""}, "#/settings/header"),
        ({"header": "X Signature"}, "#/settings/header"),
        ({"header": "Authorization"}, "#/settings/header"),
        ({"algorithm": "sha1"}, "#/settings/algorithm"),
        ({"algorithm": "md5"}, "#/settings/algorithm"),
        ({"encoding": "base32"}, "#/settings/encoding"),
        ({"prefix": "a, b"}, "#/settings/prefix"),
        ({"timestamp_header": "x-t"}, "#/settings/signed"),
        ({"signed": "{timestamp}.{body}"}, "#/settings/signed"),
        ({"signed": "{id}.{body}"}, "#/settings/signed"),
        ({"signed": "{id}.{body}", "id": "/id"}, "#/settings/signed"),
        ({"signed": "{timestamp}"}, "#/settings/signed"),
        ({"signed": "{body}{body}"}, "#/settings/signed"),
        ({"signed": "{url}{body}"}, "#/settings/signed"),
        ({"signed": "é{body}"}, "#/settings/signed"),
        ({"signed": "x" * 201 + "{body}"}, "#/settings/signed"),
        ({"tolerance": 0}, "#/settings/tolerance"),
        ({"tolerance": 86_401}, "#/settings/tolerance"),
        ({"id": "cookie"}, "#/settings/id"),
        ({"type": "/a/~2"}, "#/settings/type"),
        ({"occurred_at": "/" + "a" * 200}, "#/settings/occurred_at"),
        ({"colour": "red"}, "#/settings/colour"),
    ],
)
def test_a_setting_that_cannot_be_is_named(settings: dict[str, Any], pointer: str):
    with pytest.raises(ValidationFailed) as refused:
        adapter(**settings)
    assert [error.pointer for error in refused.value.errors] == [pointer]


def test_the_settings_are_stored_without_their_defaults():
    chosen = {"header": "X-Sig", "encoding": "hex", "tolerance": 300, "id": None}
    assert checked_settings(GenericHmac(), chosen) == {"header": "x-sig"}


# What the body says


PLACES = {"type": "/event", "id": "/event_id", "occurred_at": "/created"}


def test_type_id_and_time_are_read_where_the_settings_say():
    document = sample("gateway-charge")
    found = read(adapter(**PLACES), document)
    assert (found.type, found.dedupe_id) == ("charge.succeeded", "ev-0007")
    assert found.occurred_at == datetime.fromtimestamp(NOW, UTC)
    assert found.data == document


def test_they_may_stand_in_headers_which_are_then_kept():
    places = {"type": "X-Event", "id": "X-Event-Id", "occurred_at": "X-Time"}
    headers = {"x-event": "Order Placed", "x-event-id": "7", "x-time": "2026-11-23T19:17:43Z"}
    reading = adapter(**places)
    found = read(reading, {}, headers)
    assert (found.type, found.dedupe_id) == ("order_placed", "7")
    assert found.occurred_at == datetime.fromtimestamp(NOW, UTC)
    assert reading.kept_headers == ("x-event-id", "x-event", "x-time")


@pytest.mark.parametrize(
    ("pointer", "event_type"),
    [
        ("/list/0/name", "first"),
        ("/list/1", "second"),
        ("/a~1b/c~0d", "escaped"),
        ("/", "empty"),
    ],
)
def test_a_pointer_reaches_into_lists_and_odd_names(pointer: str, event_type: str):
    document = {"list": [{"name": "first"}, "second"], "a/b": {"c~d": "escaped"}, "": "empty"}
    assert read(adapter(type=pointer), document).type == event_type


@pytest.mark.parametrize(
    "pointer", ["/list/2", "/list/01", "/list/-", "/list/x", "/a/b", "/text/x"]
)
def test_a_place_that_is_not_there_says_nothing(pointer: str):
    with pytest.raises(InvalidRequest, match="names no event type"):
        read(adapter(type=pointer), {"list": [1, 2], "text": "text"})


def test_the_type_in_the_path_goes_before_the_bodys():
    assert read(adapter(**PLACES), sample("gateway-charge"), event_type="sold").type == "sold"


def test_without_a_place_the_member_type_is_the_type():
    assert read(adapter(), {"type": "sold"}).type == "sold"


@pytest.mark.parametrize(
    ("settings", "document", "pointer"),
    [
        (PLACES, {"event": ["x"]}, "#/event"),
        (PLACES, {"event": "9lives"}, "#/event"),
        (PLACES, {"event": "x" * 65}, "#/event"),
        (PLACES, {"event": "relay.contact_linked"}, "#/event"),
        (PLACES, {"event": "a", "event_id": {}}, "#/event_id"),
        (PLACES, {"event": "a", "event_id": "a\u0000"}, "#/event_id"),
        (PLACES, {"event": "a", "created": "soon"}, "#/created"),
        (PLACES, {"event": "a", "created": -1}, "#/created"),
        (PLACES, {"event": "a", "created": 10**18}, "#/created"),
        (PLACES, [], "#"),
    ],
)
def test_a_wrong_value_is_named_by_its_place(settings: dict[str, Any], document: Any, pointer: str):
    with pytest.raises(InvalidPayload) as refused:
        read(adapter(**settings), document)
    assert [error.pointer for error in refused.value.errors] == [pointer]


def test_a_wrong_header_is_named_in_words():
    with pytest.raises(InvalidPayload, match="the header x-id must be an id"):
        read(adapter(id="X-Id"), {"type": "sold"}, {"x-id": "i" * 256})


def test_objects_with_the_relays_own_names_are_read():
    found = read(adapter(), {"type": "sold", "customer": {"id": 7, "email": "jane@x.example"}})
    assert found.customer is not None
    assert (found.customer.email, found.subject) == ("jane@x.example", "customer/7")


def test_a_stored_body_of_a_removed_source_is_still_an_event():
    found = read(
        GenericHmac(), sample("gateway-charge"), event_type="charge.succeeded", settled=True
    )
    assert (found.type, found.dedupe_id) == ("charge.succeeded", None)
