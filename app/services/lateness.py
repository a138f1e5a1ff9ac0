"""Before an event is told: whether its destination knows newer things already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import structlog

from app.domain.errors import RelayError
from app.domain.lateness import up_to_date
from app.domain.model import Event
from app.services.configuration import ConfigurationCache
from app.services.events import read_stored
from app.store import rehearsals, told
from app.store.claim import ClaimedDelivery
from app.store.database import Database, ReadConnection
from app.store.told import Told

_log = structlog.get_logger(__name__)
#: Newer events that are read; what came before them is settled by them.
_MOST_READ = 20

#: A claimed delivery and its event.
Due: TypeAlias = tuple[ClaimedDelivery, Event]


class Lateness:
    """Finds what ordered targets were told that is newer than what they are to be told now."""

    def __init__(self, database: Database, configuration: ConfigurationCache) -> None:
        self._database = database
        self._configuration = configuration

    async def settle(self, due: Sequence[Due]) -> Mapping[str, Event]:
        """The events that come late, as they stand now, by their delivery's id.

        `due` are deliveries with an `ordered_subject`, one or more.

        Raises:
            StoreUnavailable: the store cannot be asked.
        """
        return await self._database.read(lambda connection: self._settled(connection, due))

    def _settled(self, connection: ReadConnection, due: Sequence[Due]) -> dict[str, Event]:
        newer = told.after(
            connection,
            {one.target_id for one, _ in due},
            {one.ordered_subject for one, _ in due if one.ordered_subject},
            min(one.occurred_at for one, _ in due),
        )
        settled: dict[str, Event] = {}
        for claimed, event in due if newer else ():
            since = [one for one in newer if _came_after(one, claimed)]
            if since:
                current = up_to_date(event, self._read(connection, since))
                settled[claimed.id] = replace(current, since=frozenset(one.type for one in since))
        return settled

    def _read(self, connection: ReadConnection, since: Sequence[Told]) -> list[Event]:
        found: list[Event] = []
        for one in since[:_MOST_READ]:
            stored = rehearsals.delivery_of(connection, one.event_id, one.target_id, "")
            if stored is None:
                continue
            try:
                found.append(read_stored(stored, self._configuration.current))
            except RelayError:
                # Its adapter cannot read it any more; what it said is not known.
                continue
            except Exception:  # noqa: BLE001  a mistake of one adapter must not stop every delivery
                _log.exception("event.unread", event_id=one.event_id)
                continue
        return found


def _came_after(one: Told, claimed: ClaimedDelivery) -> bool:
    return (
        one.target_id == claimed.target_id
        and one.subject == claimed.ordered_subject
        and one.occurred_at > claimed.occurred_at
    )
