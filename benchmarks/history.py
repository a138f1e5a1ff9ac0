"""A past: events that were delivered long ago, written by the database itself."""

from __future__ import annotations

import asyncio

from app.store import schema
from app.store.database import WriteConnection
from app.store.opening import open_database

_NUMBERS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) ",
    "postgresql": "WITH n(i) AS (SELECT * FROM generate_series(1, {count})) ",
}
_ID = {
    "sqlite": "'{prefix}_0' || printf('%025d', i)",
    "postgresql": "'{prefix}_0' || lpad(i::text, 25, '0')",
}
_PAST = 1_700_000_000_000_000


def write(database_url: str, count: int) -> None:
    """Bring the schema up and write `count` delivered events."""

    async def run() -> None:
        database = open_database(database_url)
        await schema.migrate(database)
        await database.write(lambda c: _fill(c, count))
        await database.close()

    asyncio.run(run())


def _fill(connection: WriteConnection, count: int) -> None:
    dialect = connection.dialect.name
    numbers = _NUMBERS[dialect].format(count=count)

    def own(prefix: str) -> str:
        return _ID[dialect].format(prefix=prefix)

    for table, columns, values in (
        (
            "events",
            "id, source_id, source, kind, type, subject, test, hop, occurred_at, received_at",
            f"""{own("evt")}, 'src_past', 'past', 'ultimate_multisite', 'payment_received',
            'past/customer/' || (i % 50000), false, 0, {_PAST} + i, {_PAST} + i""",
        ),
        (
            "event_bodies",
            "event_id, content_type, body",
            f"{own('evt')}, 'application/json', "
            + ("CAST('{}' AS BLOB)" if dialect == "sqlite" else "'{}'::bytea"),
        ),
        (
            "deliveries",
            "id, event_id, target_id, status, attempts, created_at, finished_at",
            f"{own('dlv')}, {own('evt')}, 'tgt_past', 'succeeded', 1, {_PAST} + i, {_PAST} + i",
        ),
        (
            "attempts",
            "delivery_id, id, number, outcome, reason, started_at, duration_micros, worker, exchanges",
            f"{own('dlv')}, {own('att')}, 1, 'delivered', '', {_PAST} + i, 1000, 'past', '[]'",
        ),
        (
            "dedupe",
            "source_id, key, fingerprint, event_id, expires_at",
            "'src_past', "
            # Spread as digests are: what comes in falls anywhere among them.
            + (
                "randomblob(32), randomblob(32)"
                if dialect == "sqlite"
                else "sha256(convert_to(i::text, 'UTF8')), sha256(convert_to(i::text, 'UTF8'))"
            )
            + f", {own('evt')}, NULL",
        ),
    ):
        insertion = f"INSERT INTO {table} ({columns}) "
        selection = f"SELECT {values} FROM n"
        # SQLite wants the numbers between INSERT and SELECT, PostgreSQL takes them first.
        parts = (insertion, numbers) if dialect == "sqlite" else (numbers, insertion)
        connection.exec_driver_sql("".join(parts) + selection)
    if dialect == "postgresql":
        connection.exec_driver_sql("ANALYZE")
