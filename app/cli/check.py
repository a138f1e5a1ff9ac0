"""`relay check`: whether what is configured can work, and what to do where it cannot."""

from __future__ import annotations

import os

import typer
from pydantic_settings import DotEnvSettingsSource

from app.cli import output, session
from app.cli.finding import Finding, State
from app.cli.installation_checks import installation
from app.cli.options import AsJson
from app.cli.settings_checks import sanity
from app.settings import Settings

_MARKS = {State.OK: "ok", State.WARNING: "warning", State.FAILED: "FAILED"}


def check(*, as_json: AsJson = False) -> None:
    """Check settings, database, schema, master key, clock and targets; exit 1 when one fails."""
    with session.plain_errors():
        settings = session.load_settings()
        findings = session.run(_examine(settings))
    if as_json:
        output.json(findings)
    else:
        output.table(
            ("check", "result", "what was found", "what to do"),
            ((f.check, _MARKS[f.state], f.says, f.advice) for f in findings),
            empty="",
        )
    if any(finding.state is State.FAILED for finding in findings):
        raise typer.Exit(session.FAILED)


async def _examine(settings: Settings) -> list[Finding]:
    named = {*os.environ, *DotEnvSettingsSource(Settings).env_vars}
    return [*sanity(settings, named), *await installation(settings)]
