"""The relay's subcommands, as the command line declares them."""

from __future__ import annotations

import typer.main


def known() -> dict[str, set[str]]:
    """Every subcommand of `relay`, with its options."""
    from app.cli.main import cli  # noqa: PLC0415  it loads the whole app

    group = typer.main.get_command(cli)
    return {
        name: {
            option
            for parameter in command.params
            for option in (*parameter.opts, *parameter.secondary_opts)
        }
        for name, command in group.commands.items()
    }
