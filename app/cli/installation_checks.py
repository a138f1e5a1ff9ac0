"""Whether database, schema, master key, clock and targets are as the relay needs them.

Each check needs those before it; the first that fails is the last that runs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from app.cli import network_checks, reach, session
from app.cli.finding import Finding, State
from app.cli.settings_checks import KEY_FILE
from app.domain.addresses import AddressPolicy
from app.domain.clock import system_clock, to_micros
from app.domain.errors import RelayError
from app.services import bootstrap
from app.services.configuration import ConfigurationCache
from app.settings import Settings
from app.store import schema, sources, targets
from app.store.database import Database, ReadConnection
from app.store.opening import open_database
from app.store.sealing import SealBroken, Sealer

#: Microseconds the database's clock may be off before leases and signatures suffer.
_MOST_DRIFT = 2_000_000
_ASK_VERSION = {"postgresql": "SHOW server_version", "sqlite": "SELECT sqlite_version()"}
_ASK_TIME = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)"


async def installation(settings: Settings) -> list[Finding]:
    """Every finding, as far as the checks got."""
    file = session.sqlite_file(settings)
    if file is not None and not file.exists():
        advice = (
            "Start the relay once (relay serve), or set RELAY_DATA_DIR to that of the running one."
        )
        return [Finding("database", State.FAILED, f"there is no file {file}", advice)]
    database = open_database(settings.resolved_database_url, pool_size=2)
    try:
        return [finding async for finding in _checks(settings, database)]
    finally:
        await database.close()


async def _checks(settings: Settings, database: Database) -> AsyncIterator[Finding]:
    reached = await _database(settings, database)
    yield reached
    if reached.state is State.FAILED:
        return
    yield await _clock(database)
    version = await _schema(database)
    yield version
    if version.state is State.FAILED:
        return
    key, sealer = await _master_key(settings, database)
    yield key
    if sealer is None:
        return
    policy = AddressPolicy(
        allowed_networks=settings.allowed_private_networks,
        denied_networks=settings.denied_networks,
        nat64=settings.nat64,
    )
    for finding in await _targets(settings, database, sealer, policy):
        yield finding
    for finding in await network_checks.all_of(settings, database, sealer, policy):
        yield finding


async def _database(settings: Settings, database: Database) -> Finding:
    name = session.database_name(settings)
    try:
        version = await database.read(
            lambda c: c.exec_driver_sql(_ASK_VERSION[database.dialect]).scalar_one()
        )
        # A file that can only be read lets no transaction begin.
        await database.write(lambda _: None)
    except Exception as error:  # noqa: BLE001  whatever the driver raises is the finding
        cause = error.__cause__ or error
        why = str(getattr(cause, "orig", None) or cause).partition("\n")[0]
        return Finding("database", State.FAILED, f"{name}: {why}", session.advice(settings))
    return Finding("database", State.OK, f"{name}, version {version}")


async def _clock(database: Database) -> Finding:
    if database.dialect == "sqlite":
        return Finding("clock", State.OK, "the database has no clock of its own")
    before = to_micros(system_clock())
    theirs = await database.read(lambda c: int(c.exec_driver_sql(_ASK_TIME).scalar_one()))
    ours = (before + to_micros(system_clock())) // 2
    drift = abs(ours - theirs)
    says = f"{drift / 1_000_000:.3f} s from the database's"
    if drift > _MOST_DRIFT:
        return Finding("clock", State.WARNING, says, "Let both machines follow a time server.")
    return Finding("clock", State.OK, says)


async def _schema(database: Database) -> Finding:
    try:
        await schema.require_current(database)
    except RelayError as error:
        return Finding("schema", State.FAILED, error.detail, "relay migrate")
    return Finding("schema", State.OK, f"at {schema.newest_revision()}")


async def _master_key(settings: Settings, database: Database) -> tuple[Finding, Sealer | None]:
    path = settings.data_dir / KEY_FILE
    # Asking for the keys would make a new one, which opens nothing.
    if settings.secret_key is None and not path.exists():
        advice = "Set RELAY_SECRET_KEY, or RELAY_DATA_DIR to that of the running relay."
        return Finding("master key", State.FAILED, f"there is none at {path}", advice), None
    try:
        sealer = bootstrap.load_keys(settings)
        await bootstrap.verify_master_key(database, sealer)
    except RelayError as error:
        return Finding("master key", State.FAILED, error.detail), None
    opened, broken = await database.read(lambda c: _opened(c, sealer))
    if broken:
        says = f"it does not open the secrets of {', '.join(broken)}"
        advice = "Add the older key to RELAY_PREVIOUS_SECRET_KEYS, or set these secrets anew."
        return Finding("master key", State.FAILED, says, advice), sealer
    return Finding("master key", State.OK, f"it opens all {opened} stored secrets"), sealer


def _opened(connection: ReadConnection, sealer: Sealer) -> tuple[int, list[str]]:
    """How many secrets open, and whose do not."""
    opened, broken = 0, dict[str, None]()
    for owner, place, sealed in _sealed(connection):
        try:
            sealer.open(sealed, place)
            opened += 1
        except SealBroken:
            broken[owner] = None
    return opened, list(broken)


def _sealed(connection: ReadConnection) -> Iterator[tuple[str, str, str]]:
    """Whose it is, its place, and the sealed text."""
    kinds = (
        ("source", sources.list_all(connection)),
        ("target", targets.list_all(connection)),
    )
    for kind, rows in kinds:
        for row in rows:
            for column in ("signing_secret", "previous_signing_secret", "settings", "api_access"):
                text = getattr(row, f"{column}_sealed", None)
                if text is not None:
                    yield f"{kind} {row.name}", f"{kind}s/{row.id}/{column}", text


async def _targets(
    settings: Settings, database: Database, sealer: Sealer, policy: AddressPolicy
) -> list[Finding]:
    cache = ConfigurationCache(database, sealer, system_clock, dedupe_window=settings.dedupe_window)
    usable = (await cache.refresh()).targets
    urls: dict[str, str] = {}
    found: list[Finding] = []
    for row in await database.read(targets.list_all):
        name = f"target {row.name}"
        if row.id not in usable:
            advice = f"relay targets show {row.name}; its connector or its secrets are missing."
            found.append(Finding(name, State.FAILED, "it cannot be used", advice))
        elif row.status != "active":
            says = f"{row.status}: {row.status_reason or 'no reason given'}"
            found.append(Finding(name, State.WARNING, says, f"relay targets resume {row.name}"))
        else:
            urls[name] = reach.url_of(usable[row.id].connector.target.settings)
    return [*found, *await reach.all_of(policy, urls)]
