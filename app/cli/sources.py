"""`relay sources`: who may send events, and with which credentials."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from app.cli import lookup, output, session
from app.cli.options import AsJson
from app.runtime import Runtime
from app.services.manage_sources import Source, SourceWithCredentials
from app.services.source_definition import SourceDraft

commands = typer.Typer(no_args_is_help=True, help="Senders of events.")

_NameOrId = Annotated[str, typer.Argument(help="The source's name or id.")]
_Secret = Annotated[
    str | None,
    typer.Option(help="The sender's own signing secret (whsec_…), where the sender chose it."),
]


@commands.command("list")
def list_sources(*, as_json: AsJson = False) -> None:
    """Show every source, never its credentials."""
    sources = session.operate(lambda runtime: lookup.everything(runtime.services.sources.page))
    if as_json:
        output.json(sources)
        return
    output.table(
        ("name", "kind", "strict", "ingest URL", "id", "made"),
        ((s.name, s.kind, s.strict, s.ingest_url, s.id, s.created_at) for s in sources),
        empty="There is no source; make one with: relay sources add NAME",
    )


@commands.command()
def add(
    name: Annotated[str, typer.Argument(help="The path segment of the ingest URL.")],
    *,
    kind: Annotated[str, typer.Option(help="What kind of sender it is.")] = "ultimate_multisite",
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse event types that are not in the catalogue.")
    ] = False,
    dedupe_window: Annotated[
        int | None, typer.Option(help="Seconds; see RELAY_DEDUPE_WINDOW, its default.")
    ] = None,
    signing_secret: _Secret = None,
    as_json: AsJson = False,
) -> None:
    """Register a sender and show its credentials once."""
    settings: dict[str, Any] = {} if dedupe_window is None else {"dedupe_window": dedupe_window}
    draft = SourceDraft(
        name=name, kind=kind, strict=strict, settings=settings, signing_secret=signing_secret
    )
    made = session.operate(lambda runtime: runtime.services.sources.create(draft))
    _show(made, f"Made the source {name}.", as_json=as_json)


@commands.command()
def rotate(
    source: _NameOrId,
    *,
    signing_secret: _Secret = None,
    as_json: AsJson = False,
) -> None:
    """Make new credentials; the old ones stay valid for RELAY_ROTATION_OVERLAP seconds."""

    async def work(runtime: Runtime) -> SourceWithCredentials:
        found = await _found(runtime, source)
        return await runtime.services.sources.rotate(found.id, signing_secret=signing_secret)

    made = session.operate(work)
    _show(made, f"Rotated the credentials of {made.source.name}.", as_json=as_json)


@commands.command()
def remove(source: _NameOrId) -> None:
    """Remove a source: its senders are refused from now on, its events stay."""

    async def work(runtime: Runtime) -> Source:
        found = await _found(runtime, source)
        await runtime.services.sources.delete(found.id)
        return found

    output.say(f"Removed the source {session.operate(work).name}.")


async def _found(runtime: Runtime, text: str) -> Source:
    return lookup.pick(await lookup.everything(runtime.services.sources.page), text, "source")


def _show(made: SourceWithCredentials, sentence: str, *, as_json: bool) -> None:
    if as_json:
        output.json(made)
        return
    output.say(sentence)
    output.line(f"  ingest URL: {made.source.ingest_url}")
    output.secrets([("token", made.token), ("signing secret", made.signing_secret)])
