"""`relay setup ultimate-multisite` as a shell runs it, against a network over loopback HTTP."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from app.cli import session
from app.domain.catalogue import BUILT_IN_TYPES
from app.domain.model import RawRequest
from tests.captured import captured
from tests.fakes.ultimate_multisite_network import FakeNetwork
from tests.integration.command_line import CommandLine, open_command_line
from tests.integration.command_process import CommandProcess, beside, free_port

PUBLIC = "https://relay.example"


@pytest.fixture
def relay(sqlite_template, tmp_path, monkeypatch) -> CommandLine:
    """On one database: what is stored is tested on both in test_set_up_network.py."""
    shutil.copy(sqlite_template, tmp_path / "relay.db")
    url = f"sqlite:///{tmp_path / 'relay.db'}"
    return open_command_line(monkeypatch, tmp_path, url, RELAY_PUBLIC_URL=PUBLIC)


@pytest.fixture
def network() -> Iterator[FakeNetwork]:
    with beside(FakeNetwork()) as fake:
        yield fake


def words(network: FakeNetwork, *more: str) -> list[str]:
    return ["setup", "ultimate-multisite", "--url", network.base_url, "--source", "shop", *more]


def keys(network: FakeNetwork) -> dict[str, str]:
    return {"UM_API_KEY": network.key, "UM_API_SECRET": network.secret}


def set_up(relay: CommandLine, network: FakeNetwork, *more: str, **variables: str) -> str:
    result = relay.run(*words(network, "--yes", *more), **(keys(network) | variables))
    assert result.exit_code == 0, result.output
    return str(result.stdout)


def urls(network: FakeNetwork) -> dict[str, str]:
    return {row["event"]: row["webhook_url"] for row in network.webhooks()}


def receive(url: str, event: str) -> None:
    """What the network sends there, through the relay's own door."""
    request = RawRequest(
        headers={"content-type": "application/json"},
        body=captured(event).raw_body,
        received_at=datetime.now(UTC),
        event_type=event,
        query={"token": parse_qs(urlsplit(url).query)["token"][0]},
    )
    session.operate(lambda runtime: runtime.services.ingest.accept("shop", request))


def test_one_command_makes_the_source_and_a_webhook_for_every_type_that_really_fires(
    relay, network
):
    said = set_up(relay, network)
    assert "Demo Network" in said
    assert set(urls(network)) == set(BUILT_IN_TYPES)
    for event, url in urls(network).items():
        assert url.startswith(f"{PUBLIC}/webhooks/shop/{event}?token=")
        assert len(url) < 191
        receive(url, "payment_received")
    (source,) = relay.json("sources", "list")
    assert (source["name"], source["api_access"]) == ("shop", True)
    assert network.secret not in said + relay("sources", "list")


def test_the_second_run_needs_no_keys_and_finds_nothing_to_do(relay, network):
    set_up(relay, network)
    before = urls(network)
    again = relay(*words(network))
    assert "There is nothing to do." in again
    assert urls(network) == before


def test_a_webhook_somebody_deleted_is_made_again_with_the_token_of_the_others(relay, network):
    set_up(relay, network)
    before = urls(network)
    (row,) = network.webhooks(event="payment_failed")
    del network.rows["webhook"][int(row["id"])]
    relay(*words(network, "--yes"))
    assert urls(network) == before


def test_a_changed_public_url_is_put_right_and_the_counts_go_on(relay, network):
    set_up(relay, network)
    count = len(network.webhooks())
    numbers = sorted(row["id"] for row in network.webhooks())
    result = relay.run(*words(network, "--yes"), RELAY_PUBLIC_URL="https://new.example")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("Lead webhook") == count
    assert sorted(row["id"] for row in network.webhooks()) == numbers
    assert all(
        url.startswith("https://new.example/webhooks/shop/") for url in urls(network).values()
    )


def test_after_a_rotation_the_webhooks_are_led_to_a_token_that_works(relay, network):
    set_up(relay, network)
    before = urls(network)
    relay("sources", "rotate", "shop")
    said = relay(*words(network, "--yes"))
    assert "Make a new token" in said
    for event, url in urls(network).items():
        assert url != before[event]
        receive(url, "payment_failed")


