"""`relay deliveries`: what became of each event at each target, told in words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from app.cli import lookup, output, session
from app.cli.options import AsJson, Limit, event_id
from app.runtime import Runtime
from app.services.browse import DeliveryQuery
from app.services.delivery_view import AttemptView, DeliveryStatus, DeliveryView
from app.services.listing import Listing

commands = typer.Typer(no_args_is_help=True, help="Events on their way to targets.")

_Id = Annotated[str, typer.Argument(metavar="ID", help="The delivery's id (dlv_…).")]


@commands.command("list")
def list_deliveries(
    *,
    status: Annotated[DeliveryStatus | None, typer.Option(help="Only these.")] = None,
    target: Annotated[str | None, typer.Option(help="A target's name or id.")] = None,
    event: Annotated[
        str | None, typer.Option(metavar="ID", parser=event_id, help="An event's id.")
    ] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Show deliveries, the newest first."""
    query = DeliveryQuery(status=status, target=target, event=event)

    async def work(runtime: Runtime) -> Listing[DeliveryView]:
        found = await runtime.services.browse.deliveries(query, limit=limit)
        if not found.items:
            await lookup.require(runtime.services.targets.page, target, "target")
        return found

    found = session.operate(work)
    if as_json:
        output.json(found.items)
        return
    show(found.items, empty="There is no such delivery.")


@commands.command("show")
def show_delivery(
    delivery: _Id,
    *,
    as_json: AsJson = False,
) -> None:
    """Show one delivery with every attempt: what was sent, what was answered."""
    found, attempts = session.operate(lambda runtime: runtime.services.browse.delivery(delivery))
    if as_json:
        output.json({"delivery": found, "attempts": attempts})
        return
    output.fields(
        [
            ("id", found.id),
            ("event", f"{found.event_id} {found.event_type or '(no longer kept)'}"),
            ("target", found.target or f"{found.target_id} (removed)"),
            ("status", found.status),
            ("what happened", in_words(found)),
            ("attempts", found.attempt_count),
            ("their id", found.external_id),
            ("done before by", found.first_delivery_id),
            ("made", found.created_at),
            ("finished", found.finished_at),
        ]
    )
    if attempts:
        columns = ("attempt", "at", "took", "outcome", "reason", "exchanges")
        output.table(columns, map(_attempt, attempts), empty="")


@commands.command()
def retry(delivery: _Id) -> None:
    """Send a delivery again, or now; an id that was delivered before stays the same."""
    found = session.operate(lambda runtime: runtime.services.deliveries.retry(delivery))
    output.say(f"{found.id} to {found.target}: {in_words(found)}.")


@commands.command()
def cancel(delivery: _Id) -> None:
    """End a delivery that waits or is held."""
    found = session.operate(lambda runtime: runtime.services.deliveries.cancel(delivery))
    output.say(f"{found.id} to {found.target}: {in_words(found)}.")


def show(deliveries: Iterable[DeliveryView], *, empty: str) -> None:
    """Print deliveries as a table."""
    output.table(
        ("target", "status", "what happened", "attempts", "event", "id"),
        (
            (d.target or d.target_id, d.status, in_words(d), d.attempt_count, d.event_type, d.id)
            for d in deliveries
        ),
        empty=empty,
    )


def in_words(delivery: DeliveryView) -> str:
    """What became of a delivery, as a clause without a full stop."""
    reason = (delivery.reason or "").rstrip(".")
    match delivery.status:
        case DeliveryStatus.SUCCEEDED:
            return reason or "it arrived"
        case DeliveryStatus.IN_FLIGHT:
            return "it is being sent at this moment"
        case DeliveryStatus.PENDING if reason and delivery.next_attempt_at is None:
            return reason[0].lower() + reason[1:]
        case DeliveryStatus.PENDING if delivery.attempt_count:
            again = f"it is tried again at {output.moment(delivery.next_attempt_at)}"
            return f"{again}: {reason}" if reason else again
        case DeliveryStatus.PENDING:
            return f"it waits to be sent: {reason}" if reason else "it waits to be sent"
    return reason or delivery.status.value


def _attempt(attempt: AttemptView) -> tuple[object, ...]:
    return (
        attempt.number,
        attempt.started_at,
        f"{attempt.duration_ms:.0f} ms",
        attempt.outcome,
        attempt.reason,
        "; ".join(_exchange(exchange) for exchange in attempt.exchanges),
    )


def _exchange(exchange: dict[str, Any]) -> str:
    answer = exchange["status"] or exchange["error"] or "no answer"
    detail = f" ({exchange['detail']})" if exchange["detail"] else ""
    return f"{exchange['method']} {exchange['url']} -> {answer}{detail}"
