"""A worker of its own sees that the overlap of a rotation is over, though nobody sends it events."""

from __future__ import annotations

from tests.integration.world import World, payment


def signatures(worker: World) -> int:
    """How many signatures the last request carried."""
    _, request = worker.sender.sent[-1]
    return len(request.headers["webhook-signature"].split())


async def test_a_worker_stops_signing_with_a_secret_whose_overlap_is_over(world: World):
    worker = World(world.database, world.sealer, world.clock)
    await worker.configuration.refresh()
    await world.source()
    target = await world.target()
    await world.targets.rotate_secret(target)
    await world.send(payment(1))
    await worker.work()
    assert signatures(worker) == 2
    world.clock.advance(3601)
    await world.send(payment(2))
    await worker.work()
    assert signatures(worker) == 1
