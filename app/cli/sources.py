"""`relay sources`: who may send events, and with which credentials."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from app.cli import lookup, network_keys, output, session
from app.cli.network_keys import ApiCredentials, ApiKey, ApiSecret, ApiUrl, WpPassword, WpUser
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
        ("name", "kind", "strict", "API", "ingest URL", "id", "made"),
        (
            (s.name, s.kind, s.strict, s.api_access, s.ingest_url, s.id, s.created_at)
            for s in sources
        ),
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
    api_url: ApiUrl = None,
    api_credentials: ApiCredentials = None,
    api_key: ApiKey = None,
    api_secret: ApiSecret = None,
    wp_user: WpUser = None,
    wp_application_password: WpPassword = None,
    as_json: AsJson = False,
) -> None:
    """Register a sender and show its credentials once."""
    settings: dict[str, Any] = {} if dedupe_window is None else {"dedupe_window": dedupe_window}
    keys = None
    if api_url is not None:
        keys = network_keys.keys(api_key, api_secret, wp_user, wp_application_password)
    draft = SourceDraft(
        name=name,
        kind=kind,
        strict=strict,
        settings=settings | network_keys.settings(api_url, api_credentials),
        signing_secret=signing_secret,
        api_access=keys,
    )
    made = session.operate(lambda runtime: runtime.services.sources.create(draft))
    _show(made, f"Made the source {name}.", as_json=as_json)


@commands.command()
def update(
    source: _NameOrId,
    *,
    strict: Annotated[
        bool | None, typer.Option(help="Refuse event types that are not in the catalogue.")
    ] = None,
    dedupe_window: Annotated[
        int | None, typer.Option(help="Seconds; see RELAY_DEDUPE_WINDOW.")
    ] = None,
    api_url: ApiUrl = None,
    api_credentials: ApiCredentials = None,
    api_key: ApiKey = None,
    api_secret: ApiSecret = None,
    wp_user: WpUser = None,
    wp_application_password: WpPassword = None,
    forget_api_access: Annotated[
        bool, typer.Option("--forget-api-access", help="Remove the keys to the network's API.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Change a source; with --api-url or --wp-user, give it access to its network's own API."""
    settings = network_keys.settings(api_url, api_credentials)
    if dedupe_window is not None:
        settings["dedupe_window"] = dedupe_window
    keys = None
    if api_url is not None or wp_user is not None:
        keys = network_keys.keys(api_key, api_secret, wp_user, wp_application_password)

    async def work(runtime: Runtime) -> Source:
        found = await _found(runtime, source)
        return await runtime.services.sources.update(
            found.id,
            strict=strict,
            settings=settings,
            api_access=keys,
            forget_api_access=forget_api_access,
        )

    changed = session.operate(work)
    if as_json:
        output.json(changed)
    else:
        output.say(f"Changed the source {changed.name}.")


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
