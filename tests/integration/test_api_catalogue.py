"""`/v1/event-types`, `/v1/connectors`, and how the OpenAPI document tells of the management API."""

from __future__ import annotations

import pytest

from app.domain.catalogue import CATALOGUE
from tests.integration.management import Management, management

ERRORS = "application/problem+json"


@pytest.fixture
def database_url(tmp_path, sqlite_template) -> str:
    """One database will do: nothing here is stored."""
    (tmp_path / "relay.db").write_bytes(sqlite_template.read_bytes())
    return f"sqlite:///{tmp_path / 'relay.db'}"


async def test_every_event_type_is_told_with_schema_and_example(database, sealer, clock):
    async with management(database, sealer, clock) as made, made.client() as api:
        body = (await api.get("/v1/event-types")).json()
    assert [item["name"] for item in body["items"]] == list(CATALOGUE)
    assert body["next"] is None
    payment = next(item for item in body["items"] if item["name"] == "payment_received")
    assert payment.keys() >= {"name", "summary", "sender", "alias_of", "schema", "example"}
    assert payment["schema"] == CATALOGUE["payment_received"].fields
    assert payment["example"] == CATALOGUE["payment_received"].example


async def test_every_connector_is_told_with_the_schema_of_its_settings(database, sealer, clock):
    async with management(database, sealer, clock) as made, made.client() as api:
        body = (await api.get("/v1/connectors")).json()
    connectors = {item["name"]: item for item in body["items"]}
    assert connectors.keys() >= {"webhook", "hubspot", "ga4"}
    assert "url" in connectors["webhook"]["settings"]["properties"]
    assert connectors["hubspot"]["ordered"] is True


@pytest.fixture
def operations(database, sealer, clock) -> dict[str, dict]:
    document = Management(database, sealer, clock).app.openapi()
    assert document["openapi"].startswith("3.1")
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if path.startswith("/v1/")
    }


async def test_every_operation_has_words_and_a_name_of_its_own(operations):
    for name, operation in operations.items():
        assert operation["summary"], name
        assert len(operation["description"]) > 20, name
        assert operation["tags"], name
        assert operation["security"] == [{"ApiKey": []}], name
    names = [operation["operationId"] for operation in operations.values()]
    assert len(set(names)) == len(names)


async def test_every_operation_documents_its_refusals_as_problems(operations):
    for name, operation in operations.items():
        refusals = {status for status in operation["responses"] if not status.startswith("2")}
        assert refusals >= {"401", "403", "500", "503"}, name
        if operation.get("parameters") or "requestBody" in operation:
            assert "422" in refusals, name
        if "requestBody" in operation:
            assert refusals >= {"400", "415"}, name
        for status in refusals:
            content = operation["responses"][status]["content"]
            assert list(content) == [ERRORS], f"{name} {status}"
            assert content[ERRORS]["example"]["status"] == int(status)


async def test_a_creation_documents_its_idempotency_key(operations):
    creations = [op for name, op in operations.items() if "201" in op["responses"]]
    assert len(creations) == 3
    for operation in creations:
        assert "Idempotency-Key" in [parameter["name"] for parameter in operation["parameters"]]


async def test_every_body_and_answer_has_an_example(operations, database, sealer, clock):
    schemas = Management(database, sealer, clock).app.openapi()["components"]["schemas"]
    for name in (
        "CreateSource", "ChangeSource", "SourceAnswer", "SourceWithCredentialsAnswer",
        "CreateTarget", "ChangeTarget", "TargetAnswer", "TargetWithSecretAnswer", "LinkAnswer",
        "CreateApiKey", "ApiKeyAnswer", "CreatedApiKeyAnswer",
    ):  # fmt: skip
        schema = schemas[name]
        fields = schema["properties"].values()
        assert schema.get("examples") or any("examples" in field for field in fields), name
        assert schema["description"], name
