"""`docs/connectors/*.md`, from what the built-in connectors declare."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from app.connectors.registry import CONNECTORS, describe
from docs.generators import markdown

_INDEX = """\
Where events can be carried to.
A target is one of these with its settings; there can be any number of targets of one connector.

`GET /v1/connectors` answers the same as data, with the connectors of installed packages among them."""

_KINDS = {"crm": "CRM", "analytics": "analytics", "webhook": "webhook"}


def references() -> dict[str, str]:
    """File name to page: one for each connector, and a list of them."""
    described = [describe(connector) for connector in CONNECTORS.values()]
    return {
        "README.md": _list(described),
        **{f"{each['name']}.md": _page(each) for each in described},
    }


def _list(described: list[dict[str, Any]]) -> str:
    rows = [
        (
            f"[{each['facts']['title']}]({each['name']}.md)",
            markdown.code(each["name"]),
            _KINDS.get(each["kind"], each["kind"]),
            each["facts"]["summary"],
        )
        for each in described
    ]
    header = ("destination", "connector", "kind", "what it does")
    return markdown.page("Connectors", _INDEX, markdown.table(header, rows))


def _page(each: Mapping[str, Any]) -> str:
    facts = each["facts"]
    blocks = [
        facts["summary"],
        markdown.table(("", ""), _facts(each)),
        "## Settings",
        markdown.table(("setting", "needed", "default", "what it is"), _settings(each["settings"])),
        "A target with the least it needs:",
        markdown.block("json", json.dumps(_smallest(each), indent=2, ensure_ascii=False)),
        "## Events",
        _events(each),
        "## Mapping",
        _mapping(each),
    ]
    return markdown.page(facts["title"], *blocks)


def _facts(each: Mapping[str, Any]) -> list[tuple[str, str]]:
    facts, limits = each["facts"], each["limits"]
    rows = [
        ("connector", markdown.code(each["name"])),
        ("authentication", facts["authentication"]),
        ("replay", facts["replay_safety"]),
        ("never sent", facts["never_sent"]),
        ("order", _order(each["ordered"])),
        ("test events", "sent" if each["takes_tests"] else "skipped"),
        ("at one time", f"{limits['max_in_flight']} requests"),
        ("rate", _rate(limits["per_second"])),
        ("batches", _batches(limits)),
        ("oldest event", _age(limits["max_age_seconds"])),
        ("the vendor's own page", _link(facts["documentation"])),
    ]
    return [(name, text) for name, text in rows if text]


def _order(ordered: bool) -> str:  # noqa: FBT001  one fact, one sentence
    return "one after another for each customer" if ordered else "as they come, several at once"


def _rate(per_second: float | None) -> str:
    return "no limit of its own" if per_second is None else f"{per_second:g} requests a second"


def _batches(limits: Mapping[str, Any]) -> str:
    if limits["batch_size"] == 1:
        return "one event per request"
    return f"up to {limits['batch_size']} events and {limits['batch_bytes']} bytes per request"


def _age(seconds: float | None) -> str:
    return "any age" if seconds is None else f"{seconds / 3600:g} hours"


def _link(url: str) -> str:
    return f"<{url}>" if url else ""


def _settings(schema: Mapping[str, Any]) -> list[tuple[str, ...]]:
    required = schema.get("required", [])
    return [
        (
            markdown.code(name),
            "yes" if name in required else "",
            _default(field),
            _meaning(field),
        )
        for name, field in schema["properties"].items()
    ]


def _default(field: Mapping[str, Any]) -> str:
    default = field.get("default")
    if default in (None, "", [], {}):
        return ""
    return markdown.code(default if isinstance(default, str) else json.dumps(default))


def _meaning(field: Mapping[str, Any]) -> str:
    meaning: str = field.get("description", "")
    if "enum" in field:
        choices = ", ".join(markdown.code(choice) for choice in field["enum"])
        meaning = f"{meaning} One of {choices}."
    if field.get("writeOnly"):
        meaning = f"{meaning} A secret: kept sealed, never answered."
    return meaning


def _smallest(each: Mapping[str, Any]) -> dict[str, Any]:
    """A body of `POST /v1/targets` with the settings that are needed."""
    properties = each["settings"]["properties"]
    settings = {name: _example(properties[name]) for name in each["settings"].get("required", [])}
    return {"name": f"my-{each['name']}", "connector": each["name"], "settings": settings}


def _example(field: Mapping[str, Any]) -> Any:
    examples = field.get("examples", [])
    return examples[0] if examples else "..."


def _events(each: Mapping[str, Any]) -> str:
    if each["events"] == ["*"]:
        return (
            "Every event, unless the target's `events` say otherwise.\n"
            "What means nothing to the destination is skipped, and the delivery says why."
        )
    listed = "\n".join(f"- {markdown.code(name)}" for name in each["events"])
    return f"Unless the target's `events` say otherwise:\n\n{listed}"


def _mapping(each: Mapping[str, Any]) -> str:
    if not each["mapping"]:
        return "Without a mapping of your own the connector decides what to send."
    rows = [(markdown.code(name), markdown.code(text)) for name, text in each["mapping"].items()]
    return (
        "Without a mapping of your own, destination field by CEL expression:\n\n"
        + markdown.table(("field", "expression"), rows)
    )
