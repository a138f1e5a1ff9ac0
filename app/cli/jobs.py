"""`relay jobs`: long work, how far it is, and an end to it."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.cli import output, session
from app.cli.options import AsJson, Limit
from app.runtime import Runtime
from app.services.jobs import JobState, JobView

commands = typer.Typer(
    invoke_without_command=True, help="Long work: replays, reconciliations and backfills."
)

_Id = Annotated[str, typer.Argument(metavar="ID", help="The job's id (rpl_…, rcn_…, bkf_…).")]
_LOOK_SECONDS = 0.5


@commands.callback()
def list_jobs(context: typer.Context, *, limit: Limit = 50, as_json: AsJson = False) -> None:
    """Show jobs, the newest first; or watch or cancel one."""
    if context.invoked_subcommand is not None:
        return
    found = session.operate(lambda runtime: runtime.services.jobs.page(limit=limit))
    if as_json:
        output.json(found.items)
        return
    output.table(
        ("kind", "state", "done", "failed", "of", "made", "forced", "reason", "id"),
        (
            (j.kind, j.state, j.done, j.failed, j.total, j.created_at, j.force, j.reason, j.id)
            for j in found.items
        ),
        empty="There is no job.",
    )


@commands.command()
def watch(job: _Id) -> None:
    """Show how far a job is until it is over; exit code 0 when it is done."""
    follow(job)


@commands.command()
def cancel(job: _Id) -> None:
    """Stop a job; what it did stays done."""
    output.say(_in_words(session.operate(lambda runtime: runtime.services.jobs.cancel(job))))


def follow(job_id: str) -> None:
    """Show a job until it is over; the command fails when it does not end well."""
    ended = session.operate(lambda runtime: _watch(runtime, job_id))
    output.say(_in_words(ended))
    if ended.state is not JobState.DONE:
        raise typer.Exit(session.FAILED)


async def _watch(runtime: Runtime, job_id: str) -> JobView:
    job = await runtime.services.jobs.get(job_id)  # an unknown one is refused before a bar is drawn
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=output.progress_console(),
    )
    with bar:
        shown = bar.add_task(job_id, total=None)
        while True:
            bar.update(
                shown,
                description=f"{job.kind} {job.state}",
                total=job.total,
                completed=job.done + job.failed,
            )
            if job.state.over:
                return job
            await asyncio.sleep(_LOOK_SECONDS)
            job = await runtime.services.jobs.get(job_id)


def _in_words(job: JobView) -> str:
    failed = f", {job.failed} failed" if job.failed else ""
    reason = f" {job.reason}" if job.reason else ""
    return f"{job.id} is {job.state}: {job.done} of {job.total} done{failed}.{reason}"
