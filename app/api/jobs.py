"""`/v1/jobs`, and the two that ask a network's own API: reconciliations and backfills."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Path, Query, Request, Response

from app.api.authentication import Principal, ReadAccess, WriteAccess
from app.api.idempotent import IdempotencyKey, idempotent
from app.api.management_route import management_router
from app.api.pagination import (
    DEFAULT_LIMIT,
    Cursor,
    Limit,
    Page,
    decode_key_cursor,
    next_cursor,
)
from app.api.problems import problem_responses
from app.api.schemas_jobs import KINDS, BackfillTarget, JobAnswer, JobKindName, ReconcileSource
from app.api.services import ServicesOf
from app.api.sources import SourceId
from app.api.targets import TargetId
from app.domain.errors import InvalidCursor, NotFound
from app.domain.ids import is_id
from app.services.jobs import JobView

router = management_router("jobs", "Jobs")
reconciliations = management_router("sources/{source_id}/reconcile", "Sources")
backfills = management_router("targets/{target_id}/backfill", "Targets")

# Tells these cursors from those of lists whose ids have one prefix.
_CURSOR = "job:"
JobPath = Annotated[
    str, Path(description="The id of a job.", examples=["rcn_01kr9x9p5e4g6j8m0q2s4v6x8z"])
]
KindQuery = Annotated[JobKindName | None, Query(description="Only jobs of this kind.")]
_STARTS: dict[str, Any] = {"status_code": 202, "response_model": JobAnswer}


@router.get("", summary="List jobs", responses=problem_responses(400, 422))
async def list_jobs(
    services: ServicesOf,
    _access: ReadAccess,
    kind: KindQuery = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[JobAnswer]:
    """Replays, reconciliations and backfills, newest first."""
    last = None if cursor is None else decode_key_cursor(cursor, _CURSOR)
    if last is not None and not _is_job(last):
        raise InvalidCursor("Send the `next` of a page of this very list, unchanged.")
    found = await services.jobs.page(limit=limit, before=last, kind=kind)
    items = [JobAnswer.of(one) for one in found.items]
    return Page(items=items, next=next_cursor(found.last and _CURSOR + found.last))


@router.get("/{job_id}", summary="Look at a job", responses=problem_responses(404))
async def get_job(services: ServicesOf, _access: ReadAccess, job_id: JobPath) -> JobAnswer:
    """How far it is."""
    return JobAnswer.of(await services.jobs.get(_known_form(job_id)))


@router.post("/{job_id}/cancel", summary="Stop a job", responses=problem_responses(404, 409))
async def cancel_job(services: ServicesOf, _access: WriteAccess, job_id: JobPath) -> JobAnswer:
    """Ends it; what it did stays done. 409 when it is over."""
    return JobAnswer.of(await services.jobs.cancel(_known_form(job_id)))


@reconciliations.post(
    "",
    summary="Look for events that never arrived",
    **_STARTS,
    responses=problem_responses(400, 404, 409, 415, 422),
)
async def reconcile_source(
    source_id: SourceId,
    request: Request,
    principal: WriteAccess,
    services: ServicesOf,
    payload: ReconcileSource | None = None,
    _idempotency_key: IdempotencyKey = None,
) -> Response:
    """Compares the network's customers, memberships, payments and checkouts with what arrived.

    What is missing comes in as events of the source, with the records' times and `origin`
    `reconcile`, and goes to every target that is for it. A second run finds nothing.
    It runs in the background, as it does by itself every `RELAY_RECONCILE_EVERY` seconds.
    409 when the source has no API access, or is being reconciled.
    """
    await services.sources.get(source_id)
    wanted = (payload or ReconcileSource()).asked(source_id)
    return await _start(request, principal, lambda: services.reconciliations.start(wanted))


@backfills.post(
    "",
    summary="Bring in the customers there are",
    **_STARTS,
    responses={
        200: {"model": JobAnswer, "description": "A dry run: how many customers it would be."},
        **problem_responses(400, 404, 409, 415, 422, 502),
    },
)
async def backfill_target(
    target_id: TargetId,
    request: Request,
    principal: WriteAccess,
    services: ServicesOf,
    payload: BackfillTarget,
    _idempotency_key: IdempotencyKey = None,
) -> Response:
    """Sends every customer of a network to this target: one `customer_post_update` each.

    Each has the customer's newest membership and its plan; no other target gets it, and it does not
    matter which types this one asks for. A second run sends only who is new or has changed.
    It runs in the background, only as fast as live events allow, and goes on where it was when the
    relay is started again.
    409 when the source has no API access, or the same is being done already.
    """
    await services.targets.get(target_id)
    wanted = payload.asked(target_id)
    return await _start(request, principal, lambda: services.backfills.start(wanted))


async def _start(
    request: Request, principal: Principal, start: Callable[[], Awaitable[JobView]]
) -> Response:
    """202 with the job that was started, 200 with the count of a dry run."""

    async def produce() -> Response:
        job = await start()
        return Response(
            JobAnswer.of(job).model_dump_json(),
            status_code=200 if job.id is None else 202,
            headers={} if job.id is None else {"Location": f"/v1/jobs/{job.id}"},
            media_type="application/json",
        )

    return await idempotent(request, principal, await request.body(), produce)


def _is_job(text: str) -> bool:
    return any(is_id(text, prefix) for prefix in KINDS)


def _known_form(job_id: str) -> str:
    if not _is_job(job_id):
        raise NotFound("There is no job with this id.")
    return job_id
