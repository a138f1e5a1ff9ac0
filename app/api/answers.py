"""Answers that are written by hand: those that may have to be given again, and downloads."""

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


def download(body: bytes, content_type: str, name: str) -> Response:
    """Bytes that a browser keeps as a file and never shows as a page of this relay's.

    What a sender called its body is believed as far as JSON goes.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    json = media_type == _JSON or media_type.endswith("+json")
    return Response(
        body,
        media_type=_JSON if json else "application/octet-stream",
        headers={
            "Content-Disposition": f'attachment; filename="{name}.{"json" if json else "bin"}"',
            "Content-Security-Policy": "sandbox; default-src 'none'",
        },
    )


def _written(answer: BaseModel, secrets: Sequence[str]) -> str:
    absent = {name for name in secrets if getattr(answer, name) is None}
    return answer.model_dump_json(exclude=absent)
