"""What docs/operating.md tells people to type does what it says."""

from __future__ import annotations

import re
import shlex
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from app.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/operating.md").read_text()
GRACE = Settings.model_fields["grace"].default
BACKUPS = re.findall(r'python -c "(import sqlite3.*)"$', PAGE, re.MULTILINE)


def command(start: str) -> list[str]:
    """The words of the one command of the page that begins so, its lines joined."""
    (found,) = re.findall(rf"^{start}.*$", PAGE.replace("\\\n", " "), re.MULTILINE)
    return shlex.split(found)


def back_up(source: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a documented backup, with `/data` in `folder`."""
    return subprocess.run(
        [sys.executable, "-c", source.replace("/data/", f"{folder}/data/")],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_setting_has_no_comment_behind_it():
    # systemd and `docker run --env-file` would take it for a part of the value.
    lines = [line for line in PAGE.splitlines() if re.match(r"RELAY_\w+=", line)]
    assert lines
    assert [line for line in lines if "#" in line] == []


def test_a_container_may_finish_its_attempts():
    words = command("docker run")
    assert int(words[words.index("--stop-timeout") + 1]) > GRACE
    assert {"--read-only", "--restart", "--cap-drop"} <= set(words)


def test_the_unit_may_finish_its_attempts():
    assert int(re.search(r"^TimeoutStopSec=(\d+)$", PAGE, re.MULTILINE)[1]) > GRACE


def test_a_command_beside_the_unit_has_the_units_user_and_settings():
    unit = dict(
        re.findall(
            r"^(User|WorkingDirectory|EnvironmentFile|StateDirectory)=(.*)$", PAGE, re.MULTILINE
        )
    )
    words = command("systemd-run")
    assert f"--uid={unit['User']}" in words
    assert f"--working-directory={unit['WorkingDirectory']}" in words
    assert f"--property=EnvironmentFile={unit['EnvironmentFile']}" in words
    assert f"--setenv=RELAY_DATA_DIR=/var/lib/{unit['StateDirectory']}" in words


def test_there_is_a_backup_for_the_host_and_for_a_container():
    assert len(BACKUPS) == 2


@pytest.mark.parametrize("source", BACKUPS)
def test_a_backup_holds_what_the_database_holds(tmp_path, source):
    (tmp_path / "data").mkdir()
    writer = sqlite3.connect(tmp_path / "data/relay.db", isolation_level=None)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("CREATE TABLE events (id TEXT)")
    writer.execute("INSERT INTO events VALUES ('evt_1')")
    done = back_up(source, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    writer.close()
    (copy,) = tmp_path.rglob("backup.db")
    reader = sqlite3.connect(copy)
    assert reader.execute("SELECT id FROM events").fetchall() == [("evt_1",)]
    reader.close()


@pytest.mark.parametrize("source", BACKUPS)
def test_a_backup_of_nothing_fails_and_leaves_nothing(tmp_path, source):
    (tmp_path / "data").mkdir()
    assert back_up(source, tmp_path).returncode != 0
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
