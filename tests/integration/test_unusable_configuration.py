"""What a node cannot use, for its connector, kind or secrets, waits for a node that can."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from app.domain.errors import NotFound, SourceUnusable
from app.store import routing, tables
from app.store.database import WriteConnection
from tests.integration.world import World, payment


async def change(world: World, table: sa.Table, row_id: str, **values: str) -> None:
    """Change a row as a newer version of the relay may leave it."""

    def work(connection: WriteConnection) -> None:
        connection.execute(sa.update(table).where(table.c.id == row_id).values(**values))
        routing.bump(connection)

    await world.database.write(work)
    await world.configuration.refresh()


async def test_an_event_waits_for_a_target_whose_connector_is_not_installed_here(world: World):
    await world.source()
    target_id = await world.target()
    await change(world, tables.targets, target_id, connector="of_next_year")
    await world.send(payment(1))
    await world.work()
    (waiting,) = await world.deliveries()
    assert (waiting.status, waiting.attempt_count, world.sender.sent) == ("pending", 0, [])
    await change(world, tables.targets, target_id, connector="webhook")
    await world.work()
    (arrived,) = await world.deliveries()
    assert (arrived.status, arrived.attempt_count) == ("succeeded", 1)


async def test_other_targets_go_on(world: World):
    await world.source()
    await change(world, tables.targets, await world.target("crm"), connector="of_next_year")
    await world.target("sink")
    await world.send(payment(1))
    await world.work()
    found = {one.target: one.status for one in await world.deliveries()}
    assert found == {"crm": "pending", "sink": "succeeded"}


async def test_patterns_and_filters_count_for_a_target_that_cannot_be_used(world: World):
    await world.source()
    others = await world.target("others", events=["site_published"])
    large = await world.target("large", filter="payment.total > 1000000.0")
    for target_id in (others, large):
        await change(world, tables.targets, target_id, connector="of_next_year")
    await world.send(payment(1))
    assert not await world.deliveries()


async def test_the_order_of_a_subject_holds_for_what_waits(world: World):
    await world.source()
    target_id = await world.target(ordered=True)
    await change(world, tables.targets, target_id, connector="of_next_year")
    for number in (1, 2):
        await world.send(payment(number))
    queued = await world.database.read(
        lambda c: c.execute(sa.select(tables.queue.c.subject)).scalars().all()
    )
    assert len(queued) == 2
    assert None not in queued


async def test_a_filter_that_this_version_cannot_read_says_so_and_stops_nobody_else(world: World):
    await world.source()
    broken = await world.target("broken", filter="payment.total > 1.0")
    await world.target("sink")
    await change(world, tables.targets, broken, filter="payment.of_next_year(")
    await world.send(payment(1))
    await world.work()
    found = {one.target: one for one in await world.deliveries()}
    assert found["sink"].status == "succeeded"
    assert found["broken"].status == "skipped"
    assert found["broken"].reason.startswith("The filter could not be evaluated: ")


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"connector": "of_next_year"}, "There is no connector 'of_next_year'"),
        ({"settings_sealed": "v1.nonsense"}, "do not open with this relay's master key"),
        ({"settings": {"address": 1}}, "does not take its settings"),
    ],
)
async def test_a_target_that_cannot_be_used_says_why(world: World, values, why):
    target_id = await world.target()
    assert (await world.targets.get(target_id)).status_reason is None
    await change(world, tables.targets, target_id, **values)
    found = await world.targets.get(target_id)
    assert found.status == "active"
    assert found.status_reason.startswith("Not usable here: ")
    assert why in found.status_reason


async def test_a_sender_whose_source_cannot_be_used_is_told_to_come_again(world: World):
    source_id = await world.source()
    await change(world, tables.sources, source_id, kind="of_next_year")
    with pytest.raises(SourceUnusable) as refused:
        await world.send(payment(1))
    assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "60"})
    await change(world, tables.sources, source_id, kind="ultimate_multisite")
    assert (await world.send(payment(1))).duplicate is False


async def test_a_source_that_never_was_is_still_not_found(world: World):
    await world.source()
    with pytest.raises(NotFound):
        await world.send(payment(1), source="nobody")
