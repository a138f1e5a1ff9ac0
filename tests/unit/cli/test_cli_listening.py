"""The port is taken first of all, and opened last of all."""

from __future__ import annotations

import socket

import pytest

from app.cli import listening
from app.domain.errors import ConfigurationError


@pytest.fixture
def bound():
    sockets = listening.bind("127.0.0.1", 0)
    yield sockets
    for one in sockets:
        one.close()


def test_port_0_takes_a_free_one(bound):
    assert bound[0].getsockname()[1] > 0


def test_nobody_can_connect_before_listening(bound):
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(bound[0].getsockname())
    listening.listen(bound)
    socket.create_connection(bound[0].getsockname()).close()


def test_a_taken_port_is_named_in_one_sentence(bound):
    listening.listen(bound)
    port = bound[0].getsockname()[1]
    with pytest.raises(listening.PortTaken, match=f"Port {port} of 127.0.0.1 is taken"):
        listening.bind("127.0.0.1", port)


def test_a_port_that_was_taken_meanwhile_is_noticed(bound):
    other = listening.bind("127.0.0.1", bound[0].getsockname()[1])
    listening.listen(other)
    with pytest.raises(listening.PortTaken):
        listening.listen(bound)
    other[0].close()


@pytest.mark.parametrize("host", ["203.0.113.7", "no-such-host.invalid", "300.1.1.1"])
def test_an_address_of_another_machine_is_refused(host):
    with pytest.raises(ConfigurationError, match="RELAY_HOST"):
        listening.bind(host, 0)


def test_every_address_of_a_name_has_the_same_port():
    sockets = listening.bind("localhost", 0)
    assert len({one.getsockname()[1] for one in sockets}) == 1
    for one in sockets:
        one.close()
