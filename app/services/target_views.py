"""A target and its memory as the operator sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.domain.clock import from_micros
from app.store.target_links import LinkRecord
from app.store.targets import TargetRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A target as the operator sees it: secret settings masked, no signing secret."""

    id: str
    name: str
    connector: str
    settings: Mapping[str, Any]
    events: tuple[str, ...]
    sources: tuple[str, ...] | None
    filter: str | None
    mapping: Mapping[str, str] | None
    ordered: bool
    retry: Mapping[str, Any] | None
    rate_limit: Mapping[str, Any] | None
    max_in_flight: int
    status: str
    status_reason: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetWithSecret:
    """A target and the signing secret that was just made for it: never to be had again."""

    target: Target
    signing_secret: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What a destination calls one subject."""

    subject: str
    external_id: str
    created_at: datetime
    updated_at: datetime


def target_view(
    record: TargetRecord, settings: Mapping[str, Any], *, trouble: str | None
) -> Target:
    """What is shown of a row; `settings` are masked, `trouble` keeps it from being used."""
    return Target(
        id=record.id,
        name=record.name,
        connector=record.connector,
        settings=settings,
        events=tuple(record.events),
        sources=None if record.sources is None else tuple(record.sources),
        filter=record.filter,
        mapping=record.mapping,
        ordered=record.ordered,
        retry=record.retry,
        rate_limit=record.rate_limit,
        max_in_flight=record.max_in_flight,
        status=record.status,
        status_reason=record.status_reason or trouble,
        created_at=from_micros(record.created_at),
        updated_at=from_micros(record.updated_at),
    )


def link_view(record: LinkRecord) -> Link:
    """What is shown of a row."""
    return Link(
        subject=record.subject,
        external_id=record.external_id,
        created_at=from_micros(record.created_at),
        updated_at=from_micros(record.updated_at),
    )
