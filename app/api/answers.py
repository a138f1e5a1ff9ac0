"""Answers that are written by hand, because they may have to be given again."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import Response
from pydantic import BaseModel

_JSON = "application/json"


def created_response(answer: BaseModel, *, location: str, secrets: Sequence[str] = ()) -> Response:
    """201 with the path of what was made; those of `secrets` that it has not are left out."""
    return Response(
        _written(answer, secrets),
        status_code=201,
        headers={"Location": location},
        media_type=_JSON,
    )


def json_response(answer: BaseModel) -> Response:
    """200 with what was done."""
    return Response(_written(answer, ()), media_type=_JSON)


def secret_response(answer: BaseModel, secrets: Sequence[str]) -> Response:
    """200 with secrets that are shown this once; those that it has not are left out."""
    return Response(_written(answer, secrets), media_type=_JSON)


def _written(answer: BaseModel, secrets: Sequence[str]) -> str:
    absent = {name for name in secrets if getattr(answer, name) is None}
    return answer.model_dump_json(exclude=absent)
