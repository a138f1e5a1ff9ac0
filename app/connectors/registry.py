"""Which connectors there are: the built-in ones, and those of installed packages.

A package adds its own by an entry point in the group `lifecycle_relay.connectors`, whose name is
the connector's and whose object is the class.
They are looked up when one is first asked for; one that cannot be loaded does not stop the relay,
and `broken_plugins` says why it is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any

from app.connectors.activecampaign import ActiveCampaign
from app.connectors.amplitude import Amplitude
from app.connectors.base import Connector
from app.connectors.brevo import Brevo
from app.connectors.cloudevents import CloudEvents
from app.connectors.fluentcrm import FluentCrm
from app.connectors.ga4 import Ga4
from app.connectors.hubspot import HubSpot
from app.connectors.klaviyo import Klaviyo
from app.connectors.mailchimp import Mailchimp
from app.connectors.matomo import Matomo
from app.connectors.meta_capi import MetaCapi
from app.connectors.mixpanel import Mixpanel
from app.connectors.pipedrive import Pipedrive
from app.connectors.plausible import Plausible
from app.connectors.posthog import PostHog
from app.connectors.salesforce import Salesforce
from app.connectors.segment import Segment
from app.connectors.slack import Slack
from app.connectors.ultimate_multisite import UltimateMultisite
from app.connectors.webhook import Webhook
from app.connectors.wording import presentable
from app.connectors.zoho_crm import ZohoCrm
from app.domain.errors import FieldError, ValidationFailed

ENTRY_POINT_GROUP = "lifecycle_relay.connectors"

_BUILT_IN: tuple[type[Connector[Any]], ...] = (
    Webhook,
    HubSpot,
    FluentCrm,
    ActiveCampaign,
    Brevo,
    Mailchimp,
    Klaviyo,
    Pipedrive,
    Salesforce,
    ZohoCrm,
    Ga4,
    PostHog,
    Mixpanel,
    Amplitude,
    Segment,
    Matomo,
    Plausible,
    MetaCapi,
    Slack,
    CloudEvents,
    UltimateMultisite,
)

#: The built-in connectors, by the value of a target's `connector`.
CONNECTORS: Mapping[str, type[Connector[Any]]] = MappingProxyType(
    {connector.name: connector for connector in _BUILT_IN}
)


def all_connectors() -> Mapping[str, type[Connector[Any]]]:
    """The built-in connectors and those of installed packages, by name."""
    return _discovered()[0]


def broken_plugins() -> Mapping[str, str]:
    """The entry points that could not be used: name to reason."""
    return _discovered()[1]


def connector_class(name: str) -> type[Connector[Any]]:
    """The connector of this name.

    Raises:
        ValidationFailed: there is none; says which there are.
    """
    found = CONNECTORS.get(name) or all_connectors().get(name)
    if found is None:
        known = ", ".join(sorted(all_connectors()))
        detail = f"There is no connector {presentable(name, longest=40)!r}; there are {known}."
        raise ValidationFailed(detail, errors=[FieldError("#/connector", detail)])
    return found


def describe(connector: type[Connector[Any]]) -> dict[str, Any]:
    """What the API and the documentation say about a connector.

    `settings` is the JSON Schema of a target's settings, `mapping` the default one.
    """
    return {
        "name": connector.name,
        "kind": connector.kind,
        "facts": asdict(connector.facts),
        "settings": connector.Settings.model_json_schema(),
        "events": list(connector.default_events),
        "mapping": dict(connector.default_mapping),
        "ordered": connector.ordered,
        "takes_tests": connector.takes_tests,
        "limits": asdict(connector.limits),
    }


@cache
def _discovered() -> tuple[Mapping[str, type[Connector[Any]]], Mapping[str, str]]:
    known = dict(CONNECTORS)
    broken: dict[str, str] = {}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        try:
            _add(known, point)
        except Exception as error:  # noqa: BLE001 - a stranger's package must not stop the relay
            broken[point.name] = presentable(f"{type(error).__name__}: {error}")
    return MappingProxyType(known), MappingProxyType(broken)


def _add(known: dict[str, type[Connector[Any]]], point: EntryPoint) -> None:
    """Load one entry point into `known`.

    Raises:
        Exception: whatever its package raises; TypeError or ValueError when it is no connector
            or takes the name of another.
    """
    found = point.load()
    if not (isinstance(found, type) and issubclass(found, Connector)):
        raise TypeError("the entry point names no subclass of Connector")
    if found.name != point.name:
        raise ValueError(f"the entry point is called {point.name!r}, its connector {found.name!r}")
    if found.name in known:
        raise ValueError("a connector of this name is there already")
    # What lists connectors must not fail for one that declares too little.
    describe(found)
    known[found.name] = found
