"""Standard Webhooks 1.0.0: golden vectors, and what must not be accepted (reference B1 and B7)."""

from __future__ import annotations

import ast
import base64
import hashlib
import hmac
import inspect
import time
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from app.domain import signing
from app.domain.errors import Unauthorized
from app.domain.signing import (
    InvalidSecret,
    InvalidSignature,
    decode_secret,
    matches_any,
    new_secret,
    sign,
    token_digest,
    verify,
)

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
KEY = decode_secret(SECRET)
OTHER_KEY = bytes(range(32))
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
NOW = 1614265330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
ED25519_SIGNATURE = (
    "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
)

VECTORS = [
    (SECRET, ID, NOW, BODY, SIGNATURE),
    (
        "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
        "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
        1649367553,
        b'{"email":"test@example.com","username":"test_user"}',
        "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
    ),
    (SECRET, "msg_empty", 0, b"", "v1,Ltehlpi5OGyGDYT88/KJ9HpvrUW0SPkONXfGUWfnq/w="),
    (
        SECRET,
        "msg_utf8",
        1614265330,
        '{"a":"é中😀"}'.encode(),
        "v1,kCitRFK80Pw8uIyRvYvB87E0leDBbdQeb1ghdedU/Gs=",
    ),
    (
        SECRET,
        "msg_bin",
        1614265330,
        bytes(range(256)),
        "v1,zKkpQf+YT+dr64OyBkTRzlYOMsRBgOMPy3F1C3zmeiU=",
    ),
]


def headers(message_id=ID, timestamp=str(NOW), signature=SIGNATURE):
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": signature,
    }


def is_accepted(given_headers, body=BODY, keys=(KEY,), now=NOW, **options):
    try:
        verify(given_headers, body, keys, now, **options)
    except InvalidSignature:
        return False
    return True


@pytest.mark.parametrize(("secret", "message_id", "timestamp", "body", "signature"), VECTORS)
def test_the_golden_vectors_are_reproduced(secret, message_id, timestamp, body, signature):
    assert sign(message_id, timestamp, body, [decode_secret(secret)]) == signature


@pytest.mark.parametrize(("secret", "message_id", "timestamp", "body", "signature"), VECTORS)
def test_the_golden_vectors_are_accepted(secret, message_id, timestamp, body, signature):
    given_headers = headers(message_id, str(timestamp), signature)
    assert is_accepted(given_headers, body, [decode_secret(secret)], timestamp)


@pytest.mark.parametrize(
    "changed",
    [
        {"message_id": "msg_p5jXN8AQM9LWM0D4loKWxJel"},
        {"timestamp": str(NOW + 1)},
        {"signature": SIGNATURE.replace("g0hM", "g0hN")},
    ],
)
def test_a_changed_header_is_refused(changed):
    assert not is_accepted(headers(**changed))


def test_one_flipped_bit_of_body_or_key_is_refused():
    assert not is_accepted(headers(), bytes([BODY[0] ^ 1]) + BODY[1:])
    assert not is_accepted(headers(), keys=[bytes([KEY[0] ^ 1]) + KEY[1:]])


@pytest.mark.parametrize(
    "body",
    [BODY + b"\r\n", BODY + b"\n", b"\xef\xbb\xbf" + BODY, b"\xff\xfe", b"\x1f\x8b\x08not really"],
)
def test_the_body_is_signed_byte_for_byte(body):
    assert not is_accepted(headers(), body)
    assert is_accepted(headers(signature=sign(ID, NOW, body, [KEY])), body)


@pytest.mark.parametrize(
    ("drift", "accepted"),
    [(-301, False), (-300, True), (-299, True), (0, True), (299, True), (300, True), (301, False)],
)
def test_the_timestamp_may_be_five_minutes_off_either_way(drift, accepted):
    assert is_accepted(headers(), now=NOW - drift) is accepted


def test_the_tolerance_can_be_set():
    assert not is_accepted(headers(), now=NOW + 11, tolerance=10)


