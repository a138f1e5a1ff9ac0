"""The `relay` command: every subcommand in its place."""

from __future__ import annotations

import typer

from app.cli import deliveries, events, jobs, keys, sources, targets
from app.cli.check import check
from app.cli.migrate import migrate
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
for run in (serve, worker, migrate, check, send, replay):
    cli.command()(run)
for name, group in (
    ("keys", keys.commands),
    ("sources", sources.commands),
    ("targets", targets.commands),
    ("events", events.commands),
    ("deliveries", deliveries.commands),
    ("jobs", jobs.commands),
):
    cli.add_typer(group, name=name)
