"""`/v1/deliveries`: each event on its way to each target, with every attempt."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query

from app.api.authentication import ReadAccess, WriteAccess
from app.api.filters import EventId, ReplayId, Since, TargetFilter, Until
from app.api.management_route import management_router
from app.api.pagination import DEFAULT_LIMIT, Cursor, Limit, Page, before, next_cursor
from app.api.problems import problem_responses
from app.api.schemas_deliveries import DeliveryAnswer, DeliveryWithAttemptsAnswer
from app.api.services import ServicesOf
from app.services.browse import DeliveryQuery
from app.services.delivery_view import DeliveryStatus

router = management_router("deliveries", "Deliveries")

DeliveryPath = Annotated[
    str, Path(description="The id of a delivery.", examples=["dlv_01kr9x7m3c2e4g6j8k0n2q4s6t"])
]


@router.get(
    "",
    summary="List deliveries",
    responses=problem_responses(400, 422),
)
async def list_deliveries(
    services: ServicesOf,
    _access: ReadAccess,
    *,
    status: Annotated[
        DeliveryStatus | None, Query(description="Only those with this status at this moment.")
    ] = None,
    target: TargetFilter = None,
    event: EventId = None,
    replay: ReplayId = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[DeliveryAnswer]:
    """Deliveries, newest first."""
    query = DeliveryQuery(
        status=status, target=target, event=event, replay=replay, since=since, until=until
    )
    found = await services.browse.deliveries(query, limit=limit, before=before(cursor, "dlv"))
    return Page(
        items=[DeliveryAnswer.model_validate(one) for one in found.items],
        next=next_cursor(found.last),
    )


@router.get(
    "/{delivery_id}",
    summary="Look at a delivery",
    responses=problem_responses(404),
)
async def get_delivery(
    services: ServicesOf, _access: ReadAccess, delivery_id: DeliveryPath
) -> DeliveryWithAttemptsAnswer:
    """One delivery with its attempts: every request, what was answered, and what it meant."""
    return DeliveryWithAttemptsAnswer.of(*await services.browse.delivery(delivery_id))


@router.post(
    "/{delivery_id}/retry",
    summary="Send a delivery now, or again",
    responses=problem_responses(404, 409),
)
async def retry_delivery(
    services: ServicesOf, _access: WriteAccess, delivery_id: DeliveryPath
) -> DeliveryAnswer:
    """Make it due now, whether it waits or is over.

    The id, and with it `webhook-id`, stays the same; attempts go on counting.
    While a worker is sending it: 409.
    A target that is not active holds it until it is resumed.
    """
    return DeliveryAnswer.model_validate(await services.deliveries.retry(delivery_id))


@router.post(
    "/{delivery_id}/cancel",
    summary="Drop a delivery that waits",
    responses=problem_responses(404, 409),
)
async def cancel_delivery(
    services: ServicesOf, _access: WriteAccess, delivery_id: DeliveryPath
) -> DeliveryAnswer:
    """End a pending or held delivery as `cancelled`; it can still be retried later."""
    return DeliveryAnswer.model_validate(await services.deliveries.cancel(delivery_id))
