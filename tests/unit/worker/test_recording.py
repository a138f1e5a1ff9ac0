"""Results on their way into the store: written together, kept while it is away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest

from app.domain.errors import StoreUnavailable
from app.domain.outcome import delivered
from app.services.dispatch import Result
from app.services.record import Recorder
from app.store.claim import ClaimedDelivery
from app.worker import recording
from app.worker.recording import Recording

_CLAIMED = ClaimedDelivery(
    id="dlv_0", target_id="tgt_1", event_id="evt_1", ordered_subject=None, attempts=0,
    single=False, fence=1, source_id="src_1", source="shop", kind="ultimate_multisite",
    type="payment_received", subject=None, test=False, hop=0, occurred_at=0, received_at=0,
    content_type="application/json", headers=None, body=b"{}", remembered_id=None,
)  # fmt: skip


def result(name: str) -> Result:
    return Result(
        claimed=_CLAIMED._replace(id=name), outcome=delivered(), started_at=0, duration_micros=0
    )


class Store:
    """Remembers what was written; can be slow, away, and unable to write the result `bad`."""

    def __init__(self) -> None:
        self.written: list[list[str]] = []
        self.tries = 0
        self.refusals = 0
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def record(self, batch: Sequence[Result]) -> None:
        self.tries += 1
        self.asked.set()
        await self.gate.wait()
        names = [one.claimed.id for one in batch]
        if self.tries <= self.refusals:
            raise StoreUnavailable("away")
        if "bad" in names:
            raise ValueError("one bad result")
        self.written.append(names)


def recorded_in(store: Store, ended: list[int]) -> Recording:
    return Recording(cast("Recorder", store), lambda results: ended.append(len(results)))


async def test_what_is_put_during_a_write_shares_the_next_one():
    store, ended = Store(), list[int]()
    store.gate.clear()
    recorded = recorded_in(store, ended)
    recorded.put([result("a")])
    await asyncio.sleep(0)
    recorded.put([result("b")])
    recorded.put([result("c"), result("d")])
    store.gate.set()
    await recorded.drain()
    assert store.written == [["a"], ["b", "c", "d"]]
    assert ended == [1, 3]


async def test_one_bad_result_cannot_take_the_others_with_it():
    store, ended = Store(), list[int]()
    recorded = recorded_in(store, ended)
    recorded.put([result("a"), result("bad"), result("c")])
    await recorded.drain()
    assert store.written == [["a"], ["c"]]
    # Its slot is free all the same; the lease brings it back.
    assert ended == [3]


async def test_a_store_that_is_away_is_asked_until_it_is_back(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(recording, "_RETRY_SECONDS", 0)
    store, ended = Store(), list[int]()
    store.refusals = 20
    recorded = recorded_in(store, ended)
    recorded.put([result("a")])
    await recorded.drain()
    assert (store.tries, store.written, ended) == (21, [["a"]], [1])


async def test_a_worker_that_stops_tries_once_more_and_says_what_is_lost():
    store, ended = Store(), list[int]()
    store.refusals = 2
    recorded = recorded_in(store, ended)
    recorded.put([result("a"), result("b")])
    await store.asked.wait()
    lost = await recorded.stop(within=5)
    assert [claimed.id for claimed in lost] == ["a", "b"]
    assert store.tries == 2


async def test_a_worker_that_stops_writes_what_it_can():
    store, ended = Store(), list[int]()
    store.refusals = 1
    recorded = recorded_in(store, ended)
    recorded.put([result("a")])
    await store.asked.wait()
    assert list(await recorded.stop(within=5)) == []
    assert store.written == [["a"]]


async def test_a_store_that_hangs_holds_a_worker_up_no_longer_than_it_is_given(
    capsys: pytest.CaptureFixture[str],
):
    store, ended = Store(), list[int]()
    store.gate.clear()
    recorded = recorded_in(store, ended)
    recorded.put([result("a")])
    await store.asked.wait()
    recorded.put([result("b")])
    async with asyncio.timeout(2):
        lost = await recorded.stop(within=0.05)
    assert [claimed.id for claimed in lost] == ["a", "b"]
    assert "dispatcher.results_unwritten" in capsys.readouterr().out
