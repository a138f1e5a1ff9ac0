"""The plugin on a network of WordPress's own code and MariaDB, posting to the real relay.

`wordpress/tests/real-network/run` unpacks both and starts this file; it is not collected with the
other tests.
Ultimate Multisite itself is not there: stand-ins with its getters fire its hooks.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.domain.catalogue import BRIDGE_TYPES
from tests.system.relay_process import RelayProcess, free_port
from tests.wordpress.bridge_network import ROOT, Step, of, php, world
from tests.wordpress.test_bridge_events import SAVED, steps_of

UNPACKED = Path(os.environ["NETWORK_UNPACKED"])
HERE = ROOT / "tests" / "real-network"
TABLE = "wp_lifecycle_relay_outbox"


class RealNetwork:
    """MariaDB, WordPress and a web server, with the plugin that is active on the network."""

    def __init__(self, folder: Path, relay: RelayProcess, secret: str) -> None:
        self.folder = folder
        self.wordpress = folder / "wordpress"
        self.content = folder / "content"
        self.socket = folder / "db.sock"
        self.url = f"http://localhost:{free_port()}"
        self.environment = {
            **os.environ,
            "LD_LIBRARY_PATH": str(UNPACKED / "usr/lib/x86_64-linux-gnu"),
            "NETWORK_DATABASE": str(self.socket),
            "NETWORK_CONTENT": str(self.content),
            "NETWORK_HOST": self.url.removeprefix("http://"),
            "NETWORK_STANDINS": str(ROOT / "tests"),
            "NETWORK_RELAY_URL": f"{relay.base}/webhooks/wordpress",
            "NETWORK_RELAY_SECRET": secret,
            # The web server answers its own calls of wp-cron.php.
            "PHP_CLI_SERVER_WORKERS": "4",
        }
        self._processes: list[subprocess.Popen[bytes]] = []
        self._played = 0

    def start(self) -> None:
        """Make the database and the network, and activate the plugin."""
        self._start_database()
        shutil.copytree(UNPACKED / "usr/share/wordpress", self.wordpress, symlinks=True)
        shutil.copy(HERE / "wp-config.php", self.wordpress / "wp-config.php")
        for name, place in (("plugins", ROOT / "lifecycle-relay"), ("mu-plugins", HERE)):
            (self.content / name).mkdir(parents=True)
            if name == "plugins":
                (self.content / name / "lifecycle-relay").symlink_to(place)
            else:
                shutil.copy(place / "platform.php", self.content / name)
        assert self.console("install", NETWORK_IS_NEW="1") == "installed"
        assert self.console("activate") == "activated"
        assert self.console("sites") == "2 3 "
        address = self.url.removeprefix("http://")
        self._spawn([*self._php(), "-S", address, "-t", str(self.wordpress)])

    def _start_database(self) -> None:
        data = self.folder / "database"
        own = ["--user=root"] if os.geteuid() == 0 else []
        subprocess.run(
            [
                *(UNPACKED / "usr/bin/mariadb-install-db", "--no-defaults", *own),
                *(f"--basedir={UNPACKED / 'usr'}", f"--datadir={data}", "--skip-test-db"),
                "--auth-root-authentication-method=normal",
            ],
            env=self.environment,
            check=True,
            capture_output=True,
        )
        self._spawn(
            [
                *(str(UNPACKED / "usr/sbin/mariadbd"), "--no-defaults", *own),
                *(f"--basedir={UNPACKED / 'usr'}", f"--datadir={data}", f"--socket={self.socket}"),
                *("--skip-networking", "--innodb-flush-log-at-trx-commit=0"),
                f"--lc-messages-dir={UNPACKED / 'usr/share/mysql'}",
            ]
        )
        until = time.monotonic() + 30
        while not self.socket.exists():
            assert time.monotonic() < until, "MariaDB did not start"
            time.sleep(0.1)
        self.query("CREATE DATABASE wordpress", "")

    def _spawn(self, command: list[str]) -> None:
        with (self.folder / "processes.log").open("ab") as log:
            process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        self._processes.append(process)

    def _php(self) -> list[str]:
        found = [php(), "-d", "display_errors=stderr", "-d", "error_reporting=-1"]
        for name in ("mysqlnd", "mysqli"):
            for library in UNPACKED.glob(f"usr/lib/php/*/{name}.so"):
                found += ["-d", f"extension={library}"]
        return found

    def console(self, what: str, **environment: str) -> str:
        """Something an administrator does."""
        done = subprocess.run(
            [*self._php(), str(HERE / "console.php"), str(self.wordpress), what],
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
        return done.stdout

    def query(self, sql: str, database: str = "wordpress") -> list[str]:
        """The rows of a query, as text."""
        command = [str(UNPACKED / "usr/bin/mariadb"), "--no-defaults", f"--socket={self.socket}"]
        done = subprocess.run(
            [*command, "--user=root", "--skip-column-names", f"--execute={sql}", database],
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.splitlines()

    def visit(self, steps: list[Step], objects: dict[str, Any]) -> None:
        """A request in which the platform's hooks fire."""
        self._played += 1
        path = self.folder / f"scenario-{self._played}.json"
        path.write_text(json.dumps({"steps": steps, "objects": objects}))
        with httpx.Client(
            trust_env=False, timeout=30, transport=httpx.HTTPTransport(retries=8)
        ) as client:
            answer = client.get(f"{self.url}/", params={"scenario": str(path)})
        assert (answer.status_code, answer.text) == (200, "thank you")

    def cron(self) -> None:
        """What a minute would do, or the next visitor: WordPress starts its schedule."""
        httpx.get(f"{self.url}/wp-cron.php", trust_env=False, timeout=60)

    def complaints(self) -> list[str]:
        """What PHP complained about in the plugin."""
        log = self.content / "debug.log"
        lines = log.read_text().splitlines() if log.exists() else []
        return [line for line in lines if "lifecycle" in line.lower()]

    def stop(self) -> None:
        for process in reversed(self._processes):
            process.terminate()
            process.wait(30)


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelayProcess]:
    folder = tmp_path_factory.mktemp("relay")
    made = RelayProcess(f"sqlite:///{folder / 'relay.db'}", folder)
    made.serve()
    yield made
    made.close()


