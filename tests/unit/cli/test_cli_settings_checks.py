"""What `relay check` finds odd about settings."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from app.cli.finding import State
from app.cli.settings_checks import sanity
from app.settings import Settings


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def warnings(settings: Settings, environment: dict[str, str] | None = None) -> list[str]:
    found = sanity(settings, environment or {})
    return [f"{one.says} {one.advice}" for one in found if one.state is State.WARNING]


def test_the_defaults_are_not_odd():
    assert [finding.state for finding in sanity(Settings(), {"PATH": "/bin"})] == [State.OK]


def test_a_misspelt_variable_is_named_with_what_was_meant():
    (warning,) = warnings(Settings(), {"RELAY_DATABSE_URL": "secret"})
    assert "RELAY_DATABSE_URL is no setting" in warning
    assert "Is RELAY_DATABASE_URL meant?" in warning
    assert "secret" not in warning


@pytest.mark.parametrize(
    ("settings", "odd"),
    [
        ({"host": "0.0.0.0"}, True),
        ({"environment": "production"}, True),
        ({"host": "0.0.0.0", "public_url": "https://relay.example"}, False),
        ({"host": "127.0.0.1"}, False),
    ],
)
def test_ingest_urls_that_senders_cannot_use_are_odd(settings, odd):
    made = Settings(secret_key=SecretStr("x"), **settings)
    assert [*map(str, warnings(made))] == [
        *filter(lambda w: "RELAY_PUBLIC_URL" in w, warnings(made))
    ]
    assert bool(warnings(made)) is odd


def test_a_key_file_that_others_may_read_is_odd(tmp_path):
    key = tmp_path / "secret.key"
    key.touch(mode=0o600)
    settings = Settings(data_dir=tmp_path)
    assert warnings(settings) == []
    key.chmod(0o640)
    assert f"chmod 600 {key}" in warnings(settings)[0]


def test_a_relay_without_a_worker_is_reminded_of_it():
    found = sanity(Settings(embedded_worker=False), {})
    assert any("relay worker" in finding.says for finding in found)
    assert all(finding.state is State.OK for finding in found)