def test_a_source_that_was_made_by_hand_is_found_and_its_secret_stays(relay, network):
    made = relay.json("sources", "add", "shop")
    said = set_up(relay, network)
    assert "stays valid for 24 hours" in said
    assert made["signing_secret"] not in said
    assert len(relay.json("sources", "list")) == 1
    receive(f"{PUBLIC}?token={made['token']}", "payment_received")


def test_the_token_of_a_source_made_by_hand_can_be_given(relay, network):
    made = relay.json("sources", "add", "shop")
    said = set_up(relay, network, UM_SOURCE_TOKEN=made["token"])
    assert "Make a new token" not in said
    assert all(url.endswith(made["token"]) for url in urls(network).values())
    wrong = relay.run(*words(network, "--yes"), UM_SOURCE_TOKEN="canary")
    assert wrong.exit_code == 2
    assert "canary" not in wrong.output


def test_a_dry_run_shows_the_plan_and_changes_nothing(relay, network):
    result = relay.run(*words(network, "--dry-run"), **keys(network))
    assert result.exit_code == 0
    assert "Make a webhook for payment_received" in result.stdout
    assert network.webhooks() == []
    assert relay.json("sources", "list") == []


def test_it_asks_for_what_it_needs_and_does_nothing_unless_told_so(relay, network):
    answers = f"{network.base_url}\n{network.key}\n{network.secret}\n"
    refused = relay.run("setup", "ultimate-multisite", stdin=answers + "n\n")
    assert refused.exit_code == 1
    assert network.webhooks() == []
    assert network.secret not in refused.output
    agreed = relay.run("setup", "ultimate-multisite", stdin=answers + "y\n")
    assert agreed.exit_code == 0, agreed.output
    assert [one["name"] for one in relay.json("sources", "list")] == ["127-0-0-1"]
    assert len(network.webhooks()) == len(BUILT_IN_TYPES)


def test_the_source_of_the_first_start_is_taken_while_it_is_free(relay, network):
    relay("sources", "add", "my-network")
    said = ("setup", "ultimate-multisite", "--yes", "--url")
    first = relay.run(*said, network.base_url, **keys(network))
    assert first.exit_code == 0, first.output
    assert [one["name"] for one in relay.json("sources", "list")] == ["my-network"]
    # Found again by the address, however it is written.
    again = relay.run(*said, network.base_url.upper().replace("HTTP", "http") + "/wp-json/")
    assert "nothing to do" in again.stdout, again.output


def test_another_network_on_the_same_host_gets_a_source_of_its_own(relay, network):
    words = ("setup", "ultimate-multisite", "--yes", "--url")
    with beside(FakeNetwork()) as other:
        for one in (network, other):
            result = relay.run(*words, one.base_url, **keys(one))
            assert result.exit_code == 0, result.output
    names = [one["name"] for one in relay.json("sources", "list")]
    assert names == ["127-0-0-1", "127-0-0-1-2"]


def test_an_address_without_a_scheme_is_taken_for_https(relay):
    result = relay.run(
        "setup", "ultimate-multisite", "--url", "127.0.0.1:9", UM_API_KEY="k", UM_API_SECRET="s"
    )
    assert result.exit_code == 1
    assert "127.0.0.1 could not be asked" in result.stderr


def test_wrong_keys_are_refused_before_anything_is_made(relay, network):
    result = relay.run(*words(network, "--yes"), UM_API_KEY="canary", UM_API_SECRET="canary")
    assert result.exit_code == 1
    assert "Refresh API Credentials" in result.stderr
    assert "canary" not in result.output
    assert relay.json("sources", "list") == []


def test_a_host_that_drops_the_header_is_found_out_and_remembered(relay, network):
    network.drops_authorization = True
    set_up(relay, network)
    (source,) = relay.json("sources", "list")
    assert source["settings"]["api_credentials"] == "body"
    assert "nothing to do" in relay(*words(network), "--yes")
    assert "nothing to do" in set_up(relay, network)


