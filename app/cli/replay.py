"""`relay replay`: past events, sent to a target again."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import typer

from app.cli import output, session
from app.cli.options import AsJson, moment, pattern
from app.services.jobs import JobView
from app.services.replay import ReplayRequest


def replay(
    *,
    target: Annotated[str, typer.Option(help="A target's name or id; it may be new.")],
    since: Annotated[
        datetime | None,
        typer.Option(parser=moment, metavar="TIME", help="Only what came then or later."),
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(parser=moment, metavar="TIME", help="Only what came before.")
    ] = None,
    event_type: Annotated[
        str | None,
        typer.Option(
            "--type",
            metavar="PATTERN",
            parser=pattern,
            help="A type, or a pattern such as payment_*.",
        ),
    ] = None,
    status: Annotated[
        Literal["succeeded", "failed", "skipped", "cancelled"] | None,
        typer.Option(help="Only events whose last delivery to the target ended like this."),
    ] = None,
    source: Annotated[str | None, typer.Option(help="A source's name.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="With new ids, and effects carried out once more.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Send stored events to a target again; the worker does it, at the pace live events allow."""
    request = ReplayRequest(
        target=target,
        type=event_type,
        source=source,
        status=status,
        since=since,
        until=until,
        force=force,
        dry_run=dry_run,
    )
    job = session.operate(lambda runtime: runtime.services.replays.start(request))
    if as_json:
        output.json(job)
        return
    output.say(_in_words(job, target))


def _in_words(job: JobView, target: str) -> str:
    events = "1 event" if job.total == 1 else f"{job.total} events"
    if job.id is None:
        return f"{events} would be sent to {target} again; nothing was."
    return f"{events} to {target}: {job.id}. See how far it is with: relay jobs watch {job.id}"
