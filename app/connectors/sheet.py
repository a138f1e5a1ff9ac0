"""A connector's declaration in the words of its reader: the same for the page and the command.

Plain text; whoever prints it decides what is set as code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.domain import strict_json

#: The shown word of each kind; others are shown as they are.
_KINDS = {"crm": "CRM", "write_back": "write-back"}
_SECRET = "A secret: kept sealed, never answered."  # noqa: S105  the sentence about secrets
EVERY_EVENT = (
    "Every event, unless the target's `events` say otherwise.\n"
    "What means nothing to the destination is skipped, and the delivery says why."
)
NO_MAPPING = "Without a mapping of your own the connector decides what to send."


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting of a target: its default is empty where there is none."""

    name: str
    needed: bool
    default: str
    meaning: str
    choices: tuple[str, ...]
    secret: bool


def kind_in_words(kind: str) -> str:
    """The kind of a destination as it is shown."""
    return _KINDS.get(kind, kind.replace("_", " "))


def fact_rows(described: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name and sentence of each fact about a connector (`app.connectors.registry.describe`)."""
    facts, limits = described["facts"], described["limits"]
    rows = [
        ("connector", described["name"]),
        ("authentication", facts["authentication"]),
        ("replay", facts["replay_safety"]),
        ("never sent", facts["never_sent"]),
        ("order", _order(described)),
        ("test events", "sent" if described["takes_tests"] else "skipped"),
        ("at one time", _requests(limits["max_in_flight"])),
        ("rate", _rate(limits["per_second"])),
        ("batches", _batches(limits)),
        ("oldest event", _age(limits["max_age_seconds"])),
        ("the vendor's own page", facts["documentation"]),
    ]
    return [(name, text) for name, text in rows if text]


def setting_rows(schema: Mapping[str, Any]) -> list[SettingRow]:
    """The settings of a connector, from their JSON Schema."""
    required = schema.get("required", ())
    return [
        SettingRow(
            name=name,
            needed=name in required,
            default=_default(field.get("default")),
            meaning=field.get("description", ""),
            choices=tuple(str(choice) for choice in field.get("enum", ())),
            secret=bool(field.get("writeOnly")),
        )
        for name, field in schema.get("properties", {}).items()
    ]


def meaning_of(row: SettingRow, choices: tuple[str, ...]) -> str:
    """What a setting is for, with its choices as they are to be printed."""
    parts = [row.meaning]
    if choices:
        parts.append(f"One of {', '.join(choices)}.")
    if row.secret:
        parts.append(_SECRET)
    return " ".join(part for part in parts if part)


def smallest_target(described: Mapping[str, Any]) -> dict[str, Any]:
    """A body of `POST /v1/targets` with the settings that are needed and nothing else."""
    schema = described["settings"]
    properties = schema.get("properties", {})
    settings = {name: _example(properties.get(name, {})) for name in schema.get("required", ())}
    name = described["name"]
    return {"name": f"my-{name.replace('_', '-')}", "connector": name, "settings": settings}


def _order(described: Mapping[str, Any]) -> str:
    if described["ordered"]:
        return "one after another for each customer"
    return "as they come, several at once"


def _requests(number: float) -> str:
    return f"{number:g} request{'' if number == 1 else 's'}"


def _rate(per_second: float | None) -> str:
    return "no limit of its own" if per_second is None else f"{_requests(per_second)} a second"


def _batches(limits: Mapping[str, Any]) -> str:
    if limits["batch_size"] == 1:
        return "one event per request"
    return f"up to {limits['batch_size']} events and {limits['batch_bytes']} bytes per request"


def _age(seconds: float | None) -> str:
    return "any age" if seconds is None else f"{seconds / 3600:g} hours"


def _default(default: Any) -> str:
    if default in (None, "", [], {}):
        return ""
    return default if isinstance(default, str) else strict_json.write(default).decode()


def _example(field: Mapping[str, Any]) -> Any:
    examples = field.get("examples", ())
    return examples[0] if examples else "..."
