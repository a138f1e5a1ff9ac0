"""What the commands print, and what they never let a terminal obey."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from app.cli import output
from app.domain import strict_json

MOMENT = datetime(2026, 11, 23, 19, 9, 31, 250_000, tzinfo=UTC)


def test_a_table_that_is_piped_keeps_every_row_on_one_line(capsys):
    output.table(("id", "reason"), [("dlv_1", "x" * 500)], empty="")
    assert any("dlv_1" in row and "x" * 500 in row for row in capsys.readouterr().out.splitlines())


def test_an_empty_table_is_a_sentence(capsys):
    output.table(("id",), [], empty="There is no source.")
    assert capsys.readouterr().out == "There is no source.\n"


def test_cells_are_words_and_moments_to_the_second(capsys):
    output.table(("a", "b", "c", "d"), [(True, False, None, MOMENT)], empty="")
    assert capsys.readouterr().out.split()[-4:] == ["yes", "no", "-", "2026-11-23T19:09:31Z"]


def test_markup_in_a_cell_is_text(capsys):
    output.table(("name",), [("[red]a[/red] :bomb:",)], empty="")
    assert "[red]a[/red] :bomb:" in capsys.readouterr().out


@pytest.mark.parametrize("hostile", ["\x1b", "\x9b", "\x00", "\r", "\x7f", "\ud800"])
def test_what_a_terminal_would_obey_is_taken_out_everywhere(capsys, hostile):
    output.say(f"a{hostile}b")
    output.table(("name",), [(f"a{hostile}b",)], empty="")
    output.fields([("name", f"a{hostile}b")])
    output.failure(f"a{hostile}b")
    printed = capsys.readouterr()
    assert (printed.out + printed.err).count("a�b") == 4
    assert hostile not in printed.out + printed.err


def test_absent_fields_are_left_out(capsys):
    output.fields([("filter", None), ("name", "crm"), ("reason", "")])
    assert capsys.readouterr().out.split() == ["name", "crm"]


def test_json_is_one_line_that_can_be_read_again(capsys):
    output.json([{"name": "crm", "made": MOMENT}])
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert strict_json.read_strict(printed.encode()) == [
        {"name": "crm", "made": "2026-11-23T19:09:31.250000Z"}
    ]


def test_secrets_are_announced_and_absent_ones_left_out(capsys):
    output.secrets([("token", "abc"), ("signing secret", None)])
    assert capsys.readouterr().out.splitlines() == [
        "Keep this now; it is not shown again:",
        "  token: abc",
    ]


def test_nothing_is_announced_without_secrets(capsys):
    output.secrets([("token", None)])
    assert capsys.readouterr().out == ""


def test_failures_go_to_standard_error(capsys):
    output.failure("The port is taken.")
    assert capsys.readouterr() == ("", "The port is taken.\n")


def test_a_terminal_that_knows_no_unicode_gets_escapes(monkeypatch):
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", terminal)
    output.line("Zoë")
    assert terminal.buffer.getvalue() == b"Zo\\xeb\n"


def test_no_names_mean_everything():
    assert output.words(None, everything="all") == "all"
    assert output.words(("a", "b"), everything="all") == "a, b"


def test_a_terminal_folds_instead_of_cutting(monkeypatch):
    terminal = SimpleNamespace(written=[], encoding="utf-8", isatty=lambda: True)
    terminal.write = terminal.written.append
    terminal.flush = lambda: None
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("TERM", "dumb")
    output.table(("reason",), [("x" * 50,)], empty="")
    assert "".join(terminal.written).count("x") == 50
