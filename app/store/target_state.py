"""How a target is doing: its throttling, its failures, whether it is on."""

from __future__ import annotations

import sqlalchemy as sa

from app.store import routing
from app.store.database import WriteConnection
from app.store.tables import deliveries, links, target_state, targets
from app.store.upsert import insert_for


def throttle(connection: WriteConnection, target_id: str, until: int) -> None:
    """Let the target rest until a moment; a longer rest is never cut short."""
    connection.execute(
        sa.update(target_state)
        .where(target_state.c.target_id == target_id)
        .values(
            throttled_until=sa.case(
                (target_state.c.throttled_until > until, target_state.c.throttled_until),
                else_=until,
            ),
        )
    )


def succeeded(connection: WriteConnection, target_id: str, now: int) -> None:
    """The target took something."""
    connection.execute(
        sa.update(target_state)
        .where(target_state.c.target_id == target_id)
        .values(failing_since=None, last_success_at=now)
    )


def failed(connection: WriteConnection, target_id: str, now: int) -> int:
    """The target failed; answers since when it does nothing else."""
    connection.execute(
        sa.update(target_state)
        .where(target_state.c.target_id == target_id, target_state.c.failing_since.is_(None))
        .values(failing_since=now)
    )
    since = connection.execute(
        sa.select(target_state.c.failing_since).where(target_state.c.target_id == target_id)
    ).scalar()
    return now if since is None else int(since)


def took_anything_since(connection: WriteConnection, target_id: str, since: int) -> bool:
    """True when the target took a delivery after `since`, whichever worker brought it."""
    found = connection.execute(
        sa.select(deliveries.c.id)
        .where(
            deliveries.c.target_id == target_id,
            deliveries.c.status == "succeeded",
            deliveries.c.finished_at >= since,
        )
        .limit(1)
    ).first()
    return found is not None


def disable(connection: WriteConnection, target_id: str, reason: str, now: int) -> bool:
    """Disable an active target; answers False when it was not active any more.

    To be called first in a transaction: it waits for changes of the configuration.
    """
    routing.lock(connection)
    changed = connection.execute(
        sa.update(targets)
        .where(targets.c.id == target_id, targets.c.status == "active")
        .values(status="disabled", status_reason=reason, updated_at=now)
    ).rowcount
    if changed:
        routing.bump(connection)
    return bool(changed)


def remember_link(
    connection: WriteConnection, target_id: str, subject: str, external_id: str, now: int
) -> bool:
    """Remember the destination's id of a subject; answers True when it is new or another one."""
    known = connection.execute(
        sa.select(links.c.external_id).where(
            links.c.target_id == target_id, links.c.subject == subject
        )
    ).scalar()
    if known == external_id:
        return False
    insertion = insert_for(connection, links).values(
        target_id=target_id,
        subject=subject,
        external_id=external_id,
        created_at=now,
        updated_at=now,
    )
    connection.execute(
        insertion.on_conflict_do_update(
            index_elements=[links.c.target_id, links.c.subject],
            set_={"external_id": external_id, "updated_at": now},
        )
    )
    return True


def forget_link(connection: WriteConnection, target_id: str, subject: str) -> None:
    """The destination no longer knows the id."""
    connection.execute(
        sa.delete(links).where(links.c.target_id == target_id, links.c.subject == subject)
    )
