"""Whether targets can be reached, by the rules that deliveries follow."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_network

import pytest
from pydantic import BaseModel

from app.cli import reach
from app.cli.finding import Finding, State
from app.domain.addresses import AddressPolicy

LOOPBACK = AddressPolicy(allowed_networks=(ip_network("127.0.0.0/8"), ip_network("::1/128")))


@pytest.fixture
async def listener():
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


async def look(policy: AddressPolicy, url: str) -> Finding:
    (finding,) = await reach.all_of(policy, {"target crm": url})
    return finding


async def test_a_host_that_answers_is_reachable(listener):
    finding = await look(LOOPBACK, f"http://127.0.0.1:{listener}/hook")
    assert (finding.check, finding.state) == ("target crm", State.OK)
    assert "answers at 127.0.0.1" in finding.says


async def test_a_name_is_looked_up(listener):
    finding = await look(LOOPBACK, f"http://localhost:{listener}/hook")
    assert finding.state is State.OK


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
async def test_an_address_that_targets_may_not_have_is_not_dialled(listener, host):
    finding = await look(AddressPolicy(), f"http://{host}:{listener}/")
    assert finding.state is State.FAILED
    assert "may not be" in finding.says or "failed" in finding.says


async def test_a_forbidden_address_comes_with_the_setting_that_allows_it(listener):
    finding = await look(AddressPolicy(), f"http://127.0.0.1:{listener}/")
    assert "RELAY_ALLOWED_PRIVATE_NETWORKS" in finding.advice


async def test_a_closed_port_is_named():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
        finding = await look(LOOPBACK, f"http://127.0.0.1:{port}/")
    assert finding.state is State.FAILED
    assert f"127.0.0.1:{port}: Connection refused" in finding.says


async def test_an_unknown_name_is_named():
    finding = await look(AddressPolicy(), "https://no-such-host.invalid/")
    assert finding.state is State.FAILED
    assert "no-such-host.invalid" in finding.says


@pytest.mark.parametrize("field", ["url", "base_url"])
def test_the_address_is_found_whatever_a_connector_calls_it(field):
    made = type("Made", (BaseModel,), {"__annotations__": {field: str}})
    assert reach.url_of(made(**{field: "https://crm.example"})) == "https://crm.example"
