"""`/v1/targets/{id}/links`: the ids that destinations gave, such as a CRM's contact ids."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from app.api.authentication import ReadAccess, WriteAccess
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
from app.api.schemas_targets import LinkAnswer
from app.api.services import ServicesOf
from app.api.targets import TargetId

router = management_router("targets/{target_id}/links", "Targets")

# Tells these cursors from those of lists that are ordered by ids.
_CURSOR = "subject:"
_SUBJECT = "Whom it is about: the source's name and the sender's own name for the subject."
_EXAMPLES = ["my-network/customer/2"]


@router.get("", summary="List remembered ids", responses=problem_responses(400, 404, 422))
async def list_links(
    target_id: TargetId,
    _principal: ReadAccess,
    services: ServicesOf,
    subject: Annotated[str | None, Query(description=_SUBJECT, examples=_EXAMPLES)] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[LinkAnswer]:
    """What the destination calls each subject, in the order of the subjects.

    The next event about a subject updates the contact of this id.
    """
    after = _after(cursor)
    found = await services.targets.links(target_id, limit=limit, after=after, subject=subject)
    items = [LinkAnswer.model_validate(link) for link in found.items]
    return Page(items=items, next=next_cursor(found.last and _CURSOR + found.last))


@router.delete(
    "",
    summary="Forget a remembered id",
    status_code=204,
    responses=problem_responses(404, 422),
)
async def delete_link(
    target_id: TargetId,
    _principal: WriteAccess,
    services: ServicesOf,
    subject: Annotated[str, Query(description=_SUBJECT, examples=_EXAMPLES)],
) -> None:
    """Forgets it: the next event about the subject looks for the contact anew, or makes one."""
    await services.targets.forget_link(target_id, subject)


def _after(cursor: str | None) -> str | None:
    """The subject the page begins after. Raises InvalidCursor."""
    if cursor is None:
        return None
    return decode_key_cursor(cursor, _CURSOR)
