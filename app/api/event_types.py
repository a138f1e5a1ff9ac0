"""`/v1/event-types`: the vocabulary, with a schema and a real example of each type."""

from __future__ import annotations

from functools import cache
from typing import Any

from fastapi import APIRouter
from pydantic import Field

from app.api.authentication import ReadAccess
from app.api.management_route import management_router
from app.api.pagination import Page
from app.api.schemas_common import AnswerBody
from app.domain.catalogue import CATALOGUE

router: APIRouter = management_router("event-types", "Catalogue")


class EventTypeAnswer(AnswerBody):
    """One type of event."""

    name: str = Field(examples=["payment_received"])
    summary: str
    sender: str = Field(description="Who emits it.", examples=["built-in webhook"])
    group: str
    alias_of: str | None = Field(description="The current name of a type of old versions.")
    json_schema: dict[str, Any] = Field(
        serialization_alias="schema", description="JSON Schema of its data."
    )
    example: dict[str, Any] = Field(description="A real body, which a source takes as it is.")


@cache
def _all() -> Page[EventTypeAnswer]:
    items = [
        EventTypeAnswer(
            name=entry.name,
            summary=entry.summary,
            sender=entry.sender.value,
            group=entry.group,
            alias_of=entry.alias_of,
            json_schema=dict(entry.fields),
            example=dict(entry.example),
        )
        for entry in CATALOGUE.values()
    ]
    return Page(items=items, next=None)


@router.get("", summary="List event types")
async def list_event_types(_principal: ReadAccess) -> Page[EventTypeAnswer]:
    """Every type the relay knows. A source that is not strict takes others as well."""
    return _all()
