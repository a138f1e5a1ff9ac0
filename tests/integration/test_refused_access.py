"""A target that refuses access is asked no second time."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from app.services.record import Recorder
from tests.integration.world import World, payment


@pytest.mark.parametrize(
    ("status", "tried"), [(401, "bad token"), (410, "gone")], ids=["refused", "gone"]
)
async def test_nothing_more_is_sent_while_the_target_is_being_disabled(
    world: World, monkeypatch: pytest.MonkeyPatch, status: int, tried: str
):
    async def not_yet(*_: Any) -> None:
        """The moment between the result's commit and the target's."""

    monkeypatch.setattr(Recorder, "_disable", not_yet)
    world.sender.default = lambda _: httpx.Response(status, json={"message": tried})
    await world.source()
    await world.target()
    await world.send(payment(1))
    await world.work()
    await world.send(payment(2))
    await world.work()
    assert len(world.sender.sent) == 1
