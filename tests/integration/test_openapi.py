"""The OpenAPI document: complete, and true in every reference and example."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import jsonschema
import pytest
from fastapi import FastAPI
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from app.api import health, openapi
from app.api.problems import MEDIA_TYPE
from app.domain import strict_json
from app.domain.catalogue import CATALOGUE, Sender
from app.main import _ROUTERS as ROUTERS

METHODS = ("get", "post", "patch", "put", "delete")
SENDABLE = [name for name, entry in CATALOGUE.items() if entry.sender is not Sender.RELAY]
OPEN_PATHS = {"/health/live", "/health/ready", "/metrics"}
CONTRACT = {
    "/webhooks/{source}": "post",
    "/webhooks/{source}/{event_type}": "post",
    "/v1/sources": "get post",
    "/v1/sources/{source_id}": "get patch delete",
    "/v1/sources/{source_id}/rotate": "post",
    "/v1/targets": "get post",
    "/v1/targets/{target_id}": "get patch delete",
    "/v1/targets/{target_id}/pause": "post",
    "/v1/targets/{target_id}/resume": "post",
    "/v1/targets/{target_id}/rotate-secret": "post",
    "/v1/targets/{target_id}/test": "post",
    "/v1/targets/{target_id}/preview": "post",
    "/v1/targets/{target_id}/prepare": "post",
    "/v1/targets/{target_id}/replay": "post",
    "/v1/events": "get",
    "/v1/events/{event_id}": "get",
    "/v1/events/{event_id}/body": "get",
    "/v1/events/{event_id}/replay": "post",
    "/v1/deliveries": "get",
    "/v1/deliveries/{delivery_id}": "get",
    "/v1/deliveries/{delivery_id}/retry": "post",
    "/v1/deliveries/{delivery_id}/cancel": "post",
    "/v1/replays": "get post",
    "/v1/replays/{replay_id}": "get",
    "/v1/replays/{replay_id}/cancel": "post",
    "/v1/quarantine": "get",
    "/v1/quarantine/{quarantine_id}": "get",
    "/v1/quarantine/{quarantine_id}/body": "get",
    "/v1/quarantine/{quarantine_id}/release": "post",
    "/v1/quarantine/{quarantine_id}/discard": "post",
    "/v1/api-keys": "get post",
    "/v1/api-keys/{key_id}": "delete",
    "/v1/event-types": "get",
    "/v1/connectors": "get",
    "/v1/stats": "get",
    "/health/live": "get",
    "/health/ready": "get",
    "/metrics": "get",
}


def _made() -> dict[str, Any]:
    app = FastAPI(openapi_url=None, version="1.2.3")
    for router in ROUTERS:
        app.include_router(router)
    app.include_router(health.health_router(_never, bytes))
    return strict_json.read_trusted(openapi.written(app))


async def _never() -> Any:
    raise AssertionError


DOCUMENT = _made()
REGISTRY = Registry().with_resource(
    "urn:relay", Resource(contents=DOCUMENT, specification=DRAFT202012)
)


class Operation(NamedTuple):
    section: str
    path: str
    method: str
    content: dict[str, Any]


OPERATIONS = [
    Operation(section, path, method, item[method])
    for section in ("paths", "webhooks")
    for path, item in DOCUMENT[section].items()
    for method in METHODS
    if method in item
]


def name_of(operation: Operation) -> str:
    return operation.content.get("operationId", operation.path)


def everything(node: Any, place: str = "#") -> Iterator[tuple[str, Any]]:
    yield place, node
    if isinstance(node, dict):
        for key, value in node.items():
            yield from everything(value, f"{place}/{key.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(node, list):
        for position, value in enumerate(node):
            yield from everything(value, f"{place}/{position}")


def resolved(reference: str) -> Any:
    node: Any = DOCUMENT
    for part in reference.removeprefix("#/").split("/"):
        node = node[part.replace("~1", "/").replace("~0", "~")]
    return node


def check(value: Any, schema: dict[str, Any]) -> None:
    """The value fits the schema, references into the document included."""
    rooted = strict_json.read_trusted(strict_json.write(schema).replace(b'"#/', b'"urn:relay#/'))
    validator = jsonschema.Draft202012Validator(rooted, registry=REGISTRY)
    errors = [error.message for error in validator.iter_errors(value)]
    assert errors == []


def bodies(operation: Operation) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every body an operation takes or answers: where, and its media type object."""
    for media_type, content in operation.content.get("requestBody", {}).get("content", {}).items():
        yield f"request {media_type}", content
    for status, response in operation.content["responses"].items():
        for media_type, content in response.get("content", {}).items():
            yield f"{status} {media_type}", content


