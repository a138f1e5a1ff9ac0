"""The relay's commands, run in this process as a shell would run them."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import CapturingLogger
from typer import testing
from typer.main import get_command
from typer.testing import CliRunner, Result

from app.cli import session
from app.cli.main import cli
from app.store import trouble
from app.store.opening import open_database
from tests import databases

MASTER_KEY = "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="

#: The runner would build all commands anew for each that it runs, which takes as long as most do.
_built = cache(get_command)


@dataclass(frozen=True)
class CommandLine:
    """A shell whose environment leads to one relay."""

    environment: dict[str, str]

    def run(self, *words: str, stdin: str | None = None, **variables: str) -> Result:
        """Run a command, with further variables, and `stdin` typed into it."""
        return CliRunner().invoke(cli, words, env=self.environment | variables, input=stdin)

    def __call__(self, *words: str) -> str:
        """What a command that succeeds prints."""
        result = self.run(*words)
        assert result.exit_code == 0, result.output
        return result.stdout

    def json(self, *words: str) -> Any:
        """What a command prints with --json."""
        return json.loads(self(*words, "--json"))

    def refused(self, *words: str, code: int = 1) -> str:
        """What a command that fails says on standard error."""
        result = self.run(*words)
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        return result.stderr


def open_command_line(
    monkeypatch: pytest.MonkeyPatch, folder: Path, url: str, **variables: str
) -> CommandLine:
    """A shell in `folder`, on the database at `url`, with further variables."""
    monkeypatch.chdir(folder)
    # The log would go on to write to a stream that ends with the command.
    monkeypatch.setattr(session, "configure_logging", lambda *_: None)
    monkeypatch.setattr(testing, "_get_command", _built)
    # Without it the store's own lines would stand among what a command prints.
    monkeypatch.setattr(trouble, "_log", CapturingLogger())
    environment = {
        "RELAY_DATABASE_URL": url,
        "RELAY_DATA_DIR": str(folder),
        "RELAY_SECRET_KEY": MASTER_KEY,
        "RELAY_ALLOWED_PRIVATE_NETWORKS": "127.0.0.0/8",
        **variables,
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return CommandLine(environment)


def emptied(url: str) -> str:
    """The database without its rows."""

    async def work() -> None:
        database = open_database(url, pool_size=2)
        if database.dialect == "postgresql":
            await databases.empty(database)
        await database.close()

    asyncio.run(work())
    return url