def test_removing_deletes_the_webhooks_it_made_and_no_others(relay, network):
    set_up(relay, network)
    network.plant("webhook", event="payment_received", webhook_url="https://other.example/")
    relay(*words(network, "--remove", "--yes"))
    assert [row["webhook_url"] for row in network.webhooks()] == ["https://other.example/"]
    assert "There is nothing to do" in relay(*words(network, "--remove", "--yes"))
    assert [one["name"] for one in relay.json("sources", "list")] == ["shop"]


def test_with_the_bridge_the_two_constants_are_printed(relay, network):
    network.bridge = {"plugin": "lifecycle-relay", "version": "1.0.0", "configured": False}
    said = set_up(relay, network)
    assert f"define( 'LIFECYCLE_RELAY_URL', '{PUBLIC}/webhooks/shop' );" in said
    assert "define( 'LIFECYCLE_RELAY_SECRET', 'whsec_" in said
    assert network.webhooks() == []
    again = relay(*words(network), "--yes")
    assert "nothing to do" in again
    assert "The constants were printed at" in again
    anew = relay(*words(network), "--yes", "--new-secret")
    assert "stays valid for 24 hours" in anew
    assert "define( 'LIFECYCLE_RELAY_SECRET', 'whsec_" in anew


def test_json_for_scripts_says_what_was_done(relay, network):
    result = relay.run(*words(network, "--yes", "--json"), **keys(network))
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert (said["with"], said["done"]) == ("webhooks", True)
    assert [step["kind"] for step in said["steps"]].count("create_webhook") == len(BUILT_IN_TYPES)
    assert len(said["token"]) == 32


def checked(relay: CommandLine) -> dict[str, dict[str, str]]:
    findings = relay.run("check", "--json")
    return {one["check"]: one for one in json.loads(findings.stdout)}


def test_check_says_which_events_were_lost(relay, network):
    set_up(relay, network)
    for event in ("payment_received", "payment_failed"):
        asyncio.run(network.fire(event, b"{}", lost=True))
        receive(urls(network)[event], event)
    assert checked(relay)["network shop"]["state"] == "ok"
    asyncio.run(network.fire("payment_failed", b"{}", lost=True))
    found = checked(relay)["network shop"]
    assert found["state"] == "warning"
    assert "payment_failed: 2 sent, 1 arrived" in found["says"]
    assert "payment_received" not in found["says"]
    relay(*words(network, "--recount", "--yes"))
    assert checked(relay)["network shop"]["state"] == "ok"


def test_check_does_not_ask_a_network_that_nobody_gave_access_to(relay, network):
    relay("sources", "add", "shop")
    assert "network shop" not in checked(relay)
    assert network.calls == []


def test_check_says_that_a_webhook_is_gone(relay, network):
    set_up(relay, network)
    (row,) = network.webhooks(event="site_published")
    del network.rows["webhook"][int(row["id"])]
    found = checked(relay)["network shop"]
    assert found["state"] == "warning"
    assert "site_published" in found["says"]


def test_check_fails_when_the_keys_are_refused(relay, network):
    set_up(relay, network)
    network.secret = "changed"
    assert checked(relay)["network shop"]["state"] == "failed"


def test_what_a_set_up_network_sends_reaches_the_running_relay(relay, network, tmp_path):
    port = free_port()
    public = {"RELAY_PUBLIC_URL": f"http://127.0.0.1:{port}"}
    environment = relay.environment | public
    with CommandProcess(tmp_path, "serve", "--port", str(port), **environment) as running:
        running.ready()
        done = relay.run(*words(network, "--yes"), **(keys(network) | public))
        assert done.exit_code == 0, done.output
        for event in BUILT_IN_TYPES:
            body = captured(event).raw_body
            assert asyncio.run(network.fire(event, body)) == [202]
        asyncio.run(network.fire("payment_failed", b"{}", lost=True))
        says = checked(relay)["network shop"]["says"]
    assert says.startswith("payment_failed: 2 sent, 1 arrived since")
