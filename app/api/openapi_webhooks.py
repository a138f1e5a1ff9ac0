"""The `webhooks` section of the OpenAPI document: what a custom webhook target receives."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from app.domain import strict_json
from app.domain.catalogue import CATALOGUE, EventType, Sender
from app.domain.model import Customer, Domain, Membership, Payment, RawRequest, Reading, Site
from app.sources.registry import adapter_for

Document = dict[str, Any]

_PARTS = (
    ("customer", Customer),
    ("membership", Membership),
    ("payment", Payment),
    ("site", Site),
    ("domain", Domain),
)
_REFERENCE = "#/components/schemas/{model}"
_RECEIVED_AT = datetime(2026, 11, 23, 19, 9, 31, tzinfo=UTC)
_EVENT_ID = "evt_01kr9x7m2a1c3e5g7h9j1k3m5n"
_SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

_HEADERS: list[Document] = [
    {
        "name": "webhook-id",
        "in": "header",
        "required": True,
        "description": "The delivery's id; the same on every attempt.",
        "schema": {"type": "string"},
        "example": "msg_01kr9x7m3c2e4g6j8k0n2q4s6t",
    },
    {
        "name": "webhook-timestamp",
        "in": "header",
        "required": True,
        "description": "When this attempt was made, in seconds since 1970.",
        "schema": {"type": "integer"},
        "example": 1795460971,
    },
    {
        "name": "webhook-signature",
        "in": "header",
        "required": True,
        "description": "Standard Webhooks: `v1,` and base64 of HMAC-SHA256 over id, timestamp and"
        " body, joined by dots; two, with a space between, while a rotation overlaps.",
        "schema": {"type": "string"},
        "example": _SIGNATURE,
    },
    {
        "name": "relay-hop",
        "in": "header",
        "required": False,
        "description": "How many relays of this kind the event has passed; a relay that receives"
        " it again refuses to send it round for ever.",
        "schema": {"type": "integer"},
        "example": 1,
    },
    {
        "name": "traceparent",
        "in": "header",
        "required": False,
        "description": "The trace the event belongs to (W3C Trace Context): the sender's, where it"
        " gave one; where the relay is traced itself, its span of this attempt.",
        "schema": {"type": "string"},
        "example": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    },
]
_RESPONSES: Document = {
    "2XX": {"description": "The delivery succeeded; the answer's body is not read."},
    "410": {"description": "Nothing more is wanted: the target is disabled."},
    "429": {"description": "Too fast: sent again after `Retry-After`, not counted as an attempt."},
    "default": {"description": "The delivery is sent again by the schedule. 3xx is not followed."},
}


class _AsWritten(GenerateJsonSchema):
    """Schemas of what the one JSON writer writes: a decimal is a number where that is exact."""

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        """A number, or a string."""
        return {"type": ["number", "string"]}


def schemas() -> Document:
    """The component schemas that `webhooks` refers to."""
    _, found = TypeAdapter.json_schemas(
        [(part, "serialization", TypeAdapter(model)) for part, model in _PARTS],
        ref_template=_REFERENCE,
        schema_generator=_AsWritten,
    )
    definitions: Document = found["$defs"]
    return definitions | {"EventEnvelope": _envelope_schema()}


def webhooks() -> Document:
    """One entry for each group of event types."""
    groups: dict[str, list[EventType]] = {}
    for entry in CATALOGUE.values():
        groups.setdefault(entry.group, []).append(entry)
    return {name: {"post": _operation(name, entries)} for name, entries in groups.items()}


def _envelope_schema() -> Document:
    parts = {
        name: {"anyOf": [{"$ref": f"#/components/schemas/{model.__name__}"}, {"type": "null"}]}
        for name, model in _PARTS
    }
    return {
        "type": "object",
        "description": "An event, as a target without a mapping of its own receives it.",
        "required": ["type", "id", "timestamp", "source", "test", "data"],
        "properties": {
            "type": {"type": "string", "description": "The event type."},
            "id": {"type": "string", "description": "The event's id."},
            "timestamp": {
                "type": "string",
                "format": "date-time",
                "description": "When it happened.",
            },
            "source": {"type": "string", "description": "The name of the source that sent it."},
            "test": {"type": "boolean", "description": "True when it is from a test button."},
            "data": {"type": "object", "description": "The data, as received."},
            **parts,
        },
    }


def _operation(group: str, entries: Iterable[EventType]) -> Document:
    listed = list(entries)
    return {
        "operationId": f"receive_{group}",
        "tags": ["Outgoing"],
        "summary": f"Events about: {group}",
        "description": "What a target of the connector `webhook` receives. Its `mapping` can"
        " reshape the body; with `format: raw` it is the received bytes. Types:\n\n"
        + "\n".join(f"- `{entry.name}`: {entry.summary}" for entry in listed),
        "security": [],
        "parameters": _HEADERS,
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "allOf": [{"$ref": "#/components/schemas/EventEnvelope"}],
                        "properties": {"type": {"enum": [entry.name for entry in listed]}},
                    },
                    "examples": {
                        entry.name: {"summary": entry.summary, "value": example(entry)}
                        for entry in listed
                    },
                }
            },
        },
        "responses": _RESPONSES,
    }


def example(entry: EventType) -> Document:
    """The envelope of a type's example, made by the same adapter that reads live events."""
    reading = _reading(entry)
    written: Document = strict_json.read_trusted(
        strict_json.write(
            {
                "type": entry.name,
                "id": _EVENT_ID,
                "timestamp": reading.occurred_at or _RECEIVED_AT,
                "source": "my-network",
                "test": reading.test,
                "data": reading.data,
                **{name: getattr(reading, name) for name, _ in _PARTS},
            }
        )
    )
    return written


def _reading(entry: EventType) -> Reading:
    request = RawRequest(headers={}, body=b"", received_at=_RECEIVED_AT, event_type=entry.name)
    if entry.sender is Sender.RELAY:
        news = {"type": entry.name, "timestamp": None, "data": dict(entry.example)}
        return adapter_for("relay").read(request, news)
    return adapter_for("ultimate_multisite").read(request, dict(entry.example))
