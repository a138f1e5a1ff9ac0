"""Storms over every CRM and every analytics service at once, through the real relay.

Repeats, announcements of one payment in any order, things that come too late, busy and failing
services, lost answers, ended sessions, people who unsubscribe meanwhile, and a relay that is
killed twice: in the end each service holds what is true.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.fakes import loopback_client
from tests.system.relay_process import RelayProcess, until
from tests.system.storm_lives import Life, lives, with_repeats
from tests.system.storm_targets import ANALYTICS, CRMS, NOTE, Analytics, Crm

PEOPLE = 8
#: Who stands in every CRM before the relay knows them, unsubscribed and with a note.
KNOWN_BEFORE = (0, 3)
#: Who unsubscribes while the storm goes on.
LEAVES_MEANWHILE = 1
#: Short enough for a test; the time an attempt may take is what a hanging service costs.
SCHEDULE = [0, 0.2, 0.4, *[0.5] * 12]
PATIENCE = {"RELAY_ATTEMPT_TIMEOUT": "2", "RELAY_LEASE": "8"}


@dataclass
class Storm:
    """A relay, everything it sends to, and the people the events are about."""

    relay: RelayProcess
    crms: list[Crm]
    analytics: list[Analytics]
    people: list[Life]
    token: str = ""
    acknowledged: int = 0
    targets: dict[str, str] = field(default_factory=dict)

    def open(self) -> None:
        """Make the source and a target for each service."""
        self.token = self.relay.make("/v1/sources", name="um", kind="ultimate_multisite")["token"]
        for one in (*self.crms, *self.analytics):
            made = self.relay.make(
                "/v1/targets",
                name=one.connector.replace("_", "-"),
                connector=one.connector,
                settings=one.settings(),
                retry={"schedule": SCHEDULE},
                rate_limit={"per_second": 1000},
            )
            self.targets[one.connector] = made["id"]

    async def live(self, life: Life, events: list[bytes]) -> None:
        """Send somebody's events in their order, each until it is acknowledged."""
        chance = random.Random(life.number)
        headers = {"authorization": f"Bearer {self.token}", "content-type": "application/json"}
        async with loopback_client(timeout=10, headers=headers) as client:
            for body in with_repeats(events, chance):
                await self._send(client, body)

    async def _send(self, client: httpx.AsyncClient, body: bytes) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                answer = await client.post(f"{self.relay.base}/webhooks/um", content=body)
            except httpx.TransportError:
                await asyncio.sleep(0.05)
                continue
            assert answer.status_code == 202, answer.text
            self.acknowledged += 1
            return
        raise AssertionError("nobody acknowledged the event")

    async def rage(self) -> None:
        """Everything that happens, with two kills in the middle of it."""
        whole = sum(len(life.events()) for life in self.people)
        sending = asyncio.gather(*(self.live(life, life.events()) for life in self.people))
        leaving = [asyncio.create_task(self._somebody_leaves(crm)) for crm in self.crms]
        for share in (0.3, 0.7):
            await until(lambda share=share: self.acknowledged >= whole * share)
            self.relay.kill()
            await asyncio.to_thread(self.relay.serve)
        await asyncio.gather(sending, *leaving)
        await asyncio.gather(*(self.live(life, life.late()) for life in self.people))
        await self._settled()

    async def _somebody_leaves(self, crm: Crm) -> None:
        """Unsubscribe a person as soon as the relay has subscribed them."""
        email = self.people[LEAVES_MEANWHILE].email
        if crm.unsubscribe is not None:
            await until(lambda: (email, True) in {(c.email, c.wants_mail) for c in crm.contacts()})
            crm.unsubscribe(email)

    async def _settled(self) -> None:
        """Wait until no delivery is under way."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if not await asyncio.to_thread(self.relay.waiting):
                return
            await asyncio.sleep(0.3)
        raise AssertionError("some deliveries are still under way")

    def lost_attempts(self, target: str) -> int:
        """Attempts of which nobody knows whether they arrived: the relay died during them."""
        found = self.relay.every("/v1/deliveries", target=self.targets[target])
        shown = (self.relay.api.get(f"/v1/deliveries/{one['id']}").json() for one in found)
        return sum(a["outcome"] == "lost" for one in shown for a in one["attempts"])


@pytest.fixture
async def storm(fresh_database_url: str, tmp_path: Path) -> AsyncIterator[Storm]:
    relay = RelayProcess(fresh_database_url, tmp_path, **PATIENCE)
    async with AsyncExitStack() as stack:
        stack.callback(relay.close)
        made = Storm(
            relay, [make() for make in CRMS], [make() for make in ANALYTICS], lives(PEOPLE)
        )
        for one in (*made.crms, *made.analytics):
            one.weather.over(one.fake)
            await stack.enter_async_context(one.fake.serve())
        for crm in made.crms:
            for number in KNOWN_BEFORE:
                crm.add(made.people[number].email)
        await asyncio.to_thread(relay.serve)
        await asyncio.to_thread(made.open)
        yield made


@pytest.mark.timeout(120)
async def test_after_the_storm_every_service_holds_what_is_true(storm: Storm):
    await storm.rage()

    assert storm.relay.every("/v1/deliveries", status="failed") == []
    wanted = sorted(payment for life in storm.people for payment in life.payments)
    for crm in storm.crms:
        _is_true(crm, storm.people)
        if crm.sales is not None:
            assert sorted(crm.sales()) == wanted, crm.connector
    for service in storm.analytics:
        if service.knows_repeats:
            assert sorted(service.sales()) == wanted, service.connector
        else:
            doubled = len(service.sales()) - len(wanted)
            assert 0 <= doubled <= storm.lost_attempts(service.connector), service.connector
    for crm in storm.crms:
        assert getattr(crm.fake, "tokens", 2) > 1, f"no session of {crm.connector} has ended"
    for one in (*storm.crms, *storm.analytics):
        assert one.weather.met.keys() >= {"busy", "down"}, one.connector


def _is_true(crm: Crm, people: list[Life]) -> None:
    """One contact for each person, with the latest plan, their wish, and what others wrote."""
    found = list(crm.contacts())
    assert crm.broken() == [], crm.connector
    assert Counter(one.email for one in found) == Counter(life.email for life in people)
    for life in people:
        (one,) = (one for one in found if one.email == life.email)
        who = (crm.connector, life.email)
        assert (*who, one.plan) == (*who, life.last_plan)
        before = life.number in KNOWN_BEFORE
        assert (*who, one.note) == (*who, NOTE if before else None)
        if one.wants_mail is not None:
            left = before or life.number == LEAVES_MEANWHILE
            assert (*who, one.wants_mail) == (*who, not left)
        if one.lost is not None:
            assert (*who, one.lost) == (*who, life.leaves)
