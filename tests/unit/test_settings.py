"""The settings: what the environment may say, and what is refused before anything starts."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.settings import Settings

KEY = "bGlmZWN5Y2xlLXJlbGF5LXRlc3Qta2V5LTMyLWJ5dGU="
ADMIN_KEY = "an-admin-key-of-more-than-32-characters"


def settings(**values: object) -> Settings:
    return Settings(_env_file=None, **values)


def refusal(**values: object) -> str:
    with pytest.raises(ValidationError) as caught:
        settings(**values)
    return str(caught.value)


def test_everything_has_a_default():
    found = settings()
    assert found.resolved_database_url == "sqlite:///data/relay.db"
    assert found.resolved_public_url == "http://127.0.0.1:8080"
    assert (found.embedded_worker, found.processes, found.port) == (True, 1, 8080)
    assert found.allowed_private_networks == ()
    assert found.https_required is False


def test_the_environment_is_read_with_its_prefix(monkeypatch):
    monkeypatch.setenv("RELAY_PORT", "9000")
    monkeypatch.setenv("RELAY_EMBEDDED_WORKER", "false")
    monkeypatch.setenv("RELAY_DATA_DIR", "/var/lib/relay")
    monkeypatch.setenv("PORT", "1")
    found = settings()
    assert (found.port, found.embedded_worker) == (9000, False)
    assert found.data_dir == Path("/var/lib/relay")
    assert found.resolved_database_url == "sqlite:////var/lib/relay/relay.db"


def test_lists_are_separated_by_commas(monkeypatch):
    monkeypatch.setenv("RELAY_ALLOWED_PRIVATE_NETWORKS", "10.0.0.0/8, fd00::/8,")
    monkeypatch.setenv("RELAY_DENIED_NETWORKS", "192.0.2.1")
    monkeypatch.setenv("RELAY_PREVIOUS_SECRET_KEYS", f"{KEY},{KEY}")
    found = settings()
    assert found.allowed_private_networks == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    assert found.denied_networks == (ip_network("192.0.2.1/32"),)
    assert [key.get_secret_value() for key in found.previous_secret_keys] == [KEY, KEY]


@pytest.mark.parametrize(
    "name", ["RELAY_SECRET_KEY", "RELAY_ADMIN_KEY", "RELAY_REQUIRE_HTTPS", "RELAY_PUBLIC_URL",
             "RELAY_DATABASE_URL", "RELAY_ALLOWED_PRIVATE_NETWORKS", "RELAY_PREVIOUS_SECRET_KEYS"]
)  # fmt: skip
def test_an_empty_variable_is_an_absent_one(monkeypatch, name):
    monkeypatch.setenv(name, "")
    assert settings() == settings(**{name.removeprefix("RELAY_").lower(): ""})
    monkeypatch.delenv(name)
    field = name.removeprefix("RELAY_").lower()
    assert getattr(settings(), field) in {None, "", ()}


def test_a_file_of_settings_is_read_and_the_environment_wins(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("RELAY_PORT=9000\nRELAY_HOST=0.0.0.0\nOTHER=1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RELAY_PORT", "9001")
    found = Settings()
    assert (found.port, found.host) == (9001, "0.0.0.0")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"admin_key": "canary-too-short"}, "32 characters"),
        ({"admin_key": "canary\n" + ADMIN_KEY}, "visible"),
        ({"admin_key": " canary" + ADMIN_KEY}, "visible"),
        ({"port": 65_536}, "65535"),
        ({"processes": 0}, "greater than or equal to 1"),
        ({"body_limit": 1}, "greater than or equal to 1024"),
        ({"lease": 20, "attempt_timeout": 20}, "RELAY_LEASE"),
        ({"lease": 33, "attempt_timeout": 20, "enrichment_wait": 10}, "RELAY_ENRICHMENT_WAIT"),
        ({"allowed_private_networks": "10.0.0.1/8"}, "the network is 10.0.0.0/8"),
        ({"denied_networks": "nowhere"}, "'nowhere' is no network; write it such as 10.0.0.0/8"),
        ({"host": ""}, "must not be empty; leave it out for the default, 127.0.0.1"),
        ({"data_dir": ""}, "must not be empty; leave it out for the default, data"),
        ({"log_format": "xml"}, "'console' or 'json'"),
        ({"environment": "production"}, "RELAY_SECRET_KEY"),
        ({"environment": "staging"}, "'development' or 'production'"),
        ({"public_url": "relay.example"}, "RELAY_PUBLIC_URL"),
        ({"public_url": "ftp://relay.example"}, "RELAY_PUBLIC_URL"),
        ({"public_url": "https://relay.example/?a=1"}, "RELAY_PUBLIC_URL"),
        ({"public_url": "https://user:canary@relay.example"}, "RELAY_PUBLIC_URL"),
    ],
)
def test_what_cannot_work_is_refused_with_its_reason(values, says):
    text = refusal(**values)
    assert says in text
    assert "canary" not in text


@pytest.mark.parametrize(
    "admin_key", ["a" * 40, "abababababababababababababababababab", "abcdefg" * 6]
)
def test_production_refuses_an_admin_key_that_is_no_key(admin_key):
    text = refusal(environment="production", secret_key=KEY, admin_key=admin_key)
    assert "RELAY_ADMIN_KEY is too simple" in text
    assert admin_key not in text


def test_production_with_keys_of_its_own_is_fine():
    found = settings(environment="production", secret_key=KEY, admin_key=ADMIN_KEY)
    assert found.https_required is True


@pytest.mark.parametrize(
    ("environment", "require_https", "required"),
    [
        ("development", None, False),
        ("development", True, True),
        ("production", None, True),
        ("production", False, False),
    ],
)
def test_https_is_required_in_production_unless_it_is_said(environment, require_https, required):
    found = settings(environment=environment, secret_key=KEY, require_https=require_https)
    assert found.https_required is required


@pytest.mark.parametrize(
    ("values", "url"),
    [
        ({"public_url": "https://relay.example/"}, "https://relay.example"),
        ({"public_url": "https://relay.example/hooks/"}, "https://relay.example/hooks"),
        ({"host": "0.0.0.0", "port": 80}, "http://localhost:80"),
        ({"host": "::"}, "http://localhost:8080"),
        ({"host": "::1"}, "http://[::1]:8080"),
        ({"host": "relay.internal"}, "http://relay.internal:8080"),
    ],
)
def test_the_public_url_is_what_senders_can_use(values, url):
    assert settings(**values).resolved_public_url == url


def test_the_settings_cannot_be_changed():
    with pytest.raises(ValidationError):
        settings().port = 1


def test_every_setting_says_why_it_is_there():
    for name, field in Settings.model_fields.items():
        assert field.description, name


def test_no_representation_shows_a_secret():
    found = settings(secret_key=KEY, previous_secret_keys=KEY, admin_key=ADMIN_KEY)
    for text in (repr(found), str(found), found.model_dump_json(), str(found.model_dump())):
        assert KEY not in text
        assert ADMIN_KEY not in text


def test_no_representation_shows_the_password_of_the_database():
    found = settings(database_url="postgresql://relay:canary@db/relay")
    assert "canary" not in f"{found!r} {found}"


@pytest.mark.parametrize("admin_key", ["two words, " * 4 + "!", "Schlüssel" * 5])
def test_any_text_that_can_be_sent_is_an_admin_key(admin_key):
    assert settings(admin_key=admin_key).admin_key.get_secret_value() == admin_key


def test_a_collectors_header_fields_are_read_as_opentelemetry_writes_them():
    found = settings(otlp_headers="X-Key=of%2Cthe collector, other = a=b ")
    assert found.otlp_fields == {"x-key": "of,the collector", "other": "a=b"}
    assert "collector" not in repr(found)
    assert settings(otlp_headers="").otlp_fields == {}
    assert settings().otlp_fields == {}


@pytest.mark.parametrize(
    "text", ["planted", "=planted", "x y=planted", "x=", "x=a,planted", "x=a\r\nplanted: b", "x=é"]
)
def test_header_fields_for_a_collector_that_are_none_are_refused_without_a_word_of_them(text):
    told = refusal(otlp_headers=text)
    assert "RELAY_OTLP_HEADERS must be name=value" in told
    assert "planted" not in told


@pytest.mark.parametrize(
    "url",
    ["collector:4318", "grpc://collector:4317", "http://user:planted@collector", "http://c/?x=1"],
)
def test_a_collectors_address_that_is_no_plain_url_is_refused(url):
    told = refusal(otlp_endpoint=url)
    assert "RELAY_OTLP_ENDPOINT must be a scheme" in told
    assert "planted" not in told


@pytest.mark.parametrize("ratio", [-0.1, 1.1])
def test_a_share_of_the_traces_is_between_none_and_all(ratio):
    refusal(trace_ratio=ratio)
