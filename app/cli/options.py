"""Options that several commands share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from app.domain.clock import in_utc
from app.domain.ids import is_id
from app.domain.routing import check_pattern

#: For scripts: the same as the table, as JSON.
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
#: How much of a long list.
Limit = Annotated[int, typer.Option(min=1, max=200, help="How many, the newest first.")]
#: Follow a job that was just started.
Watch = Annotated[bool, typer.Option("--watch", help="Show how far it is until it is over.")]


def pattern(text: str) -> str:
    """An event type, or a pattern of them."""
    try:
        return check_pattern(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def event_id(text: str) -> str:
    """The id of an event."""
    if not is_id(text, "evt"):
        raise typer.BadParameter("use the id of an event: evt_ and 26 characters")
    return text


def moment(text: str) -> datetime:
    """A time or a day, in UTC where no zone is given."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            "use a day or RFC 3339, such as 2026-11-23 or 2026-11-23T19:09:31Z"
        ) from None
    if found.tzinfo is None:
        return found.replace(tzinfo=UTC)
    try:
        return in_utc(found)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
