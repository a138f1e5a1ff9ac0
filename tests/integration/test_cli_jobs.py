"""`relay replay` and `relay jobs`, as a shell runs them."""

from __future__ import annotations

import pytest

from app.cli import session
from app.services.jobs import JobState
from app.services.replaying import ReplayJob
from app.store import jobs
from tests.integration.command_line import CommandLine, emptied, open_command_line
from tests.integration.test_cli_commands import HOOK, receive


@pytest.fixture
def relay(database_url, tmp_path, monkeypatch) -> CommandLine:
    return open_command_line(monkeypatch, tmp_path, emptied(database_url))


@pytest.fixture
def late(relay) -> CommandLine:
    """A relay with one event, and a target that came after it."""
    receive(relay, "payment_received")
    relay("targets", "add", "late", "--url", HOOK)
    return relay


def carry_out(job_id: str) -> None:
    """What a worker does for one job."""

    async def work(runtime) -> None:
        job = await runtime.database.read(lambda c: jobs.get(c, job_id))
        await ReplayJob(runtime.database, runtime.configuration, runtime.clock).step(job, "me")

    session.operate(work)


def test_a_dry_run_says_how_many_it_would_be(late):
    assert "1 event would be sent to late again" in late("replay", "--target", "late", "--dry-run")
    assert "no job" in late("jobs")


@pytest.mark.parametrize(
    ("narrowed", "total"),
    [
        (("--type", "payment_*"), 1),
        (("--type", "site_*"), 0),
        (("--source", "other"), 0),
        (("--since", "2000-01-01"), 1),
        (("--until", "2000-01-01T00:00:00Z"), 0),
        (("--status", "failed"), 0),
    ],
)
def test_a_replay_is_narrowed_by_options(late, narrowed, total):
    assert late.json("replay", "--target", "late", "--dry-run", *narrowed)["total"] == total


def test_a_replay_is_watched_to_its_end(late):
    made = late.json("replay", "--target", "late", "--force")
    assert made["force"] is True
    (listed,) = late.json("jobs")
    assert (listed["id"], listed["state"]) == (made["id"], "queued")
    carry_out(made["id"])
    assert f"{made['id']} is done: 1 of 1 done." in late("jobs", "watch", made["id"])
    assert "replay" in late("jobs")
    (delivery,) = late.json("deliveries", "list")
    assert delivery["replay_id"] == made["id"]


def test_a_cancelled_job_is_told_as_such(late):
    made = late.json("replay", "--target", "late")
    assert f"{made['id']} is cancelled" in late("jobs", "cancel", made["id"])
    assert "over: cancelled" in late.refused("jobs", "cancel", made["id"])
    watched = late.run("jobs", "watch", made["id"])
    assert watched.exit_code == 1
    assert JobState.CANCELLED in watched.stdout


def test_what_does_not_exist_is_named(late):
    assert "no target" in late.refused("replay", "--target", "nobody")
    assert late.refused("jobs", "watch", "rpl_1") == "There is no such job.\n"
    assert "2026-11-23" in late.refused("replay", "--target", "late", "--since", "soon", code=2)
    never = "9999-12-31T23:59:59-12:00"
    assert "years 1 to 9999" in late.refused("replay", "--target", "late", "--since", never, code=2)
