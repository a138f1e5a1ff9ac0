"""The operator's hand on single deliveries: send again, send now, drop."""

from __future__ import annotations

from collections.abc import Callable

from app.domain.clock import Clock, to_micros
from app.domain.errors import Conflict, NotFound
from app.domain.ids import is_id
from app.services.delivery_view import DeliveryStatus, DeliveryView, status_of, view
from app.store import deliveries, events, steering, wakeups
from app.store.database import Database, WriteConnection
from app.store.deliveries import DeliveryRecord

_CANCELLED = "Cancelled by an operator."
_BUSY = "A worker is sending this delivery at this moment; wait for the result, then ask again."


class SteerDeliveries:
    """Changes one delivery at a time; `arrived` is called when something became due."""

    def __init__(
        self, database: Database, clock: Clock, arrived: Callable[[], None] = lambda: None
    ) -> None:
        self._database = database
        self._clock = clock
        self._arrived = arrived

    async def retry(self, delivery_id: str) -> DeliveryView:
        """Make a delivery due now, whether it waits or is over; id and attempts stay.

        A target that is not active holds it until it is resumed.
        Raises NotFound, and Conflict while a worker sends it or when its target or its event's
        body is gone.
        """
        now = to_micros(self._clock())

        def work(connection: WriteConnection) -> DeliveryView:
            record = _found(connection, delivery_id)
            if not steering.lock_target(connection, record.target_id):
                raise Conflict("The target of this delivery was removed; nothing can be sent.")
            if record.status == DeliveryStatus.PENDING:
                done = steering.hasten(connection, delivery_id, now)
            else:
                if events.body(connection, record.event_id) is None:
                    raise Conflict("The event of this delivery is no longer kept.")
                done = steering.requeue(connection, delivery_id, now)
            if not done:
                raise Conflict(_BUSY)
            wakeups.notify(connection)
            return view(_found(connection, delivery_id))

        retried = await self._database.write(work)
        self._arrived()
        return retried

    async def cancel(self, delivery_id: str) -> DeliveryView:
        """End a delivery that waits or is held. Raises NotFound and Conflict."""
        now = to_micros(self._clock())

        def work(connection: WriteConnection) -> DeliveryView:
            record = _found(connection, delivery_id)
            if record.status != DeliveryStatus.PENDING:
                raise Conflict(f"This delivery is over: {status_of(record)}.")
            steering.lock_target(connection, record.target_id)
            if not steering.cancel(connection, delivery_id, reason=_CANCELLED, now=now):
                raise Conflict(_BUSY)
            return view(_found(connection, delivery_id))

        return await self._database.write(work)


def _found(connection: WriteConnection, delivery_id: str) -> DeliveryRecord:
    record = deliveries.get(connection, delivery_id) if is_id(delivery_id, "dlv") else None
    if record is None:
        raise NotFound("There is no delivery with this id.")
    return record
