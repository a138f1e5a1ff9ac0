"""The port is taken first of all, and opened last of all."""

from __future__ import annotations

import socket

import pytest

from app.cli import listening
from app.domain.errors import ConfigurationError


@pytest.fixture
def sockets():
    with listening.bound("127.0.0.1", 0) as opened:
        yield opened


def test_port_0_takes_a_free_one(sockets):
    assert sockets[0].getsockname()[1] > 0


def test_nobody_can_connect_before_listening(sockets):
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(sockets[0].getsockname())
    listening.listen(sockets)
    socket.create_connection(sockets[0].getsockname()).close()


def test_a_taken_port_is_named_in_one_sentence(sockets):
    listening.listen(sockets)
    port = sockets[0].getsockname()[1]
    with (
        pytest.raises(listening.PortTaken, match=f"Port {port} of 127.0.0.1 is taken"),
        listening.bound("127.0.0.1", port),
    ):
        pass


def test_whoever_reads_the_port_from_another_setting_is_told_that_one(sockets):
    listening.listen(sockets)
    with (
        pytest.raises(listening.PortTaken, match="with --port or RELAY_WORKER_PORT"),
        listening.bound(*sockets[0].getsockname(), setting="RELAY_WORKER_PORT"),
    ):
        pass


def test_a_port_that_was_taken_meanwhile_is_noticed(sockets):
    with listening.bound(*sockets[0].getsockname()) as others:
        listening.listen(others)
        with pytest.raises(listening.PortTaken):
            listening.listen(sockets)


@pytest.mark.parametrize("host", ["203.0.113.7", "no-such-host.invalid", "300.1.1.1"])
def test_an_address_of_another_machine_is_refused(host):
    with pytest.raises(ConfigurationError, match="RELAY_HOST"), listening.bound(host, 0):
        pass


def test_every_address_of_a_name_has_the_same_port():
    with listening.bound("localhost", 0) as sockets:
        assert len({one.getsockname()[1] for one in sockets}) == 1


def test_the_sockets_are_closed_in_the_end():
    with listening.bound("127.0.0.1", 0) as sockets:
        pass
    assert [one.fileno() for one in sockets] == [-1]
