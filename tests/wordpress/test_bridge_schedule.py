"""Who sends what a request left behind, where the web server cannot end a response early.

Action Scheduler does where the platform brings it, WP-Cron elsewhere; never the visitor's request.
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.wordpress.bridge_network import Network, Step, relay_at, world
from tests.wordpress.receiver import Receiver
from tests.wordpress.test_bridge_outbox import CREATED, CRON

ACTIONS: list[Step] = [["actions"]]
SCHEDULER: dict[str, Any] = {"action_scheduler": True}
HOOK = "lifecycle_relay_send"


def actions(network: Network) -> list[int]:
    """When each waiting action is due, 0 for at once."""
    return network.values(f"SELECT at FROM actions WHERE hook = '{HOOK}' ORDER BY id")


def test_the_visitors_request_sends_nothing_and_hands_over_to_action_scheduler(
    network: Network, receiver: Receiver
):
    with network.web_server() as url:
        steps = [*CREATED, ["say", "thank you"]]
        got = network.visit(url, steps, **world(), **relay_at(receiver.url), **SCHEDULER)
    assert got == "thank you"
    assert receiver.received == []
    assert actions(network) == [0]
    assert network.option("cron_spawned") is None, "Action Scheduler is preferred"
    network.request(ACTIONS, **relay_at(receiver.url), **SCHEDULER)
    assert len(receiver.received) == 1
    assert network.outbox() == []
    assert actions(network) == []


def test_without_action_scheduler_wp_cron_is_started_at_once(network: Network, receiver: Receiver):
    with network.web_server() as url:
        network.visit(url, CREATED, **world(), **relay_at(receiver.url))
        # A request that leaves nothing behind starts nothing.
        network.visit(url, [], **world(), **relay_at(receiver.url))
    assert receiver.received == []
    assert network.option("cron_spawned") == "i:1;"
    # Not the arguments of the minute's run: WordPress takes a like event within ten minutes for
    # the same one.
    assert network.option(f"cron_once_{HOOK}") == 'a:1:{i:0;s:3:"now";}'
    network.request(CRON, **relay_at(receiver.url))
    assert len(receiver.received) == 1


def test_action_scheduler_comes_back_when_the_next_event_is_due(
    network: Network, receiver: Receiver
):
    receiver.answers = [500]
    network.request(CREATED, **world(), **relay_at(receiver.url), **SCHEDULER)
    (row,) = network.outbox()
    assert actions(network) == [int(row["available_at"])]
    # A run meanwhile finds nothing due, and asks for no second return.
    network.request(CRON, **relay_at(receiver.url), **SCHEDULER)
    assert actions(network) == [int(row["available_at"])]
    network.let_leases_end()
    network.execute("UPDATE actions SET at = 1")
    network.request(ACTIONS, **relay_at(receiver.url), **SCHEDULER)
    assert receiver.received[0] == receiver.received[1]
    assert (network.outbox(), actions(network)) == ([], [])


def test_an_event_of_a_process_that_died_is_not_forgotten_by_action_scheduler(
    network: Network, receiver: Receiver
):
    died = network.start([*CREATED, ["die"]], **world(), **relay_at(receiver.url), **SCHEDULER)
    died.communicate(timeout=60)
    network.request(CRON, **relay_at(receiver.url), **SCHEDULER)
    assert receiver.received == []
    (due,) = actions(network)
    assert due > int(time.time()) + 60
    network.let_leases_end()
    network.execute("UPDATE actions SET at = 1")
    network.request(ACTIONS, **relay_at(receiver.url), **SCHEDULER)
    assert len(receiver.received) == 1
    assert network.outbox() == []


@pytest.mark.parametrize("trouble", [[], [500], [401], [409]])
def test_two_runners_at_once_send_nothing_twice_and_lose_nothing(
    network: Network, receiver: Receiver, trouble: list[int]
):
    for _ in range(8):
        network.request(CREATED, **world())
    receiver.answers = list(trouble)
    receiver.pause = 0.03
    first = [network.start(step, **relay_at(receiver.url), **SCHEDULER) for step in (CRON, CRON)]
    for run in first:
        assert run.communicate(timeout=60)[1] == ""
    receiver.pause = 0
    network.let_leases_end()
    network.request(CRON, **relay_at(receiver.url), **SCHEDULER)
    refused = [row["event_id"] for row in network.outbox()]
    assert len(refused) == trouble.count(409)
    assert len(set(receiver.ids)) == 8
    assert len(receiver.ids) == 8 + len(trouble) - len(refused)


def test_uninstalling_takes_the_actions_away(network: Network, receiver: Receiver):
    receiver.answers = [500]
    network.request(CREATED, **world(), **relay_at(receiver.url), **SCHEDULER)
    network.request([["uninstall"]], **SCHEDULER)
    assert actions(network) == []
