"""What the bodies of all requests and answers have in common."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

#: A field a request does not know is a mistake of its sender, never ignored; numbers are
#: numbers and texts are texts.
REQUEST_CONFIG = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


class RequestBody(BaseModel):
    """The body of a request."""

    model_config = REQUEST_CONFIG


class AnswerBody(BaseModel):
    """The body of an answer, made from what a service gives."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


def with_examples(*examples: dict[str, Any]) -> ConfigDict:
    """The configuration of a body that the OpenAPI document shows with these examples."""
    return ConfigDict(json_schema_extra={"examples": [*examples]})
