"""An example for every body in the OpenAPI document, made of those its schemas have.

FastAPI leaves out what is null wherever it stands, in examples too, so that they would not fit
their own schemas; they are put back from the models.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from app.api.schemas_common import AnswerBody, RequestBody

Document = dict[str, Any]

_METHODS = ("get", "post", "patch", "put", "delete")
_REFERENCE = "#/components/schemas/"
_DEEPEST = 12


def complete(document: Document) -> None:
    """Give every JSON body of `document` that has no example one."""
    schemas: Document = document["components"]["schemas"]
    for model in _models():
        found = schemas.get(model.__name__, {})
        if "examples" in found:
            found["examples"] = _own_examples(model)
    for content in _bodies(document):
        if "example" in content or "examples" in content:
            continue
        sample = _sample(content.get("schema", {}), schemas)
        if sample is not None:
            content["example"] = sample


def _models() -> Iterator[type[BaseModel]]:
    waiting: list[type[BaseModel]] = [RequestBody, AnswerBody]
    while waiting:
        model = waiting.pop()
        yield model
        waiting += model.__subclasses__()


def _own_examples(model: type[BaseModel]) -> list[Any]:
    extra = model.model_config.get("json_schema_extra")
    examples = extra.get("examples", []) if isinstance(extra, dict) else []
    return examples if isinstance(examples, list) else []


def _bodies(document: Document) -> Iterator[Document]:
    for item in document["paths"].values():
        for method in _METHODS:
            operation = item.get(method, {})
            answers = [*operation.get("responses", {}).values(), operation.get("requestBody", {})]
            for answer in answers:
                if "application/json" in answer.get("content", {}):
                    yield answer["content"]["application/json"]


def _sample(schema: Document, schemas: Document, depth: int = 0) -> Any:
    """A value that fits, None when none can be told."""
    if depth > _DEEPEST:
        return None
    if "$ref" in schema:
        return _sample(schemas[schema["$ref"].removeprefix(_REFERENCE)], schemas, depth + 1)
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    for key in ("example", "const", "default"):
        if schema.get(key) is not None:
            return schema[key]
    if "anyOf" in schema:
        samples = (_sample(one, schemas, depth + 1) for one in schema["anyOf"])
        return next((one for one in samples if one is not None), None)
    if schema.get("type") == "array":
        item = _sample(schema.get("items", {}), schemas, depth + 1)
        return [] if item is None else [item]
    if schema.get("type") == "object":
        members = schema.get("properties", {}).items()
        return {name: _sample(member, schemas, depth + 1) for name, member in members}
    kind = schema.get("format") or schema.get("type")
    return _PLAIN.get(kind) if isinstance(kind, str) else None


_PLAIN: Document = {
    "string": "text",
    "integer": 1,
    "number": 1.5,
    "boolean": False,
    "date-time": "2026-11-23T19:09:31Z",
}
