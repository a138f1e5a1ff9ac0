"""A fake network behind a world's door, without a socket, and a source that may ask it."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import parse_qsl

import httpx

from app.services.api_access import ApiKeys
from app.services.jobs import JobKind, JobRunner, Jobs, JobView, Pace
from tests.fakes import Call
from tests.fakes.ultimate_multisite_network import FakeNetwork
from tests.integration.world import World

ADDRESS = "https://network.example.test"


def connect(world: World, network: FakeNetwork) -> None:
    """Let the network answer what is sent to it; everybody else says 200."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host != httpx.URL(ADDRESS).host:
            return httpx.Response(200)
        call = Call(
            method=request.method,
            path=request.url.raw_path.partition(b"?")[0].decode(),
            query=dict(parse_qsl(request.url.query.decode())),
            headers=dict(request.headers),
            body=request.content,
        )
        network.calls.append(call)
        made = network.handle(call)
        return httpx.Response(made.status, headers=dict(made.headers), content=made.body)

    world.sender.default = answer


async def network_source(
    world: World, network: FakeNetwork, name: str = "shop", *, people: bool = True
) -> str:
    """A source with the keys of the network, and of a WordPress user where `people` are to be had."""
    connect(world, network)
    keys = ApiKeys(
        api_key=network.key,
        api_secret=network.secret,
        wp_user=network.wp_user if people else None,
        wp_application_password=network.wp_password if people else None,
    )
    return await world.source(name, settings={"api_url": ADDRESS}, api_access=keys)


class Working:
    """A worker that runs one kind of job in a world, round by round."""

    def __init__(self, world: World, kind: str, job: JobKind, owner: str = "worker") -> None:
        self.world = world
        self.jobs = Jobs(world.database, world.clock)
        self.runner = JobRunner(world.database, world.clock, {kind: job}, owner=owner)

    async def end(self, job: JobView, rounds: int = 100) -> JobView:
        """Let the job and its deliveries run to their end."""
        assert job.id is not None
        for _ in range(rounds):
            if await self.runner.round() is Pace.OVER:
                break
            await self.world.work(free=200)
        await self.world.work(rounds=3, free=200)
        return await self.jobs.get(job.id)


def at(text: str) -> datetime:
    """A moment in UTC, from `2026-11-23 19:09:31`."""
    return datetime.fromisoformat(f"{text}+00:00")
