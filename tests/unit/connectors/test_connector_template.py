"""The connector that docs/writing-a-connector.md shows: a package that works as it stands there."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import httpx
import pytest
from typer.testing import CliRunner

from app.cli.main import cli
from app.connectors import registry
from app.domain import strict_json
from tests.integration.world import World

PAGE = (Path(__file__).parents[3] / "docs" / "writing-a-connector.md").read_text()
FILES = dict(re.findall(r"^`([\w.]+)`:\n\n```\w+\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE))
MODULES = ("relay_memberbook", "test_relay_memberbook")
TESTS = re.findall(r"^def (test_\w+)", FILES["test_relay_memberbook.py"], re.MULTILINE)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The package as an installer leaves it: its modules, and the metadata of its entry point."""
    project = tomllib.loads(FILES["pyproject.toml"])["project"]
    folder = tmp_path / "site-packages"
    metadata = folder / f"relay_memberbook-{project['version']}.dist-info"
    metadata.mkdir(parents=True)
    for module in MODULES:
        (folder / f"{module}.py").write_text(FILES[f"{module}.py"])
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    points = "".join(
        f"[{group}]\n" + "".join(f"{name} = {place}\n" for name, place in members.items())
        for group, members in project["entry-points"].items()
    )
    (metadata / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(folder)
    registry._discovered.cache_clear()
    yield import_module("test_relay_memberbook")
    registry._discovered.cache_clear()
    for module in MODULES:
        sys.modules.pop(module, None)


def test_the_entry_point_leads_to_the_connector(installed: ModuleType):
    assert registry.broken_plugins() == {}
    assert registry.connector_class("memberbook") is installed.Memberbook


@pytest.mark.parametrize("test", TESTS)
def test_its_own_tests_pass(installed: ModuleType, test: str):
    getattr(installed, test)()


@pytest.mark.usefixtures("installed")
def test_the_command_shows_it_like_a_built_in_one():
    shown = CliRunner().invoke(cli, ["connectors", "show", "memberbook"])
    assert shown.exit_code == 0
    for words in ("api_key", "kept sealed", "customer.signup_date", "5 requests a second"):
        assert words in shown.stdout


@pytest.mark.usefixtures("installed")
async def test_an_event_reaches_it_through_the_whole_queue(world: World):
    world.sender.default = lambda _request: httpx.Response(201, json={"id": 51})
    await world.source()
    await world.target("directory", "memberbook", settings={"api_key": "mb-key"})
    await world.send()
    [result] = await world.work()
    assert result.outcome.external_id == "51"
    [(_, request)] = world.sender.sent
    member = strict_json.read_strict(request.content)
    assert member["full_name"] == "Jane Doe"
    [stored] = await world.deliveries()
    assert stored.status == "succeeded"


def test_the_page_shows_everything_a_connector_declares():
    declared = {
        name
        for name in vars(registry.Connector)
        if not name.startswith("_") and name not in {"assumed_written", "assumed_absent"}
    } | registry.Connector.__annotations__.keys() - {"assumed_written", "assumed_absent"}
    explained = set(re.findall(r"`(\w+)(?:\(\w+\))?`", PAGE.partition("## What you declare")[2]))
    assert declared - explained == {"check_event"}
