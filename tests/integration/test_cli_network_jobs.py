"""`relay reconcile` and `relay backfill` as a shell runs them, against a network over loopback HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.cli import jobs as cli_jobs
from app.cli import session
from app.services.jobs import JobRunner, Pace
from app.services.reconcile import KIND
from app.services.reconciling import ReconcileJob
from tests.fakes.ultimate_multisite_network import FakeNetwork
from tests.integration.command_line import CommandLine, emptied, open_command_line
from tests.integration.command_process import beside

HOOK = "http://127.0.0.1:9/hook"


@pytest.fixture
def network() -> Iterator[FakeNetwork]:
    with beside(FakeNetwork()) as fake:
        fake.plant_customers(3)
        yield fake


@pytest.fixture
def relay(database_url, tmp_path, monkeypatch, network) -> CommandLine:
    """A relay with a source that may ask the network, and a target."""
    made = open_command_line(
        monkeypatch, tmp_path, emptied(database_url), RELAY_PLATFORM_RATE="1000"
    )
    keys = {"UM_API_KEY": network.key, "UM_API_SECRET": network.secret}
    added = made.run("sources", "add", "shop", "--api-url", network.base_url, **keys)
    assert added.exit_code == 0, added.output
    made("targets", "add", "hook", "--url", HOOK)
    return made


def carry_out() -> None:
    """What a worker does for a reconciliation."""

    async def work(runtime) -> None:
        parts = (runtime.database, runtime.configuration, runtime.platform, runtime.clock)
        kinds = {KIND: ReconcileJob(*parts)}
        runner = JobRunner(runtime.database, runtime.clock, kinds, owner="me")
        while await runner.round() is not Pace.OVER:
            pass

    session.operate(work)


def test_a_reconciliation_says_how_to_watch_it(relay):
    said = relay("reconcile", "shop", "--since", "2026-01-01")
    (job,) = relay.json("jobs")
    assert f"relay jobs watch {job['id']}" in said
    carry_out()
    assert "is done: 9 of 9 done. Nothing is missing." in relay("jobs", "watch", job["id"])
    assert "reconciled already" not in relay("reconcile", "shop")
    assert "reconciled already" in relay.refused("reconcile", "shop")


def test_a_reconciliation_is_followed_to_its_end(relay, monkeypatch):
    followed: list[str] = []
    monkeypatch.setattr(cli_jobs, "follow", followed.append)
    relay("reconcile", "shop", "--dry-run", "--watch")
    (job,) = relay.json("jobs")
    assert followed == [job["id"]]
    assert job["parameters"]["dry_run"] is True


def test_a_backfill_counts_first(relay):
    said = relay("backfill", "shop", "--target", "hook", "--dry-run")
    assert "3 customers of shop would be brought to hook; nothing was." in said
    assert relay.json("backfill", "shop", "--target", "hook", "--dry-run")["total"] == 3
    assert "no job" in relay("jobs")
    assert "3 customers of shop to hook: bkf_" in relay("backfill", "shop", "--target", "hook")


def test_what_cannot_be_is_refused_in_words(relay, network):
    assert "no target" in relay.refused("backfill", "shop", "--target", "nobody")
    assert "no source" in relay.refused("reconcile", "nobody")
    relay("sources", "add", "keyless")
    assert "no access to the API" in relay.refused("reconcile", "keyless")
    network.enable_api = False
    assert "no API" in relay.refused("backfill", "shop", "--target", "hook")
