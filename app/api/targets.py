"""`/v1/targets`: where events go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, cast

from fastapi import Body, Path, Request, Response

from app.api.answers import created_response, secret_response
from app.api.authentication import ReadAccess, WriteAccess
from app.api.idempotent import IdempotencyKey, idempotent
from app.api.management_route import management_router
from app.api.pagination import DEFAULT_LIMIT, Cursor, Limit, Page, before, next_cursor
from app.api.problems import problem_responses
from app.api.replays import STARTS_REPLAY, start_replay
from app.api.schemas_replays import ReplayToTarget
from app.api.schemas_targets import (
    ChangeTarget,
    CreateTarget,
    TargetAnswer,
    TargetWithSecretAnswer,
)
from app.api.services import ServicesOf

router = management_router("targets", "Targets")

_SECRETS = ("signing_secret",)
TargetId = Annotated[
    str, Path(description="The id of a target.", examples=["tgt_01kr9x5t2b8w4f6s1p9z3g7e0k"])
]


@router.post(
    "",
    summary="Register a destination",
    status_code=201,
    response_model=TargetWithSecretAnswer,
    responses=problem_responses(400, 409, 415, 422),
)
async def create_target(
    request: Request,
    payload: CreateTarget,
    principal: WriteAccess,
    services: ServicesOf,
    _idempotency_key: IdempotencyKey = None,
) -> Response:
    """Makes a target: from the next event on, on every node, what matches is delivered to it.

    A webhook target's signing secret is shown in this answer and never again.
    """

    async def produce() -> Response:
        made = await services.targets.create(payload.draft())
        return created_response(
            TargetWithSecretAnswer.of(made),
            location=f"/v1/targets/{made.target.id}",
            secrets=_SECRETS,
        )

    return await idempotent(request, principal, await request.body(), produce)


@router.get("", summary="List targets", responses=problem_responses(400, 422))
async def list_targets(
    _principal: ReadAccess,
    services: ServicesOf,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[TargetAnswer]:
    """All targets, newest first, a page at a time."""
    found = await services.targets.page(limit=limit, before=before(cursor, "tgt"))
    items = [TargetAnswer.model_validate(target) for target in found.items]
    return Page(items=items, next=next_cursor(found.last))


@router.get("/{target_id}", summary="Show a target", responses=problem_responses(404, 422))
async def get_target(
    target_id: TargetId, _principal: ReadAccess, services: ServicesOf
) -> TargetAnswer:
    """One target, its secret settings masked."""
    return TargetAnswer.model_validate(await services.targets.get(target_id))


@router.patch(
    "/{target_id}", summary="Change a target", responses=problem_responses(400, 404, 409, 415, 422)
)
async def change_target(
    target_id: TargetId,
    payload: Annotated[ChangeTarget, Body()],
    _principal: WriteAccess,
    services: ServicesOf,
) -> TargetAnswer:
    """Changes what is given and leaves the rest.

    `settings` are merged key by key: null removes one, and a masked secret sent back keeps the
    stored one. The settings that come out are checked as a whole.
    """
    changes = cast(Mapping[str, Any], payload)
    return TargetAnswer.model_validate(await services.targets.update(target_id, changes))


@router.delete(
    "/{target_id}",
    summary="Remove a target",
    status_code=204,
    responses=problem_responses(404, 422),
)
async def delete_target(target_id: TargetId, _principal: WriteAccess, services: ServicesOf) -> None:
    """Removes the target and what it remembers; deliveries that wait for it are cancelled."""
    await services.targets.delete(target_id)


@router.post(
    "/{target_id}/pause",
    summary="Hold a target's deliveries",
    responses=problem_responses(404, 422),
)
async def pause_target(
    target_id: TargetId, _principal: WriteAccess, services: ServicesOf
) -> TargetAnswer:
    """Sends nothing to it until it is resumed. What comes in is held, nothing is lost."""
    return TargetAnswer.model_validate(await services.targets.pause(target_id))


@router.post(
    "/{target_id}/resume",
    summary="Deliver to a target again",
    responses=problem_responses(404, 422),
)
async def resume_target(
    target_id: TargetId, _principal: WriteAccess, services: ServicesOf
) -> TargetAnswer:
    """Makes a paused or disabled target active; everything that was held is due at once."""
    return TargetAnswer.model_validate(await services.targets.resume(target_id))


@router.post(
    "/{target_id}/rotate-secret",
    summary="Make a new signing secret for a target",
    response_model=TargetWithSecretAnswer,
    responses=problem_responses(400, 404, 409, 422),
)
async def rotate_target_secret(
    target_id: TargetId,
    request: Request,
    principal: WriteAccess,
    services: ServicesOf,
    _idempotency_key: IdempotencyKey = None,
) -> Response:
    """Makes a new signing secret, shown in this answer and never again.

    For RELAY_ROTATION_OVERLAP seconds (a day, unless it is set), or until the next rotation, every
    delivery is signed with both. 409 for connectors that do not sign.
    """

    async def produce() -> Response:
        made = await services.targets.rotate_secret(target_id)
        return secret_response(TargetWithSecretAnswer.of(made), _SECRETS)

    return await idempotent(request, principal, await request.body(), produce)


@router.post("/{target_id}/replay", summary="Send past events to a target", **STARTS_REPLAY)
async def replay_target(
    target_id: TargetId,
    request: Request,
    principal: WriteAccess,
    services: ServicesOf,
    payload: ReplayToTarget | None = None,
    _idempotency_key: IdempotencyKey = None,
) -> Response:
    """Starts a replay to this target, as `POST /v1/replays` does.

    The target may be younger than the events. Without a body, everything that is stored is sent.
    """
    await services.targets.get(target_id)
    wanted = (payload or ReplayToTarget()).asked(target_id)
    return await start_replay(request, principal, services, wanted)
