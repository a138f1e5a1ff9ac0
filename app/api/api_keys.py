"""`/v1/api-keys`: who may use the management API."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Request, Response

from app.api.answers import created_response
from app.api.authentication import AdminAccess
from app.api.idempotent import IdempotencyKey, idempotent
from app.api.management_route import management_router
from app.api.pagination import DEFAULT_LIMIT, Cursor, Limit, Page, before, next_cursor
from app.api.problems import problem_responses
from app.api.schemas_api_keys import ApiKeyAnswer, CreateApiKey, CreatedApiKeyAnswer
from app.api.services import ServicesOf

router = management_router("api-keys", "API keys")

KeyId = Annotated[
    str, Path(description="The id of a key.", examples=["key_01kr9x6q0m4d8v2h5j7n1c3t9b"])
]


@router.post(
    "",
    summary="Make an API key",
    status_code=201,
    response_model=CreatedApiKeyAnswer,
    responses=problem_responses(400, 409, 415, 422),
)
async def create_api_key(
    request: Request,
    payload: CreateApiKey,
    principal: AdminAccess,
    services: ServicesOf,
    _idempotency_key: IdempotencyKey = None,
) -> Response:
    """Makes a key, shown in this answer and never again: only its SHA-256 is kept."""

    async def produce() -> Response:
        made = await services.api_keys.create(payload.name, payload.wanted())
        location = f"/v1/api-keys/{made.api_key.id}"
        return created_response(CreatedApiKeyAnswer.once(made), location=location)

    return await idempotent(request, principal, await request.body(), produce)


@router.get("", summary="List API keys", responses=problem_responses(400, 422))
async def list_api_keys(
    _principal: AdminAccess,
    services: ServicesOf,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[ApiKeyAnswer]:
    """All keys, newest first, a page at a time; RELAY_ADMIN_KEY is not among them."""
    found = await services.api_keys.page(limit=limit, before=before(cursor, "key"))
    items = [ApiKeyAnswer.of(api_key) for api_key in found.items]
    return Page(items=items, next=next_cursor(found.last))


@router.delete(
    "/{key_id}", summary="Revoke an API key", status_code=204, responses=problem_responses(404, 422)
)
async def delete_api_key(key_id: KeyId, _principal: AdminAccess, services: ServicesOf) -> None:
    """Refuses the key from the next request on."""
    await services.api_keys.delete(key_id)