@pytest.fixture(scope="module")
def network(relay: RelayProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealNetwork]:
    source = relay.make("/v1/sources", name="wordpress", kind="ultimate_multisite")
    made = RealNetwork(tmp_path_factory.mktemp("network"), relay, source["signing_secret"])
    try:
        made.start()
        yield made
    finally:
        made.stop()


def settled(relay: RelayProcess, network: RealNetwork, events: int) -> list[str]:
    """The types of the events that arrived, oldest first, once there are so many."""
    until = time.monotonic() + 60
    while True:
        found = [event["type"] for event in relay.every("/v1/events", source="wordpress")]
        if len(found) >= events and network.query(f"SELECT COUNT(*) FROM {TABLE}") == ["0"]:
            return found[::-1]
        assert time.monotonic() < until, (found, network.query(f"SELECT * FROM {TABLE}"))
        network.cron()
        time.sleep(0.2)


def test_every_event_goes_from_a_visit_over_wp_cron_to_the_relay(
    relay: RelayProcess, network: RealNetwork
):
    for name in BRIDGE_TYPES:
        if name == "membership_plan_changed":
            network.visit([["set", "membership", 2, {"plan_id": 1}], SAVED], world(name)["objects"])
            network.visit([SAVED], world(name)["objects"])
        else:
            network.visit(steps_of(name), world(name)["objects"])
    arrived = settled(relay, network, len(BRIDGE_TYPES) + 1)
    assert set(arrived) == set(BRIDGE_TYPES)
    assert len(arrived) == len(BRIDGE_TYPES) + 1
    assert network.complaints() == []


def test_what_is_saved_while_the_relay_is_down_arrives_when_it_is_back(
    relay: RelayProcess, network: RealNetwork
):
    before = len(relay.every("/v1/events", source="wordpress"))
    relay.kill()
    created: Step = ["do", "wu_customer_post_save", [[], of("customer"), True]]
    network.visit([created], world()["objects"])
    tried = f"SELECT COUNT(*) FROM {TABLE} WHERE state = 'pending' AND attempts > 0"
    until = time.monotonic() + 60
    while network.query(tried) == ["0"]:
        assert time.monotonic() < until, "nobody tried to send it"
        network.cron()
        time.sleep(0.2)
    relay.serve()
    # The next minute's run would do; the next visit with something to tell does it at once.
    network.query(f"UPDATE {TABLE} SET available_at = 0")
    network.visit([SAVED], world()["objects"])
    arrived = settled(relay, network, before + 2)[before:]
    assert arrived == ["customer_post_create", "membership_post_update"]


def test_a_site_that_is_gone_already_is_told_without_its_address(
    relay: RelayProcess, network: RealNetwork
):
    gone = {"site": {"99": {"id": "99", "blog_id": 99, "title": "Gone", "customer_id": 2}}}
    before = len(relay.every("/v1/events", source="wordpress"))
    network.visit([["do", "wu_site_post_delete", [1, of("site", 99)]]], gone)
    assert settled(relay, network, before + 1)[-1] == "site_post_delete"
    assert network.complaints() == []


def test_the_page_and_the_uninstallation_work_on_the_real_network(network: RealNetwork):
    page = network.console("page")
    assert "Lifecycle Relay" in page
    assert "whsec_" not in page
    assert network.console("uninstall") == "uninstalled"
    assert network.query(f"SHOW TABLES LIKE '{TABLE}'") == []
    assert network.query("SELECT meta_key FROM wp_sitemeta WHERE meta_key LIKE 'lifecycle%'") == []
