"""The query parameters by which events and deliveries are found."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any

from fastapi import Query
from pydantic import AfterValidator, BeforeValidator

from app.domain.ids import is_id
from app.domain.routing import check_pattern

_RFC_3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
#: No text in the store has a control character; PostgreSQL refuses to look for NUL.
_PLAIN = r"^[^\x00-\x1f\x7f]+$"


def _rfc_3339(value: Any) -> Any:
    if not isinstance(value, str) or _RFC_3339.fullmatch(value) is None:
        raise ValueError("use RFC 3339 with a zone, such as 2026-11-23T19:09:31Z (write + as %2B)")
    return value.upper()


def _event_id(value: str) -> str:
    if not is_id(value, "evt"):
        raise ValueError("use the id of an event: evt_ and 26 characters")
    return value


def _replay_id(value: str) -> str:
    if not is_id(value, "rpl"):
        raise ValueError("use the id of a replay: rpl_ and 26 characters")
    return value


def _moment(description: str) -> Any:
    return Query(
        description=description + " RFC 3339.",
        openapi_examples={},
        examples=["2026-11-23T00:00:00Z"],
    )


Since = Annotated[
    datetime | None, BeforeValidator(_rfc_3339), _moment("Only what came at this time or later.")
]
Until = Annotated[datetime | None, BeforeValidator(_rfc_3339), _moment("Only what came before.")]
TypePattern = Annotated[
    str | None,
    AfterValidator(lambda value: value if value is None else check_pattern(value)),
    Query(
        description="An event type, or a pattern with `*` for any characters.",
        examples=["membership_*"],
    ),
]
SourceName = Annotated[
    str | None,
    Query(
        max_length=64,
        pattern=_PLAIN,
        description="The name or the id of a source.",
        examples=["shop"],
    ),
]
Subject = Annotated[
    str | None,
    Query(
        max_length=255,
        pattern=_PLAIN,
        description="Whom the events are about, its source's name included.",
        examples=["my-network/customer/2"],
    ),
]
TargetFilter = Annotated[
    str | None,
    Query(max_length=64, pattern=_PLAIN, description="The id or the name of a target."),
]
EventId = Annotated[
    str | None,
    AfterValidator(lambda value: value if value is None else _event_id(value)),
    Query(description="The id of an event."),
]
ReplayId = Annotated[
    str | None,
    AfterValidator(lambda value: value if value is None else _replay_id(value)),
    Query(description="The id of a replay: only the deliveries it made."),
]
