"""The `relay` command: every subcommand in its place."""

from __future__ import annotations

from typing import Annotated

import typer

from app import __version__
from app.cli import connectors, deliveries, events, jobs, keys, setup, sources, targets
from app.cli.check import check
from app.cli.migrate import migrate
from app.cli.network_jobs import backfill, reconcile
from app.cli.replay import replay
from app.cli.send import send
from app.cli.serve import serve
from app.cli.worker import worker

cli = typer.Typer(
    name="relay",
    help="Lifecycle Relay: takes lifecycle events in, keeps them, and carries each one on.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _say_version(wanted: bool) -> None:  # noqa: FBT001  typer calls it with the option's value
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@cli.callback()
def relay(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_say_version, is_eager=True, help="Say which it is."),
    ] = False,
) -> None:
    """Lifecycle Relay: takes lifecycle events in, keeps them, and carries each one on."""


for run in (serve, worker, migrate, check, send, replay, reconcile, backfill):
    cli.command()(run)
for name, group in (
    ("keys", keys.commands),
    ("sources", sources.commands),
    ("targets", targets.commands),
    ("connectors", connectors.commands),
    ("events", events.commands),
    ("deliveries", deliveries.commands),
    ("jobs", jobs.commands),
    ("setup", setup.commands),
):
    cli.add_typer(group, name=name)
