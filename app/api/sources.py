"""`/v1/sources`: who may send events."""

from __future__ import annotations

from typing import Annotated

from fastapi import Body, Path, Request, Response

from app.api.answers import created_response, secret_response
from app.api.authentication import ReadAccess, WriteAccess
from app.api.idempotent import IdempotencyKey, idempotent
from app.api.management_route import management_router
from app.api.pagination import DEFAULT_LIMIT, Cursor, Limit, Page, before, next_cursor
from app.api.problems import problem_responses
from app.api.schemas_sources import (
    ChangeSource,
    CreateSource,
    RotateSource,
    SourceAnswer,
    SourceWithCredentialsAnswer,
)
from app.api.services import ServicesOf

router = management_router("sources", "Sources")

_CREDENTIALS = ("token", "signing_secret")
SourceId = Annotated[
    str, Path(description="The id of a source.", examples=["src_01kr9x4e6hq3v8n2m7c5t0b1da"])
]


@router.post(
    "",
    summary="Register a sender",
    status_code=201,
    response_model=SourceWithCredentialsAnswer,
    responses=problem_responses(400, 409, 415, 422),
)
async def create_source(
    request: Request,
    payload: CreateSource,
    principal: WriteAccess,
    services: ServicesOf,
    _idempotency_key: IdempotencyKey = None,
) -> Response:
    """Makes a source and its credentials, which are shown in this answer and never again.

    An `ultimate_multisite` source has both: the token for the platform's built-in webhooks, which
    cannot sign, and the signing secret for the bridge plugin.
    """

    async def produce() -> Response:
        made = await services.sources.create(payload.draft())
        return created_response(
            SourceWithCredentialsAnswer.of(made),
            location=f"/v1/sources/{made.source.id}",
            secrets=_CREDENTIALS,
        )

    return await idempotent(request, principal, await request.body(), produce)


@router.get("", summary="List sources", responses=problem_responses(400, 422))
async def list_sources(
    _principal: ReadAccess,
    services: ServicesOf,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[SourceAnswer]:
    """All sources, newest first, a page at a time."""
    found = await services.sources.page(limit=limit, before=before(cursor, "src"))
    items = [SourceAnswer.model_validate(source) for source in found.items]
    return Page(items=items, next=next_cursor(found.last))


@router.get("/{source_id}", summary="Show a source", responses=problem_responses(404, 422))
async def get_source(
    source_id: SourceId, _principal: ReadAccess, services: ServicesOf
) -> SourceAnswer:
    """One source, without its credentials."""
    return SourceAnswer.model_validate(await services.sources.get(source_id))


@router.patch(
    "/{source_id}", summary="Change a source", responses=problem_responses(400, 404, 415, 422)
)
async def change_source(
    source_id: SourceId,
    payload: Annotated[ChangeSource, Body()],
    _principal: WriteAccess,
    services: ServicesOf,
) -> SourceAnswer:
    """Changes what is given and leaves the rest; a setting given as null goes back to its default.

    The next event on every node is read by the new rules.
    """
    keys = payload.get("api_access")
    changed = await services.sources.update(
        source_id,
        strict=payload.get("strict"),
        settings=payload.get("settings"),
        signing_secret=payload.get("signing_secret"),
        api_access=keys.keys() if keys else None,
        forget_api_access="api_access" in payload and keys is None,
    )
    return SourceAnswer.model_validate(changed)


@router.delete(
    "/{source_id}",
    summary="Remove a source",
    status_code=204,
    responses=problem_responses(404, 422),
)
async def delete_source(source_id: SourceId, _principal: WriteAccess, services: ServicesOf) -> None:
    """Refuses its senders from now on. Events that came in stay, and are delivered."""
    await services.sources.delete(source_id)


@router.post(
    "/{source_id}/rotate",
    summary="Make new credentials for a source",
    response_model=SourceWithCredentialsAnswer,
    responses=problem_responses(400, 404, 409, 415, 422),
)
async def rotate_source(
    source_id: SourceId,
    request: Request,
    principal: WriteAccess,
    services: ServicesOf,
    payload: RotateSource | None = None,
    _idempotency_key: IdempotencyKey = None,
) -> Response:
    """Makes a new token and a new signing secret, shown in this answer and never again.

    The old ones stay valid for RELAY_ROTATION_OVERLAP seconds (a day, unless it is set), or until
    the next rotation: send an `Idempotency-Key`, and a repeat is none.
    """

    async def produce() -> Response:
        made = await services.sources.rotate(
            source_id, signing_secret=payload.signing_secret if payload else None
        )
        return secret_response(SourceWithCredentialsAnswer.of(made), _CREDENTIALS)

    return await idempotent(request, principal, await request.body(), produce)
