"""Many rows in one statement, in the way each database is quickest at.

PostgreSQL takes one array a column (`unnest`), which costs one round trip and a few microseconds
a row; SQLite takes many rows of values in one statement.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

import sqlalchemy as sa

from app.store.database import WriteConnection
from app.store.sqlite import raw
from app.store.tables import JsonText

Row = Sequence[Any]


@lru_cache(maxsize=256)
def _array_type(column: sa.Column[Any]) -> str:
    if isinstance(column.type, sa.LargeBinary):
        return "bytea[]"
    if isinstance(column.type, sa.BigInteger):
        return "bigint[]"
    if isinstance(column.type, sa.SmallInteger):
        return "smallint[]"
    if isinstance(column.type, sa.Integer):
        return "integer[]"
    if isinstance(column.type, sa.Boolean):
        return "boolean[]"
    if isinstance(column.type, sa.String | sa.Text | JsonText):
        return "varchar[]"
    raise TypeError(f"no array type for {column.type!r}")


@lru_cache(maxsize=64)
def arrays(table: sa.Table, names: tuple[str, ...]) -> str:
    """`unnest($1::varchar[], …)`: a row source of one array a column."""
    casts = (f"${n}::{_array_type(table.c[name])}" for n, name in enumerate(names, 1))
    return f"unnest({', '.join(casts)})"


# One step of one statement gives the interpreter's lock away once; a step a row would give it away
# a thousand times a batch, and in a thread wait for the event loop to hand it back each time. Few
# sizes keep the statements in the driver's cache.
_CHUNKS = (64, 16, 4, 1)


@lru_cache(maxsize=256)
def _values(table: sa.Table, names: tuple[str, ...], count: int) -> str:
    row = "(" + ", ".join("?" * len(names)) + ")"
    return f"INSERT INTO {table.name} ({', '.join(names)}) VALUES " + ", ".join([row] * count)  # noqa: S608  names of our own tables


@lru_cache(maxsize=64)
def _select(table: sa.Table, names: tuple[str, ...]) -> str:
    columns = ", ".join(names)
    return f"INSERT INTO {table.name} ({columns}) SELECT * FROM {arrays(table, names)}"  # noqa: S608  names of our own tables


def transposed(rows: Sequence[Row]) -> tuple[list[Any], ...]:
    """Rows as columns, the form PostgreSQL's arrays take."""
    return tuple(map(list, zip(*rows, strict=True)))


def insert(
    connection: WriteConnection, table: sa.Table, names: tuple[str, ...], rows: Sequence[Row]
) -> None:
    """Insert `rows`, whose values stand in the order of `names`; JSON columns take text."""
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(_select(table, names), transposed(rows))
    else:
        _insert_sqlite(connection, table, names, rows)


def _insert_sqlite(
    connection: WriteConnection, table: sa.Table, names: tuple[str, ...], rows: Sequence[Row]
) -> None:
    driver = raw(connection)
    start = 0
    for size in _CHUNKS:
        while len(rows) - start >= size:
            values = tuple(chain.from_iterable(rows[start : start + size]))
            driver.execute(_values(table, names, size), values)
            start += size
