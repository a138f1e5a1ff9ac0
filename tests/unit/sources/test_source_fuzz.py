"""Any JSON document, through every adapter: an event that a database can hold, or a clear refusal."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.catalogue import CATALOGUE
from app.domain.errors import InvalidPayload, InvalidRequest
from app.domain.model import RawRequest, Reading
from app.domain.payload_schemas import object_names
from app.sources.groups import GROUP_NAMES
from app.sources.registry import ADAPTERS
from tests.captured import RECEIVED_AT
from tests.documents import documents

WORDS = st.text(st.characters(exclude_categories=()), max_size=12)
KNOWN_WORDS = sorted(
    {*GROUP_NAMES, "id", "type", "data", "timestamp", "occurred_at", "context", "consent", "spec"}
    | {"source", "subject", "test"}
    | {"billing_address", "gateway_info", "compiled_product_list", "product", "line_items"}
    | {name for group in GROUP_NAMES for name in object_names(group)}
    | {name for entry in CATALOGUE.values() for name in entry.fields["properties"]},
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | WORDS
    | st.sampled_from(["0", "2026-11-23 19:09:31", "59.9900", "true", "plan", "payment_received"])
)
KEYS = st.sampled_from(KNOWN_WORDS) | WORDS
DOCUMENTS = documents(SCALARS, KEYS)
GROUPS = st.fixed_dictionaries({}, optional=dict.fromkeys(GROUP_NAMES, DOCUMENTS))
ENVELOPES = st.fixed_dictionaries(
    {"id": st.just("a-1"), "type": st.just("payment_received"), "data": GROUPS | DOCUMENTS},
    optional={"context": DOCUMENTS, "occurred_at": DOCUMENTS, "timestamp": DOCUMENTS},
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


@pytest.mark.parametrize("kind", ADAPTERS)
@given(
    document=DOCUMENTS | GROUPS | ENVELOPES,
    event_type=st.none() | st.just("payment_received") | WORDS,
    headers=st.dictionaries(st.just("webhook-id"), WORDS),
)
def test_any_document_is_an_event_or_a_clear_refusal(
    kind: str, document: Any, event_type: str | None, headers: dict[str, str]
) -> None:
    request = RawRequest(headers=headers, body=b"", received_at=RECEIVED_AT, event_type=event_type)
    found: Reading | InvalidPayload | InvalidRequest
    try:
        found = ADAPTERS[kind].read(request, document)
    except (InvalidPayload, InvalidRequest) as refused:
        found = refused
    texts = texts_in(found) if isinstance(found, Reading) else [found.detail]
    if isinstance(found, InvalidPayload):
        assert found.errors
        texts += texts_in(found.errors)
    for text in texts:
        assert "\0" not in text
        text.encode()
    if isinstance(found, Reading):
        assert len(found.type) <= 64
        assert len(found.subject or "") <= 190
        assert len(found.dedupe_id or "") <= 255
