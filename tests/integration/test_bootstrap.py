"""The first start, and the second: the master key, the first API key."""

from __future__ import annotations

import asyncio
import stat

import pytest

from app.domain.errors import ConfigurationError
from app.services import bootstrap
from app.services.manage_api_keys import ManageApiKeys, Scope
from app.settings import Settings
from app.store import tables
from app.store.sealing import Sealer
from tests.databases import count

OLD, NEW = b"o" * 32, b"n" * 32


def settings(**values: object) -> Settings:
    return Settings(_env_file=None, **values)


def test_a_key_is_made_once_and_for_its_owner_alone(tmp_path):
    folder = tmp_path / "data"
    sealed = bootstrap.load_keys(settings(data_dir=folder)).seal("a secret", "here")
    file = folder / "secret.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(folder.iterdir()) == [file]
    again = bootstrap.load_keys(settings(data_dir=folder))
    assert again.open(sealed, "here") == "a secret"


def test_a_key_that_another_process_just_made_is_used(tmp_path):
    bootstrap._make_key_file(tmp_path / "secret.key")
    first = (tmp_path / "secret.key").read_text()
    bootstrap._make_key_file(tmp_path / "secret.key")
    assert (tmp_path / "secret.key").read_text() == first
    assert len(list(tmp_path.iterdir())) == 1


def test_the_configured_key_leaves_the_data_directory_alone(tmp_path):
    key = "bGlmZWN5Y2xlLXJlbGF5LXRlc3Qta2V5LTMyLWJ5dGU="
    bootstrap.load_keys(settings(data_dir=tmp_path / "data", secret_key=key))
    assert not (tmp_path / "data").exists()


def test_an_older_key_still_opens_what_it_sealed(tmp_path):
    old = "b29vb29vb29vb29vb29vb29vb29vb29vb29vb29vb28="
    new = "bm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm4="
    sealed = bootstrap.load_keys(settings(secret_key=old)).seal("a secret", "here")
    both = bootstrap.load_keys(settings(secret_key=new, previous_secret_keys=old))
    assert both.open(sealed, "here") == "a secret"


@pytest.mark.parametrize("text", ["", "nonsense", "c2hvcnQ=", "\n"])
def test_a_damaged_key_file_is_said_and_not_replaced(tmp_path, text):
    (tmp_path / "secret.key").write_text(text)
    with pytest.raises(ConfigurationError, match=r"secret\.key must be base64"):
        bootstrap.load_keys(settings(data_dir=tmp_path))
    assert (tmp_path / "secret.key").read_text() == text


def test_a_data_directory_that_cannot_be_written_says_what_to_do(tmp_path):
    (tmp_path / "data").write_text("a file, not a folder")
    with pytest.raises(ConfigurationError, match="RELAY_SECRET_KEY"):
        bootstrap.load_keys(settings(data_dir=tmp_path / "data" / "deeper"))


def test_production_makes_no_key(tmp_path):
    unsafe = settings().model_copy(update={"environment": "production", "data_dir": tmp_path})
    with pytest.raises(ConfigurationError, match="openssl rand"):
        bootstrap.load_keys(unsafe)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("secret_key", ["change-me", "c2hvcnQ=", "0" * 32, "!" * 44])
@pytest.mark.parametrize("environment", ["development", "production"])
def test_a_master_key_that_is_none_stops_the_start(environment, secret_key):
    with pytest.raises(ConfigurationError, match="RELAY_SECRET_KEY must be base64") as caught:
        bootstrap.load_keys(settings(environment=environment, secret_key=secret_key))
    assert secret_key not in caught.value.detail


@pytest.mark.parametrize("secret_key", ["A" * 43 + "=", "b29v" * 10 + "b28="])
def test_production_refuses_a_master_key_that_is_too_simple(secret_key):
    with pytest.raises(ConfigurationError, match="too simple"):
        bootstrap.load_keys(settings(environment="production", secret_key=secret_key))


async def test_the_same_key_passes_at_every_start(database):
    for _ in range(2):
        await bootstrap.verify_master_key(database, Sealer([OLD]))


async def test_a_wrong_key_stops_the_start_and_says_what_to_do(database):
    await bootstrap.verify_master_key(database, Sealer([OLD]))
    with pytest.raises(ConfigurationError) as caught:
        await bootstrap.verify_master_key(database, Sealer([NEW]))
    assert "RELAY_SECRET_KEY" in caught.value.detail
    assert "RELAY_PREVIOUS_SECRET_KEYS" in caught.value.detail


async def test_a_changed_key_passes_while_the_old_one_is_named(database):
    await bootstrap.verify_master_key(database, Sealer([OLD]))
    await bootstrap.verify_master_key(database, Sealer([NEW, OLD]))


async def test_an_admin_key_is_made_at_the_first_start_only(database, clock):
    key = await bootstrap.ensure_admin_key(database, settings(), clock)
    assert key is not None
    keys = ManageApiKeys(database, clock)
    assert (await keys.authenticate(key)).scope is Scope.ADMIN
    assert await bootstrap.ensure_admin_key(database, settings(), clock) is None
    await keys.settle()


async def test_a_configured_admin_key_makes_another_needless(database, clock):
    configured = settings(admin_key="an-admin-key-of-more-than-32-characters")
    assert await bootstrap.ensure_admin_key(database, configured, clock) is None
    assert await database.read(lambda c: count(c, tables.api_keys)) == 0


async def test_processes_that_start_together_make_one_admin_key(database, clock):
    made = await asyncio.gather(
        *(bootstrap.ensure_admin_key(database, settings(), clock) for _ in range(4))
    )
    assert sum(key is not None for key in made) == 1
    assert await database.read(lambda c: count(c, tables.api_keys)) == 1
