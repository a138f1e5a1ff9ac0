"""`relay connectors`: the same facts as the pages, without a relay."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner, Result

from app.cli import connectors
from app.cli.main import cli
from app.connectors import sheet
from app.connectors.registry import CONNECTORS, all_connectors, describe

#: A relay that cannot be started: no command here may need one.
NOWHERE = {"RELAY_DATABASE_URL": "nothing://", "RELAY_PORT": "none"}


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, ["connectors", *words], env=NOWHERE)


@pytest.mark.parametrize("name", CONNECTORS)
def test_everything_that_a_page_says_is_shown(name: str):
    described = describe(CONNECTORS[name])
    shown = run("show", name)
    assert shown.exit_code == 0
    said = [text for row in sheet.fact_rows(described) for text in row]
    for row in sheet.setting_rows(described["settings"]):
        said += [row.name, row.default, row.meaning]
    said += [*described["events"], *described["mapping"], *described["mapping"].values()]
    assert [text for text in said if text not in shown.stdout and text != "*"] == []


def test_secrets_are_marked_and_come_from_a_file():
    shown = run("show", "ga4").stdout
    assert "kept sealed, never answered" in shown
    assert (
        "relay targets add my-ga4 --connector ga4"
        " --setting measurement_id=G-ABCDE12345 --setting api_secret=@FILE" in shown
    )


def test_json_is_what_the_api_answers():
    assert json.loads(run("show", "hubspot", "--json").stdout) == describe(CONNECTORS["hubspot"])
    listed = json.loads(run("list", "--json").stdout)
    assert [each["name"] for each in listed] == list(all_connectors())


def test_the_list_has_every_connector_with_the_settings_it_needs():
    rows = run("list").stdout.splitlines()
    for name in CONNECTORS:
        assert any(row.split()[0] == name for row in rows if row.split())
    assert any("measurement_id, api_secret" in row for row in rows)


def test_a_package_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connectors, "broken_plugins", lambda: {"pigeon": "ImportError: no wings"})
    shown = run("list")
    assert shown.exit_code == 0
    assert "pigeon of an installed package cannot be used: ImportError: no wings" in shown.stderr


def test_an_unknown_connector_is_refused_with_those_there_are():
    shown = run("show", "hubspto")
    assert shown.exit_code == 1
    assert shown.stderr.count("There is no connector 'hubspto'; there are activecampaign") == 1
