"""Requests captured from the real Ultimate Multisite, and what its hooks export."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.domain import strict_json
from app.domain.model import RawRequest

FOLDER = Path(__file__).parent / "fixtures" / "ultimate-multisite"
RECEIVED_AT = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Captured:
    """One captured request; `raw_body` is what came over the wire, byte for byte."""

    name: str
    event: str
    live: bool
    headers: dict[str, str]
    raw_body: bytes

    @property
    def document(self) -> Any:
        return strict_json.read_strict(self.raw_body)

    def request(self, event_type: str | None = None) -> RawRequest:
        return RawRequest(
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.raw_body,
            received_at=RECEIVED_AT,
            event_type=event_type or self.event,
        )


def captured(name: str) -> Captured:
    """The capture in `<name>.json`."""
    record = strict_json.read_trusted((FOLDER / f"{name}.json").read_bytes())
    return Captured(
        name=name,
        event=record["event"],
        live=record["kind"] == "live",
        headers=record["headers"],
        raw_body=record["raw_body"].encode(),
    )


def names(folder: str = "") -> list[str]:
    """The names of all captures, or of those in `hooks` or `model_events`."""
    return sorted(
        str(path.relative_to(FOLDER).with_suffix("")) for path in (FOLDER / folder).glob("*.json")
    )


def hook_data(name: str) -> dict[str, Any]:
    """The object data that a real hook exported (`hooks/<name>.json`)."""
    data: dict[str, Any] = captured(f"hooks/{name}").document["data"]
    return data
