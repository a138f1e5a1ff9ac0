"""Every event type the relay knows, as data: who sends it, what stands in it, a real example.

The names are the platform's own: the documented hook without its `wu_`, or the slug of a built-in
webhook.
A type that is not here is accepted as well, when it has the right form: add-ons register their
own.
Four of the hooks in the platform's integration guide do not exist in its code; the bridge maps
the real ones to these names.
What the platform really sends was seen by running versions 2.4.10 and 2.4.13.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from app.domain import catalogue_examples, payload_schemas
from app.domain import catalogue_rows as rows


class Sender(StrEnum):
    """Who emits a type."""

    BUILT_IN = "built-in webhook"
    BRIDGE = "bridge"
    TEST_BUTTON = "test button only"
    RELAY = "relay"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType:
    """One type of event.

    `since` is the first version of Ultimate Multisite that was seen to have it, None where its
    version does not matter.
    `fields` is a JSON Schema of the event's data and `example` a body that fits it: what
    `POST /webhooks/{source}/{event_type}` takes, or, for the relay's own types, the data.
    `parts` names the groups inside it; `alias_of` the current name of a type that old versions
    send.
    """

    name: str
    summary: str
    sender: Sender
    since: str | None
    group: str
    parts: tuple[str, ...]
    fields: Mapping[str, Any]
    example: Mapping[str, Any]
    alias_of: str | None = None


def _bridge_types() -> list[EventType]:
    found = list(rows.BRIDGE)
    found += [
        (f"membership_status_to_{status}", rows.MEMBERSHIP, f"A membership became {status}")
        for status in rows.MEMBERSHIP_STATUSES
    ]
    found += [
        (f"payment_status_to_{status}", rows.PAYMENT, f"A payment became {status}")
        for status in rows.PAYMENT_STATUSES
    ]
    found += [
        (f"domain_stage_to_{stage}", rows.DOMAIN, f"A mapped domain reached {stage}")
        for stage in rows.DOMAIN_STAGES
    ]
    return [_flat_type(name, parts, Sender.BRIDGE, summary) for name, parts, summary in found]


def _flat_type(
    name: str,
    parts: tuple[str, ...],
    sender: Sender,
    summary: str,
    *,
    since: str | None = None,
    alias_of: str | None = None,
) -> EventType:
    extras = rows.EXTRAS.get(name, rows.POST if name.startswith("subsite_") else ())
    nested = name == "demo_site_expiring"
    schema = payload_schemas.object_body if nested else payload_schemas.flat_body
    return EventType(
        name=name,
        summary=summary,
        sender=sender,
        since=since,
        group=rows.GROUPS.get(name) or name.partition("_")[0],
        parts=parts,
        fields=schema(parts, extras),
        example=catalogue_examples.captured_body(name) or catalogue_examples.flat_body(name, parts),
        alias_of=alias_of,
    )


def _relay_type(name: str, summary: str) -> EventType:
    return EventType(
        name=name,
        summary=summary,
        sender=Sender.RELAY,
        since=None,
        group="relay",
        parts=rows.CUSTOMER,
        fields=payload_schemas.object_body(rows.CUSTOMER, rows.NEWS),
        example=catalogue_examples.relay_data(name),
    )


def _all_types() -> list[EventType]:
    types = _bridge_types()
    for name, since, parts, summary in rows.BUILT_IN:
        types.append(_flat_type(name, parts, Sender.BUILT_IN, summary, since=since))
    for name, parts, summary in rows.TEST_BUTTON:
        types.append(_flat_type(name, parts, Sender.TEST_BUTTON, summary, since="2.4.13"))
    for name, parts, current in rows.ALIASES:
        model, _, verb = name.partition("_")
        summary = f"A {model} was {verb} (WP Ultimo up to 2.3.2)"
        types.append(
            _flat_type(name, parts, Sender.BUILT_IN, summary, since="2.1.4", alias_of=current),
        )
    types += [_relay_type(name, summary) for name, summary in rows.RELAY]
    return types


#: Every type by its name.
CATALOGUE: Mapping[str, EventType] = MappingProxyType({entry.name: entry for entry in _all_types()})

#: Types that the platform sends by itself.
BUILT_IN_TYPES: tuple[str, ...] = tuple(name for name, *_ in rows.BUILT_IN)

#: Types that only old versions of the platform send; later ones do not even list them.
MODEL_TYPES: tuple[str, ...] = tuple(name for name, *_ in rows.ALIASES)

#: Types that only the platform's test button sends.
TEST_BUTTON_TYPES = frozenset(name for name, _, _ in rows.TEST_BUTTON)


#: Types that the bridge sends: those it is there for, and every built-in one as the platform
#: fires it; not the test button's, not the old names.
BRIDGE_TYPES: tuple[str, ...] = tuple(
    entry.name
    for entry in CATALOGUE.values()
    if entry.sender is Sender.BRIDGE
    or (
        entry.sender is Sender.BUILT_IN and not any(entry.name == old for old, _, _ in rows.ALIASES)
    )
)


def bridge_example(name: str) -> dict[str, Any]:
    """A full envelope as the bridge sends it.

    Raises:
        KeyError: the bridge does not send this type.
    """
    if name not in BRIDGE_TYPES:
        raise KeyError(name)
    return catalogue_examples.envelope(name, CATALOGUE[name].parts)