@pytest.mark.parametrize(
    "timestamp",
    [
        *("nan", "inf", "-1", "", "hello", "1e9", "1.6e9", "1_614_265_330", " 1614265330"),
        *("1614265330 ", "1614265330.9", "1614265330.0", "+1614265330", "0x60381E32", "9" * 400),
        *("٣٤٥", "١٦١٤٢٦٥٣٣٠", "1614265330\n", "\xff"),
    ],
    ids=ascii,
)
def test_a_timestamp_that_is_not_plain_digits_is_refused(timestamp):
    with suppress(UnicodeEncodeError):
        signed = hmac.digest(KEY, f"{ID}.{timestamp}.".encode("latin-1") + BODY, "sha256")
        signature = "v1," + base64.b64encode(signed).decode()
        assert not is_accepted(headers(timestamp=timestamp, signature=signature))
    assert not is_accepted(headers(timestamp=timestamp))


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
@pytest.mark.parametrize("empty", [True, False])
def test_each_header_must_be_there(missing, empty):
    given_headers = headers()
    if empty:
        given_headers[missing] = ""
    else:
        del given_headers[missing]
    assert not is_accepted(given_headers)


def test_header_names_are_found_in_any_case():
    assert is_accepted({name.title(): value for name, value in headers().items()})
    assert is_accepted({name.upper(): value for name, value in headers().items()})


def test_two_spellings_of_a_header_are_ambiguous():
    given_headers = {"Webhook-Id": ID, "WEBHOOK-ID": ID, **headers()}
    del given_headers["webhook-id"]
    assert not is_accepted(given_headers)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_repeated_signature_header_is_refused(name):
    assert not is_accepted(headers(), repeated=frozenset({name}))


def test_another_repeated_header_does_not_matter():
    assert is_accepted(headers(), repeated=frozenset({"accept", "via"}))


@pytest.mark.parametrize(
    "signature",
    [
        f"garbage {SIGNATURE}",
        f"a,b,c {SIGNATURE}",
        f"v1,!!! {SIGNATURE}",
        f"v1, {SIGNATURE}",
        f"{SIGNATURE} v2,{SIGNATURE[3:]}",
        f"v2,abc v1a,abc  {SIGNATURE}",
        f"  {SIGNATURE}  ",
        " ".join(["v1,abc"] * 31 + [SIGNATURE]),
    ],
)
def test_one_good_signature_among_others_is_enough(signature):
    assert is_accepted(headers(signature=signature))


@pytest.mark.parametrize(
    "signature",
    [
        "v1,",
        "v1",
        ",",
        SIGNATURE[:13],
        SIGNATURE[:-1],
        SIGNATURE + "=",
        SIGNATURE + ",x",
        SIGNATURE[3:],
        f"v1,a,{SIGNATURE[3:]}",
        f"v2,{SIGNATURE[3:]}",
        f"v1a,{SIGNATURE[3:]}",
        f"V1,{SIGNATURE[3:]}",
        f"v1, {SIGNATURE[3:]}",
        f"v1,{ED25519_SIGNATURE[4:]}",
        ED25519_SIGNATURE,
        SIGNATURE.replace("=", "%3D"),
        SIGNATURE.replace("+", "-").replace("/", "_"),
        f"v1,{base64.b64decode(SIGNATURE[3:]).hex()}",
        "v1,\xff\xfe",
        "v1,日本",
        "\ud800",
        "\x00",
        " ".join(["v1,abc"] * 32 + [SIGNATURE]),
        "v1,abc " * 10_000 + SIGNATURE,
        f"{SIGNATURE},{SIGNATURE}",
        f"v1,\xa0{SIGNATURE}",
    ],
    ids=lambda signature: ascii(signature)[:40],
)
def test_what_is_not_exactly_one_of_our_signatures_is_refused(signature):
    assert not is_accepted(headers(signature=signature))


def test_the_refusal_says_the_same_for_every_reason():
    cases = [headers(signature="v1,a"), headers(timestamp="0"), headers(message_id=""), {}]
    texts = set()
    for case in cases:
        with pytest.raises(InvalidSignature) as caught:
            verify(case, BODY, [KEY], NOW)
        texts.add(caught.value.detail)
    assert texts == {"The request has no valid Standard Webhooks signature."}


