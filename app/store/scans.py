"""How lists and counts stay away from the history they do not ask for."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from app.domain.ids import boundary

#: How far the time in an id may be from the time beside it, in microseconds: both are read from
#: the same clock within moments, unless somebody sets that clock meanwhile.
_SLACK = 3_600_000_000


def between(
    identifier: sa.Column[str],
    moment: sa.Column[int],
    prefix: str,
    since: int | None,
    until: int | None,
) -> Sequence[sa.ColumnElement[bool]]:
    """Conditions for rows of a time span.

    `moment` is exact and has no index; the id, which carries its time, bounds the scan.
    """
    conditions: list[sa.ColumnElement[bool]] = []
    if since is not None:
        lowest = boundary(prefix, max(since - _SLACK, 0) // 1000)
        conditions += [moment >= since, identifier >= lowest]
    if until is not None:
        highest = boundary(prefix, max(until + _SLACK, 0) // 1000)
        conditions += [moment < until, identifier < highest]
    return conditions


def computed(column: sa.Column[str]) -> sa.ColumnElement[str]:
    """The column as an expression, which no index has.

    SQLite knows nothing of how many rows there are, and would read a whole index that has the
    column in order rather than the few rows an id or the queue leads to.
    """
    return column.concat(sa.literal("", literal_execute=True))
