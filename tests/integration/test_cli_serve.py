"""`relay serve` and `relay worker` as processes: what a newcomer sees and pastes, and how they end."""

from __future__ import annotations

import shlex
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator

import httpx
import pytest

from app.domain import strict_json
from tests.integration.command_line import open_command_line
from tests.integration.command_process import CommandProcess, free_port, sink_beside

KEY = "an-admin-key-of-the-settings-0123456789"


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> Iterator[CommandProcess]:
    """A first start that several tests look at."""
    folder = tmp_path_factory.mktemp("first")
    with CommandProcess(folder, "serve", "--port", "0") as started:
        started.ready()
        yield started


@pytest.fixture
def new_postgres(request) -> str:
    """An empty PostgreSQL database of its own."""
    return request.getfixturevalue("postgres_server").new_database()


def post(line: str) -> dict:
    """What the pasted `curl` line is answered, from a shell when there is a curl."""
    if shutil.which("curl"):
        done = subprocess.run(
            line, shell=True, capture_output=True, check=True, env={"PATH": "/usr/bin:/bin"}
        )
        return strict_json.read_strict(done.stdout)
    _, _, url, _, header, _, body = shlex.split(line)
    name, _, value = header.partition(": ")
    return httpx.post(
        url, headers={name: value}, content=body, verify=False, trust_env=False
    ).json()


def get(url: str, key: str = "") -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return httpx.get(url, headers=headers, verify=False, trust_env=False)


def test_the_first_start_prints_all_that_a_newcomer_needs(first):
    base = first.ready()
    assert "<title>Lifecycle Relay</title>" in get(first.wait_for(r"overview: +(\S+)")).text
    assert get(first.wait_for(r"docs: +(\S+)")).status_code == 200
    (source,) = get(f"{base}/v1/sources", first.wait_for(r"admin key: +(rk_\S+)")).json()["items"]
    assert first.wait_for(r"ingest URL: +(\S+)") == source["ingest_url"]
    assert source["ingest_url"].startswith(base)


def test_the_curl_line_works_when_pasted_and_says_so_when_pasted_again(first):
    line = first.wait_for(r"^ +(curl .*)$")
    answer = post(line)
    assert answer["type"] == "customer_post_create"
    assert answer["duplicate"] is False
    assert post(line) == {**answer, "duplicate": True}


def test_the_master_key_is_the_owners_alone(first):
    assert (first.folder / "data" / "secret.key").stat().st_mode & 0o777 == 0o600


def test_the_answers_do_not_name_the_server(first):
    assert "server" not in get(f"{first.ready()}/health/live").headers


def test_nothing_is_logged_while_all_is_well(first):
    assert first.logged.read_text() == ""


def test_a_later_start_shows_no_credential_and_a_line_that_works(tmp_path):
    with CommandProcess(tmp_path, "serve", "--port", "0") as relay:
        secrets = [relay.wait_for(r"admin key: +(\S+)"), relay.wait_for(r"token: +(\S+)")]
        relay.ready()
        assert relay.stop() == 0
    with CommandProcess(tmp_path, "serve", "--port", "0") as again:
        again.ready()
        line = again.wait_for(r"^ +(.* send checkout_completed)$")
        assert not any(secret in again.text for secret in secrets)
        assert "whsec_" not in again.text
        # Another terminal: the same folder, none of the relay's variables.
        bare = {k: v for k, v in again.environment.items() if not k.startswith("RELAY_")}
        done = subprocess.run(
            line, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False, env=bare
        )
        assert done.returncode == 0, done.stderr
        assert "202, evt_" in done.stdout
        assert again.stop(signal.SIGINT) == 0
        assert again.logged.read_text() == ""


