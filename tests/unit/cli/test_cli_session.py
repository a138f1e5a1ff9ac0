"""Errors become sentences and exit codes."""

from __future__ import annotations

import stat

import pytest
import typer

from app.cli import session
from app.domain.errors import ConfigurationError, FieldError, NotFound, ValidationFailed
from app.settings import Settings


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # The log would go on to write to this test's streams after it has ended.
    monkeypatch.setattr(session, "configure_logging", lambda *_: None)


def exit_code(error: Exception) -> int:
    with pytest.raises(typer.Exit) as ended, session.plain_errors():
        raise error
    return ended.value.exit_code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotFound("There is no target."), 1),
        (ValidationFailed("These fields are not valid: #/name."), 2),
        (ConfigurationError("RELAY_SECRET_KEY must be base64."), 2),
        (session.WrongSettings(["RELAY_PORT: too large"]), 2),
        (session.OldSchema("Run: relay migrate"), 3),
        (ValueError("surprise"), 1),
    ],
)
def test_every_kind_of_error_has_its_exit_code(error, code, capsys):
    assert exit_code(error) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Traceback" not in printed.err


def test_every_wrong_field_is_named(capsys):
    exit_code(ValidationFailed("Not valid.", errors=[FieldError("#/name", "Too long.")]))
    assert capsys.readouterr().err == "Not valid.\n  #/name: Too long.\n"


def test_a_surprise_is_one_line_and_a_hint(capsys):
    exit_code(ValueError("surprise"))
    assert capsys.readouterr().err.splitlines() == [
        "ValueError: surprise",
        "This should not happen. RELAY_LOG_LEVEL=debug shows where it did.",
    ]


def test_the_place_of_a_surprise_is_shown_when_asked_for(capsys, monkeypatch):
    monkeypatch.setenv("RELAY_LOG_LEVEL", "debug")
    exit_code(ValueError("surprise"))
    assert "test_cli_session.py" in capsys.readouterr().err


def test_an_intended_exit_passes():
    with pytest.raises(typer.Exit) as ended, session.plain_errors():
        raise typer.Exit(7)
    assert ended.value.exit_code == 7


def test_each_wrong_variable_has_one_sentence_and_no_value(monkeypatch):
    monkeypatch.setenv("RELAY_PORT", "eighty-secret")
    monkeypatch.setenv("RELAY_ADMIN_KEY", "short-secret")
    monkeypatch.setenv("RELAY_LOG_LEVEL", "loud-secret")
    with pytest.raises(session.WrongSettings) as refusal:
        session.load_settings()
    problems = refusal.value.problems
    assert [problem.partition(" ")[0].rstrip(":") for problem in sorted(problems)] == [
        "RELAY_ADMIN_KEY",
        "RELAY_LOG_LEVEL",
        "RELAY_PORT",
    ]
    assert not any("-secret" in problem for problem in problems)


def test_settings_that_clash_are_one_sentence(monkeypatch):
    monkeypatch.setenv("RELAY_LEASE", "1")
    with pytest.raises(session.WrongSettings, match="RELAY_LEASE must be"):
        session.load_settings()


def test_an_empty_host_on_the_command_line_does_not_open_every_address():
    assert session.load_settings(host="").host == "127.0.0.1"


def test_a_sentence_is_said_once(capsys):
    wrong = (FieldError("#/connector", "There is no connector 'x'."),)
    exit_code(ValidationFailed("There is no connector 'x'.", errors=wrong))
    assert capsys.readouterr().err.count("There is no connector") == 1


def test_an_option_that_was_not_given_changes_nothing(monkeypatch):
    monkeypatch.setenv("RELAY_PORT", "9000")
    settings = session.load_settings(host="127.0.0.2", port=None)
    assert (settings.host, settings.port) == ("127.0.0.2", 9000)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("sqlite:///data/relay.db", "sqlite data/relay.db"),
        ("postgresql://u:secret@db.example:5433/relay", "postgresql db.example:5433/relay"),
        ("postgresql://u:secret@db.example/relay", "postgresql db.example/relay"),
        (
            "postgresql://u@/relay?host=/run/pg&password=secret",
            "postgresql relay on a local socket",
        ),
    ],
)
def test_a_database_is_named_without_its_password(url, name):
    assert session.database_name(Settings(database_url=url)) == name


def test_a_command_in_the_wrong_folder_leaves_nothing_behind(tmp_path):
    with pytest.raises(typer.Exit) as ended:
        session.operate(lambda _runtime: pytest.fail("it must not run"))
    assert ended.value.exit_code == 2
    assert [*tmp_path.iterdir()] == []


def test_the_folder_of_the_data_is_not_for_every_user_of_the_machine(tmp_path):
    session.make_folder(Settings(data_dir=tmp_path / "data"))
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) & stat.S_IRWXO == 0


def test_a_folder_that_is_there_already_is_left_as_it_is(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o755)
    session.make_folder(Settings(data_dir=tmp_path / "data"))
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o755


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="RELAY_DATA_DIR"):
        session.make_folder(Settings(data_dir=tmp_path / "file" / "data"))
