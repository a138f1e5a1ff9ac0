"""`relay send`: a real example through the front door, and what becomes of it."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import httpx
import typer

from app.cli import deliveries, lookup, output, session
from app.cli.options import AsJson
from app.domain import signing, strict_json
from app.domain.catalogue import CATALOGUE, bridge_example
from app.domain.errors import NotFound, RelayError, ValidationFailed
from app.domain.ids import new_id
from app.runtime import Runtime
from app.services.configuration import BoundSource
from app.services.delivery_view import DeliveryStatus, DeliveryView

#: Seconds the relay has to answer, and seconds its deliveries are followed.
_ANSWER = 15.0
_FOLLOW = 10.0
_LOOK_EVERY = 0.2
_ACCEPTED = 202


class NotAccepted(RelayError):
    """The relay did not answer, or refused the event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """What to send where; None takes what fits."""

    event_type: str
    source: str | None
    url: str | None
    body: bytes | None
    message_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What the relay answered, and what became of the event within the time it was followed."""

    url: str
    answer: Mapping[str, Any]
    deliveries: Sequence[DeliveryView]


def send(
    event_type: Annotated[str, typer.Argument(help="A type of the catalogue.")],
    *,
    source: Annotated[str | None, typer.Option(help="A source's name or id.")] = None,
    url: Annotated[
        str | None, typer.Option(help="Where the relay is, instead of RELAY_PUBLIC_URL.")
    ] = None,
    body: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="A file to send instead of the example."),
    ] = None,
    message_id: Annotated[
        str | None, typer.Option("--id", help="The event's id (webhook-id); a new one by default.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Send a real example, signed, to the running relay, and show where it goes."""
    sending = Sending(
        event_type=event_type,
        source=source,
        url=url,
        body=None if body is None else body.read_bytes(),
        message_id=message_id,
    )
    sent = session.operate(lambda runtime: _send(runtime, sending))
    if as_json:
        output.json(sent)
        return
    answer = sent.answer
    output.say(f"Sent {event_type} to {sent.url}: 202, {answer['id']}.")
    if answer["duplicate"]:
        output.say("It was known already (duplicate); this is what became of the first one:")
    deliveries.show(sent.deliveries, empty="No target wanted it.")


async def _send(runtime: Runtime, sending: Sending) -> Sent:
    source = _source(runtime, sending.source)
    request = _request(runtime, sending, source)
    try:
        async with httpx.AsyncClient(timeout=_ANSWER, trust_env=False) as client:
            response = await client.send(request)
    except httpx.HTTPError as error:
        raise NotAccepted(
            f"Nothing answers at {request.url.copy_with(query=None)}"
            f" ({type(error).__name__}). Is `relay serve` running there? --url says where it is."
        ) from None
    answer = _answer(response)
    try:
        followed = await _follow(runtime, str(answer["id"]))
    except NotFound:
        raise NotAccepted(
            f"The relay accepted it as {answer['id']}, but keeps it in another database than"
            f" {session.database_name(runtime.settings)}, which this command reads."
        ) from None
    return Sent(url=str(request.url), answer=answer, deliveries=followed)


def _source(runtime: Runtime, text: str | None) -> BoundSource:
    sources = list(runtime.configuration.current.sources.values())
    if text is not None:
        return lookup.pick(sources, text, "source")
    return lookup.ready_source(sources)


def _request(runtime: Runtime, sending: Sending, source: BoundSource) -> httpx.Request:
    keys = source.credentials.signing_secrets
    if not keys:
        raise NotFound(f"The source {source.name} has no signing secret to sign with.")
    base = (sending.url or runtime.settings.resolved_public_url).rstrip("/")
    if not base.startswith(("http://", "https://")):
        raise ValidationFailed(
            "--url must begin with http:// or https://, as must RELAY_PUBLIC_URL."
        )
    path, body = _message(runtime, sending, source)
    message_id = sending.message_id or new_id("msg")
    timestamp = int(runtime.clock().timestamp())
    try:
        signature = signing.sign(message_id, timestamp, body, keys[:1])
        headers = {
            "content-type": "application/json",
            signing.ID_HEADER: message_id,
            signing.TIMESTAMP_HEADER: str(timestamp),
            signing.SIGNATURE_HEADER: signature,
        }
        return httpx.Request("POST", f"{base}/webhooks/{path}", headers=headers, content=body)
    except (ValueError, httpx.InvalidURL) as error:
        raise ValidationFailed(f"This cannot be sent: {error}.") from None


def _message(runtime: Runtime, sending: Sending, source: BoundSource) -> tuple[str, bytes]:
    """The path below /webhooks/ and the body, in the form that the source's kind sends."""
    with_type = f"{source.name}/{quote(sending.event_type, safe='')}"
    if sending.body is not None:
        return with_type, sending.body
    entry = CATALOGUE.get(sending.event_type)
    if entry is None:
        raise ValidationFailed(_unknown(sending.event_type))
    if source.kind != "standard_webhooks":
        return with_type, strict_json.write(entry.example)
    try:
        data: Any = bridge_example(entry.name)["data"]
    except KeyError:
        data = entry.example
    message = {"type": entry.name, "timestamp": runtime.clock(), "data": data}
    return source.name, strict_json.write(message)


def _unknown(event_type: str) -> str:
    near = difflib.get_close_matches(event_type, CATALOGUE, n=3)
    meant = f" Did you mean {' or '.join(near)}?" if near else ""
    return (
        f"{event_type!r} is not in the catalogue, so there is no example of it.{meant}"
        " A body of your own goes with --body."
    )


def _answer(response: httpx.Response) -> Mapping[str, Any]:
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        answer = {}
    if response.status_code != _ACCEPTED or "id" not in answer:
        detail = answer.get("detail") or answer.get("title") or "this is not how a relay answers"
        raise NotAccepted(f"The relay answered {response.status_code}: {detail}")
    return {
        "id": answer["id"],
        "type": answer.get("type"),
        "duplicate": bool(answer.get("duplicate")),
    }


async def _follow(runtime: Runtime, event_id: str) -> Sequence[DeliveryView]:
    """The event's deliveries once each has had its turn, or as they are after some seconds."""
    found: Sequence[DeliveryView] = ()
    with suppress(TimeoutError):
        async with asyncio.timeout(_FOLLOW):
            while True:
                _, found = await runtime.services.browse.event(event_id)
                if not any(_under_way(delivery) for delivery in found):
                    break
                await asyncio.sleep(_LOOK_EVERY)
    return found


def _under_way(delivery: DeliveryView) -> bool:
    """True until the first attempt is over: what is tried again later is not waited for."""
    if delivery.status is DeliveryStatus.IN_FLIGHT:
        return True
    return delivery.status is DeliveryStatus.PENDING and delivery.attempt_count == 0