def examples(content: dict[str, Any]) -> list[Any]:
    shown = [one["value"] for one in content.get("examples", {}).values()]
    return [*shown, content["example"]] if "example" in content else shown


def test_it_is_version_3_1_and_says_what_the_relay_is():
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert DOCUMENT["info"]["title"] == "Lifecycle Relay"
    assert DOCUMENT["info"]["version"] == "1.2.3"
    assert DOCUMENT["info"]["summary"]
    assert DOCUMENT["info"]["description"]
    assert "servers" not in DOCUMENT
    assert "contact" not in DOCUMENT["info"]


def test_every_operation_of_the_contract_is_there():
    for path, methods in CONTRACT.items():
        assert set(methods.split()) <= set(DOCUMENT["paths"][path]), path


@pytest.mark.parametrize("event_type", SENDABLE)
def test_every_event_type_is_an_operation_with_a_typed_body_and_a_real_example(event_type):
    operation = DOCUMENT["paths"][f"/webhooks/{{source}}/{event_type}"]["post"]
    content = operation["requestBody"]["content"]["application/json"]
    assert CATALOGUE[event_type].example in [one["value"] for one in content["examples"].values()]
    schema = resolved(content["schema"]["$ref"])
    assert schema["type"] == "object"
    assert len(schema["properties"]) >= 2


def test_nobody_can_send_the_relays_own_news():
    assert not any("relay." in path for path in DOCUMENT["paths"])


def test_every_event_type_stands_in_the_webhooks_section():
    received = {
        event_type
        for item in DOCUMENT["webhooks"].values()
        for event_type in item["post"]["requestBody"]["content"]["application/json"]["examples"]
    }
    assert received == set(CATALOGUE)


@pytest.mark.parametrize("group", DOCUMENT["webhooks"])
def test_a_webhook_names_the_headers_of_a_signature(group):
    parameters = DOCUMENT["webhooks"][group]["post"]["parameters"]
    assert [one["name"] for one in parameters if one["in"] == "header" and one["required"]] == [
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
    ]


def test_operation_ids_are_unique_and_can_be_names_of_functions():
    ids = [operation.content["operationId"] for operation in OPERATIONS]
    assert sorted(set(ids)) == sorted(ids)
    assert [one for one in ids if not re.fullmatch(r"[a-z][a-z0-9_]*", one)] == []


@pytest.mark.parametrize("operation", OPERATIONS, ids=name_of)
def test_every_operation_says_what_it_does(operation):
    assert operation.content["summary"].strip()
    assert operation.content["description"].strip()
    assert not operation.content["summary"].endswith(".")
    assert len(operation.content["tags"]) == 1


@pytest.mark.parametrize("operation", OPERATIONS, ids=name_of)
def test_every_body_has_an_example_that_fits_its_schema(operation):
    for place, content in bodies(operation):
        shown = examples(content)
        if "octet-stream" not in place:
            assert shown, place
        for example in shown:
            check(example, content.get("schema", {}))


@pytest.mark.parametrize(
    "operation", [one for one in OPERATIONS if one.section == "paths"], ids=name_of
)
def test_every_refusal_is_a_problem_document(operation):
    refusals = {
        status: response
        for status, response in operation.content["responses"].items()
        if status >= "4"
    }
    if operation.path not in OPEN_PATHS:
        assert {"401", "503"} <= set(refusals)
    for response in refusals.values():
        assert response["description"]
        assert list(response["content"]) == [MEDIA_TYPE]
        assert response["content"][MEDIA_TYPE]["schema"] == {"$ref": "#/components/schemas/Problem"}


