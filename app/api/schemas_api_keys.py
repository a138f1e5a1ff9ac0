"""API keys as JSON: what is asked, what is answered."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Self

from pydantic import Field, model_validator

from app.api.schemas_common import AnswerBody, RequestBody, with_examples
from app.services.manage_api_keys import ApiKey, CreatedApiKey, Scope

ScopeName = Literal["read", "write", "admin"]

_EXAMPLE = {
    "id": "key_01kr9x6q0m4d8v2h5j7n1c3t9b",
    "name": "deploy",
    "scope": "write",
    "scopes": ["read", "write"],
    "hint": "rk_Zp4x",
    "created_at": "2026-11-23T19:09:31Z",
    "last_used_at": None,
}
_KEY = {"key": "rk_Zp4xW0s9Qe1rT7yU2iO5aS8dF3gH6jK1lM4nB7vC0xY"}


class CreateApiKey(RequestBody):
    """A key to make."""

    model_config = with_examples({"name": "deploy", "scope": "write"})

    name: str = Field(description="What it is for, 1 to 64 characters.", examples=["deploy"])
    scope: ScopeName | None = Field(
        None,
        description="`read`, `write` (with `read`) or `admin` (with both; needed for API keys).",
    )
    scopes: list[ScopeName] | None = Field(
        None, min_length=1, description="The same as a list: the highest counts."
    )

    @model_validator(mode="after")
    def _one_scope(self) -> Self:
        if (self.scope is None) == (self.scopes is None):
            raise ValueError("Give either scope or scopes.")
        return self

    def wanted(self) -> Scope:
        """The highest scope that was asked for."""
        scopes = [Scope(name) for name in (self.scope, *(self.scopes or ())) if name]
        return max(scopes, key=lambda scope: len(scope.included))


class ApiKeyAnswer(AnswerBody):
    """A key, without its text."""

    model_config = with_examples(_EXAMPLE)

    id: str
    name: str
    scope: ScopeName
    scopes: list[ScopeName] = Field(description="The scope and those it includes.")
    hint: str = Field(description="How the key begins, to tell it from others.")
    created_at: datetime
    last_used_at: datetime | None = Field(description="To the minute; null when never.")

    @classmethod
    def of(cls, api_key: ApiKey) -> ApiKeyAnswer:
        """What is shown of a key."""
        return cls(**_shown(api_key))


class CreatedApiKeyAnswer(ApiKeyAnswer):
    """A key that was just made, which is shown this once."""

    model_config = with_examples(_EXAMPLE | _KEY)

    key: str = Field(description="Send it as `Authorization: Bearer <key>`.")

    @classmethod
    def once(cls, made: CreatedApiKey) -> CreatedApiKeyAnswer:
        """What is answered once."""
        return cls(**_shown(made.api_key), key=made.key)


def _shown(api_key: ApiKey) -> dict[str, object]:
    return {
        "id": api_key.id,
        "name": api_key.name,
        "scope": api_key.scope.value,
        "scopes": [scope.value for scope in api_key.scope.included],
        "hint": api_key.hint,
        "created_at": api_key.created_at,
        "last_used_at": api_key.last_used_at,
    }
