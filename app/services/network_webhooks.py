"""The built-in webhooks of a network, and which of them this relay made.

A webhook names who made it in its column `integration`; those of this relay hold the source's id
there, which no other source and no other relay has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

_PREFIX = "lifecycle-relay-"
#: The network's column is varchar(191); the contract keeps every URL below it.
LONGEST_URL = 190


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """One row of the network's webhooks; `count` is how often it has fired."""

    id: str
    name: str
    url: str = field(repr=False)
    event: str
    integration: str
    count: int

    @property
    def token(self) -> str | None:
        """The token in the URL."""
        found = parse_qs(urlsplit(self.url).query).get("token", [])
        return found[0] if found else None


def read_all(rows: Iterable[Mapping[str, Any]]) -> list[Webhook]:
    """The network's rows: its numbers are sometimes texts, and its texts sometimes null."""
    return [
        Webhook(
            id=str(row.get("id", "")),
            name=str(row.get("name") or ""),
            url=str(row.get("webhook_url") or ""),
            event=str(row.get("event") or ""),
            integration=str(row.get("integration") or ""),
            count=_number(row.get("event_count")),
        )
        for row in rows
    ]


def marker(source_id: str) -> str:
    """What stands in `integration` of the webhooks of a source."""
    return f"{_PREFIX}{source_id.replace('_', '-')}"


def url_of(ingest_url: str, event: str, token: str) -> str:
    """Where the network sends an event."""
    return f"{ingest_url}/{event}?token={token}"


def made_for(
    webhooks: Sequence[Webhook], source_id: str | None, ingest_url: str
) -> tuple[list[Webhook], list[Webhook]]:
    """The webhooks that a relay made for this source, and others that lead to it all the same.

    A relay that lost its database has other ids, but the same URL: what an earlier one made is
    taken over.
    """
    ours: list[Webhook] = []
    others: list[Webhook] = []
    own = marker(source_id) if source_id else None
    for webhook in webhooks:
        leads_here = webhook.url.startswith(f"{ingest_url}/")
        if webhook.integration == own or (leads_here and webhook.integration.startswith(_PREFIX)):
            ours.append(webhook)
        elif leads_here:
            others.append(webhook)
    return ours, others


def _number(value: Any) -> int:
    text = str(value)
    return int(text) if text.isascii() and text.isdecimal() else 0
