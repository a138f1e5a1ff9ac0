"""The outbox loses nothing and sends nothing under two ids, whatever the relay or PHP does."""

from __future__ import annotations

import time

import pytest

from tests.system.relay_process import free_port
from tests.wordpress.bridge_network import Network, Step, of, read, relay_at, world
from tests.wordpress.receiver import Receiver

CREATED: list[Step] = [["do", "wu_customer_post_save", [[], of("customer"), True]]]
CRON: list[Step] = [["do", "lifecycle_relay_send", []]]


def due_in(network: Network) -> int:
    return int(network.outbox()[0]["available_at"]) - int(time.time())


def test_an_event_is_signed_sent_after_the_response_and_forgotten(
    network: Network, receiver: Receiver
):
    receiver.pause = 0.2
    output = network.request(CREATED, **world(), **relay_at(receiver.url), fastcgi=True)
    assert output.strip() == "response finished"
    ((event_id, body),) = receiver.received
    assert read(body).dedupe_id == event_id
    assert network.outbox() == []


@pytest.mark.parametrize("status", [500, 503, 429, 401, 404, 302])
def test_what_may_pass_is_sent_again_with_the_same_id_and_body(
    network: Network, receiver: Receiver, status: int
):
    receiver.answers = [status]
    network.request(CREATED, **world(), **relay_at(receiver.url))
    (row,) = network.outbox()
    assert (row["state"], row["attempts"]) == ("pending", 1)
    assert str(status) in row["last_error"]
    network.request(CRON, **relay_at(receiver.url))
    assert len(receiver.received) == 1, "the delay is not over"
    network.let_leases_end()
    network.request(CRON, **relay_at(receiver.url))
    assert receiver.received[0] == receiver.received[1]
    assert network.outbox() == []


@pytest.mark.parametrize("status", [400, 409, 413, 415, 422])
def test_a_definite_refusal_is_shown_and_not_sent_again(
    network: Network, receiver: Receiver, status: int
):
    receiver.answers = [status]
    network.request(CREATED, **world(), **relay_at(receiver.url))
    assert [row["state"] for row in network.outbox()] == ["refused"]
    network.let_leases_end()
    network.request(CRON, **relay_at(receiver.url))
    assert len(receiver.received) == 1
    network.execute("UPDATE wp_lifecycle_relay_outbox SET available_at = 0")
    network.request(CRON, **relay_at(receiver.url))
    assert network.outbox() == []


def test_the_delay_doubles_up_to_an_hour_and_heeds_what_the_relay_asks(
    network: Network, receiver: Receiver
):
    receiver.answers = [500, 500, 500, 503]
    network.request(CREATED, **world(), **relay_at(receiver.url))
    assert 20 <= due_in(network) <= 33
    network.let_leases_end()
    network.request(CRON, **relay_at(receiver.url))
    assert 45 <= due_in(network) <= 66
    network.execute("UPDATE wp_lifecycle_relay_outbox SET attempts = 40, available_at = 0")
    network.request(CRON, **relay_at(receiver.url))
    assert 3200 <= due_in(network) <= 3960
    receiver.headers = {"Retry-After": "7000"}
    network.let_leases_end()
    network.request(CRON, **relay_at(receiver.url))
    assert 6900 <= due_in(network) <= 7000


def test_a_relay_that_is_down_or_too_slow_gets_the_event_later(
    network: Network, receiver: Receiver
):
    network.request(CREATED, **world(), **relay_at(f"http://127.0.0.1:{free_port()}/webhooks/x"))
    assert [row["state"] for row in network.outbox()] == ["pending"]
    network.let_leases_end()
    receiver.pause = 0.6
    network.request(CRON, **relay_at(receiver.url), timeout=0.2)
    assert [row["state"] for row in network.outbox()] == ["pending"]
    receiver.pause = 0
    network.let_leases_end()
    network.request(CRON, **relay_at(receiver.url))
    assert network.outbox() == []
    assert len(set(receiver.ids)) == 1


def test_an_event_survives_the_death_of_its_process(network: Network, receiver: Receiver):
    process = network.start([*CREATED, ["die"]], **world(), **relay_at(receiver.url))
    process.communicate(timeout=60)
    assert process.returncode == -9
    assert [row["state"] for row in network.outbox()] == ["held"]
    network.request(CRON, **relay_at(receiver.url))
    assert receiver.received == [], "its process might still say more"
    network.let_leases_end()
    network.request(CRON, **relay_at(receiver.url))
    assert len(receiver.received) == 1
    assert network.outbox() == []


def test_a_process_killed_while_it_sends_leads_to_a_repeat_under_the_same_id(
    network: Network, receiver: Receiver
):
    receiver.pause = 2
    process = network.start(CREATED, **world(), **relay_at(receiver.url))
    while not receiver.received:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    receiver.pause = 0
    network.let_leases_end()
    network.request(CRON, **relay_at(receiver.url))
    assert receiver.received[0] == receiver.received[1]
    assert network.outbox() == []


def test_runs_at_the_same_time_share_the_work_and_repeat_nothing(
    network: Network, receiver: Receiver
):
    for _ in range(12):
        network.request(CREATED, **world())
    receiver.pause = 0.03
    runs = [network.start(CRON, **relay_at(receiver.url)) for _ in range(3)]
    for run in runs:
        assert run.communicate(timeout=60)[1] == ""
    assert len(receiver.ids) == 12
    assert len(set(receiver.ids)) == 12
    assert network.outbox() == []


def test_the_outbox_is_bounded_and_tells_what_it_dropped(network: Network):
    for _ in range(4):
        network.request(CREATED, **world())
    newest = [row["event_id"] for row in network.outbox()][-2:]
    network.request(CRON, constants={"LIFECYCLE_RELAY_OUTBOX_LIMIT": 2})
    assert [row["event_id"] for row in network.outbox()] == newest
    assert network.option("lifecycle_relay_dropped") == "i:2;"


def test_a_table_that_is_gone_is_made_again(network: Network):
    network.request([])
    network.execute("DROP TABLE wp_lifecycle_relay_outbox")
    network.request(CREATED, **world())
    assert network.types() == ["customer_post_create"]


def test_nothing_is_sent_until_url_and_secret_are_set(network: Network, receiver: Receiver):
    half = {"constants": {"LIFECYCLE_RELAY_URL": receiver.url, "LIFECYCLE_RELAY_SECRET": "x"}}
    network.request(CREATED, **world(), **half)
    assert receiver.received == []
    assert [row["attempts"] for row in network.outbox()] == [0]
