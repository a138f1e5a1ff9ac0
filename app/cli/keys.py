"""`relay keys`: who may call the management API."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli import lookup, output, session
from app.cli.options import AsJson
from app.runtime import Runtime
from app.services.manage_api_keys import ApiKey, Scope

commands = typer.Typer(no_args_is_help=True, help="API keys of the management API.")


@commands.command("list")
def list_keys(*, as_json: AsJson = False) -> None:
    """Show every key, never its text."""
    keys = session.operate(lambda runtime: lookup.everything(runtime.services.api_keys.page))
    if as_json:
        output.json(keys)
        return
    output.table(
        ("id", "name", "scope", "begins with", "made", "last used"),
        ((k.id, k.name, k.scope, k.hint, k.created_at, k.last_used_at) for k in keys),
        empty="There is no API key; RELAY_ADMIN_KEY may still be one.",
    )


@commands.command()
def add(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    *,
    scope: Annotated[Scope, typer.Option(help="What the key may do.")] = Scope.READ,
    as_json: AsJson = False,
) -> None:
    """Make a key and show it once."""
    made = session.operate(lambda runtime: runtime.services.api_keys.create(name, scope))
    if as_json:
        output.json({"id": made.api_key.id, "name": name, "scope": scope, "key": made.key})
        return
    output.say(f"Made {made.api_key.id}, which may {', '.join(scope.included)}.")
    output.secrets([("API key", made.key)])


@commands.command()
def remove(key: Annotated[str, typer.Argument(help="The id, or a name that one key has.")]) -> None:
    """Revoke a key: it is refused from now on."""

    async def work(runtime: Runtime) -> ApiKey:
        found = lookup.pick(await lookup.everything(runtime.services.api_keys.page), key, "API key")
        await runtime.services.api_keys.delete(found.id)
        return found

    removed = session.operate(work)
    output.say(f"Removed {removed.id} ({removed.name}).")
