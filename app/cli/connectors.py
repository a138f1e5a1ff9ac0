"""`relay connectors`: what a target can be. Needs neither a database nor a running relay."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from app.cli import output, session
from app.cli.options import AsJson
from app.connectors import sheet
from app.connectors.base import Connector
from app.connectors.registry import all_connectors, broken_plugins, connector_class, describe
from app.domain import strict_json
from app.domain.errors import NotFound, ValidationFailed

commands = typer.Typer(no_args_is_help=True, help="What a target can be.")


@commands.command("list")
def list_connectors(*, as_json: AsJson = False) -> None:
    """Show every connector, those of installed packages among them."""
    described = [describe(connector) for connector in all_connectors().values()]
    if as_json:
        output.json(described)
    else:
        output.table(
            ("connector", "destination", "kind", "settings it needs"),
            (
                (
                    each["name"],
                    each["facts"]["title"],
                    sheet.kind_in_words(each["kind"]),
                    ", ".join(each["settings"].get("required", ())),
                )
                for each in described
            ),
            empty="",
        )
    for name, why in broken_plugins().items():
        output.failure(f"The connector {name} of an installed package cannot be used: {why}")


@commands.command()
def show(
    name: Annotated[str, typer.Argument(help="The connector's name.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Show what a connector does, its settings, its events and its mapping."""
    with session.plain_errors():
        described = describe(_found(name))
    if as_json:
        output.json(described)
        return
    output.say(described["facts"]["title"])
    output.say(described["facts"]["summary"])
    output.say("")
    output.fields([("kind", sheet.kind_in_words(described["kind"])), *sheet.fact_rows(described)])
    _settings(described)
    _events(described["events"])
    _mapping(described["mapping"])
    output.say("")
    output.say("A target with the least it needs:")
    output.say(f"  {_command(described)}")


def _found(name: str) -> type[Connector[Any]]:
    try:
        return connector_class(name)
    except ValidationFailed as error:
        raise NotFound(error.detail) from None


def _settings(described: Mapping[str, Any]) -> None:
    output.table(
        ("setting", "needed", "default", "what it is"),
        (
            (
                row.name,
                "yes" if row.needed else "",
                row.default,
                sheet.meaning_of(row, tuple(f"`{choice}`" for choice in row.choices)),
            )
            for row in sheet.setting_rows(described["settings"])
        ),
        empty="It has no settings.",
    )


def _events(patterns: list[str]) -> None:
    if patterns == ["*"]:
        for sentence in sheet.EVERY_EVENT.splitlines():
            output.say(sentence)
        return
    output.say("Events, unless the target's `events` say otherwise:")
    for pattern in patterns:
        output.say(f"  {pattern}")


def _mapping(mapping: Mapping[str, str]) -> None:
    if not mapping:
        output.say(sheet.NO_MAPPING)
        return
    output.table(
        ("field", "CEL expression, without a mapping of your own"), mapping.items(), empty=""
    )


def _command(described: Mapping[str, Any]) -> str:
    """The `relay` command that makes a target; secrets come from a file, where nobody sees them."""
    target = sheet.smallest_target(described)
    secret = {row.name for row in sheet.setting_rows(described["settings"]) if row.secret}
    words = ["relay", "targets", "add", target["name"], "--connector", target["connector"]]
    for name, value in target["settings"].items():
        text = value if isinstance(value, str) else strict_json.write(value).decode()
        words += ["--setting", f"{name}=@FILE" if name in secret else f"{name}={text}"]
    return shlex.join(words)
