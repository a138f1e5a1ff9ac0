"""How requests of the management API are read: who calls first, then the body, strictly.

Without it FastAPI would parse a body before it knows who sent it, and with a reader that takes
NaN, repeated keys and half surrogates.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from app.api.authentication import authenticate
from app.api.problems import problem_responses
from app.domain import strict_json
from app.domain.errors import FieldError, UnsupportedMediaType
from app.services.field_errors import pointer, refuse

_JSON = "application/json"


class ManagementRoute(APIRoute):
    """A route under /v1: authenticated, strict about its query and body, never cached."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's own handler, with the checks that come before it."""
        handler = super().get_route_handler()
        has_body = self.body_field is not None
        known = [parameter.alias for parameter in self.dependant.query_params]

        async def handle(request: Request) -> Response:
            strict = _StrictRequest(request.scope, request.receive)
            await authenticate(strict)
            _refuse_unknown(strict, known)
            if has_body:
                await strict.parse()
            response = await handler(strict)
            response.headers["Cache-Control"] = "no-store"
            response.headers["X-Content-Type-Options"] = "nosniff"
            return response

        return handle


def management_router(path: str, tag: str) -> APIRouter:
    """A router for one resource; its operations are called as their functions are."""
    return APIRouter(
        prefix=f"/v1/{path}",
        tags=[tag],
        route_class=ManagementRoute,
        generate_unique_id_function=lambda route: route.name,
        responses=problem_responses(401, 403, 422, 500, 503),
    )


def _refuse_unknown(request: Request, known: Sequence[str]) -> None:
    # A misspelt filter that is ignored shows everything, as if everything matched.
    unknown = [name for name in dict.fromkeys(request.query_params) if name not in known]
    if unknown:
        says = f"It has: {', '.join(known)}." if known else "It has none."
        raise refuse(
            [
                FieldError(
                    pointer(["query", name]), f"This operation has no such parameter. {says}"
                )
                for name in unknown
            ]
        )


class _StrictRequest(Request):
    """A request whose JSON was read by the one strict reader."""

    _document: Any = None

    async def parse(self) -> None:
        """Read the body, if there is one. Raises Unreadable and UnsupportedMediaType."""
        body = await self.body()
        if not body:
            return
        media_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != _JSON:
            raise UnsupportedMediaType(f"Send the body as JSON, with Content-Type: {_JSON}.")
        self._document = strict_json.read_strict(body)

    async def json(self) -> Any:
        """The document `parse` read."""
        return self._document
