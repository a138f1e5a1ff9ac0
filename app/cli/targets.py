"""`relay targets`: where events go."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from app.cli import lookup, output, pairs, session
from app.cli.options import AsJson
from app.domain import strict_json
from app.runtime import Runtime
from app.services.checking import Checked
from app.services.target_definition import RateLimit, RetrySetting, TargetDraft
from app.services.target_views import Target, TargetWithSecret

commands = typer.Typer(no_args_is_help=True, help="Destinations of events.")

_NameOrId = Annotated[str, typer.Argument(help="The target's name or id.")]


@commands.command("list")
def list_targets(*, as_json: AsJson = False) -> None:
    """Show every target, never its secrets."""
    targets = session.operate(lambda runtime: lookup.everything(runtime.services.targets.page))
    if as_json:
        output.json(targets)
        return
    output.table(
        ("name", "connector", "status", "events", "where", "id"),
        ((t.name, t.connector, _status(t), ", ".join(t.events), _where(t), t.id) for t in targets),
        empty="There is no target; make one with: relay targets add NAME --url https://…",
    )


@commands.command()
def show(
    target: _NameOrId,
    *,
    as_json: AsJson = False,
) -> None:
    """Show everything about one target but its secrets."""
    found = session.operate(lambda runtime: _found(runtime, target))
    if as_json:
        output.json(found)
        return
    output.fields(
        [
            ("name", found.name),
            ("id", found.id),
            ("connector", found.connector),
            ("status", _status(found)),
            *((f"settings.{name}", _plain(value)) for name, value in found.settings.items()),
            ("events", ", ".join(found.events)),
            ("sources", output.words(found.sources, everything="all")),
            ("filter", found.filter),
            *((f"mapping.{name}", text) for name, text in (found.mapping or {}).items()),
            ("ordered", found.ordered),
            ("retry", _plain(found.retry)),
            ("rate limit", _plain(found.rate_limit)),
            ("at one time", found.max_in_flight),
            ("made", found.created_at),
            ("changed", found.updated_at),
        ]
    )


@commands.command()
def add(
    name: Annotated[str, typer.Argument(help="What it is called.")],
    *,
    connector: Annotated[str, typer.Option(help="What kind of destination it is.")] = "webhook",
    url: Annotated[str | None, typer.Option(help="The same as --setting url=…")] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="A setting; @FILE is read from there."),
    ] = None,
    event: Annotated[
        list[str] | None, typer.Option(metavar="PATTERN", help="Events it gets; all by default.")
    ] = None,
    source: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Sources it gets events of.")
    ] = None,
    filter_: Annotated[
        str | None, typer.Option("--filter", metavar="CEL", help="Events it gets, in CEL.")
    ] = None,
    mapping: Annotated[
        list[str] | None, typer.Option(metavar="FIELD=CEL", help="What is sent, in CEL.")
    ] = None,
    ordered: Annotated[
        bool | None, typer.Option("--ordered/--unordered", help="One after another per customer.")
    ] = None,
    retry: Annotated[
        str | None, typer.Option(metavar="0,5,300", help="Seconds before each attempt.")
    ] = None,
    per_second: Annotated[
        float | None, typer.Option(min=0.01, max=10_000, help="Most requests per second.")
    ] = None,
    max_in_flight: Annotated[int | None, typer.Option(help="Most requests at one time.")] = None,
    as_json: AsJson = False,
) -> None:
    """Register a destination and show its signing secret once."""
    with session.plain_errors():
        settings = pairs.settings(setting or ())
        draft = TargetDraft(
            name=name,
            connector=connector,
            settings=settings if url is None else {"url": url, **settings},
            sources=source or None,
            filter=filter_,
            mapping=pairs.mapping(mapping or ()) or None,
            ordered=ordered,
            retry=None if retry is None else RetrySetting(schedule=pairs.seconds(retry)),
            rate_limit=None if per_second is None else RateLimit(per_second=per_second),
            max_in_flight=max_in_flight,
            **({"events": event} if event else {}),
        )
    made = session.operate(lambda runtime: runtime.services.targets.create(draft))
    _show_made(made, f"Made the target {name}.", as_json=as_json)


@commands.command()
def pause(target: _NameOrId) -> None:
    """Hold what is for this target, without losing any of it."""

    async def work(runtime: Runtime) -> Target:
        return await runtime.services.targets.pause((await _found(runtime, target)).id)

    _say_status(session.operate(work))


@commands.command()
def resume(target: _NameOrId) -> None:
    """Send again, what was held included."""

    async def work(runtime: Runtime) -> Target:
        return await runtime.services.targets.resume((await _found(runtime, target)).id)

    _say_status(session.operate(work))


@commands.command()
def prepare(target: _NameOrId, *, as_json: AsJson = False) -> None:
    """Make in the destination the fields that the default mapping writes to; others are left alone."""

    async def work(runtime: Runtime) -> Checked:
        return await runtime.services.checks.prepare((await _found(runtime, target)).id)

    checked = session.operate(work)
    if as_json:
        output.json(checked)
    else:
        output.say(checked.verdict)
    if checked.ok is False:
        raise typer.Exit(session.FAILED)


@commands.command("rotate-secret")
def rotate_secret(
    target: _NameOrId,
    *,
    as_json: AsJson = False,
) -> None:
    """Make a new signing secret; requests are signed with both for RELAY_ROTATION_OVERLAP seconds."""

    async def work(runtime: Runtime) -> TargetWithSecret:
        return await runtime.services.targets.rotate_secret((await _found(runtime, target)).id)

    made = session.operate(work)
    _show_made(made, f"Rotated the secret of {made.target.name}.", as_json=as_json)


@commands.command()
def remove(target: _NameOrId) -> None:
    """Remove a target; what waits for it is cancelled."""

    async def work(runtime: Runtime) -> Target:
        found = await _found(runtime, target)
        await runtime.services.targets.delete(found.id)
        return found

    output.say(f"Removed the target {session.operate(work).name}.")


async def _found(runtime: Runtime, text: str) -> Target:
    return lookup.pick(await lookup.everything(runtime.services.targets.page), text, "target")


def _status(target: Target) -> str:
    reason = f" ({target.status_reason})" if target.status_reason else ""
    return f"{target.status}{reason}"


def _where(target: Target) -> Any:
    return target.settings.get("url") or target.settings.get("base_url")


def _plain(value: Any) -> Any:
    return strict_json.write(value).decode() if isinstance(value, dict | list) else value


def _say_status(target: Target) -> None:
    output.say(f"The target {target.name} is {_status(target)}.")


def _show_made(made: TargetWithSecret, sentence: str, *, as_json: bool) -> None:
    if as_json:
        output.json(made)
        return
    output.say(sentence)
    output.secrets([("signing secret", made.signing_secret)])
