"""What must happen once per target, and which delivery carries it out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa

from app.store.database import WriteConnection
from app.store.tables import effects, queue
from app.store.upsert import insert_for

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Reservation:
    """Who carries an effect out, whether that is done, and when it is tried (microseconds)."""

    delivery_id: str
    done: bool
    due_at: int = 0


def reserve(
    connection: WriteConnection, wanted: Sequence[tuple[str, str, str]], now: int
) -> dict[Key, Reservation]:
    """Reserve effects (target, effect, delivery) that nobody has; answers who has each.

    A reservation whose delivery is neither done nor under way any more passes to the new one.
    """
    answers: dict[Key, Reservation] = {}
    for target_id, effect, delivery_id in sorted(wanted):
        connection.execute(
            insert_for(connection, effects)
            .values(
                target_id=target_id,
                effect=effect,
                delivery_id=delivery_id,
                done=False,
                changed_at=now,
            )
            .on_conflict_do_nothing()
        )
        owner = _owner(connection, target_id, effect)
        if owner.delivery_id != delivery_id and not owner.done:
            owner = _take_over_if_abandoned(connection, target_id, effect, delivery_id, owner)
        answers[target_id, effect] = owner
    return answers


def _owner(connection: WriteConnection, target_id: str, effect: str) -> Reservation:
    row = connection.execute(
        sa.select(effects.c.delivery_id, effects.c.done)
        .where(effects.c.target_id == target_id, effects.c.effect == effect)
        .with_for_update()
    ).one()
    return Reservation(row[0], bool(row[1]))


def _take_over_if_abandoned(
    connection: WriteConnection, target_id: str, effect: str, delivery_id: str, owner: Reservation
) -> Reservation:
    under_way = connection.execute(
        sa.select(queue.c.due_at).where(queue.c.delivery_id == owner.delivery_id)
    ).first()
    if under_way is not None:
        return replace(owner, due_at=under_way[0])
    connection.execute(
        sa.update(effects)
        .where(effects.c.target_id == target_id, effects.c.effect == effect)
        .values(delivery_id=delivery_id)
    )
    return Reservation(delivery_id, done=False)


def finish(connection: WriteConnection, done: Sequence[tuple[str, str, str]], now: int) -> None:
    """The delivery (target, effect, delivery) has carried the effect out."""
    for target_id, effect, delivery_id in done:
        connection.execute(
            sa.update(effects)
            .where(
                effects.c.target_id == target_id,
                effects.c.effect == effect,
                effects.c.delivery_id == delivery_id,
            )
            .values(done=True, changed_at=now)
        )


def release(connection: WriteConnection, given_up: Sequence[tuple[str, str, str]]) -> None:
    """The delivery will not carry the effect out; another may."""
    for target_id, effect, delivery_id in given_up:
        connection.execute(
            sa.delete(effects).where(
                effects.c.target_id == target_id,
                effects.c.effect == effect,
                effects.c.delivery_id == delivery_id,
                effects.c.done.is_(False),
            )
        )