@pytest.mark.parametrize(
    "operation", [one for one in OPERATIONS if one.path.startswith("/webhooks/")], ids=name_of
)
def test_the_door_names_every_credential_and_every_answer(operation):
    assert set(operation.content["responses"]) >= {
        *("202", "400", "401", "404", "409", "413", "415", "422", "503")
    }
    assert operation.content["security"] == [
        {"SourceTokenInQuery": []},
        {"SourceToken": []},
        {"SourceTokenAsPassword": []},
        {"WebhookId": [], "WebhookTimestamp": [], "WebhookSignature": []},
    ]


@pytest.mark.parametrize(
    "operation", [one for one in OPERATIONS if one.path.startswith("/v1")], ids=name_of
)
def test_the_management_api_needs_a_key(operation):
    assert operation.content["security"] == [{"ApiKey": []}]


@pytest.mark.parametrize(
    "operation", [one for one in OPERATIONS if one.path.startswith("/v1")], ids=name_of
)
def test_what_the_layers_before_an_operation_refuse_is_named(operation):
    expected = {"431", *(("408", "413") if "requestBody" in operation.content else ())}
    assert expected <= set(operation.content["responses"])


@pytest.mark.parametrize(
    "operation", [one for one in OPERATIONS if one.section == "paths"], ids=name_of
)
def test_the_headers_of_an_answer_are_named(operation):
    for status, response in operation.content["responses"].items():
        named = set(response.get("headers", {}))
        if status in {"429", "503"}:
            assert named == {"Retry-After"}
        elif status == "401":
            assert named == {"WWW-Authenticate"}
        elif status == "201" or (status == "202" and operation.path.startswith("/v1")):
            assert named == {"Location"}
        for header in response.get("headers", {}).values():
            assert header["description"]
            assert header["schema"]


@pytest.mark.parametrize("name", DOCUMENT["components"]["schemas"])
def test_every_schema_and_every_member_of_it_is_described(name):
    schema = DOCUMENT["components"]["schemas"][name]
    bare = [
        member
        for member, content in schema.get("properties", {}).items()
        if not content.get("description") and "$ref" not in content
    ]
    assert bare == []
    assert schema.get("description") or "enum" in schema


@pytest.mark.parametrize("operation", OPERATIONS, ids=name_of)
def test_every_placeholder_of_a_path_is_a_described_parameter(operation):
    wanted = set(re.findall(r"{(\w+)}", operation.path))
    parameters = operation.content.get("parameters", [])
    given = {one["name"] for one in parameters if one["in"] == "path"}
    assert wanted == given
    assert [one["name"] for one in parameters if not one.get("description")] == []


def test_every_reference_leads_somewhere():
    references = [
        node["$ref"]
        for _, node in everything(DOCUMENT)
        if isinstance(node, dict) and "$ref" in node
    ]
    assert len(references) > 100
    for reference in references:
        assert isinstance(resolved(reference), dict), reference


def test_every_security_scheme_and_tag_that_is_used_is_declared():
    schemes = {
        scheme
        for operation in OPERATIONS
        for requirement in operation.content.get("security", [])
        for scheme in requirement
    }
    tags = {tag for operation in OPERATIONS for tag in operation.content["tags"]}
    assert schemes <= set(DOCUMENT["components"]["securitySchemes"])
    assert tags == {tag["name"] for tag in DOCUMENT["tags"]}
    assert all(tag["description"] for tag in DOCUMENT["tags"])


@pytest.mark.parametrize("name", DOCUMENT["components"]["schemas"])
def test_the_examples_of_a_schema_fit_it(name):
    schema = DOCUMENT["components"]["schemas"][name]
    for example in schema.get("examples", []):
        check(example, schema)


@pytest.mark.parametrize("name", DOCUMENT["components"]["schemas"])
def test_every_schema_is_valid_json_schema_and_is_used(name):
    schema = DOCUMENT["components"]["schemas"][name]
    jsonschema.Draft202012Validator.check_schema(schema)
    reference = f"#/components/schemas/{name}"
    assert any(node == reference for _, node in everything(DOCUMENT))


def test_nothing_of_the_frameworks_own_errors_is_left():
    assert "HTTPValidationError" not in strict_json.write(DOCUMENT).decode()
