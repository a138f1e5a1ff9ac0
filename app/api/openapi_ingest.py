"""The OpenAPI operations of the door: every catalogued event type as its own, and the open ones."""

from __future__ import annotations

from typing import Any

from app.api.problems import PROBLEM_RESPONSES
from app.domain import payload_schemas
from app.domain.catalogue import CATALOGUE, EventType, Sender, bridge_example

Document = dict[str, Any]

_REFUSALS = (400, 401, 404, 408, 409, 413, 415, 422, 429, 431, 503)
_WHEN = {
    400: "The body cannot be read, or no event type can be found. With a valid credential the"
    " request is kept, and `quarantine_id` names it.",
    404: "There is no such source, or the source is strict and does not know the type.",
    409: "The same id came before with another body.",
    415: "The body is compressed, or no JSON. With a valid credential it is kept.",
    422: "JSON, but not what this kind of source sends. With a valid credential it is kept.",
    429: "The source has a `rate_per_second`, and sends faster. Nothing was kept; send it again"
    " after `Retry-After`.",
    503: "The store is not available and nothing was stored; send it again after `Retry-After`.",
}
_ANSWER = {"id": "evt_01kr9x7m2a1c3e5g7h9j1k3m5n", "type": "payment_received", "duplicate": False}
_QUARANTINED = frozenset({400, 415, 422})

SECURITY_SCHEMES: Document = {
    "SourceTokenInQuery": {
        "type": "apiKey",
        "in": "query",
        "name": "token",
        "description": "The source's token, for senders that can only be given a URL.",
    },
    "SourceToken": {
        "type": "http",
        "scheme": "bearer",
        "description": "The source's token.",
    },
    "SourceTokenAsPassword": {
        "type": "http",
        "scheme": "basic",
        "description": "The source's token as the password; any user name."
        " This is what WordPress makes of `https://user:token@host/…`.",
    },
    "WebhookId": {
        "type": "apiKey",
        "in": "header",
        "name": "webhook-id",
        "description": "Standard Webhooks: the sender's own id of the event.",
    },
    "WebhookTimestamp": {
        "type": "apiKey",
        "in": "header",
        "name": "webhook-timestamp",
        "description": "Standard Webhooks: seconds since 1970, within five minutes of now.",
    },
    "WebhookSignature": {
        "type": "apiKey",
        "in": "header",
        "name": "webhook-signature",
        "description": "Standard Webhooks: `v1,` and base64 of HMAC-SHA256 over id, timestamp and"
        " body, joined by dots, with the source's signing secret.",
    },
}
_SECURITY: list[Document] = [
    {"SourceTokenInQuery": []},
    {"SourceToken": []},
    {"SourceTokenAsPassword": []},
    {"WebhookId": [], "WebhookTimestamp": [], "WebhookSignature": []},
]

SCHEMAS: Document = {
    "Receipt": {
        "type": "object",
        "description": "The event is stored, with one delivery for every target it is for.",
        "required": ["id", "type", "duplicate"],
        "properties": {
            "id": {"type": "string", "description": "The event's id; of a repeat the first one's."},
            "type": {"type": "string"},
            "duplicate": {"type": "boolean", "description": "True when it was stored before."},
            "events": {
                "type": "array",
                "description": "Of a batch (CloudEvents), all its events in their order; what"
                " stands beside it is the first one's. Absent otherwise.",
                "items": {
                    "type": "object",
                    "required": ["id", "type", "duplicate"],
                    "properties": {
                        "id": {"type": "string"},
                        "type": {"type": "string"},
                        "duplicate": {"type": "boolean"},
                    },
                },
            },
        },
        "examples": [_ANSWER],
    },
    "BridgeEnvelope": payload_schemas.envelope()
    | {"description": "What the bridge plugin sends: signed, with an id of its own."},
    "StandardWebhook": {
        "type": "object",
        "description": "The body Standard Webhooks recommends; the id is the header `webhook-id`.",
        "required": ["type", "data"],
        "properties": {
            "type": {"type": "string"},
            "timestamp": {"type": "string", "format": "date-time"},
            "data": {"type": "object"},
        },
        "additionalProperties": True,
    },
}

_SOURCE: Document = {
    "name": "source",
    "in": "path",
    "required": True,
    "description": "The name of a source.",
    "schema": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,39}$"},
    "example": "my-network",
}
_EVENT_TYPE: Document = {
    "name": "event_type",
    "in": "path",
    "required": True,
    "description": "An event type that is not in the catalogue: add-ons register their own.",
    "schema": {"type": "string", "pattern": "^[a-z][a-z0-9_.-]{0,63}$"},
    "example": "affiliate_referral_created",
}