def test_a_taken_port_is_one_line_and_nothing_is_made(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with CommandProcess(tmp_path, "serve", "--port", port) as relay:
            code, printed, error = relay.end()
    assert (code, printed) == (1, "")
    assert error == (
        f"Port {port} of 127.0.0.1 is taken by another program."
        " Stop it, or take another port with --port or RELAY_PORT.\n"
    )
    assert not (tmp_path / "data").exists()


def test_each_bad_setting_is_one_line_without_its_value(tmp_path):
    bad = {"RELAY_PORT": "eighty", "RELAY_ADMIN_KEY": "too-short", "RELAY_GRACE": "-1"}
    with CommandProcess(tmp_path, "serve", **bad) as relay:
        code, printed, error = relay.end()
    assert (code, printed) == (2, "")
    assert sorted(line.split()[0].rstrip(":") for line in error.splitlines()) == [
        "RELAY_ADMIN_KEY",
        "RELAY_GRACE",
        "RELAY_PORT",
    ]
    assert "too-short" not in error
    assert "eighty" not in error


def test_production_without_a_key_is_refused(tmp_path, monkeypatch):
    relay = open_command_line(monkeypatch, tmp_path, "")
    result = relay.run("serve", RELAY_ENVIRONMENT="production", RELAY_SECRET_KEY="")
    assert result.exit_code == 2
    assert result.stderr.startswith("RELAY_SECRET_KEY must be set in production")


def test_another_master_key_is_refused(fresh_database_url, tmp_path, monkeypatch):
    relay = open_command_line(monkeypatch, tmp_path, fresh_database_url)
    relay("sources", "list")
    other = "eHh4" * 10 + "eHg="
    result = relay.run("serve", "--port", "0", RELAY_SECRET_KEY=other)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("The master key does not open")
    assert other not in result.stderr


def test_on_postgresql_an_old_schema_is_refused_until_it_is_migrated(
    tmp_path, monkeypatch, new_postgres
):
    shell = open_command_line(monkeypatch, tmp_path, new_postgres)
    assert "Run: relay migrate" in shell.refused("serve", "--port", "0", code=3)
    shell("migrate")
    with CommandProcess(
        tmp_path, "serve", "--port", "0", **shell.environment, RELAY_ADMIN_KEY=KEY
    ) as relay:
        base = relay.ready()
        assert get(f"{base}/v1/sources", KEY).status_code == 200
        # The operator knows this key: it is not printed.
        assert "admin key" not in relay.text
        assert KEY not in relay.text


def test_a_worker_of_its_own_delivers_and_stops_when_told(tmp_path, monkeypatch, new_postgres):
    shell = open_command_line(monkeypatch, tmp_path, new_postgres)
    shell("migrate")
    port = free_port()
    with (
        sink_beside() as sink,
        CommandProcess(tmp_path, "serve", "--no-worker", "--port", "0", **shell.environment) as api,
        CommandProcess(tmp_path, "worker", "--port", str(port), **shell.environment) as worker,
    ):
        base = api.ready()
        assert "`relay worker` delivers" in api.text
        worker.wait_for("^Delivering from postgresql ")
        worker.wait_for(f"^Health and metrics are on 127.0.0.1 port {port}.$")
        shell("targets", "add", "tool", "--url", sink.url)
        assert "succeeded" in shell("send", "payment_received", "--url", base)
        assert len(sink.requests) == 1
        told = f"http://127.0.0.1:{port}"
        assert get(f"{told}/health/live").json() == {"status": "ok"}
        assert get(f"{told}/health/ready").json()["checks"] == {"database": "ok", "worker": "ok"}
        assert 'relay_attempts_total{outcome="delivered",target="tool"} 1.0' in (
            get(f"{told}/metrics").text
        )
        assert get(f"{told}/v1/stats", KEY).status_code == 404
        assert worker.stop() == 0


def test_a_worker_whose_port_is_taken_says_so_and_delivers_nothing(tmp_path, monkeypatch):
    shell = open_command_line(monkeypatch, tmp_path, "")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"Port {port} " in shell.refused("worker", "--port", port)


def test_several_processes_share_the_port_and_one_first_start(tmp_path, monkeypatch):
    with (
        sink_beside() as sink,
        CommandProcess(tmp_path, "serve", "--port", "0", RELAY_PROCESSES="2") as relay,
    ):
        base = relay.ready()
        assert relay.text.count("admin key") == 1
        assert post(relay.wait_for(r"^ +(curl .*)$"))["duplicate"] is False
        shell = open_command_line(monkeypatch, tmp_path, "", RELAY_SECRET_KEY="")
        shell.environment["RELAY_DATA_DIR"] = str(tmp_path / "data")
        shell("targets", "add", "tool", "--url", sink.url)
        assert "succeeded" in shell("send", "payment_received", "--url", base)
        assert relay.stop() == 0
