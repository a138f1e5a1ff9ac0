"""Anything at all, through every vendor's adapter: an event that fits the columns, or a refusal."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain import strict_json
from app.domain.errors import (
    InvalidPayload,
    InvalidRequest,
    RelayError,
    Unauthorized,
    UnsupportedMediaType,
)
from app.domain.model import RawRequest, Reading
from app.domain.routing import is_event_type
from app.services.source_definition import checked_settings
from app.sources.authentication import authenticate
from app.sources.base import Credentials, SourceAdapter
from app.sources.registry import ADAPTERS
from tests.documents import documents
from tests.senders import FOLDER, NOW, RECEIVED_AT

MAPPING = {
    "type": 'has(body.type) && type == "x" ? body.type : "sold"',
    "id": "body.id",
    "occurred_at": "body.created",
    "subject": "body.object",
    "customer.email": "body.email",
    "payment.total": "body.total",
    "membership.plan.name": "body.data.name",
}


def configured(kind: str, **chosen: Any) -> SourceAdapter:
    adapter = ADAPTERS[kind]
    return adapter.configured(checked_settings(adapter, chosen))


PLACES = {"id": "/id", "type": "x-type", "occurred_at": "/created"}
SIGNED = {
    "header": "x-signature",
    "timestamp_header": "x-signature",
    "timestamp_prefix": "t=",
    "prefix": "v1=",
    "id": "x-type",
    "signed": "{id}.{timestamp}.{body}",
}
READERS: dict[str, SourceAdapter] = {
    "stripe": ADAPTERS["stripe"],
    "github": ADAPTERS["github"],
    "woocommerce": ADAPTERS["woocommerce"],
    "cloudevents": ADAPTERS["cloudevents"],
    "cloudevents mapped": configured("cloudevents", mapping=MAPPING),
    "standard_webhooks mapped": configured("standard_webhooks", mapping=MAPPING),
    "generic_hmac": configured("generic_hmac", header="x-signature", **PLACES),
    "generic_hmac mapped": configured("generic_hmac", mapping=MAPPING, **SIGNED),
    "generic_hmac by name": configured(
        "generic_hmac", header="x-s", mapping={"type": '"x"', "id": "string(body[body.id])"}
    ),
    "generic_hmac removed": ADAPTERS["generic_hmac"],
}


def members_of(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*(members_of(item) for item in value.values()))
    return set().union(*(members_of(item) for item in value)) if isinstance(value, list) else set()


SAMPLES = [strict_json.read_strict(path.read_bytes()) for path in sorted(FOLDER.glob("*.json"))]
WORDS = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | WORDS
    | st.sampled_from(
        [
            *("invoice", "charge", "subscription", "customer", "active", "usd", "jpy", "59.99"),
            *("2026-11-23T19:09:31Z", "invoice.paid", "customer.subscription.updated", "1.0"),
            *("x", "a\0b"),
        ]
    )
)
KEYS = st.sampled_from(sorted(set().union(*map(members_of, SAMPLES)))) | WORDS
DOCUMENTS = documents(SCALARS, KEYS)


@st.composite
def spoilt(draw: st.DrawFn) -> Any:
    """A sample in which one member, somewhere, is something else."""
    document = strict_json.read_strict(strict_json.write(draw(st.sampled_from(SAMPLES))))
    place = document
    while isinstance(place, (dict, list)) and place:
        step: Any = draw(
            st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place)))
        )
        if not isinstance(place[step], (dict, list)) or draw(st.booleans()):
            place[step] = draw(DOCUMENTS)
            break
        place = place[step]
    return document


HEADER_TEXT = (
    st.text(st.characters(max_codepoint=255), max_size=40)
    | st.text(st.characters(exclude_categories=()), max_size=10)
    | st.sampled_from(["order.updated", "issues", "%C0%A0", "Euro%20%E2%82%AC", "1.0", "9" * 400])
)
NAMES = st.sampled_from(
    [
        *("x-github-event", "x-github-delivery", "x-wc-webhook-topic", "x-wc-webhook-delivery-id"),
        *("ce-id", "ce-source", "ce-type", "ce-specversion", "ce-time", "ce-subject", "ce-other"),
        *("x-type", "webhook-id"),
    ]
)
MEDIA_TYPES = st.sampled_from(
    ["application/json", "application/cloudevents+json", "application/cloudevents+avro", ""]
)


def texts_in(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if dataclasses.is_dataclass(value):
        return [
            text
            for field in dataclasses.fields(value)
            if field.name != "data"
            for text in texts_in(getattr(value, field.name))
        ]
    if isinstance(value, (tuple, list)):
        return [text for item in value for text in texts_in(item)]
    return []


@pytest.mark.parametrize("reader", READERS)
@given(
    document=spoilt() | DOCUMENTS,
    headers=st.dictionaries(NAMES, HEADER_TEXT, max_size=6),
    media_type=MEDIA_TYPES,
    event_type=st.none() | st.just("payment_received") | WORDS,
)
@settings(max_examples=150, deadline=None)
def test_any_body_is_an_event_or_a_clear_refusal(
    reader: str, document: Any, headers: dict[str, str], media_type: str, event_type: str | None
) -> None:
    asked = RawRequest(
        headers=headers | {"content-type": media_type},
        body=b"",
        received_at=RECEIVED_AT,
        event_type=event_type,
    )
    found: Reading | RelayError
    try:
        found = READERS[reader].read(asked, document)
    except (InvalidPayload, InvalidRequest, UnsupportedMediaType) as refused:
        found = refused
    texts = texts_in(found) if isinstance(found, Reading) else [found.detail]
    for error in found.errors if isinstance(found, RelayError) else ():
        texts += [error.pointer, error.detail]
    for text in texts:
        assert "\0" not in text
        text.encode()
    if isinstance(found, Reading):
        assert is_event_type(found.type)
        assert len(found.subject or "") <= 190
        assert len(found.dedupe_id or "") <= 255
        strict_json.write(found)


SIGNATURE_HEADERS = st.sampled_from(
    [
        *("stripe-signature", "x-hub-signature-256", "x-wc-webhook-signature", "x-signature"),
        *("authorization", "webhook-id", "webhook-timestamp", "webhook-signature", "x-type"),
    ]
)
# Put together from few choices: from a regular expression each character costs several.
HEX = st.text("0123456789abcdef", max_size=70)
STAMPS = st.just("") | st.builds(
    "t={}{}".format,
    st.just(str(NOW)) | st.text("0123456789", max_size=12),
    st.sampled_from([",", ";", ", ", "; "]),
)
SIGNATURES = HEADER_TEXT | st.builds(
    "{}{}={}{}".format,
    STAMPS,
    st.sampled_from(["v1", "sha256", "v0"]),
    HEX,
    st.lists(HEX.map(",v1={}".format), max_size=3).map("".join),
)


@pytest.mark.parametrize("reader", READERS)
@given(
    headers=st.dictionaries(SIGNATURE_HEADERS, SIGNATURES),
    body=st.binary(max_size=30),
    repeated=st.frozensets(SIGNATURE_HEADERS, max_size=2),
)
@settings(max_examples=100, deadline=None)
def test_whatever_the_headers_hold_nobody_gets_in_without_the_secret(
    reader: str, headers: dict[str, str], body: bytes, repeated: frozenset[str]
) -> None:
    asked = RawRequest(
        headers=headers, body=body, received_at=RECEIVED_AT, repeated_headers=repeated
    )
    with pytest.raises(Unauthorized):
        authenticate(READERS[reader], asked, Credentials(signing_secrets=(b"k" * 32,)), NOW)


@given(body=st.binary(max_size=60) | st.lists(DOCUMENTS, max_size=4).map(strict_json.write))
@settings(max_examples=150, deadline=None)
def test_any_batch_is_split_or_refused(body: bytes) -> None:
    headers = {"content-type": "application/cloudevents-batch+json"}
    asked = RawRequest(headers=headers, body=body, received_at=RECEIVED_AT)
    try:
        parts = ADAPTERS["cloudevents"].split(asked)
    except RelayError:
        return
    assert [strict_json.read_strict(part.body) for part in parts] == strict_json.read_strict(body)
