"""Every refusal as a problem document (RFC 9457), `application/problem+json`.

`type` is a stable slug with a page in the documentation.
Wrong fields are named in `errors` by JSON Pointer; parameters outside the body stand under
`#/query`, `#/path` or `#/header`.
No document repeats what was sent, and none has a stack trace.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, ClassVar

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException

from app.api import methods
from app.domain import errors as refusals
from app.domain import strict_json
from app.domain.errors import FieldError, RelayError
from app.services import field_errors

MEDIA_TYPE = "application/problem+json"
_LONGEST_INSTANCE = 200
_ALWAYS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class MethodNotAllowed(RelayError):
    """The path exists, but not with this method; `Allow` names those it has."""

    slug: ClassVar[str] = "method-not-allowed"
    title: ClassVar[str] = "The method is not allowed here"
    status: ClassVar[int] = 405


class InternalError(RelayError):
    """A fault of the relay; the cause stands in its log."""

    slug: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "The relay made a mistake"
    status: ClassVar[int] = 500


#: Which refusal stands for a status when only the status is known.
_BY_STATUS: dict[int, type[RelayError]] = {
    error.status: error
    for error in (
        refusals.InvalidRequest,
        refusals.Unauthorized,
        refusals.Forbidden,
        refusals.NotFound,
        MethodNotAllowed,
        refusals.RequestTimeout,
        refusals.Conflict,
        refusals.BodyTooLarge,
        refusals.UnsupportedMediaType,
        refusals.ValidationFailed,
        refusals.TooManyRequests,
        refusals.HeadersTooLarge,
        InternalError,
        refusals.NotImplementedYet,
        refusals.PlatformRefused,
        refusals.StoreUnavailable,
    )
}

_DETAILS = {
    401: "Send a valid API key: Authorization: Bearer <key>.",
    403: "This needs a key with the scope write.",
    404: "There is nothing at this path.",
    405: "This path does not have this method; see the header Allow.",
    409: "A source of this name exists already; a name is used once.",
    422: "These fields are not valid: #/settings/url.",
    500: "Something went wrong inside the relay; the cause stands in its log.",
    502: "network.example refused the API key and secret (401, rest_forbidden).",
    503: "The store is not available; nothing was stored. Send the request again.",
}

PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "What was refused and why (RFC 9457).",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "description": "A stable name of the kind of problem."},
        "title": {"type": "string", "description": "The same for every problem of this type."},
        "status": {"type": "integer", "description": "The HTTP status of the answer."},
        "detail": {"type": "string", "description": "What is wrong here, and what to do."},
        "instance": {"type": "string", "description": "The path that was asked for."},
        "quarantine_id": {
            "type": "string",
            "description": "Where the request of an authenticated sender is kept.",
        },
        "errors": {
            "type": "array",
            "description": "Each wrong field.",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {
                    "pointer": {
                        "type": "string",
                        "description": "Where it stands, as a JSON Pointer (RFC 6901).",
                    },
                    "detail": {"type": "string", "description": "What is wrong with it."},
                },
            },
        },
    },
}


def problem_response(error: RelayError, *, instance: str | None = None) -> Response:
    """The answer that says what was refused; `instance` is the path that was asked for."""
    document: dict[str, Any] = {
        "type": error.slug,
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
    }
    if instance is not None and len(instance) <= _LONGEST_INSTANCE:
        document["instance"] = instance
    if error.errors:
        document["errors"] = [
            {"pointer": wrong.pointer, "detail": wrong.detail} for wrong in error.errors
        ]
    document |= error.extra
    return Response(
        strict_json.write(document),
        status_code=error.status,
        headers={**_ALWAYS, **error.headers},
        media_type=MEDIA_TYPE,
    )


def _documented(status: int) -> dict[str, Any]:
    error = _BY_STATUS[status]
    example: dict[str, Any] = {
        "type": error.slug,
        "title": error.title,
        "status": status,
        "detail": _DETAILS.get(status, error.title + "."),
    }
    if status == HTTPStatus.UNPROCESSABLE_ENTITY:
        example["errors"] = [
            {"pointer": "#/settings/url", "detail": "The URL must begin with https://."}
        ]
    return {
        "description": error.title,
        "content": {MEDIA_TYPE: {"schema": PROBLEM_SCHEMA, "example": example}},
    }


#: How the OpenAPI document describes each refusal, by status.
PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: _documented(status) for status in _BY_STATUS
}


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses=` of a route that refuses with these statuses."""
    return {status: PROBLEM_RESPONSES[status] for status in statuses}


def install_problem_handlers(app: FastAPI) -> None:
    """Let every refusal, of whatever origin, leave `app` as a problem document."""
    app.add_exception_handler(RelayError, _relay_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(Exception, _unexpected)


async def _relay_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RelayError)  # noqa: S101  registered for this type alone
    return problem_response(error, instance=request.url.path)


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  registered for this type alone
    details = error.errors()
    if any((detail["type"], detail["loc"]) == ("missing", ("body",)) for detail in details):
        refusal = refusals.ValidationFailed(
            "The request has no body; send a JSON object.",
            errors=[FieldError("#", "Send a JSON object.")],
        )
    else:
        refusal = field_errors.refuse(_field_errors(details))
    return problem_response(refusal, instance=request.url.path)


def _field_errors(details: Sequence[ErrorDetails]) -> list[FieldError]:
    """The wrong places; those in the body are named from its root."""
    found: list[FieldError] = []
    for detail in details:
        place = detail["loc"]
        within = place[1:] if place[:1] == ("body",) else place
        found += field_errors.of_details([{**detail, "loc": within}])
    return found


async def _http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  registered for this type alone
    kind = _BY_STATUS.get(error.status_code, InternalError)
    headers = {**(error.headers or {})}
    if kind is MethodNotAllowed:
        headers["Allow"] = methods.allowed(request.app.routes, request.scope)
    # What the framework wrote as detail may repeat the request; what we write does not.
    refusal = kind(_DETAILS.get(kind.status, kind.title + "."), headers=headers)
    return problem_response(refusal, instance=request.url.path)


async def _unexpected(request: Request, _error: Exception) -> Response:
    return problem_response(InternalError(_DETAILS[500]), instance=request.url.path)
