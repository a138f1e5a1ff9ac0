"""What the kept events of some customers say, read in small portions.

A portion is read in one short transaction, and live traffic gets its turn before the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from app.domain import strict_json
from app.domain.errors import RelayError
from app.domain.model import Customer
from app.services.configuration import BoundSource, Configuration
from app.services.events import read_stored
from app.services.gaps import Told
from app.store import history
from app.store.claim import ClaimedDelivery
from app.store.database import Database
from app.store.history import Place
from app.store.intake import ORIGIN_HEADER

_PORTION = 100
#: What a backfill told one target, no other one heard.
_PRIVATE_ORIGIN = "backfill"


@dataclass(slots=True)
class Recollection:
    """What was told, and how the customers were called last, by their ids."""

    told: Told = field(default_factory=Told)
    people: dict[str, Customer] = field(default_factory=dict)


async def recollect(
    database: Database,
    configuration: Configuration,
    source: BoundSource,
    subjects: Sequence[str],
) -> Recollection:
    """Read every kept event of `subjects`, which are without the source's name."""
    found = Recollection()
    names = [f"{source.name}/{subject}" for subject in subjects]
    after: Place | None = None
    while names:
        stored, after = await _portion(database, source.id, names, after)
        for one in stored:
            _remember(found, one, configuration)
        if after is None:
            break
        await asyncio.sleep(0)
    return found


async def _portion(
    database: Database, source_id: str, names: Sequence[str], after: Place | None
) -> tuple[list[ClaimedDelivery], Place | None]:
    return await database.read(
        lambda c: history.of_subjects(c, source_id, names, after=after, limit=_PORTION)
    )


def _remember(found: Recollection, stored: ClaimedDelivery, configuration: Configuration) -> None:
    try:
        event = read_stored(stored, configuration)
    except RelayError:
        return
    customer = event.customer
    if customer is not None and customer.id is not None and customer.email:
        known = found.people.get(customer.id)
        found.people[customer.id] = customer if known is None else _newest(known, customer)
    if _origin(stored) != _PRIVATE_ORIGIN:
        found.told.hear(event)


def _newest(known: Customer, customer: Customer) -> Customer:
    """The later one, with the name of the earlier one where it has none."""
    if customer.name:
        return customer
    return replace(
        customer, name=known.name, first_name=known.first_name, last_name=known.last_name
    )


def _origin(stored: ClaimedDelivery) -> str | None:
    if not stored.headers:
        return None
    origin: str | None = strict_json.read_trusted(stored.headers.encode()).get(ORIGIN_HEADER)
    return origin
