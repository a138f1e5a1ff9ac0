"""`/v1/connectors`: what a target can be, and the settings each takes."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from app.api.authentication import ReadAccess
from app.api.management_route import management_router
from app.api.pagination import Page
from app.api.schemas_common import AnswerBody
from app.connectors.registry import all_connectors, describe

router = management_router("connectors", "Catalogue")


class ConnectorAnswer(AnswerBody):
    """One kind of destination."""

    name: str = Field(description="The value of a target's `connector`.", examples=["webhook"])
    kind: str = Field(description="`crm`, `analytics`, `message` or `webhook`.")
    facts: dict[str, Any] = Field(description="What every connector page shows.")
    settings: dict[str, Any] = Field(description="JSON Schema of a target's `settings`.")
    events: list[str] = Field(description="Patterns of the event types it acts on.")
    mapping: dict[str, str] = Field(description="What it sends without a mapping of your own.")
    ordered: bool
    takes_tests: bool = Field(description="Whether events of a test button are sent as well.")
    limits: dict[str, Any]


@router.get("", summary="List connectors")
async def list_connectors(_principal: ReadAccess) -> Page[ConnectorAnswer]:
    """Every connector of this installation, those of installed packages among them."""
    items = [ConnectorAnswer(**describe(connector)) for connector in all_connectors().values()]
    return Page(items=items, next=None)
