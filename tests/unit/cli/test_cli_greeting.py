"""The greeting: everything a newcomer needs, and lines that work when pasted."""

from __future__ import annotations

import shlex
import sys
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import SecretStr

from app.cli import greeting
from app.domain import strict_json
from app.domain.catalogue import CATALOGUE
from app.services.manage_sources import Source, SourceWithCredentials
from app.settings import Settings

NOW = datetime(2026, 11, 23, tzinfo=UTC)
SOURCE = Source(
    id="src_1",
    name="my-network",
    kind="ultimate_multisite",
    strict=False,
    settings={},
    ingest_url="http://127.0.0.1:8080/webhooks/my-network",
    created_at=NOW,
    updated_at=NOW,
)
MADE = SourceWithCredentials(source=SOURCE, token="a-b_c&d e", signing_secret="whsec_abc")
FIRST = greeting.Start(admin_key="rk_first", made=MADE, source=SOURCE)
LATER = greeting.Start(admin_key=None, made=None, source=SOURCE)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_first_start_shows_everything_once():
    text = "\n".join(greeting.lines(Settings(), FIRST))
    for shown in (
        "http://127.0.0.1:8080/docs",
        "rk_first",
        SOURCE.ingest_url,
        MADE.token,
        "whsec_abc",
        "not shown again",
    ):
        assert shown in text


def test_a_later_start_shows_no_credential():
    text = "\n".join(greeting.lines(Settings(admin_key=SecretStr("k" * 32)), LATER))
    assert SOURCE.ingest_url in text
    assert not any(word in text for word in ("k" * 32, "rk_", "whsec_", "token", "not shown again"))


def test_the_curl_line_says_the_same_to_a_shell():
    curl, *words = shlex.split(greeting.curl(MADE))
    assert curl == "curl"
    url = urlsplit(words[1])
    assert f"{url.scheme}://{url.netloc}{url.path}" == f"{SOURCE.ingest_url}/customer_post_create"
    assert parse_qs(url.query) == {"token": [MADE.token]}
    assert words[2:4] == ["-H", "Content-Type: application/json"]
    body = strict_json.read_strict(words[5].encode())
    assert body == CATALOGUE["customer_post_create"].example


def test_the_curl_line_is_one_line_of_ascii():
    line = greeting.curl(MADE)
    assert "\n" not in line
    assert line.isascii()
    assert len(line) < 1024


def test_the_send_line_carries_what_another_terminal_needs(tmp_path):
    settings = Settings(port=9000, data_dir=tmp_path / "my data")
    words = shlex.split(greeting.send(settings))
    assert words[:2] == [f"RELAY_DATA_DIR={tmp_path}/my data", "RELAY_PORT=9000"]
    assert words[-2:] == ["send", "checkout_completed"]


def test_secrets_of_the_settings_are_named_but_not_shown():
    settings = Settings(
        secret_key=SecretStr("master"), database_url="postgresql://relay:hidden@db.example/relay"
    )
    text = "\n".join(greeting.lines(settings, LATER))
    assert "RELAY_DATABASE_URL and RELAY_SECRET_KEY" in text
    assert "hidden" not in text
    assert "master" not in text


def test_a_relay_without_a_worker_says_so():
    assert "relay worker" in "\n".join(greeting.lines(Settings(embedded_worker=False), LATER))
    assert "relay worker" not in "\n".join(greeting.lines(Settings(), LATER))


def test_no_docs_are_promised_when_there_are_none():
    assert "/docs" not in "\n".join(greeting.lines(Settings(docs=False), LATER))


def test_the_program_is_called_as_it_was_called(tmp_path, monkeypatch):
    relay = tmp_path / "bin" / "relay"
    relay.parent.mkdir()
    relay.touch(mode=0o755)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(sys, "argv", [str(relay)])
    assert greeting.program() == "bin/relay"
    monkeypatch.setenv("PATH", str(relay.parent))
    assert greeting.program() == "relay"
    monkeypatch.setattr(sys, "argv", ["/srv/app/__main__.py"])
    assert greeting.program() == f"{shlex.quote(sys.executable)} -m app"
