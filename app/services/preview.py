"""What a target would be sent for an event, without sending anything.

The connector's own generator is run; where it waits for a reply it is given an assumed one, so
that the requests after the first can be shown too.
Nothing is reserved, counted or stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from app.connectors.base import Connector
from app.connectors.mapping import bind_mapping
from app.domain import strict_json
from app.domain.catalogue import CATALOGUE, Sender
from app.domain.clock import Clock, to_micros
from app.domain.errors import FieldError, NotFound, RelayError, ValidationFailed
from app.domain.expressions import ExpressionError, variables_of
from app.domain.ids import is_id, new_id
from app.domain.model import Event
from app.services.configuration import BoundTarget, Configuration, ConfigurationCache
from app.services.events import DeferredEvent, read_stored
from app.services.field_errors import refuse_one
from app.services.rehearsing import PreviewedRequest, rehearse
from app.services.routing_events import skip_reason
from app.services.task import Task, assignment_of
from app.store import rehearsals, targets
from app.store.claim import ClaimedDelivery
from app.store.database import Database, ReadConnection
from app.store.targets import TargetRecord

_EXAMPLE_SOURCE = "example"
_EITHER = "Name either event_id or event_type."


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewedMapping:
    """The values of the target's own mapping, or of the connector's default one."""

    origin: Literal["target", "connector"]
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What would happen; `skipped` says why nothing would be sent, `held` why not now."""

    event_id: str | None
    event_type: str
    source: str
    subject: str | None
    skipped: str | None
    held: str | None = None
    mapping: PreviewedMapping | None = None
    requests: Sequence[PreviewedRequest] = ()
    outcome: str | None = None
    reason: str = ""


class PreviewTarget:
    """Shows the requests of deliveries that are not made."""

    def __init__(self, database: Database, configuration: ConfigurationCache, clock: Clock) -> None:
        self._database = database
        self._configuration = configuration
        self._clock = clock

    async def preview(
        self, target_id: str, *, event_id: str | None = None, event_type: str | None = None
    ) -> Preview:
        """The requests for a stored event, or for a catalogue type's example.

        Raises NotFound, and ValidationFailed unless exactly one of the two is given.
        """
        if (event_id is None) is (event_type is None):
            raise ValidationFailed(_EITHER, errors=[FieldError("#", _EITHER)])

        def work(connection: ReadConnection) -> Preview:
            record = targets.get(connection, target_id) if is_id(target_id, "tgt") else None
            if record is None:
                raise NotFound("There is no target with this id.")
            configuration = self._configuration.load_if_moved(connection)
            if event_id is not None:
                claimed = _stored(connection, event_id, target_id)
            else:
                claimed = self._example(event_type or "", record)
            return self._preview(connection, configuration, record, claimed)

        return await self._database.read(work)

    def _preview(
        self,
        connection: ReadConnection,
        configuration: Configuration,
        record: TargetRecord,
        claimed: ClaimedDelivery,
    ) -> Preview:
        told: dict[str, Any] = {
            "event_id": claimed.event_id if is_id(claimed.event_id, "evt") else None,
            "event_type": claimed.type,
            "source": claimed.source,
            "subject": claimed.subject,
        }
        target = configuration.targets.get(record.id)
        if target is None:
            why = "The target's connector is not usable here; the log says why."
            return Preview(**told, skipped=why)
        try:
            event = read_stored(claimed, configuration)
        except RelayError as error:
            why = f"The stored body can no longer be read: {error.detail}"
            return Preview(**told, skipped=why)
        told["subject"] = event.subject
        told["mapping"] = _mapping(target, event)
        why_not = (
            _not_routed(configuration, target, event)
            or skip_reason(target, event)
            or _done_before(connection, target, event, claimed)
        )
        if why_not:
            return Preview(**told, skipped=target.masking.text(why_not))
        sent = DeferredEvent.of(claimed, configuration) or event
        shown = rehearse(target, assignment_of(Task(claimed, target, sent), self._clock()))
        nothing = shown.reason if not shown.requests else None
        return Preview(
            **told,
            skipped=nothing,
            held=_held(record),
            requests=shown.requests,
            outcome=shown.outcome,
            reason=shown.reason,
        )

    def _example(self, event_type: str, record: TargetRecord) -> ClaimedDelivery:
        entry = CATALOGUE.get(event_type)
        if entry is None:
            raise refuse_one("#/event_type", "Name a type of the catalogue: /v1/event-types.")
        news = entry.sender is Sender.RELAY
        body = {"type": entry.name, "timestamp": None, "data": entry.example}
        now = to_micros(self._clock())
        return ClaimedDelivery(
            id=new_id("dlv"),
            target_id=record.id,
            event_id="example",
            ordered_subject=None,
            attempts=0,
            single=False,
            fence=0,
            source_id="",
            source=record.sources[0] if record.sources else _EXAMPLE_SOURCE,
            kind="relay" if news else "ultimate_multisite",
            type=entry.name,
            subject=None,
            test=False,
            hop=0,
            occurred_at=now,
            received_at=now,
            content_type="application/json",
            headers=None,
            body=strict_json.write(body if news else entry.example),
            remembered_id=None,
        )


def _stored(connection: ReadConnection, event_id: str, target_id: str) -> ClaimedDelivery:
    found = None
    if is_id(event_id, "evt"):
        found = rehearsals.delivery_of(connection, event_id, target_id, new_id("dlv"))
    if found is None:
        raise NotFound("There is no event with this id, or its body is no longer kept.")
    return found


def _not_routed(configuration: Configuration, target: BoundTarget, event: Event) -> str | None:
    """Why the event is not for the target at all."""
    routes = configuration.routes.candidates(event.source, event.type)
    route = next((one for one in routes if one.target_id == target.id), None)
    if route is None:
        return "The target does not listen to events of this type from this source."
    if route.filter is None:
        return None
    try:
        if route.filter(variables_of(event)):
            return None
    except ExpressionError as error:
        return f"The filter could not be evaluated: {error}"
    return "The target's filter leaves the event out."


def _done_before(
    connection: ReadConnection, target: BoundTarget, event: Event, claimed: ClaimedDelivery
) -> str | None:
    effect = target.connector.effect(event)
    owner = rehearsals.carried_out_by(connection, target.id, effect) if effect else None
    forced = claimed.repeats_id == claimed.id
    if owner is None or owner == claimed.id or forced:
        return None
    return f"{effect} was carried out by {owner}."


def _held(record: TargetRecord) -> str | None:
    if record.status == "active":
        return None
    return f"The target is {record.status}: it would wait until it is resumed."


def _mapping(target: BoundTarget, event: Event) -> PreviewedMapping | None:
    connector: Connector[Any] = target.connector
    try:
        values = connector.target.mapping(event)
        if values is not None:
            return PreviewedMapping(origin="target", values=_shown(target, values))
        values = bind_mapping(connector.default_mapping or None)(event)
    except ExpressionError:
        # The outcome says what is wrong with it.
        return None
    if values is None:
        return None
    return PreviewedMapping(origin="connector", values=_shown(target, values))


def _shown(target: BoundTarget, values: Mapping[str, Any]) -> Mapping[str, Any]:
    shown: dict[str, Any] = strict_json.read_trusted(
        target.masking.text(strict_json.write(values).decode()).encode()
    )
    return shown
