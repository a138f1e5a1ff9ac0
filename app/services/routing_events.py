"""Which deliveries an event gets: one for every target it is for, some skipped from the start."""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from app.domain.clock import to_micros
from app.domain.expressions import ExpressionError, variables_of
from app.domain.ids import new_id
from app.domain.model import Event
from app.domain.routing import Route
from app.services.configuration import BoundTarget, Configuration
from app.store.intake import NewDelivery

_log = structlog.get_logger(__name__)


def plan_deliveries(
    configuration: Configuration, event: Event, only: str | None = None
) -> tuple[NewDelivery, ...]:
    """One delivery for every target the event is for, or for the one with the id `only`."""
    created_at = to_micros(event.received_at)
    deliveries = [
        _deliver_to(configuration, route, event, created_at)
        for route in configuration.routes.candidates(event.source, event.type)
        if only is None or route.target_id == only
    ]
    return tuple([delivery for delivery in deliveries if delivery is not None])


def deliver_anyway(
    configuration: Configuration, event: Event, target_id: str
) -> tuple[NewDelivery, ...]:
    """A delivery for a target that did not ask for this type; its filter has the last word."""
    route = configuration.routes.of_target(target_id)
    if route is None:
        return ()
    delivery = _deliver_to(configuration, route, event, to_micros(event.received_at))
    return () if delivery is None else (delivery,)


def _deliver_to(
    configuration: Configuration, route: Route, event: Event, created_at: int
) -> NewDelivery | None:
    target = configuration.targets.get(route.target_id)
    # Whether one that cannot be used here means anything to it, whoever can use it will say.
    reason = None if target is None else skip_reason(target, event)
    if route.filter is not None:
        try:
            if not route.filter(variables_of(event)):
                return None
        except ExpressionError as error:
            reason = f"The filter could not be evaluated: {error}"
    return NewDelivery(
        id=new_id("dlv"),
        event_id=event.id,
        target_id=route.target_id,
        subject=event.subject if route.ordered else None,
        created_at=created_at,
        reason=reason,
    )


def skip_reason(target: BoundTarget, event: Event) -> str | None:
    """Why an event is not sent to a target it was routed to, None when it is."""
    if event.test and not target.connector.takes_tests:
        return "The event comes from a test button; it is not sent to CRM and analytics targets."
    try:
        return target.connector.skip(event)
    except Exception:  # noqa: BLE001  logged; see the next line
        # A connector's mistake must not cost the other targets their event.
        _log.exception("connector.skip_failed", target=target.name)
        return None


def sent_as_envelope(configuration: Configuration, deliveries: Iterable[NewDelivery]) -> bool:
    """Whether one of the deliveries sends the event as the envelope that is kept with it."""
    targets = configuration.targets
    for one in deliveries:
        target = targets.get(one.target_id)
        if one.reason is None and target is not None and target.connector.sends_envelope:
            return True
    return False
