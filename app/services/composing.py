"""From what is missing to the body of an event: the records it is made of are asked for.

A record is asked for once; WordPress's users, who alone have addresses and names, many at once.
Where nobody may ask for users, the customer is called as the kept events call him.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app.domain.model import Customer
from app.services.gaps import Gap
from app.services.platform_api import PlatformApi
from app.sources.ultimate_multisite_records import (
    Record,
    customer_data,
    envelope_body,
    membership_data,
    payment_data,
    record_id,
    written,
)
from app.sources.ultimate_multisite_rest import LARGEST_PAGE, get_record, list_users

_PERSON = ("email", "name", "first_name", "last_name", "phone", "company", "country")


class Composer:
    """Makes the bodies of one step's events; it remembers the records it saw."""

    def __init__(
        self, platform: PlatformApi, source_id: str, people: Mapping[str, Customer]
    ) -> None:
        self._platform = platform
        self._source_id = source_id
        self._people = people
        self._records: dict[tuple[str, str], Record | None] = {}
        self._users: dict[str, Record] = {}
        self._asked_users: set[str] = set()

    def see(self, collection: str, records: Iterable[Record]) -> None:
        """Remember records that were asked for already."""
        for record in records:
            found = record_id(record)
            if found is not None:
                self._records[collection, found] = record

    async def prepare(self, gaps: Iterable[Gap]) -> None:
        """Ask for the customers of these gaps, and for their users together.

        Raises what `PlatformApi.call` raises.
        """
        records = [
            await self._record("customer", gap.customer_id) for gap in gaps if gap.customer_id
        ]
        await self.ask_for_users(record for record in records if record is not None)

    async def ask_for_users(self, customers: Iterable[Record]) -> None:
        """Ask for the users that belong to these customers, many at once."""
        wanted = {user for one in customers if (user := record_id(one, "user_id"))}
        missing = sorted(wanted - self._asked_users)
        for first in range(0, len(missing), LARGEST_PAGE):
            self._users.update(await self._ask_for(missing[first : first + LARGEST_PAGE]))
        self._asked_users |= wanted

    async def _ask_for(self, user_ids: Sequence[str]) -> Mapping[str, Record]:
        return await self._platform.call(
            self._source_id, lambda access: list_users(access, user_ids)
        )

    async def body(self, gap: Gap) -> bytes:
        """The envelope of the event that is missing. Raises what `PlatformApi.call` raises."""
        data: dict[str, Any] = dict(gap.details)
        if gap.payment_id is not None:
            payment = await self._record("payment", gap.payment_id)
            data["payment"] = {"id": gap.payment_id} if payment is None else payment_data(payment)
        if gap.membership_id is not None:
            data["membership"] = await self._membership(gap, gap.membership_id)
        if gap.customer_id is not None:
            customer = await self._record("customer", gap.customer_id)
            data["customer"] = self.customer(gap.customer_id, customer)
        access = await self._platform.access(self._source_id)
        return envelope_body(
            identifier=gap.identifier,
            event_type=gap.type,
            occurred_at=gap.occurred_at,
            data=data,
            network_url=access.base_url,
        )

    def customer(self, customer_id: str, record: Record | None) -> dict[str, Any]:
        """The customer's object; what neither record nor user tells is taken from kept events."""
        data = {"id": customer_id}
        if record is not None:
            data = customer_data(record, self._users.get(record_id(record, "user_id") or ""))
        known = self._people.get(customer_id)
        if known is None:
            return data
        told = written(known)
        return {name: told[name] for name in _PERSON if name in told} | data

    async def _membership(self, gap: Gap, membership_id: str) -> dict[str, Any]:
        record = await self._record("membership", membership_id)
        data = {"id": membership_id} if record is None else membership_data(record)
        if gap.previous_status is not None:
            data["previous_status"] = gap.previous_status
        return data

    async def _record(self, collection: str, identifier: str) -> Record | None:
        key = (collection, identifier)
        if key not in self._records and not identifier.isdecimal():
            # It would become a part of the address.
            return None
        if key not in self._records:
            self._records[key] = await self._platform.call(
                self._source_id, lambda access: get_record(access, collection, identifier)
            )
        return self._records[key]
