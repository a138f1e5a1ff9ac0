"""The OpenAPI document: what FastAPI knows of the routers, and what only the catalogue knows."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.api import openapi_details, openapi_examples, openapi_ingest, openapi_webhooks
from app.api.problems import MEDIA_TYPE, PROBLEM_RESPONSES, PROBLEM_SCHEMA
from app.domain import strict_json

Document = dict[str, Any]

_SUMMARY = "Takes a subscription platform's lifecycle events in, keeps them, and carries each one to CRMs, analytics and your own tools."
_DESCRIPTION = """
**Senders** post events to `/webhooks/{source}/{event_type}` with the credential of their source.
202 means: committed to the database, with one delivery for every target the event is for.

**Operators** manage sources and targets under `/v1` with an API key,
`Authorization: Bearer rk_…`.

**Targets** receive what stands under *Webhooks*, signed by the Standard Webhooks specification.

Every refusal is a problem document (RFC 9457); `type` names the problem and never changes.
Times are RFC 3339 in UTC; lists come in pages, newest first, and `next` of a page is the `cursor`
of the one after it.
A POST that makes something can be sent again without harm when it carries an `Idempotency-Key`.
"""
_TAGS: tuple[tuple[str, str], ...] = (
    ("Sources", "Who may send events, and how they prove it."),
    ("Targets", "Where events go."),
    ("Events", "What came in."),
    ("Deliveries", "Each event on its way to each target, with every attempt."),
    ("Quarantine", "Authenticated requests that could not be understood."),
    ("Replays", "Past events, sent again."),
    ("Jobs", "Long work, such as replays: how far it is, and an end to it."),
    ("API keys", "Who may call /v1."),
    ("Catalogue", "The event types and connectors this version knows."),
    ("Statistics", "How the relay is doing, in one look."),
    ("Health", "For load balancers and Prometheus; no key needed."),
    ("Outgoing", "What custom webhook targets receive."),
)
_METHODS = ("get", "post", "patch", "put", "delete")
_OBSOLETE = ("HTTPValidationError", "ValidationError")


def build(app: FastAPI) -> Document:
    """The whole document; takes a moment, so it is to be kept."""
    document = get_openapi(
        title="Lifecycle Relay",
        version=app.version,
        openapi_version="3.1.0",
        summary=_SUMMARY,
        description=_DESCRIPTION.strip(),
        license_info={"name": "MIT", "identifier": "MIT"},
        routes=app.routes,
    )
    components = document.setdefault("components", {})
    found = components.get("schemas", {})
    for name in _OBSOLETE:
        found.pop(name, None)
    components["schemas"] = {
        **openapi_ingest.schemas(),
        **openapi_webhooks.schemas(),
        **found,
        "Problem": PROBLEM_SCHEMA,
    }
    components["securitySchemes"] = {
        **openapi_ingest.SECURITY_SCHEMES,
        **components.get("securitySchemes", {}),
    }
    document["paths"] = {**openapi_ingest.paths(), **document["paths"]}
    document["webhooks"] = openapi_webhooks.webhooks()
    document["tags"] = [*openapi_ingest.tags(), *_tags(document)]
    openapi_details.complete(document)
    _share_problems(document)
    openapi_examples.complete(document)
    return document


def written(app: FastAPI) -> bytes:
    """The document as JSON."""
    return strict_json.write(build(app))


def _tags(document: Document) -> list[Document]:
    """The tags that are used, in the order of the table."""
    used = {
        tag
        for section in ("paths", "webhooks")
        for item in document[section].values()
        for method in _METHODS
        if method in item
        for tag in item[method].get("tags", ())
    }
    return [{"name": name, "description": text} for name, text in _TAGS if name in used]


def _share_problems(document: Document) -> None:
    """Let every refusal refer to the one schema of a problem, FastAPI's own 422 among them."""
    for item in document["paths"].values():
        for method in _METHODS:
            responses = item.get(method, {}).get("responses", {})
            for status, response in responses.items():
                content = response.get("content", {})
                if status == "422" and MEDIA_TYPE not in content:
                    content = PROBLEM_RESPONSES[422]["content"]
                    response = PROBLEM_RESPONSES[422]  # noqa: PLW2901  the one of ours instead
                if MEDIA_TYPE in content:
                    shared = {
                        **content[MEDIA_TYPE],
                        "schema": {"$ref": "#/components/schemas/Problem"},
                    }
                    responses[status] = {**response, "content": {MEDIA_TYPE: shared}}
