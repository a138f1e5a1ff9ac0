"""The plugin's page, its uninstallation, and its syntax."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.wordpress.bridge_network import ROOT, SECRET, Network, Step, of, php, relay_at, world

FILES = sorted(ROOT.rglob("*.php"))
PLUGIN_FILES = sorted((ROOT / "lifecycle-relay").rglob("*.php"))
PAGE: list[Step] = [["page"]]
STATUS: list[Step] = [["ask", "GET /lifecycle-relay/v1/status"]]


def submitted(action: str) -> list[Step]:
    return [["do", f"network_admin_edit_lifecycle_relay_{action}", []]]


def form(action: str, **fields: str) -> dict[str, object]:
    return {
        "administrator": True,
        "post": {"_wpnonce": f"nonce-lifecycle_relay_{action}", **fields},
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_is_valid_php(path: Path):
    checked = subprocess.run([php(), "-l", str(path)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("path", PLUGIN_FILES, ids=lambda path: path.name)
def test_no_file_needs_more_than_php_7_4(path: Path):
    newer = """
        $names = array( 'T_MATCH', 'T_ENUM', 'T_READONLY', 'T_NULLSAFE_OBJECT_OPERATOR', 'T_ATTRIBUTE' );
        foreach ( token_get_all( file_get_contents( $argv[1] ) ) as $token ) {
            if ( is_array( $token ) && in_array( token_name( $token[0] ), $names, true ) ) {
                echo token_name( $token[0] ), ' ';
            }
        }
        if ( preg_match( '/\\b(str_contains|str_starts_with|str_ends_with|array_is_list)\\b/', file_get_contents( $argv[1] ), $found ) ) {
            echo $found[0];
        }
    """
    found = subprocess.run(
        [php(), "-r", newer, "--", str(path)], capture_output=True, text=True, check=True
    )
    assert found.stdout == ""


@pytest.mark.parametrize("path", PLUGIN_FILES, ids=lambda path: path.name)
def test_no_file_does_anything_when_it_is_opened_by_itself(path: Path):
    run = subprocess.run([php(), str(path)], capture_output=True, text=True, check=False)
    assert (run.stdout, run.stderr) == ("", "")


def test_settings_of_the_page_are_stored_and_the_secret_is_never_shown(network: Network):
    saved = form("save", url="https://relay.example/webhooks/a", secret=SECRET)
    assert "notice=saved" in network.request(submitted("save"), **saved)
    page = network.request(PAGE, administrator=True)
    assert "https://relay.example/webhooks/a" in page
    assert SECRET not in page
    assert SECRET.removeprefix("whsec_") not in page
    network.request(submitted("save"), **form("save", url="https://relay.example/webhooks/b"))
    assert SECRET in (network.option("lifecycle_relay_settings") or "")


@pytest.mark.parametrize(
    ("fields", "notice"),
    [
        ({"url": "ftp://relay.example/"}, "bad_url"),
        ({"url": "", "secret": "whsec_short"}, "bad_secret"),
    ],
)
def test_wrong_settings_are_refused(network: Network, fields: dict[str, str], notice: str):
    assert f"notice={notice}" in network.request(submitted("save"), **form("save", **fields))


@pytest.mark.parametrize("action", ["save", "send", "test"])
def test_actions_need_the_capability_and_the_nonce(network: Network, action: str):
    anybody = form(action) | {"administrator": False}
    forged = form("another")
    assert network.request(submitted(action), **anybody).startswith("died:")
    assert network.request(submitted(action), **forged).startswith("died:")
    assert network.outbox() == []


def test_the_page_is_for_network_administrators_only(network: Network):
    assert network.request(PAGE) == ""


def test_the_page_shows_what_waits_and_escapes_errors(network: Network):
    network.request([["do", "wu_customer_post_save", [[], of("customer"), True]]], **world())
    network.execute("UPDATE wp_lifecycle_relay_outbox SET last_error = '<script>no</script>'")
    page = network.request(PAGE, administrator=True)
    assert "<td>1</td>" in page
    assert "&lt;script&gt;" in page
    assert "<script>" not in page


def test_the_test_button_makes_an_event_that_is_marked_as_a_test(network: Network):
    assert "notice=sent" in network.request(submitted("test"), **form("test"))
    (row,) = network.outbox()
    assert '"test":true' in row["body"]


def test_it_tells_anybody_its_version_and_whether_it_is_configured_and_nothing_else(
    network: Network,
):
    fresh = json.loads(network.request(STATUS))
    assert fresh == {"plugin": "lifecycle-relay", "version": "1.0.0", "configured": False}
    told = json.loads(network.request(STATUS, **relay_at("https://relay.example/webhooks/a")))
    assert told == fresh | {"configured": True}


def test_only_the_main_site_says_that_the_plugin_is_there(network: Network):
    assert json.loads(network.request(STATUS, main_site=False)) is None


def test_uninstalling_removes_the_table_and_every_option(network: Network):
    network.request(submitted("save"), **form("save", url="https://relay.example/webhooks/a"))
    network.execute("CREATE TABLE wp_wu_customermeta (meta_key TEXT)")
    network.execute("INSERT INTO wp_wu_customermeta VALUES ('lifecycle_relay_context'), ('other')")
    network.request([["uninstall"]])
    assert network.values("SELECT meta_key FROM wp_wu_customermeta") == ["other"]
    assert "wp_lifecycle_relay_outbox" not in network.tables()
    for name in ("settings", "outbox_version", "dropped", "last_error"):
        assert network.option(f"lifecycle_relay_{name}") is None
