"""The first start: the master key, the first API key, the first source."""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
from pathlib import Path

import httpx

from app.domain.clock import Clock, to_micros
from app.domain.errors import ConfigurationError, Conflict
from app.services import credentials
from app.services.manage_api_keys import Scope, new_record
from app.services.manage_sources import ManageSources, SourceWithCredentials
from app.services.sealing_anew import seal_anew
from app.services.source_definition import SourceDraft
from app.settings import Settings
from app.store import api_keys, installation, routing
from app.store.database import Database, WriteConnection
from app.store.sealing import SealBroken, Sealer, decode_master_key

FIRST_SOURCE = "my-network"
_KEY_FILE = "secret.key"
_KEY_BYTES = 32
# Of 32 random bytes, practically always more than 24 differ.
_LEAST_DIFFERENT_BYTES = 16
_KEY_CHECK = "key-check"
_KEY_CHECK_PLACE = "installation/key-check"
_KEY_CHECK_TEXT = "the master key opens this"


def load_keys(settings: Settings) -> Sealer:
    """The sealer of the configured master keys, or of the one in the data directory.

    The file is made at the first start, with mode 0600; never in production.
    Raises ConfigurationError.
    """
    if settings.secret_key is not None:
        current = decode_master_key(settings.secret_key.get_secret_value())
        if settings.environment == "production" and len(set(current)) < _LEAST_DIFFERENT_BYTES:
            raise ConfigurationError(
                "RELAY_SECRET_KEY is too simple for production; make one with:"
                " openssl rand -base64 32"
            )
    elif settings.environment == "production":
        raise ConfigurationError(
            "RELAY_SECRET_KEY must be set in production; make one with: openssl rand -base64 32"
        )
    else:
        current = _key_from_file(settings.data_dir / _KEY_FILE)
    older = [
        decode_master_key(key.get_secret_value(), "RELAY_PREVIOUS_SECRET_KEYS")
        for key in settings.previous_secret_keys
    ]
    return Sealer([current, *older])


async def verify_master_key(database: Database, sealer: Sealer) -> None:
    """Prove that the master key opens what this database holds.

    The first start seals a known text; later ones open it.
    When an older key still had to open it, everything is sealed anew by the current one, so that
    the older key can be taken out of the configuration.
    Raises ConfigurationError that says what to do.
    """
    sealed = await database.read(lambda c: installation.get(c, _KEY_CHECK))
    if sealed is None:
        fresh = sealer.seal(_KEY_CHECK_TEXT, _KEY_CHECK_PLACE)
        sealed = await database.write(lambda c: installation.set_once(c, _KEY_CHECK, fresh))
    try:
        sealer.open(sealed, _KEY_CHECK_PLACE)
    except SealBroken as error:
        raise ConfigurationError(
            "The master key does not open the secrets in this database. Set RELAY_SECRET_KEY to"
            f" the key it was first started with (without the setting it is read from {_KEY_FILE}"
            " in RELAY_DATA_DIR). To change the key, set the new one in RELAY_SECRET_KEY and the"
            " old one in RELAY_PREVIOUS_SECRET_KEYS."
        ) from error
    if not sealer.is_current(sealed):
        fresh = sealer.seal(_KEY_CHECK_TEXT, _KEY_CHECK_PLACE)
        await database.write(lambda c: _seal_anew(c, sealer, fresh))


async def ensure_admin_key(database: Database, settings: Settings, clock: Clock) -> str | None:
    """Make the first API key, with every scope, when there is no other way in.

    Answers it, to be shown once; None when RELAY_ADMIN_KEY is set or a key exists.
    """
    if settings.admin_key is not None:
        return None

    def work(connection: WriteConnection) -> str | None:
        # Processes that start together must not make a key each.
        routing.lock(connection)
        if api_keys.exist(connection):
            return None
        key = credentials.new_api_key()
        now = to_micros(clock())
        api_keys.insert(connection, new_record(key, "first start", Scope.ADMIN, now))
        return key

    return await database.write(work)


async def ensure_first_source(manage_sources: ManageSources) -> SourceWithCredentials | None:
    """Make a source that is ready to be sent to, when there is none; None when there is one."""
    if (await manage_sources.page(limit=1)).items:
        return None
    draft = SourceDraft(name=FIRST_SOURCE, kind="ultimate_multisite", settings={})
    # A process that starts at the same time was quicker: it shows the credentials.
    with contextlib.suppress(Conflict):
        return await manage_sources.create(draft)
    return None


def _seal_anew(connection: WriteConnection, sealer: Sealer, key_check: str) -> None:
    routing.lock(connection)
    seal_anew(connection, sealer)
    installation.replace(connection, _KEY_CHECK, key_check)


def _key_from_file(path: Path) -> bytes:
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            _make_key_file(path)
        text = path.read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise ConfigurationError(
            f"The master key in {path} can be neither read nor made ({error.strerror}). Make"
            " RELAY_DATA_DIR readable and writable, or set RELAY_SECRET_KEY; make one with:"
            " openssl rand -base64 32"
        ) from error
    return decode_master_key(text, str(path))


def _make_key_file(path: Path) -> None:
    """Write a new key to `path`, all at once, unless another process was quicker."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(secrets.token_bytes(_KEY_BYTES)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        # A link, not a rename: it never replaces a key that something was sealed with already.
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink()


def key_digests(settings: Settings) -> tuple[str, ...]:
    """The digest of the bootstrap API key, where one is set."""
    key = settings.admin_key
    return () if key is None else (credentials.digest(key.get_secret_value()),)


def own_hosts(settings: Settings) -> frozenset[str]:
    """Where this relay is reached: a target there would send every event round in a circle."""
    own = httpx.URL(settings.resolved_public_url)
    port = own.port or (443 if own.scheme == "https" else 80)
    return frozenset({f"{own.host}:{port}"})
