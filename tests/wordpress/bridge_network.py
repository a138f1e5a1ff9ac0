"""A WordPress network with the bridge plugin: PHP over stand-ins, one process per request."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.domain.catalogue import bridge_example
from app.domain.model import RawRequest, Reading
from app.domain.strict_json import read_strict
from app.sources.registry import adapter_for
from tests.captured import RECEIVED_AT
from tests.system.relay_process import free_port

ROOT = Path(__file__).resolve().parents[2] / "wordpress"
SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
Step = list[Any]


def php() -> str:
    """The interpreter; without one the test is skipped, or fails in CI."""
    found = shutil.which("php")
    if found is not None:
        return found
    if os.environ.get("CI") == "true":
        pytest.fail("php is missing; .ci/run installs it")
    pytest.skip("php is not installed (apt-get install php-cli php-sqlite3 php-mbstring)")


def _php_command() -> list[str]:
    return [php(), "-d", "display_errors=stderr", "-d", "error_reporting=-1"]


def read(body: bytes) -> Reading:
    """What the relay makes of a body that the plugin sent."""
    request = RawRequest(headers={}, body=body, received_at=RECEIVED_AT)
    return adapter_for("ultimate_multisite").read(request, read_strict(body))


class Network:
    """The stand-in's database, and requests to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = folder / "wordpress.db"
        self._requests = 0

    def start(self, steps: Sequence[Step], **scenario: Any) -> subprocess.Popen[str]:
        """Begin a request."""
        path = self._scenario(steps, scenario)
        return subprocess.Popen(
            [*_php_command(), str(ROOT / "tests" / "run.php"), str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _scenario(self, steps: Sequence[Step], scenario: Mapping[str, Any]) -> Path:
        self._requests += 1
        path = self.folder / f"scenario-{self._requests}.json"
        document = {"database": str(self.database), "steps": list(steps), **scenario}
        path.write_text(json.dumps(document))
        return path

    def request(self, steps: Sequence[Step], **scenario: Any) -> str:
        """One request from beginning to end; PHP must have nothing to complain about."""
        process = self.start(steps, **scenario)
        output, complaints = process.communicate(timeout=60)
        assert complaints == ""
        return output

    @contextmanager
    def web_server(self) -> Iterator[str]:
        """A web server that cannot end a response before its request is over; its URL."""
        port = free_port()
        server = subprocess.Popen(
            [*_php_command(), "-S", f"127.0.0.1:{port}", str(ROOT / "tests" / "run.php")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield f"http://127.0.0.1:{port}/"
        finally:
            server.kill()
            server.wait()

    def visit(self, url: str, steps: Sequence[Step], **scenario: Any) -> str:
        """A visitor's request to a web server; answers what the visitor got."""
        query = {"scenario": str(self._scenario(steps, scenario))}
        retries = httpx.HTTPTransport(verify=False, retries=8)
        with httpx.Client(trust_env=False, timeout=30, transport=retries) as client:
            answer = client.get(url, params=query)
        assert answer.status_code == 200, answer.text
        return answer.text

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.database, timeout=10)
        connection.row_factory = sqlite3.Row
        try:
            yield connection
            connection.commit()
        finally:
            connection.close()

    def outbox(self) -> list[dict[str, Any]]:
        """The rows of the outbox, oldest first."""
        with self._connection() as connection:
            found = connection.execute("SELECT * FROM wp_lifecycle_relay_outbox ORDER BY id")
            return [dict(row) for row in found]

    def types(self) -> list[str]:
        return [row["type"] for row in self.outbox()]

    def execute(self, sql: str) -> None:
        with self._connection() as connection:
            connection.execute(sql)

    def values(self, query: str) -> list[Any]:
        with self._connection() as connection:
            return [row[0] for row in connection.execute(query)]

    def let_leases_end(self) -> None:
        """What two minutes, or a delay between attempts, would do."""
        self.execute(
            "UPDATE wp_lifecycle_relay_outbox SET available_at = 0 WHERE state != 'refused'"
        )

    def tables(self) -> set[str]:
        with self._connection() as connection:
            return {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}

    def option(self, name: str) -> str | None:
        with self._connection() as connection:
            query = "SELECT value FROM options WHERE name = ?"
            found = connection.execute(query, (name,)).fetchone()
            return None if found is None else str(found[0])


def relay_at(url: str) -> dict[str, Any]:
    """The scenario's constants for a relay at this URL."""
    return {"constants": {"LIFECYCLE_RELAY_URL": url, "LIFECYCLE_RELAY_SECRET": SECRET}}


def mysql_time(text: str | None) -> str | None:
    return None if text is None else text.replace("T", " ").removesuffix("Z")


def _times(members: dict[str, Any]) -> dict[str, Any]:
    names = {
        "created_at": "date_created",
        "expires_at": "date_expiration",
        "cancelled_at": "date_cancellation",
        "signup_date": "date_registered",
    }
    return {names[name]: mysql_time(value) for name, value in members.items() if name in names}


def objects_of(data: dict[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """The platform's objects behind an envelope's data: loose types, MySQL times, padded amounts."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for kind in ("customer", "membership", "payment", "site", "domain"):
        if kind in data:
            made = _platform_object(kind, data[kind])
            found[kind] = {data[kind]["id"]: made}
    membership = data.get("membership", {})
    plans = [membership.get("plan"), membership.get("previous_plan")]
    found["product"] = {
        plan["id"]: {**plan, "amount": f"{plan['price']}00"} for plan in plans if plan
    }
    return found


def _platform_object(kind: str, members: dict[str, Any]) -> dict[str, Any]:
    made = {**members, **_times(members), "hash": members.get("reference_code")}
    if kind == "customer":
        made["display_name"] = members["name"]
        lines = (members["billing_address"] or "").split("\n")
        labels = ("company_name", "billing_email", "billing_address_line_1", "billing_country")
        labels += ("billing_state", "billing_city", "billing_zip_code")
        made["billing_address"] = dict(zip(labels, lines, strict=True))
    if kind == "membership":
        made["plan_id"] = int(members["plan"]["id"])
        made["amount"] = float(members["amount"])
        made["initial_amount"] = f"{members['initial_amount']}00"
    if kind == "payment":
        made["line_items"] = [{**line, "type": line["kind"]} for line in members["line_items"]]
        made["total"] = f"{members['total']}00"
    if kind == "site":
        made["blog_id"] = int(members["id"])
        made["path"] = "/janea4/"
    if kind == "domain":
        made |= {"domain": members["name"], "blog_id": int(members["site_id"])}
        made |= {"primary_domain": int(members["primary"]), "secure": int(members["secure"])}
    return made


def world(name: str = "domain_created") -> dict[str, Any]:
    """A scenario with the objects, cookies and consent of an example of the catalogue."""
    example = bridge_example(name)
    full = bridge_example("domain_created")["data"] | bridge_example("payment_received")["data"]
    return {
        "objects": objects_of(full | example["data"]),
        "consent": {"statistics": True, "marketing": False},
        "cookies": {
            "_ga": "GA1.1.1234567890.1795461463",
            "_ga_ABC123": "GS2.1.s1795461463$o1$g0$t1795461463",
            "_fbp": "fb.1.1795461463.42",
        },
        "user_agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0",
    }


def of(kind: str, identifier: int | str = 2) -> dict[str, Any]:
    """An argument that is one of the scenario's objects."""
    return {"$": kind, "id": identifier}
