"""Many rows in one statement, in the way each database is quickest at.

PostgreSQL takes one array a column (`unnest`), which costs one round trip and a few microseconds
a row; SQLite takes the driver's `executemany`, which stays inside the C library.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from app.store.database import WriteConnection
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


@lru_cache(maxsize=64)
def _insert(table: sa.Table, names: tuple[str, ...], dialect: str) -> str:
    columns = ", ".join(names)
    if dialect == "postgresql":
        return f"INSERT INTO {table.name} ({columns}) SELECT * FROM {arrays(table, names)}"  # noqa: S608  names of our own tables
    marks = ", ".join("?" * len(names))
    return f"INSERT INTO {table.name} ({columns}) VALUES ({marks})"  # noqa: S608  names of our own tables


def transposed(rows: Sequence[Row]) -> tuple[list[Any], ...]:
    """Rows as columns, the form PostgreSQL's arrays take."""
    return tuple(map(list, zip(*rows, strict=True)))


def insert(
    connection: WriteConnection, table: sa.Table, names: tuple[str, ...], rows: Sequence[Row]
) -> None:
    """Insert `rows`, whose values stand in the order of `names`; JSON columns take text."""
    if not rows:
        return
    statement = _insert(table, names, connection.dialect.name)
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(statement, transposed(rows))
    else:
        connection.exec_driver_sql(statement, [tuple(row) for row in rows])
