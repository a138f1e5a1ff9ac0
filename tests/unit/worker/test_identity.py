"""What a worker is called, and when another one is said to be gone."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from app.worker import identity

SCRIPT = "from app.worker.identity import identity; print(identity(), flush=True); input()"


@pytest.fixture
def other():
    """A worker of this place, and what it is called."""
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process, process.stdout.readline().strip()
        process.kill()


def parts(owner: str) -> list[str]:
    return owner.split(":")


def test_a_worker_that_runs_is_not_gone(other):
    _, owner = other
    assert not identity.is_gone(identity.identity())
    assert not identity.is_gone(owner)


def test_a_worker_that_was_killed_is_gone(other):
    process, owner = other
    process.kill()
    process.wait()
    assert identity.is_gone(owner)


def test_a_worker_whose_pid_another_process_has_now_is_gone():
    host, pid, started, place = parts(identity.identity())
    assert identity.is_gone(f"{host}:{pid}:{int(started) - 1}:{place}")


@pytest.mark.parametrize("path", ["_BOOT", "_NAMESPACE"])
def test_a_worker_of_the_same_host_name_elsewhere_is_not_gone(other, monkeypatch, tmp_path, path):
    # Another machine made from the same image, or another container with the same name.
    process, owner = other
    process.kill()
    process.wait()
    elsewhere = tmp_path / "elsewhere"
    if path == "_BOOT":
        elsewhere.write_text("another boot\n")
    else:
        elsewhere.symlink_to("pid:[1]")
    monkeypatch.setattr(identity, path, elsewhere)
    identity._place.cache_clear()
    try:
        assert parts(identity.identity())[0] == parts(owner)[0]
        assert not identity.is_gone(owner)
    finally:
        identity._place.cache_clear()


def test_where_the_place_is_not_known_nobody_is_gone(monkeypatch, tmp_path):
    monkeypatch.setattr(identity, "_BOOT", tmp_path / "missing")
    identity._place.cache_clear()
    try:
        host, _, started, place = parts(identity.identity())
        assert place == "0"
        assert not identity.is_gone(f"{host}:{2**22 + 1}:{started}:{place}")
    finally:
        identity._place.cache_clear()


def test_a_process_whose_start_is_hidden_is_not_gone(other, monkeypatch):
    _, owner = other
    monkeypatch.setattr(identity, "_started", lambda _: "0")
    assert not identity.is_gone(owner)


def test_another_users_process_is_looked_at_like_ones_own(other, monkeypatch):
    _, owner = other

    def refuse(_pid: int, _signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert not identity.is_gone(owner)


@pytest.mark.parametrize("owner", ["", "worker", "host:1:2", "host:x:2:3", "host::2:"])
def test_what_names_no_place_is_not_gone(owner):
    assert not identity.is_gone(owner)
