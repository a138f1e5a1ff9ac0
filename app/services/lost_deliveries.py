"""The news of deliveries that are over because no worker came back from sending them."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.clock import from_micros
from app.domain.model import Event
from app.services import news
from app.services.configuration import Configuration, ConfigurationCache
from app.services.planning import Plan
from app.store import events, intake, wakeups
from app.store.database import WriteConnection
from app.store.events import EventRecord
from app.store.upkeep import GIVEN_UP, LostLease


class LostDeliveries:
    """Announces them as the recorder announces every other failure."""

    def __init__(self, configuration: ConfigurationCache) -> None:
        self._configuration = configuration

    def announce(self, connection: WriteConnection, lost: Sequence[LostLease], now: int) -> None:
        """Queue `relay.delivery_failed` for each, in the transaction that ends them."""
        configuration = self._configuration.load_if_moved(connection)
        plans: list[Plan] = []
        for one in lost:
            about = events.get(connection, one.event_id)
            # News about news would never end.
            if about is not None and about.kind != news.KIND:
                plans.append(_failed(configuration, one, about, now))
        if plans:
            deliveries = [delivery for plan in plans for delivery in plan.deliveries]
            intake.insert(connection, [plan.event for plan in plans], deliveries)
            wakeups.notify(connection)


def _failed(configuration: Configuration, one: LostLease, about: EventRecord, now: int) -> Plan:
    target = configuration.targets.get(one.target_id)
    return news.delivery_failed(
        configuration,
        now=now,
        delivery_id=one.delivery_id,
        target=target.name if target else one.target_id,
        reason=GIVEN_UP,
        about=_unread(about),
    )


def _unread(about: EventRecord) -> Event:
    """The event by what is known without its body, which may be what took the workers with it."""
    return Event(
        id=about.id,
        type=about.type,
        source=about.source,
        occurred_at=from_micros(about.occurred_at),
        received_at=from_micros(about.received_at),
        test=about.test,
        subject=about.subject,
        data={},
    )
