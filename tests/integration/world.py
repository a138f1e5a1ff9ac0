"""The relay's services on a real database, with a clock that the test moves and a scripted door out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

import httpx
import pytest

from app.connectors.webhook import Webhook
from app.domain.addresses import AddressPolicy
from app.domain.model import RawRequest
from app.domain.outcome import TransportFailure
from app.domain.target_urls import UrlPolicy
from app.services.browse import Browse, DeliveryQuery, EventQuery
from app.services.configuration import ConfigurationCache
from app.services.dispatch import Dispatch, Result
from app.services.grants import Grants
from app.services.ingest import Ingest
from app.services.lost_deliveries import LostDeliveries
from app.services.manage_sources import ManageSources
from app.services.manage_targets import ManageTargets
from app.services.network_counts import NetworkCounts
from app.services.platform_api import PlatformApi
from app.services.quarantine import Quarantine
from app.services.receipts import Receipt
from app.services.record import Recorder
from app.services.set_up_network import SetUpNetwork
from app.services.source_definition import SourceDraft
from app.services.steer_deliveries import SteerDeliveries
from app.services.target_definition import RateLimit, RetrySetting, TargetDraft
from app.services.upkeep import Upkeep
from app.store.database import Database
from app.store.sealing import Sealer
from tests.captured import captured
from tests.clocks import FrozenClock

LOOPBACK = ip_network("127.0.0.0/8")
Reply = httpx.Response | TransportFailure


@dataclass
class ScriptedSender:
    """Answers requests from a script, then with `default`; remembers what was sent."""

    default: Callable[[httpx.Request], Reply] = lambda _request: httpx.Response(200)
    script: list[Reply] = field(default_factory=list)
    sent: list[tuple[str, httpx.Request]] = field(default_factory=list)

    async def send(
        self,
        request: httpx.Request,
        *,
        target: str,
        deadline: float,
        ca_certificate: str | None = None,
        response_limit: int | None = None,
    ) -> httpx.Response:
        assert deadline > 0
        self.sent.append((target, request))
        reply = self.script.pop(0) if self.script else self.default(request)
        if isinstance(reply, TransportFailure):
            raise reply
        return reply


async def _at_once(_seconds: float) -> None:
    """A pause that a test does not wait for."""


class World:
    """One node; several can share a database."""

    def __init__(self, database: Database, sealer: Sealer, clock: FrozenClock) -> None:
        self.database = database
        self.sealer = sealer
        self.clock = clock
        self.sender = ScriptedSender()
        self.woken = 0
        self.configuration = ConfigurationCache(database, sealer, clock, dedupe_window=600)
        self.ingest = Ingest(database, self.configuration, clock, self._wake)
        self.sources = ManageSources(
            database, sealer, clock, public_url="https://relay.example", rotation_overlap=3600
        )
        self.targets = ManageTargets(
            database,
            sealer,
            clock,
            urls=UrlPolicy(addresses=AddressPolicy(allowed_networks=(LOOPBACK,))),
            rotation_overlap=3600,
        )
        self.browse = Browse(database, clock)
        self.steering = SteerDeliveries(database, clock)
        self.quarantine = Quarantine(database, clock, self.ingest)
        self.upkeep = Upkeep(
            database,
            clock,
            retention_days=30,
            given_up=LostDeliveries(self.configuration).announce,
        )
        self.platform = PlatformApi(database, sealer, self.sender, pause=_at_once)
        self.setups = SetUpNetwork(
            database,
            self.sources,
            self.platform,
            NetworkCounts(database, self.platform, clock, retention_days=30),
            clock,
            urls=UrlPolicy(addresses=AddressPolicy(allowed_networks=(LOOPBACK,))),
            public_url="https://relay.example",
            overlap=3600,
        )
        self.dispatch = self.another_worker("worker")
        self.recorder = Recorder(
            database,
            self.configuration,
            clock,
            owner="worker",
            disable_after=5 * 86_400,
            chance=lambda: 0.5,
        )
        self.tokens: dict[str, str] = {}

    def another_worker(self, owner: str) -> Dispatch:
        return Dispatch(
            self.database,
            self.configuration,
            self.sender,
            self.clock,
            grants=Grants(self.database, self.sealer, self.clock),
            owner=owner,
            lease=60,
            attempt_timeout=20,
        )

    def _wake(self) -> None:
        self.woken += 1

    async def source(self, name: str = "shop", **values: Any) -> str:
        """Make an Ultimate Multisite source; answers its id."""
        fields = {"kind": "ultimate_multisite", "settings": {}} | values
        made = await self.sources.create(SourceDraft(name=name, **fields))
        self.tokens[name] = made.token or ""
        await self.configuration.refresh()
        return made.source.id

    async def target(self, name: str = "sink", connector: str = "webhook", **values: Any) -> str:
        """Make a target; answers its id."""
        settings = {"webhook": {"url": "http://127.0.0.1:9999/"}}.get(connector, {})
        fields = {"settings": settings} | values
        if "retry" in fields:
            fields["retry"] = RetrySetting(**fields["retry"])
        if "rate_limit" in fields:
            fields["rate_limit"] = RateLimit(**fields["rate_limit"])
        made = await self.targets.create(TargetDraft(name=name, connector=connector, **fields))
        return made.target.id

    def request(
        self,
        body: bytes | None = None,
        event_type: str | None = "payment_received",
        *,
        source: str = "shop",
        **headers: str,
    ) -> RawRequest:
        """A request of the platform, with the source's token."""
        return RawRequest(
            headers={
                "content-type": "application/json",
                "authorization": f"Bearer {self.tokens.get(source, '')}",
                **{name.replace("_", "-"): value for name, value in headers.items()},
            },
            body=captured("payment_received").raw_body if body is None else body,
            received_at=self.clock(),
            event_type=event_type,
        )

    async def send(
        self,
        body: bytes | None = None,
        event_type: str | None = "payment_received",
        *,
        source: str = "shop",
        **headers: str,
    ) -> Receipt:
        """Let the platform send something."""
        request = self.request(body, event_type, source=source, **headers)
        return await self.ingest.accept(source, request)

    async def work(self, rounds: int = 1, free: int = 50) -> list[Result]:
        """What a worker does: claim, carry out, record."""
        done: list[Result] = []
        for _ in range(rounds):
            claimed = await self.dispatch.claim(free)
            results = list(claimed.results)
            for group in claimed.groups:
                results += await self.dispatch.carry_out(group)
            for result in results:
                await self.recorder.record([result])
            done += results
        return done

    async def deliveries(self, **query: Any) -> list[Any]:
        """The deliveries, newest first."""
        return list((await self.browse.deliveries(DeliveryQuery(**query), limit=200)).items)

    async def events(self, **query: Any) -> list[Any]:
        """The events, newest first."""
        return list((await self.browse.events(EventQuery(**query), limit=200)).items)


def payment(number: int, **changes: Any) -> bytes:
    """The captured payment with another id."""
    body = captured("payment_received").raw_body
    for old, new in {b'"payment_id":3,': b'"payment_id":%d,' % number, **changes}.items():
        body = body.replace(old.encode() if isinstance(old, str) else old, new)
    return body


async def composed_before_sent(world: World, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Carry out what is due, all begun before any is waited for.

    Answers how many requests had been sent when each was composed.
    """
    composed: list[int] = []
    request = Webhook._request

    def watched(self: Webhook, *arguments: Any) -> httpx.Request:
        composed.append(len(world.sender.sent))
        return request(self, *arguments)

    monkeypatch.setattr(Webhook, "_request", watched)
    claimed = await world.dispatch.claim(10)
    done = await asyncio.gather(*[world.dispatch.carry_out(group) for group in claimed.groups])
    assert [result.outcome.kind for (result,) in done] == ["delivered"] * len(composed)
    assert len(world.sender.sent) == len(composed)
    return composed
