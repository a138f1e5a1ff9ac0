"""`relay events`: what came in."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from app.cli import deliveries, lookup, output, session
from app.cli.options import AsJson, Limit, pattern
from app.runtime import Runtime
from app.services.browse import EventQuery, EventView
from app.services.listing import Listing

commands = typer.Typer(no_args_is_help=True, help="Events that came in.")


@commands.command("list")
def list_events(
    *,
    event_type: Annotated[
        str | None,
        typer.Option(
            "--type",
            metavar="PATTERN",
            parser=pattern,
            help="A type, or a pattern such as payment_*.",
        ),
    ] = None,
    source: Annotated[str | None, typer.Option(help="A source's name.")] = None,
    subject: Annotated[
        str | None, typer.Option(help="Whom it is about, such as my-network/customer/2.")
    ] = None,
    test: Annotated[
        bool | None, typer.Option("--test/--live", help="Only those of a test button, or none.")
    ] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Show events, the newest first."""
    query = EventQuery(type=event_type, source=source, subject=subject, test=test)

    async def work(runtime: Runtime) -> Listing[EventView]:
        found = await runtime.services.browse.events(query, limit=limit)
        if not found.items:
            await lookup.require(runtime.services.sources.page, source, "source")
        return found

    found = session.operate(work)
    if as_json:
        output.json(found.items)
        return
    output.table(
        ("received", "type", "source", "about", "test", "origin", "id"),
        ((e.received_at, e.type, e.source, e.subject, e.test, e.origin, e.id) for e in found.items),
        empty="There is no such event.",
    )


@commands.command()
def show(
    event: Annotated[str, typer.Argument(metavar="ID", help="The event's id (evt_…).")],
    *,
    body: Annotated[
        bool, typer.Option("--body", help="Print the body alone, byte for byte as received.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show one event with its deliveries, or its body."""
    if body:
        stored = session.operate(lambda runtime: runtime.services.browse.event_body(event))
        _write(stored.body)
        return
    found, its_deliveries = session.operate(lambda runtime: runtime.services.browse.event(event))
    if as_json:
        output.json({"event": found, "deliveries": its_deliveries})
        return
    output.fields(
        [
            ("id", found.id),
            ("type", found.type),
            ("source", found.source),
            ("about", found.subject),
            ("test", found.test),
            ("occurred", found.occurred_at),
            ("received", found.received_at),
            ("sender's id", found.external_id),
            ("origin", found.origin),
        ]
    )
    deliveries.show(its_deliveries, empty="No target wanted it.")


def _write(body: bytes) -> None:
    """The bytes as they are; to a terminal without what it would obey."""
    if sys.stdout.isatty():
        for line in body.decode("utf-8", "replace").splitlines():
            output.say(line)
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(body)
    sys.stdout.buffer.flush()
