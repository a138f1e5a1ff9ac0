"""`docs/connectors/*.md`, from what the built-in connectors declare."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from app.connectors import sheet
from app.connectors.registry import CONNECTORS, describe
from docs.generators import markdown

_INDEX = """\
Where events can be carried to.
A target is one of these with its settings; there can be any number of targets of one connector.

`GET /v1/connectors` and `relay connectors show NAME` say the same, with the connectors of installed packages among them.
A destination that is not here can be [added by a package of yours](../writing-a-connector.md); [automation tools](../automation/README.md) are fed by `webhook`."""


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
            sheet.kind_in_words(each["kind"]),
            each["facts"]["summary"],
        )
        for each in described
    ]
    header = ("destination", "connector", "kind", "what it does")
    return markdown.page("Connectors", _INDEX, markdown.table(header, rows))


def _page(each: Mapping[str, Any]) -> str:
    facts = each["facts"]
    smallest = json.dumps(sheet.smallest_target(each), indent=2, ensure_ascii=False)
    blocks = [
        facts["summary"],
        markdown.table(("", ""), _facts(each)),
        "## Settings",
        markdown.table(("setting", "needed", "default", "what it is"), _settings(each["settings"])),
        "A target with the least it needs:",
        markdown.block("json", smallest),
        "## Events",
        _events(each),
        "## Mapping",
        _mapping(each),
    ]
    return markdown.page(facts["title"], *blocks)


def _facts(each: Mapping[str, Any]) -> list[tuple[str, str]]:
    set_apart = {"connector": markdown.code, "the vendor's own page": "<{}>".format}
    return [(name, set_apart.get(name, str)(text)) for name, text in sheet.fact_rows(each)]


def _settings(schema: Mapping[str, Any]) -> list[tuple[str, ...]]:
    return [
        (
            markdown.code(row.name),
            "yes" if row.needed else "",
            markdown.code(row.default),
            sheet.meaning_of(row, tuple(markdown.code(choice) for choice in row.choices)),
        )
        for row in sheet.setting_rows(schema)
    ]


def _events(each: Mapping[str, Any]) -> str:
    if each["events"] == ["*"]:
        return sheet.EVERY_EVENT
    listed = "\n".join(f"- {markdown.code(name)}" for name in each["events"])
    return f"Unless the target's `events` say otherwise:\n\n{listed}"


def _mapping(each: Mapping[str, Any]) -> str:
    if not each["mapping"]:
        return sheet.NO_MAPPING
    rows = [(markdown.code(name), markdown.code(text)) for name, text in each["mapping"].items()]
    return (
        "Without a mapping of your own, destination field by CEL expression:\n\n"
        + markdown.table(("field", "expression"), rows)
    )
