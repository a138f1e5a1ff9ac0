"""`/v1/events`: what came in, and what became of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import Path, Query, Request, Response
from pydantic import Field

from app.api.answers import download
from app.api.authentication import ReadAccess, WriteAccess
from app.api.filters import Since, SourceName, Subject, TypePattern, Until
from app.api.idempotent import IdempotencyKey
from app.api.management_route import management_router
from app.api.pagination import DEFAULT_LIMIT, Cursor, Limit, Page, before, next_cursor
from app.api.problems import problem_responses
from app.api.replays import STARTS_REPLAY, start_replay
from app.api.schemas_common import AnswerBody, with_examples
from app.api.schemas_deliveries import DELIVERY_EXAMPLE, DeliveryAnswer
from app.api.schemas_replays import ReplayEvent
from app.api.services import ServicesOf
from app.services.browse import EventQuery
from app.services.replay import ReplayRequest

router = management_router("events", "Events")

_EVENT: dict[str, Any] = {
    "id": "evt_01kr9x7m2a1c3e5g7h9j1k3m5n",
    "type": "payment_received",
    "source": "my-network",
    "subject": "my-network/customer/2",
    "test": False,
    "occurred_at": "2026-11-23T19:09:31Z",
    "received_at": "2026-11-23T19:09:31.204817Z",
    "external_id": None,
    "origin": "live",
}
EventPath = Annotated[
    str, Path(description="The id of an event.", examples=["evt_01kr9x7m2a1c3e5g7h9j1k3m5n"])
]


class EventAnswer(AnswerBody):
    """One event that was accepted."""

    model_config = with_examples(_EVENT)

    id: str
    type: str
    source: str = Field(description="The name of the source that sent it.")
    subject: str | None = Field(description="Whom it is about, unique over all sources.")
    test: bool = Field(description="True when it comes from a test button.")
    occurred_at: datetime
    received_at: datetime
    external_id: str | None = Field(description="The sender's own id of the event.")
    origin: str = Field(
        description="`live` for what the source sent; `reconcile` or `backfill` for what the relay"
        " asked the source's own API for."
    )


class EventWithDeliveriesAnswer(EventAnswer):
    """An event and its deliveries, one for every target it was for."""

    model_config = with_examples({**_EVENT, "deliveries": [DELIVERY_EXAMPLE]})

    deliveries: list[DeliveryAnswer]


@router.get(
    "",
    summary="List events",
    responses=problem_responses(400, 422),
)
async def list_events(
    services: ServicesOf,
    _access: ReadAccess,
    *,
    type: TypePattern = None,  # noqa: A002  the contract's name
    source: SourceName = None,
    subject: Subject = None,
    since: Since = None,
    until: Until = None,
    test: Annotated[
        bool | None, Query(description="Only events from a test button, or only others.")
    ] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[EventAnswer]:
    """Events, newest first."""
    query = EventQuery(
        type=type, source=source, subject=subject, test=test, since=since, until=until
    )
    found = await services.browse.events(query, limit=limit, before=before(cursor, "evt"))
    return Page(
        items=[EventAnswer.model_validate(one) for one in found.items], next=next_cursor(found.last)
    )


@router.get(
    "/{event_id}",
    summary="Look at an event",
    responses=problem_responses(404),
)
async def get_event(
    services: ServicesOf, _access: ReadAccess, event_id: EventPath
) -> EventWithDeliveriesAnswer:
    """One event with its deliveries, each with its status and the reason for it."""
    event, deliveries = await services.browse.event(event_id)
    return EventWithDeliveriesAnswer(
        **EventAnswer.model_validate(event).model_dump(),
        deliveries=[DeliveryAnswer.model_validate(one) for one in deliveries],
    )


@router.get(
    "/{event_id}/body",
    summary="Read an event's body",
    response_class=Response,
    responses={
        200: {
            "description": "The body, byte for byte as it was received.",
            "content": {
                "application/json": {"example": {"payment_id": 3, "payment_total_raw": 59.99}},
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            },
        },
        **problem_responses(404),
    },
)
async def get_event_body(
    services: ServicesOf, _access: ReadAccess, event_id: EventPath
) -> Response:
    """The raw bytes, as a download: `application/json` when they came as JSON."""
    found = await services.browse.event_body(event_id)
    return download(found.body, found.content_type, event_id)


@router.post("/{event_id}/replay", summary="Send an event again", **STARTS_REPLAY)
async def replay_event(
    event_id: EventPath,
    request: Request,
    principal: WriteAccess,
    services: ServicesOf,
    payload: ReplayEvent | None = None,
    _idempotency_key: IdempotencyKey = None,
) -> Response:
    """Starts a replay of one event, to one target or to all it is for today.

    Other than the retry of a delivery, it makes new ones, also for targets that are younger.
    """
    options = payload or ReplayEvent()
    wanted = ReplayRequest(
        event=event_id, target=options.target, force=options.force, dry_run=options.dry_run
    )
    return await start_replay(request, principal, services, wanted)
