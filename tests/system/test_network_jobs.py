"""What a network has is brought in by the real process, also when that is killed on the way."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.fakes.hubspot import FakeHubSpot
from tests.fakes.ultimate_multisite_network import FakeNetwork
from tests.system.relay_process import RelayProcess, until


class QuickHubSpot(FakeHubSpot):
    """The fake with an index of addresses: it looks for thousands of contacts."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[str, str] = {}

    def by_email(self, email: str) -> str | None:
        found = self._known.get(email.lower())
        if found is None and email:
            found = self._look(email.lower())
        return found

    def _look(self, email: str) -> str | None:
        # Ids are given one after another: only what came since the last look is new.
        for identifier in reversed(self.contacts):
            known = self.contacts[identifier].get("email", "").lower()
            if self._known.setdefault(known, identifier) != identifier or known == email:
                return self._known.get(email)
            if len(self._known) >= len(self.contacts):
                break
        return self._known.get(email)


@pytest.fixture
def relay(fresh_database_url: str, tmp_path: Path) -> Iterator[RelayProcess]:
    process = RelayProcess(fresh_database_url, tmp_path, RELAY_PLATFORM_RATE="500")
    yield process
    process.close()


def network_source(relay: RelayProcess, network: FakeNetwork) -> str:
    """A source with the keys of the network; answers its id."""
    made = relay.make(
        "/v1/sources",
        name="network",
        kind="ultimate_multisite",
        settings={"api_url": network.base_url},
        api_access={
            "api_key": network.key,
            "api_secret": network.secret,
            "wp_user": network.wp_user,
            "wp_application_password": network.wp_password,
        },
    )
    return str(made["id"])


@pytest.mark.timeout(180)
async def test_a_backfill_that_is_killed_twice_ends_with_every_customer_once(
    relay: RelayProcess,
):
    customers = 5_000 if relay.environment["RELAY_DATABASE_URL"].startswith("sqlite") else 600
    hubspot, network = QuickHubSpot(), FakeNetwork()
    people = network.plant_customers(customers)
    async with hubspot.serve(), network.serve():
        await asyncio.to_thread(relay.serve)
        network_source(relay, network)
        target = relay.make(
            "/v1/targets",
            name="crm",
            connector="hubspot",
            settings={"base_url": hubspot.base_url, "token": hubspot.token},
            rate_limit={"per_second": 1000},
        )
        asked = {"source": "network"}
        path = f"/v1/targets/{target['id']}/backfill"
        counted = await asyncio.to_thread(relay.api.post, path, json={**asked, "dry_run": True})
        assert (counted.status_code, counted.json()["total"]) == (200, customers)
        made = (await asyncio.to_thread(relay.api.post, path, json=asked)).json()

        def job() -> dict[str, int | str]:
            return relay.api.get(f"/v1/jobs/{made['id']}").json()

        for least in (customers // 5, customers * 3 // 5):
            await until(lambda least=least: int(job()["done"]) >= least)
            assert job()["state"] == "running"
            relay.kill()
            await asyncio.to_thread(relay.serve)
        await until(lambda: job()["state"] == "done")
        assert job()["done"] == customers
        await until(lambda: len(hubspot.contacts) >= customers)
        await until(lambda: not relay.waiting(target="crm"))
    written = [one.get("email") for one in hubspot.contacts.values()]
    assert len(written) == customers
    assert set(written) == {one.email for one in people}
    assert {one["plan"] for one in hubspot.contacts.values()} == {"Rest Plan5"}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_reconciliation_brings_in_what_never_arrived(relay: RelayProcess):
    network, hour = FakeNetwork(paging="offset"), timedelta(hours=1)
    for number in range(3):
        network.plant_customer(at=datetime.now(UTC) - hour - timedelta(minutes=number))
    async with network.serve():
        await asyncio.to_thread(relay.serve)
        source = network_source(relay, network)
        since = f"{datetime.now(UTC) - 2 * hour:%Y-%m-%dT%H:%M:%SZ}"
        path = f"/v1/sources/{source}/reconcile"
        for found in ("9 events were missing and came in", "Nothing is missing."):
            made = relay.api.post(path, json={"since": since})
            assert made.status_code == 202, made.text
            job = made.headers["location"]
            await until(lambda job=job: relay.api.get(job).json()["state"] == "done")
            assert relay.api.get(job).json()["reason"].startswith(found)
    events = relay.every("/v1/events")
    assert {one["origin"] for one in events} == {"reconcile"}
    assert set(Counter(one["type"] for one in events).values()) == {3}
