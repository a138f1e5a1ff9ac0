"""What a network says it sent, compared with what came in, over weeks."""

from __future__ import annotations

import pytest

from app.domain.clock import to_micros
from app.domain.ids import IdFactory
from app.services.network_counts import Comparison
from app.services.network_webhooks import read_all
from app.store import intake, upkeep
from tests import rows
from tests.fakes.ultimate_multisite_network import FakeNetwork
from tests.integration.networks import network_source
from tests.integration.world import World

DAY = 86_400
EVENT = "payment_received"


class Counting:
    """A source with one counted webhook, whose network sends, and sometimes loses."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.network = FakeNetwork()
        self.counts = world.setups.counts
        self.source = ""
        self._sent = 7

    async def begin(self) -> None:
        self.source = await network_source(self.world, self.network)
        self.network.plant("webhook", event=EVENT, event_count="7")
        await self.counts.begin(self.source, read_all(self.network.webhooks()))

    async def sends(self, count: int = 1, *, lost: int = 0, **values: object) -> None:
        """So many are sent, of which the last are lost."""
        self._sent += count
        self.network.webhooks()[0]["event_count"] = str(self._sent)
        now = to_micros(self.world.clock())
        new_id = IdFactory(lambda: now // 1000).new
        came = [
            rows.event(
                **{"id": new_id("evt"), "source_id": self.source, "received_at": now} | values
            )
            for _ in range(count - lost)
        ]
        await self.world.database.write(lambda c: intake.insert(c, came, []))

    async def compare(self) -> Comparison:
        found = await self.counts.compare(self.source)
        assert found is not None
        return found

    async def missing(self) -> int:
        (one,) = (await self.compare()).counted
        return one.missing

    def wait(self, days: float) -> None:
        self.world.clock.advance(days * DAY)


@pytest.fixture
async def counting(world: World) -> Counting:
    made = Counting(world)
    await made.begin()
    world.clock.advance(1)
    return made


async def test_what_was_sent_and_came_is_not_missing(counting):
    await counting.sends(3)
    assert await counting.missing() == 0


async def test_what_never_came_is_missing_and_stays_so(counting):
    await counting.sends(3, lost=2)
    assert await counting.missing() == 2
    assert await counting.missing() == 2


@pytest.mark.parametrize(
    "other",
    [{"source_id": "src_other"}, {"type": "payment_failed"}, {"external_id": "from-the-bridge"}],
)
async def test_events_of_others_do_not_make_up_for_what_is_lost(counting, other):
    await counting.sends(1, **other)
    assert await counting.missing() == 1


async def test_what_is_missing_is_still_missing_when_the_events_around_it_are_gone(counting):
    for _ in range(8):
        await counting.sends(5, lost=1)
        counting.wait(days=8)
        await counting.compare()
        before = to_micros(counting.world.clock()) - 10 * DAY * 1_000_000
        await counting.world.database.write(lambda c, moment=before: upkeep.remove_old(c, moment))
    assert await counting.missing() == 8


async def test_after_more_than_events_are_kept_nothing_can_be_said_and_counting_begins_anew(
    counting,
):
    await counting.sends(5, lost=5)
    counting.wait(days=31)
    found = await counting.compare()
    assert (found.counted, found.unknowable) == ([], [EVENT])
    await counting.sends(2, lost=1)
    assert await counting.missing() == 1


async def test_a_network_that_was_set_back_to_an_older_state_is_counted_from_there(counting):
    await counting.sends(5)
    counting.network.webhooks()[0]["event_count"] = "2"
    counting.world.clock.advance(1)
    assert (await counting.compare()).unknowable == [EVENT]
    assert await counting.missing() == 0


async def test_a_webhook_that_is_gone_is_named(counting):
    counting.network.rows["webhook"].clear()
    found = await counting.compare()
    assert (found.counted, found.gone) == ([], [EVENT])


async def test_counting_anew_forgets_what_is_missing(counting):
    await counting.sends(2, lost=2)
    webhooks = read_all(counting.network.webhooks())
    await counting.counts.begin(counting.source, webhooks)
    assert await counting.missing() == 2
    await counting.counts.begin(counting.source, webhooks, anew=True)
    assert await counting.missing() == 0


async def test_a_network_with_nothing_counted_is_not_asked(world):
    network = FakeNetwork()
    source = await network_source(world, network)
    assert await world.setups.counts.compare(source) is None
    assert network.calls == []


async def test_what_waits_in_quarantine_came_in_as_well(counting):
    counting.network.webhooks()[0]["event_count"] = "8"
    with pytest.raises(Exception, match="body"):
        await counting.world.send(b"{broken", EVENT)
    assert await counting.missing() == 0