def test_an_uncaught_refusal_is_answered_401():
    assert issubclass(InvalidSignature, Unauthorized)
    assert InvalidSignature().status == 401


def test_no_key_accepts_nothing():
    assert not is_accepted(headers(), keys=[])


def test_both_keys_are_good_while_a_rotation_overlaps_and_only_the_new_one_after():
    by_old = headers(signature=sign(ID, NOW, BODY, [KEY]))
    by_new = headers(signature=sign(ID, NOW, BODY, [OTHER_KEY]))
    assert is_accepted(by_old, keys=[OTHER_KEY, KEY])
    assert is_accepted(by_new, keys=[OTHER_KEY, KEY])
    assert not is_accepted(by_old, keys=[OTHER_KEY])


def test_two_keys_give_two_signatures_in_their_order():
    both = sign(ID, NOW, BODY, [OTHER_KEY, KEY])
    assert both.split(" ") == [sign(ID, NOW, BODY, [OTHER_KEY]), SIGNATURE]
    assert is_accepted(headers(signature=both), keys=[KEY])


def test_a_dot_in_an_id_would_make_two_messages_look_alike_so_none_is_signed():
    content = b"a.1614265330.1614265331.x"
    signature = "v1," + base64.b64encode(hmac.digest(KEY, content, "sha256")).decode()
    one = headers("a.1614265330", "1614265331", signature)
    other = headers("a", "1614265330", signature)
    assert is_accepted(one, b"x")
    assert is_accepted(other, b"1614265331.x")
    with pytest.raises(ValueError, match="dot"):
        sign("a.1614265330", 1614265331, b"x", [KEY])


def test_a_header_id_beyond_ascii_is_compared_as_the_bytes_that_came():
    signed = hmac.digest(KEY, f"é.{NOW}.".encode() + BODY, "sha256")
    signature = "v1," + base64.b64encode(signed).decode()
    assert is_accepted(headers("é".encode().decode("latin-1"), signature=signature))


ANY_VALUE = st.text(max_size=60) | st.sampled_from(
    [ID, str(NOW), SIGNATURE, "v1,", " ", "v1," + "A" * 43 + "=", "\xff", "\ud800", "9" * 5_000]
)
SOUP = st.dictionaries(
    st.sampled_from(["webhook-id", "Webhook-Id", "webhook-timestamp", "webhook-signature"])
    | st.text(max_size=20),
    ANY_VALUE,
)


@given(SOUP, st.binary(max_size=40))
def test_no_header_leads_to_anything_but_a_refusal(given_headers, body):
    with suppress(InvalidSignature):
        verify({**headers(), **given_headers}, body, [KEY], NOW)
        assert body == BODY


@given(
    st.text(st.characters(codec="ascii", exclude_characters="."), min_size=1),
    st.integers(0, 10**12 - 1),
    st.binary(),
    st.lists(st.binary(min_size=24, max_size=64), min_size=1, max_size=3),
)
def test_what_is_signed_verifies_with_each_of_its_keys(message_id, timestamp, body, keys):
    given_headers = headers(message_id, str(timestamp), sign(message_id, timestamp, body, keys))
    for key in keys:
        verify(given_headers, body, [key], timestamp)


TEXT_BODIES = st.text().map(str.encode)
IDS = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1)


@given(IDS, st.integers(0, 4_000_000_000), TEXT_BODIES, st.binary(min_size=24, max_size=64))
def test_our_signature_is_that_of_the_reference_library(message_id, timestamp, body, key):
    moment = datetime.fromtimestamp(timestamp, UTC)
    expected = Webhook(key).sign(message_id, moment, body.decode())
    assert sign(message_id, timestamp, body, [key]) == expected


