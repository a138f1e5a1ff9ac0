"""What the OpenAPI document says in every place alike: members, headers, and the server's refusals.

A member that its own schema does not describe is described here by its name, so that the same
thing is said in the same words wherever it stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from app.api.problems import PROBLEM_RESPONSES
from app.domain import payload_schemas

Document = dict[str, Any]

_METHODS = ("get", "post", "patch", "put", "delete")
_PAGE = "Page_"
#: Members of any schema, by their names.
_MEMBERS: Mapping[str, str] = {
    "admin_url": "The address of its dashboard.",
    "attempts": "Every attempt that was made, oldest first.",
    "body": "The body as text.",
    "by_type": "How many of each event type.",
    "checks": "Each check: `ok`, or what is wrong.",
    "connector": "The kind of destination: see `/v1/connectors`.",
    "content_type": "The media type it came with.",
    "created_at": "When it was made.",
    "customer": "The person it is about; null when it is about nobody.",
    "data": "What happened, in members of the sender's choice.",
    "deliveries": "Its deliveries, or how many there are of each status.",
    "detail": "What is wrong, in a sentence.",
    "domain": "The domain it is about; null when it is about none.",
    "done": "How much is done.",
    "dry_run": "True when it only counted.",
    "duration_ms": "How long it took, in milliseconds.",
    "event_id": "The event's id.",
    "event_type": "The event's type.",
    "events": "Patterns of the event types it gets.",
    "exchanges": "The requests that were sent, with their answers.",
    "external_id": "The destination's id of the person.",
    "failed": "How much could not be done.",
    "filter": "A CEL expression that an event must meet; null for none.",
    "finished_at": "When it was over; null while it is not.",
    "force": "True when everything was taken for new.",
    "group": "What it is about.",
    "id": "The id.",
    "items": "The entries of this page, newest first.",
    "kind": "What kind it is.",
    "limits": "How much the destination bears.",
    "mapping": "A CEL expression for each field; null for what the connector does by itself.",
    "max_in_flight": "Most requests at one time.",
    "membership": "The membership it is about; null when it is about none.",
    "method": "The method of the request.",
    "name": "The name.",
    "number": "Counts from 1.",
    "occurred_at": "When it happened.",
    "oldest_waiting_seconds": "How long the oldest delivery waits that is due; null for none.",
    "ordered": "True when events about one subject are sent one after another.",
    "payment": "The payment it is about; null when it is about none.",
    "quarantine_open": "Quarantined requests that nobody has decided about.",
    "rate_limit": "How fast it is sent to at most; null for no limit.",
    "reason": "Why, in a sentence.",
    "received_at": "When it came in.",
    "requests": "The requests that would be sent, in their order.",
    "retry": "A schedule of its own; null for the usual one.",
    "scope": "What the key may do: `read`, `write` (and read), or `admin` (everything).",
    "settings": "The settings; those that are secret are masked or left out.",
    "settled_at": "When it was released or discarded; null while it is open.",
    "since": "From when on; null for no bound.",
    "site": "The site it is about; null when it is about none.",
    "source": "The name of the source; null for every one.",
    "sources": "Names of the sources whose events it gets; null for all.",
    "spec": "The form of the envelope, `lifecycle-relay/1`.",
    "started_at": "When it began.",
    "state": "How far it is.",
    "status": "How it stands.",
    "strict": "True when event types outside the catalogue are refused.",
    "subject": "Whom it is about, unique over all sources.",
    "summary": "What it says, in one line.",
    "target_id": "The target's id.",
    "targets": "Each target, with its deliveries.",
    "timestamp": "When it happened.",
    "total": "How many there are.",
    "type": "The event type.",
    "until": "Up to when; null for no bound.",
    "updated_at": "When it was last changed.",
    "url": "The address; secrets in it are masked.",
    "values": "Field to value.",
    "worker": "The process that made it.",
}
#: Members of one schema, where the name alone would say something else.
_SPECIAL: Mapping[str, Mapping[str, str]] = {
    "BridgeEnvelope": {
        "id": "The sender's own id of the event: the same when it is sent again.",
        "data": "The objects it is about.",
    },
    "EventCounts": {"total": "How many events."},
    "LineItem": {
        "kind": "What kind of line it is: product, fee, credit and others.",
        "product_id": "Id of the product.",
        "quantity": "How many.",
        "title": "Title of the line.",
        "total": "Amount of the line in major units.",
        "unit_price": "Price of one in major units.",
    },
    "Liveness": {"status": "Always `ok`."},
    "PreviewAnswer": {
        "event_id": "The stored event that was asked for; null for the example of a type.",
        "mapping": "What the mapping makes of it; null where there is none.",
        "reason": "Why the delivery would end so.",
    },
    "QuarantinedRequestAnswer": {"detail": "What the sender was told."},
    "QuarantineAnswer": {"detail": "What the sender was told."},
    "ReadyAnswer": {"status": "Always `ok`."},
    "ReplayAnswer": {
        "event_id": "The one event it is about; null for many.",
        "status": "How the events' last delivery to the target had ended; null for any end.",
        "type": "The pattern of the event types; null for all.",
    },
    "TargetCounts": {"status": "`active`, `paused` or `disabled`."},
}
#: The objects of an event, as the one table of their members calls them.
_OBJECTS = ("customer", "membership", "payment", "site", "domain")

_RETRY_AFTER: Document = {
    "description": "Seconds to wait before the next try.",
    "schema": {"type": "integer"},
    "example": 5,
}
_LOCATION: Document = {
    "description": "The path of what was made.",
    "schema": {"type": "string", "format": "uri-reference"},
}
_CHALLENGE: Document = {
    "description": "How to prove who you are.",
    "schema": {"type": "string"},
    "example": "Bearer",
}
_HEADERS: Mapping[str, tuple[str, Document]] = {
    "201": ("Location", _LOCATION),
    "202": ("Location", _LOCATION),
    "401": ("WWW-Authenticate", _CHALLENGE),
    "429": ("Retry-After", _RETRY_AFTER),
    "503": ("Retry-After", _RETRY_AFTER),
}
_MANAGEMENT = "/v1/"
_DOOR = "/webhooks/"
_BODY_REFUSALS = (408, 413)


def complete(document: Document) -> None:
    """Describe what is not described yet; name the headers and refusals every operation has."""
    for name, schema in document["components"]["schemas"].items():
        if name.startswith(_PAGE):
            schema.setdefault("description", "One page of a list; `next` leads to the one after.")
        _describe(schema, _words_for(name))
    for path, operation in _operations(document):
        responses = operation["responses"]
        if path.startswith(_MANAGEMENT):
            _add_refusals(operation)
        for status, response in responses.items():
            _add_header(path, status, response)


def _operations(document: Document) -> Iterator[tuple[str, Document]]:
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                yield path, item[method]


def _words_for(schema: str) -> Mapping[str, str]:
    return {**_MEMBERS, **_objects().get(schema, {}), **_SPECIAL.get(schema, {})}


def _describe(schema: Document, words: Mapping[str, str]) -> None:
    for name, member in schema.get("properties", {}).items():
        if name in words:
            member.setdefault("description", words[name])


def _objects() -> dict[str, dict[str, str]]:
    """The words of the envelope's table, for the same objects on their way out."""
    data = payload_schemas.envelope()["properties"]["data"]["properties"]
    found = {name.capitalize(): _words_of(data[name]) for name in _OBJECTS}
    return found | {"Plan": _words_of(data["membership"]["properties"]["plan"])}


def _words_of(schema: Document) -> dict[str, str]:
    members = schema["properties"].items()
    return {name: f"{member['description']}." for name, member in members}


def _add_refusals(operation: Document) -> None:
    """What the layers before the operation refuse: a head that is too large, a body that is."""
    responses = operation["responses"]
    statuses = (*_BODY_REFUSALS, 431) if "requestBody" in operation else (431,)
    for status in statuses:
        responses.setdefault(str(status), dict(PROBLEM_RESPONSES[status]))
    operation["responses"] = dict(sorted(responses.items()))


def _add_header(path: str, status: str, response: Document) -> None:
    if status not in _HEADERS or (path.startswith(_DOOR) and status == "202"):
        return
    name, header = _HEADERS[status]
    response.setdefault("headers", {}).setdefault(name, header)
