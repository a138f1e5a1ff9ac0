"""`relay reconcile` and `relay backfill`: what a network's own API says, brought in as events."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from app.cli import jobs, output, session
from app.cli.options import AsJson, Watch, moment
from app.services.backfill import BackfillRequest
from app.services.jobs import JobView
from app.services.reconcile import ReconcileRequest

_Source = Annotated[
    str, typer.Argument(metavar="SOURCE", help="A source with API access: its name or id.")
]


def reconcile(
    source: _Source,
    *,
    since: Annotated[
        datetime | None,
        typer.Option(
            parser=moment,
            metavar="TIME",
            help="Only records of then or later; otherwise since the source was registered.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only look; `relay jobs` says what is missing.")
    ] = False,
    watch: Watch = False,
    as_json: AsJson = False,
) -> None:
    """Look for what never arrived, and bring it in; the worker does it, in the background."""
    request = ReconcileRequest(source=source, since=since, dry_run=dry_run)
    job = session.operate(lambda runtime: runtime.services.reconciliations.start(request))
    _tell(job, f"What {source} has is compared with what arrived", watch=watch, as_json=as_json)


def backfill(
    source: _Source,
    *,
    target: Annotated[str, typer.Option(help="A target's name or id.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    watch: Watch = False,
    as_json: AsJson = False,
) -> None:
    """Bring the customers there are into one target; the worker does it, in the background."""
    request = BackfillRequest(source=source, target=target, dry_run=dry_run)
    job = session.operate(lambda runtime: runtime.services.backfills.start(request))
    customers = "1 customer" if job.total == 1 else f"{job.total} customers"
    if job.id is None and not as_json:
        output.say(f"{customers} of {source} would be brought to {target}; nothing was.")
        return
    _tell(job, f"{customers} of {source} to {target}", watch=watch, as_json=as_json)


def _tell(job: JobView, what: str, *, watch: bool, as_json: bool) -> None:
    if as_json:
        output.json(job)
    elif not watch:
        output.say(f"{what}: {job.id}. See how far it is with: relay jobs watch {job.id}")
    if watch and job.id is not None:
        jobs.follow(job.id)
