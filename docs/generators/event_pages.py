"""`docs/event-types.md`, from `app/domain/catalogue.py`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from app.domain import payload_schemas
from app.domain.catalogue import CATALOGUE, EventType, Sender, bridge_example
from app.domain.routing import EVENT_TYPE_FORM
from docs.generators import markdown

_INTRODUCTION = f"""\
The names are the platform's own: the documented hook without its `wu_`, or the slug of a built-in webhook.
Nothing is renamed on its way through.

A type that is not listed here is accepted too, kept and routed, when it has the form `{EVENT_TYPE_FORM.pattern}`: add-ons register their own.
A source with `strict` set to true refuses it with 404.

`GET /v1/event-types` answers the same list with a JSON Schema and an example of each type.
`/docs` shows every type as an operation of its own, and its "Try it out" sends the example."""

_BRIDGE = """\
The bridge plugin sends these, in [an envelope](bridge-envelope.md) that it signs.
The platform has no webhook of its own for them."""

_BUILT_IN = """\
The platform sends these by itself: a flat body, the type in the path.
The version is the first one of Ultimate Multisite that was seen to have the type."""

_TEST_BUTTON = """\
These can be chosen for a webhook, but the versions that were run send them by "Send Test Event" only.
They are marked `test`: custom webhooks get them, CRM and analytics targets skip them."""

_RELAY = """\
The relay's own news are ordinary events of the source `relay`, and can be routed to any target.
They never cause news about themselves."""

_FIELDS = """\
Ids may be numbers or texts, amounts numbers or decimal texts, and everything may be null.
Amounts are in major units: 59.99 is 59 dollars 99.
A body may hold more than is listed; it is kept whole."""

_SENDERS: Mapping[Sender, tuple[str, str]] = {
    Sender.BRIDGE: ("From the bridge", _BRIDGE),
    Sender.BUILT_IN: ("From the built-in webhooks", _BUILT_IN),
    Sender.TEST_BUTTON: ("From the test button only", _TEST_BUTTON),
    Sender.RELAY: ("From the relay itself", _RELAY),
}

_GROUPS = ("customer", "membership", "payment", "site", "domain")
_EXAMPLES = (("payment_received", "a built-in webhook"), ("relay.contact_linked", "the relay"))


def reference() -> str:
    """The page that lists every type, every field, and some examples."""
    return markdown.page(
        "Event types",
        _INTRODUCTION,
        *(block for sender in _SENDERS for block in _of_sender(sender)),
        "## Fields",
        _FIELDS,
        *(block for group in _GROUPS for block in _of_group(group)),
        "## Examples",
        *(block for name, sender in _EXAMPLES for block in _example(name, sender)),
        "`checkout_completed` as the bridge sends it:",
        markdown.block("json", _json(bridge_example("checkout_completed"))),
    )


def _of_sender(sender: Sender) -> Iterable[str]:
    title, text = _SENDERS[sender]
    types = [entry for entry in CATALOGUE.values() if entry.sender is sender]
    dated = any(entry.since for entry in types)
    header = ["type", "when", *(["since"] if dated else []), "holds"]
    rows = [
        [
            markdown.code(entry.name),
            _summary(entry),
            *([entry.since or ""] if dated else []),
            _holds(entry),
        ]
        for entry in types
    ]
    return (f"## {title}", text, markdown.table(header, rows))


def _summary(entry: EventType) -> str:
    if entry.alias_of is None:
        return entry.summary
    return f"{entry.summary}; today {markdown.code(entry.alias_of)}"


def _holds(entry: EventType) -> str:
    """The groups of a type, and the fields that are its own."""
    grouped = payload_schemas.flat_body(entry.parts)["properties"].keys() | {*entry.parts}
    own = [markdown.code(name) for name in entry.fields["properties"] if name not in grouped]
    return ", ".join([*entry.parts, *own])


def _of_group(group: str) -> Iterable[str]:
    flat = payload_schemas.flat_body((group,))["properties"]
    objects = payload_schemas.object_group(group)["properties"]
    where = f"in the bridge's envelope (`data.{group}`), in expressions and in custom webhooks (`{group}`)"
    return (
        f"### {group.capitalize()}",
        f"As the relay names it, {where}:",
        _fields(objects),
        "In the flat body of a built-in webhook:",
        _fields({name: field for name, field in flat.items() if name != "wu_version"}),
    )


def _fields(fields: Mapping[str, Any]) -> str:
    return markdown.table(
        ("field", "what it is"),
        [(markdown.code(name), field.get("description", "")) for name, field in fields.items()],
    )


def _example(name: str, sender: str) -> Iterable[str]:
    return (
        f"`{name}` as {sender} sends it:",
        markdown.block("json", _json(CATALOGUE[name].example)),
    )


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
