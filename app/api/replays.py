"""`/v1/replays`: past events, sent again."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Request, Response

from app.api.authentication import Principal, ReadAccess, WriteAccess
from app.api.idempotent import IdempotencyKey, idempotent
from app.api.management_route import management_router
from app.api.pagination import DEFAULT_LIMIT, Cursor, Limit, Page, before, next_cursor
from app.api.problems import problem_responses
from app.api.schemas_replays import CreateReplay, ReplayAnswer
from app.api.services import ServicesOf
from app.domain.errors import NotFound
from app.domain.ids import is_id
from app.services.bundle import Services
from app.services.replay import KIND, ReplayRequest

router = management_router("replays", "Replays")

ReplayPath = Annotated[
    str, Path(description="The id of a replay.", examples=["rpl_01kr9x9p5e4g6j8m0q2s4v6x8z"])
]
#: What every operation that starts a replay says in the OpenAPI document.
STARTS_REPLAY: dict[str, Any] = {
    "status_code": 202,
    "response_model": ReplayAnswer,
    "responses": {
        200: {"model": ReplayAnswer, "description": "A dry run: how many events it would be."},
        **problem_responses(400, 404, 409, 415, 422),
    },
}


async def start_replay(
    request: Request, principal: Principal, services: Services, wanted: ReplayRequest
) -> Response:
    """202 with the replay that was started, 200 with the count of a dry run."""

    async def produce() -> Response:
        job = await services.replays.start(wanted)
        location = {} if job.id is None else {"Location": f"/v1/replays/{job.id}"}
        return Response(
            ReplayAnswer.of(job).model_dump_json(),
            status_code=200 if job.id is None else 202,
            headers=location,
            media_type="application/json",
        )

    return await idempotent(request, principal, await request.body(), produce)


@router.post("", summary="Start a replay", **STARTS_REPLAY)
async def create_replay(
    request: Request,
    payload: CreateReplay,
    principal: WriteAccess,
    services: ServicesOf,
    _idempotency_key: IdempotencyKey = None,
) -> Response:
    """Sends stored events to a target again, each as a new delivery, planned with today's routes.

    A destination that knows an event gets the ids it knows, and effects that were carried out
    before (a purchase in analytics) are not carried out again, unless `force` is given.
    Events whose delivery to the target is still on its way are left alone.
    It runs in the background, only as fast as live events allow.
    """
    return await start_replay(request, principal, services, payload.asked(payload.target))


@router.get("", summary="List replays", responses=problem_responses(400, 422))
async def list_replays(
    services: ServicesOf,
    _access: ReadAccess,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[ReplayAnswer]:
    """Replays, newest first."""
    found = await services.jobs.page(limit=limit, before=before(cursor, "rpl"), kind=KIND)
    return Page(items=[ReplayAnswer.of(one) for one in found.items], next=next_cursor(found.last))


@router.get("/{replay_id}", summary="Look at a replay", responses=problem_responses(404))
async def get_replay(
    services: ServicesOf, _access: ReadAccess, replay_id: ReplayPath
) -> ReplayAnswer:
    """How far it is; its deliveries are those of `/v1/deliveries?replay=`."""
    return ReplayAnswer.of(await services.jobs.get(_known_form(replay_id), KIND))


@router.post("/{replay_id}/cancel", summary="Stop a replay", responses=problem_responses(404, 409))
async def cancel_replay(
    services: ServicesOf, _access: WriteAccess, replay_id: ReplayPath
) -> ReplayAnswer:
    """Makes no further deliveries; those that were made go on. 409 when it is over."""
    return ReplayAnswer.of(await services.jobs.cancel(_known_form(replay_id), KIND))


def _known_form(replay_id: str) -> str:
    if not is_id(replay_id, "rpl"):
        raise NotFound("There is no replay with this id.")
    return replay_id