def schemas() -> Document:
    """The component schemas that `paths` refers to."""
    return SCHEMAS | {entry.name: _body_schema(entry) for entry in _sendable()}


def paths() -> Document:
    """The door's paths."""
    found: Document = {"/webhooks/{source}": {"post": _body_names_type()}}
    for entry in _sendable():
        found[f"/webhooks/{{source}}/{entry.name}"] = {"post": _path_names_type(entry)}
    found["/webhooks/{source}/{event_type}"] = {"post": _any_type()}
    return found


def tags() -> list[Document]:
    """One tag for each group of event types."""
    groups = dict.fromkeys(entry.group for entry in _sendable())
    first: Document = {"name": "Ingest", "description": "Where senders post events."}
    return [
        first,
        *({"name": _tag(name), "description": f"Events about: {name}."} for name in groups),
    ]


def _sendable() -> list[EventType]:
    return [entry for entry in CATALOGUE.values() if entry.sender is not Sender.RELAY]


def _tag(group: str) -> str:
    return f"Ingest: {group}"


def _body_schema(entry: EventType) -> Document:
    return {
        **entry.fields,
        "title": entry.name,
        "description": entry.summary + ".",
    }


def _path_names_type(entry: EventType) -> Document:
    older = f" An old name of `{entry.alias_of}`." if entry.alias_of else ""
    since = f" Seen since version {entry.since} of the platform." if entry.since else ""
    return _operation(
        operation_id="send_" + entry.name.replace("-", "_").replace(".", "_"),
        tag=_tag(entry.group),
        summary=entry.summary,
        description=f"Sent by: {entry.sender.value}.{since}{older} The body is the event's data.",
        schema={"$ref": f"#/components/schemas/{entry.name}"},
        examples={entry.name: {"summary": entry.summary, "value": dict(entry.example)}},
        answer={**_ANSWER, "type": entry.name},
    )


def _body_names_type() -> Document:
    standard = {
        "type": "payment_received",
        "timestamp": "2026-11-23T19:09:31Z",
        "data": {"payment": {"id": "3", "total": "59.99", "currency": "USD"}},
    }
    return _operation(
        operation_id="send_event",
        tag="Ingest",
        summary="Send an event whose body names its type",
        description="For senders whose body or headers say what happened, by the source's kind:"
        " the bridge plugin's envelope, the body of Standard Webhooks, and what Stripe, GitHub,"
        " WooCommerce, senders of CloudEvents and custom gateways send in a form of their own"
        " (docs/senders.md).",
        schema={
            "anyOf": [
                {"$ref": "#/components/schemas/BridgeEnvelope"},
                {"$ref": "#/components/schemas/StandardWebhook"},
            ]
        },
        examples={
            "bridge": {
                "summary": "An envelope of the bridge plugin",
                "value": bridge_example("checkout_completed"),
            },
            "standard_webhooks": {"summary": "Standard Webhooks", "value": standard},
        },
        answer={**_ANSWER, "type": "checkout_completed"},
    )


def _any_type() -> Document:
    data = {"referral_id": 12, "customer_id": 2, "customer_user_email": "jane@customer.example"}
    operation = _operation(
        operation_id="send_any_event",
        tag="Ingest",
        summary="Send an event of any other type",
        description="A type outside the catalogue is accepted, kept and routed when it has the"
        " right form, unless the source is strict.",
        schema={"type": "object", "additionalProperties": True},
        examples={"custom": {"summary": "An add-on's own event", "value": data}},
        answer={**_ANSWER, "type": "affiliate_referral_created"},
    )
    operation["parameters"].append(_EVENT_TYPE)
    return operation


def _operation(
    *,
    operation_id: str,
    tag: str,
    summary: str,
    description: str,
    schema: Document,
    examples: Document,
    answer: Document,
) -> Document:
    accepted = {
        "description": "Committed to the database; a repeat is answered with the first event's id.",
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/Receipt"},
                "example": answer,
            }
        },
    }
    refusals = {str(status): _refusal(status) for status in _REFUSALS}
    return {
        "operationId": operation_id,
        "tags": [tag],
        "summary": summary,
        "description": description,
        "security": _SECURITY,
        "parameters": [_SOURCE],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": schema, "examples": examples}},
        },
        "responses": {"202": accepted, **refusals},
    }


def _refusal(status: int) -> Document:
    """The problem of a status, said for the door."""
    response: Document = dict(PROBLEM_RESPONSES[status])
    if status in _WHEN:
        response["description"] = _WHEN[status]
    if status in _QUARANTINED:
        ((media_type, content),) = response["content"].items()
        example = dict(content["example"]) | {"quarantine_id": "qrn_01kr9x8n4d3f5h7k9m1p3r5t7w"}
        response["content"] = {media_type: {**content, "example": example}}
    return response
