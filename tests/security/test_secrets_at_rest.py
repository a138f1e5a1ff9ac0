"""No secret can be had from the database, its files, an answer or an error."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
import sqlalchemy as sa

from app.domain.errors import ConfigurationError
from app.services import bootstrap
from app.services.target_secrets import opened
from app.settings import Settings
from app.store import sources, tables, targets
from app.store.database import Database, ReadConnection, WriteConnection
from app.store.opening import open_database
from app.store.sealing import SealBroken, Sealer
from tests.integration.management import Management, management

CANARIES = {
    "hubspot": "canary-hubspot-token-7f3a",
    "ga4": "canary-ga4-secret-91bc",
    "header": "canary-header-value-55d0",
    "api": "canary-network-secret-c41e",
}


@pytest.fixture
async def made(database, sealer, clock) -> AsyncIterator[Management]:
    async with management(database, sealer, clock) as made:
        yield made


async def populate(api: httpx.AsyncClient) -> list[str]:
    """Make one of everything that has a secret; answers every secret there is."""
    posts = [
        (
            "/v1/sources",
            {
                "name": "shop",
                "kind": "ultimate_multisite",
                "settings": {"api_url": "http://127.0.0.1:9999"},
                "api_access": {"api_key": CANARIES["api"], "api_secret": CANARIES["api"]},
            },
        ),
        ("/v1/api-keys", {"name": "deploy", "scope": "admin"}),
        (
            "/v1/targets",
            {
                "name": "sink",
                "connector": "webhook",
                "settings": {
                    "url": "https://hooks.example.com/",
                    "headers": {"authorization": CANARIES["header"]},
                },
            },
        ),
        (
            "/v1/targets",
            {"name": "crm", "connector": "hubspot", "settings": {"token": CANARIES["hubspot"]}},
        ),
        (
            "/v1/targets",
            {
                "name": "analytics",
                "connector": "ga4",
                "settings": {"measurement_id": "G-ABC123", "api_secret": CANARIES["ga4"]},
            },
        ),
    ]
    secrets = list(CANARIES.values())
    for number, (path, body) in enumerate(posts):
        answer = await api.post(path, json=body, headers={"idempotency-key": f"k{number}"})
        assert answer.status_code == 201, answer.text
        shown = answer.json()
        secrets += [shown[name] for name in ("token", "signing_secret", "key") if name in shown]
        for action in {"/v1/sources": ["rotate"], "/v1/targets": ["rotate-secret"]}.get(path, []):
            rotated = await api.post(f"{path}/{shown['id']}/{action}")
            if rotated.status_code == 200:
                secrets += [
                    value
                    for name, value in rotated.json().items()
                    if name in {"token", "signing_secret"}
                ]
    assert len(secrets) == 4 + 2 + 1 + 1 + 2 + 1
    return secrets


def every_value(connection: ReadConnection) -> bytes:
    parts: list[bytes] = []
    for table in tables.metadata.sorted_tables:
        for row in connection.execute(sa.text(f"SELECT * FROM {table.name}")):
            parts += [value if isinstance(value, bytes) else str(value).encode() for value in row]
    return b"\n".join(parts)


async def test_no_secret_stands_in_a_row(made):
    async with made.client() as api:
        secrets = await populate(api)
    stored = await made.database.read(every_value)
    assert b"hooks.example.com" in stored
    for secret in secrets:
        assert secret.encode() not in stored
        assert secret.removeprefix("whsec_").encode() not in stored


async def test_no_secret_stands_in_the_files_of_sqlite(tmp_path, sqlite_template, sealer, clock):
    (tmp_path / "relay.db").write_bytes(sqlite_template.read_bytes())
    database = open_database(f"sqlite:///{tmp_path / 'relay.db'}")
    async with management(database, sealer, clock) as made, made.client() as api:
        secrets = await populate(api)
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    await database.close()
    assert b"hooks.example.com" in stored
    for secret in secrets:
        assert secret.encode() not in stored


async def test_no_answer_shows_a_secret_again(made):
    async with made.client() as api:
        secrets = await populate(api)
        shown = ""
        for path in ("/v1/sources", "/v1/targets", "/v1/api-keys"):
            listed = await api.get(path)
            shown += listed.text
            for item in listed.json()["items"]:
                shown += (await api.get(f"{path}/{item['id']}")).text
                shown += (await api.patch(f"{path}/{item['id']}", json={})).text
                shown += (await api.post(f"{path}/{item['id']}/pause")).text
    for secret in secrets:
        assert secret not in shown


@pytest.mark.parametrize(
    "settings",
    [
        {"token": ["canary"]},
        {"token": {"canary": 1}},
        {"token": "canary", "base_url": "canary"},
        {"token": "canary", "base_url": "https://canary:canary@api.example.com"},
        {"token": "canary", "properties": "canary"},
    ],
)
async def test_a_refused_secret_is_not_echoed(made, settings):
    async with made.client() as api:
        answer = await api.post(
            "/v1/targets", json={"name": "crm", "connector": "hubspot", "settings": settings}
        )
    assert answer.status_code == 422
    for error in answer.json()["errors"]:
        assert "canary" not in error["detail"]
    assert "canary" not in answer.json()["detail"]


async def test_a_sealed_secret_does_not_open_in_another_row(made, sealer):
    for name in ("first", "second"):
        await made.world.target(name, "hubspot", settings={"token": f"token-of-{name}"})

    def swap(connection: WriteConnection) -> list[str]:
        one, two = targets.list_all(connection)
        moved = sa.update(tables.targets).where(tables.targets.c.id == two.id)
        connection.execute(moved.values(settings_sealed=one.settings_sealed))
        return [one.id, two.id]

    first, second = await made.database.write(swap)
    record = await made.database.read(lambda c: targets.get(c, first))
    assert opened(sealer, record) == {"token": "token-of-first"}
    stolen = await made.database.read(lambda c: targets.get(c, second))
    with pytest.raises(SealBroken):
        opened(sealer, stolen)
    assert (await made.world.targets.get(second)).settings == {}
    configuration = await made.world.configuration.refresh()
    assert second not in configuration.targets


async def test_a_sealed_secret_does_not_open_in_another_column(made, sealer):
    source_id = await made.world.source()
    record = await made.database.read(lambda c: sources.get(c, source_id))
    place = f"sources/{source_id}/"
    assert sealer.open(record.signing_secret_sealed, place + "signing_secret")
    with pytest.raises(SealBroken):
        sealer.open(record.signing_secret_sealed, place + "previous_signing_secret")


async def test_with_a_new_master_key_old_secrets_open_and_new_ones_are_sealed_by_it(
    database: Database, clock
):
    old, new = b"o" * 32, b"n" * 32
    async with management(database, Sealer([old]), clock) as before:
        await bootstrap.verify_master_key(database, Sealer([old]))
        target_id = await before.world.target("crm", "hubspot", settings={"token": "first"})
    changed = Sealer([new, old])
    async with management(database, changed, clock) as after:
        await bootstrap.verify_master_key(database, changed)
        record = await database.read(lambda c: targets.get(c, target_id))
        assert opened(changed, record) == {"token": "first"}
        await after.world.targets.update(target_id, {"settings": {"token": "second"}})
    record = await database.read(lambda c: targets.get(c, target_id))
    assert opened(Sealer([new]), record) == {"token": "second"}


async def test_once_started_with_the_new_master_key_the_old_one_is_not_needed(database, clock):
    old, new = b"o" * 32, b"n" * 32
    async with management(database, Sealer([old]), clock) as before, before.client() as api:
        await bootstrap.verify_master_key(database, Sealer([old]))
        await populate(api)
        before_change = await before.world.configuration.refresh()
    await bootstrap.verify_master_key(database, Sealer([new, old]))
    await bootstrap.verify_master_key(database, Sealer([new]))
    with pytest.raises(ConfigurationError):
        await bootstrap.verify_master_key(database, Sealer([old]))
    async with management(database, Sealer([new]), clock) as after:
        found = await after.world.configuration.refresh()
        assert found.version == before_change.version
        assert found.sources["shop"].credentials == before_change.sources["shop"].credentials
        assert len(found.sources["shop"].credentials.signing_secrets) == 2
        assert found.targets.keys() == before_change.targets.keys()
        assert len(found.targets) == 3
        for target_id, target in found.targets.items():
            known = before_change.targets[target_id].connector.target
            assert target.connector.target.settings == known.settings
            assert target.connector.target.signing_keys == known.signing_keys


def test_no_representation_of_the_settings_shows_a_key():
    key = "c" * 42 + "s="
    settings = Settings(
        _env_file=None, secret_key=key, admin_key="canary-admin-key-0123456789-abcdefgh"
    )
    for text in (repr(settings), str(settings), settings.model_dump_json()):
        assert "canary" not in text
        assert key not in text
