"""Taking work, spoken to each database in its own way.

A claim reads only rows that are due, by one index range scan a target, so its cost follows the
number of targets with work and never the number of past deliveries.
On PostgreSQL the scans skip what somebody else holds; on SQLite there is one writer.
A claim has a budget of bytes: what goes beyond it is not read, and goes back to the queue within
the same transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from app.store import claim
from app.store.candidates import BY_DUE, HEADS, NEAR
from app.store.claim import ClaimedDelivery
from app.store.database import WriteConnection
from app.store.sqlite import raw

_EVENT_COLUMNS = (
    "e.source_id, e.source, e.kind, e.type, e.subject AS event_subject, e.test, e.hop,"
    " e.occurred_at, e.received_at, b.content_type, b.headers"
)
_QUEUE_COLUMNS = (
    "{q}.delivery_id, {q}.target_id, {q}.event_id, {q}.subject, {q}.attempts, {q}.single, {q}.fence"
)
# On PostgreSQL a running sum of all sizes would cost every claim; what is small comes at once, and
# what is large in a second statement, if there is any. SQLite makes its rows one by one.
_SMALL = 8192
_IF_SMALL = f"CASE WHEN octet_length(b.body) <= {_SMALL} THEN b.{{column}} END"
# $1 event ids, $2 bytes. A body in a table of its own is as long as its pointer says: only those
# that are asked for are fetched.
_LARGE_POSTGRESQL = (
    "SELECT x.place, b.body, b.envelope FROM (SELECT w.place, w.event_id, sum(w.size) OVER"
    " (ORDER BY w.place ROWS UNBOUNDED PRECEDING) - w.size AS before FROM (SELECT u.place,"
    " u.event_id, octet_length(c.body) + coalesce(octet_length(c.envelope), 0) AS size"
    " FROM unnest($1::varchar[]) WITH ORDINALITY AS u (event_id, place)"
    " JOIN event_bodies c ON c.event_id = u.event_id) w) x"
    " JOIN event_bodies b ON b.event_id = x.event_id WHERE x.before < $2::bigint"
)


# $1 target ids, $2 slots of each, $3 now, $4 lease_until, $5 owner, $6 fence.
def _postgresql(candidates: str, lock: str) -> str:
    inner = candidates.format(target="w.target_id", now="$3::bigint", slots="w.slots")
    return (
        "WITH picked AS (SELECT c.delivery_id FROM unnest($1::varchar[], $2::integer[])"  # noqa: S608  no outside text
        " AS w (target_id, slots) CROSS JOIN LATERAL ("
        + lock.format(candidates=inner)
        + " FOR UPDATE SKIP LOCKED) c), taken AS (UPDATE queue SET lease_until = $4::bigint,"
        " lease_owner = $5::varchar, fence = $6::bigint FROM picked"
        " WHERE queue.delivery_id = picked.delivery_id RETURNING "
        + _QUEUE_COLUMNS.format(q="queue")
        + ", queue.repeats_id) SELECT "
        + _QUEUE_COLUMNS.format(q="taken")
        + ", "
        + _EVENT_COLUMNS
        + ", "
        + _IF_SMALL.format(column="body")
        + ", l.external_id, taken.repeats_id, "
        + _IF_SMALL.format(column="envelope")
        + " FROM taken JOIN events e ON e.id = taken.event_id"
        " JOIN event_bodies b ON b.event_id = taken.event_id"
        " LEFT JOIN links l ON l.target_id = taken.target_id AND l.subject = e.subject"
        " ORDER BY taken.delivery_id"
    )


_DIRECTLY = "{candidates}"
# What is looked at and passed over must not be locked.
_AGAIN = (
    "SELECT q.delivery_id FROM queue q WHERE q.lease_until IS NULL"
    " AND q.delivery_id IN ({candidates})"
)
#: One for each form of the search: in general, near the front of a crowd, by subjects.
_GENERAL, _NEAR, _HEADS = range(3)
CLAIM_POSTGRESQL = (
    _postgresql(BY_DUE, _DIRECTLY),
    _postgresql(NEAR, _AGAIN),
    _postgresql(HEADS, _AGAIN),
)


# Parameters: now, target id, slots, lease_until, owner, fence.
def _sqlite(candidates: str) -> str:
    return (
        "UPDATE queue SET lease_until = ?4, lease_owner = ?5, fence = ?6 WHERE delivery_id IN ("  # noqa: S608  no outside text
        + candidates.format(target="?2", now="?1", slots="?3")
        + ") RETURNING delivery_id"
    )


CLAIM_SQLITE = (_sqlite(BY_DUE), _sqlite(NEAR), _sqlite(HEADS))
# CROSS JOIN keeps the order of the list: rows are made one by one, and none after the last wanted.
_TAKEN_SQLITE = (
    "SELECT "  # noqa: S608  no outside text
    + _QUEUE_COLUMNS.format(q="q")
    + ", "
    + _EVENT_COLUMNS
    + ", b.body, l.external_id, q.repeats_id, b.envelope FROM json_each(?) j"
    " CROSS JOIN queue q ON q.delivery_id = j.value CROSS JOIN events e ON e.id = q.event_id"
    " CROSS JOIN event_bodies b ON b.event_id = q.event_id"
    " LEFT JOIN links l ON l.target_id = q.target_id AND l.subject = e.subject"
)

_BODY, _ENVELOPE = (ClaimedDelivery._fields.index(name) for name in ("body", "envelope"))


@dataclass(frozen=True, slots=True)
class Lease:
    """What a claim writes into the queue; the fence is its moment."""

    now: int
    until: int
    owner: str


class Taken(NamedTuple):
    """What a claim leased; `cut` is true when its budget of bytes was the end."""

    deliveries: list[ClaimedDelivery]
    cut: bool = False


def take(
    connection: WriteConnection,
    slots: Sequence[tuple[str, int]],
    lease: Lease,
    *,
    budget: int,
    crowded: Collection[str] = (),
) -> Taken:
    """Lease up to so many due deliveries of each target, and `budget` bytes of bodies in all.

    The one that passes the budget is the last, so that any body can be taken.
    The targets of `crowded` are searched in another way, quick where few persons have many
    deliveries.
    """
    found = Taken([])
    quick = [one for one in slots if one[0] not in crowded] if crowded else slots
    if quick:
        found = _step(connection, quick, lease, budget, _GENERAL)
    for target, count in slots if crowded else ():
        if target in crowded:
            found = _from_crowd(connection, target, count, lease, budget, found)
    return found


def _from_crowd(
    connection: WriteConnection, target: str, count: int, lease: Lease, budget: int, found: Taken
) -> Taken:
    """What was found, and what there is for one target more."""
    for form in (_NEAR, _HEADS):
        if found.cut or count <= 0:
            break
        left = budget - sum(one.size for one in found.deliveries)
        more = _step(connection, [(target, count)], lease, left, form)
        count -= len(more.deliveries)
        found = Taken(found.deliveries + more.deliveries, more.cut)
    return found


def _step(
    connection: WriteConnection,
    slots: Sequence[tuple[str, int]],
    lease: Lease,
    budget: int,
    form: int,
) -> Taken:
    postgresql = connection.dialect.name == "postgresql"
    step = _take_postgresql if postgresql else _take_sqlite
    return step(connection, slots, lease, budget, form)


def _take_postgresql(
    connection: WriteConnection,
    slots: Sequence[tuple[str, int]],
    lease: Lease,
    budget: int,
    form: int,
) -> Taken:
    ids, counts = [target for target, _ in slots], [count for _, count in slots]
    values = (ids, counts, lease.now, lease.until, lease.owner, lease.now)
    found = connection.exec_driver_sql(CLAIM_POSTGRESQL[form], values)
    # The driver's own rows: SQLAlchemy's would be made only to be taken apart.
    taken = [ClaimedDelivery._make(row) for row in found.cursor.fetchall()]
    large = [place for place, one in enumerate(taken) if one.body is None]
    return _with_large(connection, taken, large, lease, budget) if large else Taken(taken)


def _with_large(
    connection: WriteConnection,
    taken: list[ClaimedDelivery],
    large: Sequence[int],
    lease: Lease,
    budget: int,
) -> Taken:
    """Fetch the bodies at the places `large`, up to the budget; the rest is put back."""
    found = connection.exec_driver_sql(
        _LARGE_POSTGRESQL, ([taken[place].event_id for place in large], budget)
    )
    for number, body, envelope in found.cursor.fetchall():
        place = large[number - 1]
        taken[place] = taken[place]._replace(body=body, envelope=envelope)
    beyond = [one.id for one in taken if one.body is None]
    _return(connection, beyond, lease)
    return Taken([one for one in taken if one.body is not None], bool(beyond))


def _take_sqlite(
    connection: WriteConnection,
    slots: Sequence[tuple[str, int]],
    lease: Lease,
    budget: int,
    form: int,
) -> Taken:
    ids: list[str] = []
    for target, count in slots:
        found = connection.exec_driver_sql(
            CLAIM_SQLITE[form], (lease.now, target, count, lease.until, lease.owner, lease.now)
        )
        ids += [row[0] for row in found]
    if not ids:
        return Taken([])
    ids.sort()
    rows = raw(connection).execute(_TAKEN_SQLITE, (_json_list(ids),))
    taken: list[ClaimedDelivery] = []
    for row in rows:
        taken.append(ClaimedDelivery._make(row))
        budget -= len(row[_BODY]) + len(row[_ENVELOPE] or b"")
        if budget <= 0:
            break
    # Before anything else is done to what it reads.
    rows.close()
    beyond = [one for one in ids if one > taken[-1].id] if budget <= 0 else []
    _return(connection, beyond, lease)
    return Taken(taken, bool(beyond))


def _return(connection: WriteConnection, ids: Sequence[str], lease: Lease) -> None:
    if ids:
        claim.put_back(connection, [(one, lease.now) for one in ids])


def _json_list(ids: Sequence[str]) -> str:
    return '["' + '","'.join(ids) + '"]'
