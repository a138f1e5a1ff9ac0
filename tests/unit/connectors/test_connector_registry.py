"""Which connectors there are, and what they say about themselves."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from app.connectors import registry
from app.connectors.hubspot import HubSpot
from app.connectors.registry import (
    CONNECTORS,
    all_connectors,
    broken_plugins,
    connector_class,
    describe,
)
from app.domain import strict_json
from app.domain.errors import ValidationFailed
from app.domain.expressions import compile_mapping
from app.domain.routing import check_pattern

PLUGIN = """
from app.connectors.base import Connector
from app.connectors.webhook import Webhook

class Pigeon(Webhook):
    name = "pigeon"

class Impostor(Webhook):
    name = "hubspot"

class Silent(Connector):
    name = "silent"
"""
ENTRY_POINTS = """\
[lifecycle_relay.connectors]
pigeon = acme_relay:Pigeon
hubspot = acme_relay:Impostor
renamed = acme_relay:Pigeon
silent = acme_relay:Silent
nothing = acme_relay:NOTHING
number = acme_relay:__name__
broken = acme_relay_broken:X
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A third party's package with one good connector and every way to be a bad one."""
    (tmp_path / "acme_relay.py").write_text(PLUGIN)
    (tmp_path / "acme_relay_broken.py").write_text("raise SystemError('token=abcdef')\n")
    metadata = tmp_path / "acme_relay-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-relay\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(tmp_path)
    registry._discovered.cache_clear()
    yield
    registry._discovered.cache_clear()
    sys.modules.pop("acme_relay", None)


def test_the_built_in_connectors_go_by_their_names():
    assert all(connector.name == name for name, connector in CONNECTORS.items())
    assert connector_class("hubspot") is HubSpot


def test_an_unknown_connector_is_refused_with_the_ones_there_are():
    with pytest.raises(ValidationFailed) as refusal:
        connector_class("hubspto\r\n")
    assert ", ".join(sorted(all_connectors())) in refusal.value.detail
    assert [error.pointer for error in refusal.value.errors] == ["#/connector"]
    assert refusal.value.detail.isprintable()


@pytest.mark.usefixtures("installed")
def test_an_installed_package_adds_its_connector():
    assert connector_class("pigeon").name == "pigeon"


@pytest.mark.usefixtures("installed")
def test_a_package_that_does_not_work_is_named_and_stops_nothing():
    assert broken_plugins().keys() == {
        "hubspot",
        "renamed",
        "nothing",
        "number",
        "broken",
        "silent",
    }
    assert connector_class("hubspot") is HubSpot
    assert "SystemError" in broken_plugins()["broken"]


@pytest.mark.parametrize("connector", CONNECTORS.values(), ids=CONNECTORS)
def test_a_description_is_json_with_a_valid_settings_schema(connector):
    described = strict_json.read_strict(strict_json.write(describe(connector)))
    Draft202012Validator.check_schema(described["settings"])
    for setting in described["settings"]["properties"].values():
        assert setting["description"]
    assert all(described["facts"].values())


@pytest.mark.parametrize("connector", CONNECTORS.values(), ids=CONNECTORS)
def test_the_defaults_of_a_connector_pass_its_own_checks(connector):
    for pattern in connector.default_events:
        check_pattern(pattern)
    compile_mapping(connector.default_mapping)
    assert connector.check_mapping(list(connector.default_mapping)) == {}


@pytest.mark.parametrize(
    ("connector", "secret"),
    [
        ("hubspot", "token"),
        ("fluentcrm", "application_password"),
        ("activecampaign", "api_key"),
        ("brevo", "api_key"),
        ("mailchimp", "api_key"),
        ("ga4", "api_secret"),
        ("posthog", "project_api_key"),
        ("mixpanel", "project_token"),
        ("amplitude", "api_key"),
        ("segment", "write_key"),
        ("matomo", "token_auth"),
        ("meta_capi", "access_token"),
        ("klaviyo", "api_key"),
        ("pipedrive", "api_token"),
        ("salesforce", "client_secret"),
        ("zoho_crm", "client_secret"),
        ("zoho_crm", "refresh_token"),
        ("slack", "url"),
    ],
)
def test_secrets_are_write_only_in_the_settings_schema(connector, secret):
    settings = describe(CONNECTORS[connector])["settings"]["properties"]
    assert settings[secret]["writeOnly"] is True