@given(IDS, TEXT_BODIES, st.binary(min_size=24, max_size=64), st.booleans())
def test_the_reference_library_and_ours_accept_the_same(message_id, body, key, tampered):
    now = int(time.time())
    signature = sign(message_id, now, body, [OTHER_KEY, key])
    given_headers = headers(message_id, str(now), signature)
    sent = body + b"!" if tampered else body
    try:
        Webhook(key).verify(sent, given_headers, json_parse=False)
        accepted = True
    except WebhookVerificationError:
        accepted = False
    assert is_accepted(given_headers, sent, [key], now) is accepted is not tampered


def encoded(size):
    return base64.b64encode(bytes(range(size))).decode()


@pytest.mark.parametrize("size", [24, 25, 26, 32, 63, 64])
@pytest.mark.parametrize("prefix", ["whsec_", ""])
@pytest.mark.parametrize("padded", [True, False])
def test_a_secret_is_read_with_or_without_prefix_and_padding(size, prefix, padded):
    text = prefix + (encoded(size) if padded else encoded(size).rstrip("="))
    assert decode_secret(text) == bytes(range(size))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "has 0"),
        ("whsec_", "has 0"),
        ("whsec_" + encoded(23), "has 23"),
        ("whsec_" + encoded(65), "has 65"),
        ("whsec_!!!", "base64"),
        ("whsec_" + encoded(32) + "\n", "base64"),
        (" whsec_" + encoded(32), "base64"),
        ("whsec_whsec_" + encoded(32), "base64"),
        ("WHSEC_" + encoded(32), "base64"),
        ("whsec_" + encoded(25)[:-1], "padding"),
        ("whsec_" + encoded(24) + "=", "padding"),
        ("whsec_" + encoded(24) + "==", "padding"),
        ("whsec_" + encoded(24) + "A", "cut short"),
        ("whsec_" + encoded(32).replace("/", "_").replace("A", "-"), "base64"),
        ("whsec_" + "é" * 32, "base64"),
        ("whsk_" + encoded(64), "ed25519"),
        ("whpk_" + encoded(32), "ed25519"),
    ],
)
def test_a_secret_of_another_form_is_refused_with_the_reason(text, reason):
    with pytest.raises(InvalidSecret, match=reason):
        decode_secret(text)


@given(st.text())
def test_the_refusal_of_a_secret_never_repeats_it(text):
    try:
        decode_secret(text)
    except InvalidSecret as error:
        refusal = str(error)
    else:
        refusal = ""
    assert len(text) < 12 or text not in refusal


def test_a_new_secret_has_32_bytes_of_chance():
    assert decode_secret(new_secret(lambda size: b"\x07" * size)) == b"\x07" * 32
    assert new_secret() != new_secret()


def test_a_token_is_kept_as_its_sha_256():
    assert token_digest("abc") == hashlib.sha256(b"abc").digest()


def test_a_token_beyond_ascii_has_one_digest_however_it_came():
    token = "schlüssel-日本-schlüssel"
    as_header = token.encode().decode("latin-1")
    assert token_digest(as_header) == token_digest(token) == hashlib.sha256(token.encode()).digest()


@given(st.text(st.characters()))
def test_any_text_has_a_digest(token):
    assert len(token_digest(token)) == 32


def test_a_digest_is_found_wherever_it_stands():
    digests = [token_digest(token) for token in ("a", "b", "c")]
    assert all(matches_any(token_digest(token), digests) for token in ("a", "b", "c"))
    assert not matches_any(token_digest("d"), digests)
    assert not matches_any(b"", digests)
    assert not matches_any(b"", [])


def test_nothing_secret_is_compared_with_an_operator_that_stops_early():
    words = ("sig", "digest", "token", "key", "secret", "expected", "candidate")
    compared = [
        ast.unparse(node)
        for node in ast.walk(ast.parse(inspect.getsource(signing)))
        if isinstance(node, ast.Compare)
        and any(isinstance(operator, ast.Eq | ast.NotEq | ast.In) for operator in node.ops)
    ]
    names = {
        leaf.id
        for text in compared
        for leaf in ast.walk(ast.parse(text))
        if isinstance(leaf, ast.Name)
    }
    # `key` there is a header's name.
    assert not [name for name in names - {"key"} if any(word in name for word in words)]
