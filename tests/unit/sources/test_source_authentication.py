"""Who may speak for a source."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import Unauthorized
from app.domain.model import RawRequest
from app.domain.signing import decode_secret, sign, token_digest
from app.sources.authentication import authenticate
from app.sources.base import Credentials
from app.sources.registry import adapter_for
from tests.captured import RECEIVED_AT

ADAPTER = adapter_for("ultimate_multisite")
TOKEN = "tok_9f3c2b"
OLD_TOKEN = "tok_before"
KEY = decode_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
OLD_KEY = decode_secret("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")
BOTH = Credentials(
    token_hashes=(token_digest(TOKEN), token_digest(OLD_TOKEN)), signing_secrets=(KEY, OLD_KEY)
)
NOW = 1_795_461_463
BODY = b'{"customer_id":2}'


def basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def signed(key: bytes = KEY, timestamp: int = NOW, body: bytes = BODY) -> dict[str, str]:
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign("msg_1", timestamp, body, [key]),
    }


def passes(
    headers: dict[str, str] | None = None,
    query: dict[str, str] | None = None,
    *,
    credentials: Credentials = BOTH,
    repeated: frozenset[str] = frozenset(),
    kind: str = "ultimate_multisite",
) -> bool:
    request = RawRequest(
        headers=headers or {},
        query=query or {},
        body=BODY,
        received_at=RECEIVED_AT,
        repeated_headers=repeated,
    )
    try:
        authenticate(adapter_for(kind), request, credentials, NOW)
    except Unauthorized:
        return False
    return True


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({}, {"token": TOKEN}),
        ({}, {"token": OLD_TOKEN}),
        ({"authorization": f"Bearer {TOKEN}"}, {}),
        ({"authorization": f"bearer   {TOKEN}"}, {}),
        ({"authorization": basic("wordpress", TOKEN)}, {}),
        ({"authorization": basic("", TOKEN)}, {}),
        ({"authorization": basic("jürgen", TOKEN)}, {}),
        ({"authorization": basic("x", "wrong")}, {"token": TOKEN}),
        ({"authorization": f"Bearer {TOKEN}"}, {"token": "wrong"}),
    ],
)
def test_a_valid_token_passes_wherever_it_stands(
    headers: dict[str, str], query: dict[str, str]
) -> None:
    assert passes(headers, query)


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({}, {}),
        ({}, {"token": ""}),
        ({}, {"token": TOKEN + "x"}),
        ({}, {"token": TOKEN.upper()}),
        ({}, {"token": "ÿ\ud800"}),
        ({}, {"key": TOKEN}),
        ({"authorization": TOKEN}, {}),
        ({"authorization": f"Token {TOKEN}"}, {}),
        ({"authorization": "Bearer "}, {}),
        ({"authorization": "Bearer \xff"}, {}),
        ({"authorization": basic(TOKEN, "")}, {}),
        ({"authorization": "Basic !!!"}, {}),
        ({"authorization": "Basic \xff"}, {}),
        ({"authorization": "Basic " + b64encode(b"no colon").decode()}, {}),
        ({"authorization": "Basic " + b64encode(b"\xff\xfe:\xff").decode()}, {}),
        ({"authorization": basic("x", TOKEN)[:-3]}, {}),
    ],
)
def test_anything_else_is_refused(headers: dict[str, str], query: dict[str, str]) -> None:
    assert not passes(headers, query)


def test_a_repeated_authorization_header_is_ambiguous() -> None:
    header = {"authorization": f"Bearer {TOKEN}"}
    assert not passes(header, repeated=frozenset({"authorization"}))


@pytest.mark.parametrize("key", [KEY, OLD_KEY])
def test_a_signature_by_any_current_key_passes(key: bytes) -> None:
    assert passes(signed(key))


@pytest.mark.parametrize(
    ("shift", "valid"), [(-301, False), (-300, True), (300, True), (301, False)]
)
def test_a_signature_is_valid_for_five_minutes_either_way(shift: int, *, valid: bool) -> None:
    assert passes(signed(timestamp=NOW + shift)) is valid


@pytest.mark.parametrize(
    "headers",
    [
        signed(b"k" * 32),
        signed(body=BODY + b"\n"),
        signed() | {"webhook-id": "msg_2"},
        signed() | {"webhook-timestamp": str(NOW - 1)},
        signed() | {"webhook-signature": ""},
        signed() | {"webhook-signature": "v1,\xff"},
    ],
)
def test_a_wrong_signature_is_refused(headers: dict[str, str]) -> None:
    assert not passes(headers)


def test_a_repeated_signature_header_is_refused() -> None:
    assert not passes(signed(), repeated=frozenset({"webhook-signature"}))


def test_a_valid_token_passes_beside_a_wrong_signature() -> None:
    assert passes(signed(b"k" * 32), {"token": TOKEN})


def test_a_valid_signature_passes_beside_a_wrong_token() -> None:
    assert passes(signed(), {"token": "wrong"})


def test_a_source_without_credentials_lets_nobody_in() -> None:
    assert not passes(signed(), {"token": TOKEN}, credentials=Credentials())


def test_a_kind_that_takes_no_credential_lets_nobody_in() -> None:
    assert not passes(signed(), {"token": TOKEN}, kind="relay")


def test_the_refusal_says_the_same_for_every_reason() -> None:
    texts = set()
    for headers, query in (({}, {}), ({}, {"token": "wrong"}), (signed(b"k" * 32), {})):
        request = RawRequest(headers=headers, query=query, body=BODY, received_at=RECEIVED_AT)
        with pytest.raises(Unauthorized) as refused:
            authenticate(ADAPTER, request, BOTH, NOW)
        texts.add((refused.value.detail, tuple(refused.value.headers.items())))
    assert len(texts) == 1


HEADER_TEXT = st.text(st.characters(min_codepoint=0, max_codepoint=255), max_size=40)


@given(
    headers=st.fixed_dictionaries(
        {},
        optional={
            "authorization": HEADER_TEXT
            | HEADER_TEXT.map(lambda text: f"Basic {text}")
            | st.binary(max_size=30).map(lambda data: "Basic " + b64encode(data).decode())
            | HEADER_TEXT.map(lambda text: f"Bearer {text}"),
            "webhook-id": HEADER_TEXT,
            "webhook-timestamp": HEADER_TEXT | st.just(str(NOW)),
            "webhook-signature": HEADER_TEXT,
        },
    ),
    query=st.dictionaries(st.just("token"), st.text(st.characters(exclude_categories=()))),
)
def test_no_credential_whatever_it_holds_raises_anything_but_unauthorized(
    headers: Any, query: Any
) -> None:
    assert not passes(headers, query)
