"""`/v1/quarantine`: requests of authenticated senders that could not be understood."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import Path, Query, Request, Response
from pydantic import Field

from app.api.answers import download, json_response
from app.api.authentication import ReadAccess, WriteAccess
from app.api.idempotent import IdempotencyKey, idempotent
from app.api.management_route import management_router
from app.api.pagination import DEFAULT_LIMIT, Cursor, Limit, Page, before, next_cursor
from app.api.problems import problem_responses
from app.api.schemas_common import AnswerBody, with_examples
from app.api.services import ServicesOf
from app.services.quarantine import QuarantinedRequest, QuarantineState

router = management_router("quarantine", "Quarantine")

_LONGEST_TEXT = 65_536
_ENTRY: dict[str, Any] = {
    "id": "qrn_01kr9x8n4d3f5h7k9m1p3r5t7w",
    "source": "my-network",
    "event_type": "payment_received",
    "state": "open",
    "problem": "unreadable-body",
    "detail": "The body is not valid JSON at line 1, column 12: unexpected end of data.",
    "content_type": "application/json",
    "size": 12,
    "event_id": None,
    "received_at": "2026-11-23T19:09:31.204817Z",
    "settled_at": None,
}
EntryPath = Annotated[
    str, Path(description="The id of an entry.", examples=["qrn_01kr9x8n4d3f5h7k9m1p3r5t7w"])
]


class QuarantineAnswer(AnswerBody):
    """One request that was kept."""

    model_config = with_examples(_ENTRY)

    id: str
    source: str
    event_type: str | None = Field(
        description="What stood in the path for the type, where something did."
    )
    state: QuarantineState
    problem: str = Field(description="The `type` of the problem the sender was answered.")
    detail: str
    content_type: str
    size: int = Field(description="The body's length in bytes.")
    event_id: str | None = Field(description="What came of a released entry.")
    received_at: datetime
    settled_at: datetime | None


class QuarantinedRequestAnswer(QuarantineAnswer):
    """An entry with the request that was kept."""

    model_config = with_examples(
        {**_ENTRY, "headers": {}, "body": '{"payment_i', "truncated": False}
    )

    headers: dict[str, str] = Field(
        description="The header fields, but for those that hold a credential or were about the"
        " connection."
    )
    body: str = Field(description="The body as text; what is not UTF-8 is replaced.")
    truncated: bool = Field(description=f"True when the body is over {_LONGEST_TEXT} bytes.")


@router.get(
    "",
    summary="List quarantined requests",
    responses=problem_responses(400, 422),
)
async def list_quarantine(
    services: ServicesOf,
    _access: ReadAccess,
    state: Annotated[
        QuarantineState | None, Query(description="Only entries in this state.")
    ] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[QuarantineAnswer]:
    """Entries, newest first, without their bodies."""
    found = await services.quarantine.page(limit=limit, before=before(cursor, "qrn"), state=state)
    return Page(
        items=[QuarantineAnswer.model_validate(one) for one in found.items],
        next=next_cursor(found.last),
    )


@router.get(
    "/{quarantine_id}",
    summary="Look at a quarantined request",
    responses=problem_responses(404),
)
async def get_quarantine_entry(
    services: ServicesOf, _access: ReadAccess, quarantine_id: EntryPath
) -> QuarantinedRequestAnswer:
    """One entry with its body."""
    return _with_body(await services.quarantine.get(quarantine_id))


@router.get(
    "/{quarantine_id}/body",
    summary="Read a quarantined request's body",
    response_class=Response,
    responses={
        200: {
            "description": "The body, byte for byte as it was received.",
            "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            },
        },
        **problem_responses(404),
    },
)
async def get_quarantine_body(
    services: ServicesOf, _access: ReadAccess, quarantine_id: EntryPath
) -> Response:
    """The raw bytes, as a download: what cannot be released can still be repaired and sent again."""
    found = await services.quarantine.get(quarantine_id)
    # What it was called is no reason to take it for JSON: nobody could read it.
    return download(found.body, "application/octet-stream", quarantine_id)


@router.post(
    "/{quarantine_id}/release",
    summary="Let a quarantined request in",
    response_model=QuarantineAnswer,
    responses=problem_responses(400, 404, 409, 415, 422),
)
async def release_quarantine_entry(
    request: Request,
    services: ServicesOf,
    principal: WriteAccess,
    quarantine_id: EntryPath,
    _idempotency_key: IdempotencyKey = None,
) -> Response:
    """Read the body again, with today's rules and source, and store it as an event.

    While it still cannot be read the answer is the problem, and the entry stays open.
    """

    async def produce() -> Response:
        released = await services.quarantine.release(quarantine_id)
        return json_response(QuarantineAnswer.model_validate(released))

    return await idempotent(request, principal, await request.body(), produce)


@router.post(
    "/{quarantine_id}/discard",
    summary="Drop a quarantined request",
    responses=problem_responses(404, 409),
)
async def discard_quarantine_entry(
    services: ServicesOf, _access: WriteAccess, quarantine_id: EntryPath
) -> QuarantineAnswer:
    """Close the entry without making an event of it."""
    return QuarantineAnswer.model_validate(await services.quarantine.discard(quarantine_id))


def _with_body(found: QuarantinedRequest) -> QuarantinedRequestAnswer:
    return QuarantinedRequestAnswer(
        **QuarantineAnswer.model_validate(found.entry).model_dump(),
        headers=dict(found.headers),
        body=found.body[:_LONGEST_TEXT].decode("utf-8", "replace"),
        truncated=len(found.body) > _LONGEST_TEXT,
    )
