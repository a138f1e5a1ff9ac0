"""CloudEvents 1.0 over HTTP, in its three modes."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.connectors.base import Assignment, TargetBinding
from app.connectors.cloudevents import CloudEvents as CloudEventsTarget
from app.connectors.mapping import no_mapping
from app.domain import strict_json
from app.domain.errors import (
    InvalidPayload,
    InvalidRequest,
    RelayError,
    Unreadable,
    UnsupportedMediaType,
)
from app.domain.model import Customer, Event, Payment, Reading
from app.services.source_definition import checked_settings
from app.sources.cloudevents import CloudEvents
from app.sources.cloudevents_attributes import decoded
from tests.senders import read, request, sample, sample_body

ADAPTER = CloudEvents()
STRUCTURED = {"content-type": "application/cloudevents+json; charset=UTF-8"}
BATCH = {"content-type": "application/cloudevents-batch+json"}
BINARY = {
    "content-type": "application/json",
    "ce-specversion": "1.0",
    "ce-type": "com.example.order.Completed",
    "ce-source": "https://shop.example/orders",
    "ce-id": "A234-1234-1234",
    "ce-time": "2026-11-23T19:09:31Z",
    "ce-subject": "order/1234",
}
MINIMAL = {"specversion": "1.0", "id": "1", "source": "/s", "type": "sold"}


def binary(**changes: str) -> dict[str, str]:
    return BINARY | {f"ce-{name}": value for name, value in changes.items()}


def structured(**changes: Any) -> Reading:
    return read(ADAPTER, MINIMAL | changes, STRUCTURED)


def test_a_structured_event_stands_in_the_body():
    found = read(ADAPTER, sample("cloudevents-structured"), STRUCTURED)
    assert found.type == "com.example.order.completed"
    assert found.dedupe_id == "https://shop.example/orders A234-1234-1234"
    assert found.occurred_at == datetime(2026, 11, 23, 19, 9, 31, tzinfo=UTC)
    assert found.data == sample("cloudevents-structured")["data"]
    assert found.subject == "customer/26"
    assert found.payment is not None
    assert (found.payment.id, found.payment.total) == ("727", Decimal(44))


def test_a_binary_event_is_the_same_event():
    event = sample("cloudevents-structured")
    assert read(ADAPTER, event["data"], BINARY) == read(ADAPTER, event, STRUCTURED)


def test_an_event_about_nobody_the_relay_knows_has_the_events_own_subject():
    assert structured(subject="order/1234").subject == "order/1234"
    assert structured(subject="s" * 191).subject == structured(subject="s" * 191).subject
    assert len(structured(subject="s" * 500).subject or "") <= 190


def test_source_and_id_together_are_the_identity():
    assert structured(source="/a", id="b").dedupe_id == "/a b"
    assert (
        structured(source="/a", id="b c").dedupe_id != structured(source="/a b", id="c").dedupe_id
    )


def test_a_long_identity_is_kept_as_a_digest():
    long = "x" * 300
    found = structured(id=long).dedupe_id
    assert found is not None
    assert found.startswith("sha256:")
    assert found == structured(id=long).dedupe_id
    assert found != structured(id=long + "x").dedupe_id


@pytest.mark.parametrize(
    ("data", "kept"),
    [
        ({"a": 1}, {"a": 1}),
        ([1, 2], {"value": [1, 2]}),
        ("text", {"value": "text"}),
        (None, {}),
    ],
)
def test_data_that_is_no_object_stands_under_value(data: Any, kept: dict[str, Any]):
    assert structured(data=data).data == kept
    assert read(ADAPTER, data, BINARY).data == kept


def test_data_in_base64_is_not_decoded():
    assert structured(data_base64="AAE=").data == {"data_base64": "AAE="}


def test_the_type_in_the_path_goes_before_the_events():
    found = read(ADAPTER, MINIMAL, STRUCTURED, event_type="payment_received")
    assert found.type == "payment_received"


def test_a_prefix_of_the_types_is_taken_away():
    adapter = ADAPTER.configured(checked_settings(ADAPTER, {"type_prefix": "com.example."}))
    assert read(adapter, MINIMAL | {"type": "com.example.sold"}, STRUCTURED).type == "sold"
    assert read(adapter, MINIMAL | {"type": "org.example.sold"}, STRUCTURED).type == (
        "org.example.sold"
    )


CAME_IN = datetime(2026, 11, 23, 19, 9, 31, tzinfo=UTC)


@pytest.mark.parametrize("mode", ["structured", "binary"])
@pytest.mark.parametrize("test", [True, False])
def test_what_another_relays_connector_sends_is_the_event_it_was(mode: str, *, test: bool):
    event = Event(
        id="evt_1",
        type="payment_received",
        source="my-network",
        occurred_at=CAME_IN,
        received_at=CAME_IN,
        test=test,
        subject="my-network/customer/2",
        data={"payment_id": 3},
        customer=Customer(id="2", email="jane@customer.example"),
        payment=Payment(id="3", total=Decimal("59.99"), currency="USD", status="completed"),
    )
    sent = sent_by_a_relay(event, mode=mode, type_prefix="com.example.shop.")
    adapter = ADAPTER.configured(checked_settings(ADAPTER, {"type_prefix": "com.example.shop."}))
    found = adapter.read(
        request(sent.content, dict(sent.headers)), strict_json.read_strict(sent.content)
    )
    assert (found.type, found.test, found.occurred_at) == (event.type, test, CAME_IN)
    assert (found.customer, found.payment) == (event.customer, event.payment)
    assert found.dedupe_id == "/sources/my-network evt_1"


def sent_by_a_relay(event: Event, **settings: Any) -> httpx.Request:
    chosen = CloudEventsTarget.Settings(url="https://relay.example/webhooks/up", **settings)
    binding = TargetBinding(
        id="tgt_1", name="up", settings=chosen, mapping=no_mapping, signing_keys=(), user_agent="r"
    )
    work = Assignment(
        event=event, body=b"{}", content_type="application/json", message_id="msg_1",
        dedupe_id="", attempt=1, now=CAME_IN,
    )  # fmt: skip
    return next(CloudEventsTarget(binding).deliver(work))


# The form of header values (HTTP binding, 3.1.3.2)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro \u20ac \U0001f600"),
        ("%41%42c", "ABc"),
        ("%e2%82%ac", "\u20ac"),
        ("100%25", "100%"),
        ("%2525", "%25"),
        ('"in quotes"', "in quotes"),
        ('"a \\"quoted\\" word"', 'a "quoted" word'),
        ('"%22"', '"'),
        ("a+b", "a+b"),
        ("100%", "100%"),
        ("\u00e2\u0082\u00ac", "\u20ac"),
        (" padded ", "padded"),
        ("%C0%A0", None),
        ("%FF", None),
        ("%ED%A0%80", None),
        ("\xff", None),
        ("\u20ac", None),
    ],
)
def test_a_headers_value_is_unquoted_and_decoded_once(value: str, text: str | None):
    assert decoded(value) == text


TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=30)


@given(TEXT)
def test_what_is_encoded_by_the_rules_comes_back(text: str):
    written = "".join(
        character
        if "!" <= character <= "~" and character not in '"%'
        else "".join(f"%{byte:02X}" for byte in character.encode())
        for character in text
    )
    assert decoded(written) == text


def test_encoded_attributes_are_read():
    found = read(ADAPTER, {}, binary(id="a%20b", source="/caf%C3%A9", subject="%E2%82%AC/1"))
    assert (found.dedupe_id, found.subject) == ("/caf\u00e9 a b", "\u20ac/1")


@pytest.mark.parametrize(
    ("headers", "named"),
    [
        ({}, "has no ce- headers"),
        ({"content-type": "application/json"}, "application/cloudevents\\+json"),
        ({k: v for k, v in BINARY.items() if k != "ce-id"}, "the header ce-id is missing"),
        (binary(id=""), "the header ce-id is missing"),
        (binary(specversion="0.3"), "the header ce-specversion must be"),
        (binary(id="%C0%A0"), "the header ce-id must be one percent-encoded text"),
        (binary(source="%FF"), "the header ce-source"),
        (binary(type="a%00b"), "the header ce-type"),
        (binary(subject="%0A"), "the header ce-subject"),
        (binary(time="soon"), "the header ce-time must be a time"),
        (binary(type="9lives"), "the header ce-type must become an event type"),
        (binary(type="relay.contact_linked"), "the header ce-type must become"),
        (binary(type="x" * 65), "the header ce-type must become"),
    ],
)
def test_a_wrong_header_is_named(headers: dict[str, str], named: str):
    with pytest.raises(InvalidPayload, match=named) as refused:
        read(ADAPTER, {}, headers)
    assert refused.value.errors[0].pointer == "#"


def test_an_attribute_that_came_twice_is_ambiguous():
    with pytest.raises(InvalidPayload, match="ce-id"):
        read(ADAPTER, {}, BINARY, repeated_headers=frozenset({"ce-id"}))


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        ([], "#"),
        ({}, "#/specversion"),
        ({k: v for k, v in MINIMAL.items() if k != "source"}, "#/source"),
        (MINIMAL | {"id": ""}, "#/id"),
        (MINIMAL | {"id": 7}, "#/id"),
        (MINIMAL | {"id": "a\u0000"}, "#/id"),
        (MINIMAL | {"source": "\u0085"}, "#/source"),
        (MINIMAL | {"specversion": "2.0"}, "#/specversion"),
        (MINIMAL | {"type": "9lives"}, "#/type"),
        (MINIMAL | {"time": "soon"}, "#/time"),
        (MINIMAL | {"time": 7}, "#/time"),
        (MINIMAL | {"subject": {}}, "#/subject"),
    ],
)
def test_a_wrong_attribute_is_named(document: Any, pointer: str):
    with pytest.raises(InvalidPayload) as refused:
        read(ADAPTER, document, STRUCTURED)
    assert refused.value.errors[0].pointer == pointer


@pytest.mark.parametrize(
    "content_type",
    ["application/cloudevents", "application/cloudevents+avro", "application/cloudevents+xml"],
)
def test_another_format_than_json_is_said_to_be_unsupported(content_type: str):
    with pytest.raises(UnsupportedMediaType):
        read(ADAPTER, {}, {"content-type": content_type})


@pytest.mark.parametrize("event_type", ["X", "9", "a b"])
def test_a_path_of_the_wrong_form_is_refused(event_type: str):
    with pytest.raises(InvalidRequest):
        read(ADAPTER, MINIMAL, STRUCTURED, event_type=event_type)


# Batches


@pytest.mark.parametrize(
    ("body", "content_type", "batch"),
    [
        (b"[]", "application/cloudevents-batch+json", True),
        (b"[]", "Application/CloudEvents-Batch+JSON; charset=utf-8", True),
        (b"{}", "application/cloudevents+json", False),
        (b"{}", "application/json", False),
        (b"{}", "", False),
        (b"", "application/json", True),
    ],
)
def test_the_content_type_says_what_must_be_split(body: bytes, content_type: str, *, batch: bool):
    assert ADAPTER.is_batch(request(body, {"content-type": content_type})) is batch


def test_each_event_of_a_batch_keeps_its_bytes_and_is_read_by_itself():
    one = sample_body("cloudevents-structured").strip()
    other = b'{ "specversion":"1.0","id":"2","source":"/s","type":"a,b]c","data":["}"] }'
    whole = request(b" [\n" + one + b" ,\t" + other + b"\r\n] ", BATCH | {"x-other": "1"}, "sold")
    parts = ADAPTER.split(whole)
    assert [part.body for part in parts] == [one, other]
    assert [(part.event_type, part.headers["x-other"]) for part in parts] == [("sold", "1")] * 2
    readings = [ADAPTER.read(part, strict_json.read_strict(part.body)) for part in parts]
    assert [reading.dedupe_id for reading in readings] == [
        "https://shop.example/orders A234-1234-1234",
        "/s 2",
    ]


def test_an_event_without_data_has_no_body():
    (part,) = ADAPTER.split(request(b"", BINARY))
    assert part.body == b"null"
    assert ADAPTER.read(part, None).data == {}


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", Unreadable),
        (b"[", Unreadable),
        (b"[1,]", Unreadable),
        (b'[{"a":1,"a":2}]', Unreadable),
        (b"{}", InvalidPayload),
        (b"[]", InvalidPayload),
        (b"[" + b"1," * 1000 + b"1]", InvalidPayload),
    ],
)
def test_a_batch_that_is_none_is_refused(body: bytes, error: type[RelayError]):
    with pytest.raises(error):
        ADAPTER.split(request(body or b" ", BATCH))


# The handshake


def with_origins(*origins: str) -> CloudEvents:
    return ADAPTER.configured(checked_settings(ADAPTER, {"allowed_origins": list(origins)}))


@pytest.mark.parametrize(
    ("origin", "permitted"),
    [
        ("eventemitter.example.com", True),
        ("EventGrid.azure.example", True),
        ("localhost:8080", True),
        ("*", True),
        ("", False),
        ("a b", False),
        ("evil\r\nx-injected: 1", False),
        ("https://example.com", False),
        ("-", False),
        ("x" * 300, False),
    ],
)
def test_any_sender_that_names_itself_is_welcome(origin: str, *, permitted: bool):
    assert ADAPTER.permits(origin) is permitted


def test_only_the_origins_of_the_settings_are_welcome_where_there_are_some():
    adapter = with_origins("Emitter.example")
    assert adapter.permits("emitter.EXAMPLE")
    assert not adapter.permits("other.example")
