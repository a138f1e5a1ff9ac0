"""`relay check` and `relay migrate`: is it ready, and what is to be done."""

from __future__ import annotations

import contextlib
import json
import socket
import sqlite3

import pytest

from app.domain.errors import StoreUnavailable
from app.store.sqlite import SQLiteDatabase
from tests.integration.command_line import CommandLine, emptied, open_command_line


@pytest.fixture
def relay(database_url, tmp_path, monkeypatch) -> CommandLine:
    return open_command_line(monkeypatch, tmp_path, emptied(database_url))


@pytest.fixture(params=["sqlite", "postgresql"])
def new_relay(request, tmp_path, monkeypatch) -> CommandLine:
    """A relay whose database has no tables yet."""
    url = f"sqlite:///{tmp_path / 'new.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_server").new_database()
    return open_command_line(monkeypatch, tmp_path, url)


@pytest.fixture
def hook():
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/hook"


def states(relay: CommandLine, **variables: str) -> tuple[int, dict[str, str]]:
    result = relay.run("check", "--json", **variables)
    assert "Traceback" not in result.output
    return result.exit_code, {one["check"]: one["state"] for one in json.loads(result.stdout)}


def test_everything_is_well(relay, hook):
    relay("sources", "add", "shop")
    relay("targets", "add", "tool", "--url", hook)
    names = ("settings", "database", "clock", "schema", "master key", "target tool")
    assert states(relay) == (0, dict.fromkeys(names, "ok"))
    assert "it opens all 2 stored secrets" in relay("check")


def test_a_target_that_does_not_answer_fails(relay, hook):
    relay("targets", "add", "tool", "--url", hook.replace("127.0.0.1", "127.0.0.2"))
    code, found = states(relay)
    assert (code, found["target tool"]) == (1, "failed")


def test_a_target_whose_address_is_no_longer_allowed_fails(relay, hook):
    relay("targets", "add", "tool", "--url", hook)
    result = relay.run("check", RELAY_ALLOWED_PRIVATE_NETWORKS="")
    assert result.exit_code == 1
    assert "RELAY_ALLOWED_PRIVATE_NETWORKS" in result.stdout


def test_a_paused_target_is_a_warning_and_not_dialled(relay, hook):
    relay("targets", "add", "tool", "--url", hook)
    relay("targets", "pause", "tool")
    code, found = states(relay, RELAY_ALLOWED_PRIVATE_NETWORKS="")
    assert (code, found["target tool"]) == (0, "warning")


def test_a_wrong_master_key_fails(relay):
    relay("sources", "add", "shop")
    code, found = states(relay, RELAY_SECRET_KEY="eHh4" * 10 + "eHg=")
    assert (code, found["master key"]) == (1, "failed")


def test_a_lost_key_file_fails_and_no_new_one_is_made(relay, tmp_path):
    relay("sources", "add", "shop")
    code, found = states(relay, RELAY_SECRET_KEY="")
    assert (code, found["master key"]) == (1, "failed")
    assert not (tmp_path / "secret.key").exists()


def test_an_empty_database_fails_with_the_command_to_run(new_relay):
    if "sqlite" in new_relay.environment["RELAY_DATABASE_URL"]:
        code, found = states(new_relay)
        assert (code, found) == (1, {"settings": "ok", "database": "failed"})
    else:
        code, found = states(new_relay)
        assert (code, found["schema"]) == (1, "failed")
        assert "relay migrate" in new_relay.run("check").stdout


def test_a_database_that_is_down_fails_without_its_password(relay):
    result = relay.run("check", RELAY_DATABASE_URL="postgresql://u:secret@127.0.0.1:1/relay")
    assert result.exit_code == 1
    assert "127.0.0.1:1/relay" in result.stdout
    assert "secret" not in result.output


def test_other_commands_name_the_database_that_is_down(relay):
    for words in (("keys", "list"), ("migrate",), ("worker",)):
        result = relay.run(*words, RELAY_DATABASE_URL="postgresql://u:secret@127.0.0.1:1/relay")
        assert result.exit_code == 1
        assert "The database postgresql 127.0.0.1:1/relay does not answer" in result.stderr
        assert "secret" not in result.output


def test_migrating_says_what_changed(new_relay):
    first = new_relay("migrate")
    assert first.startswith("The schema was at nothing and is at ")
    assert "nothing to do" in new_relay("migrate")


def test_commands_refuse_an_old_schema_and_name_the_command(new_relay):
    if "sqlite" in new_relay.environment["RELAY_DATABASE_URL"]:
        (database,) = new_relay.environment["RELAY_DATABASE_URL"].split("sqlite:///")[1:]
        with open(database, "wb"):  # noqa: PTH123  an empty file is an empty database
            pass
    for words in (("keys", "list"), ("worker",)):
        assert "Run: relay migrate" in new_relay.refused(*words, code=3)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_in_no_file_is_a_wrong_setting(relay, url):
    for words in (("keys", "list"), ("migrate",), ("check",)):
        result = relay.run(*words, RELAY_DATABASE_URL=url)
        assert result.exit_code == 2
        assert "RELAY_DATABASE_URL names no file" in result.stderr


def test_a_file_that_is_no_database_is_named_and_left_alone(relay, tmp_path):
    other = tmp_path / "notes.txt"
    other.write_text("This is something else, and longer than a header of SQLite would be." * 3)
    before = other.read_bytes()
    for words in (("keys", "list"), ("migrate",), ("worker",)):
        result = relay.run(*words, RELAY_DATABASE_URL=f"sqlite:///{other}")
        assert result.exit_code == 1
        assert f"sqlite {other} does not answer: file is not a database" in result.stderr
        assert f"May this user read and write {other}" in result.stderr
    assert states(relay, RELAY_DATABASE_URL=f"sqlite:///{other}")[1]["database"] == "failed"
    assert other.read_bytes() == before


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_database_that_can_only_be_read_fails(relay, monkeypatch):
    async def refused(*_: object, **__: object) -> None:
        cause = sqlite3.OperationalError("attempt to write a readonly database")
        raise StoreUnavailable("away") from cause

    monkeypatch.setattr(SQLiteDatabase, "write", refused)
    result = relay.run("check")
    assert result.exit_code == 1
    assert "attempt to write a readonly database" in result.stdout


def test_a_misspelt_variable_of_the_settings_file_is_found(relay, tmp_path):
    (tmp_path / ".env").write_text("RELAY_PROT=9000\n")
    result = relay.run("check")
    assert "RELAY_PROT is no setting" in result.stdout
    assert "Is RELAY_PORT meant?" in result.stdout


def test_a_wrong_url_is_a_wrong_setting(relay):
    result = relay.run("keys", "list", RELAY_DATABASE_URL="mysql://root:secret@db/relay")
    assert result.exit_code == 2
    assert "RELAY_DATABASE_URL" in result.stderr
    assert "secret" not in result.output
