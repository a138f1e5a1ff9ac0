"""Ids, times and subjects wherever a sender, or an operator's mapping, found them."""

from __future__ import annotations

import hashlib
import math
import re
from datetime import datetime
from typing import Any

from app.domain.clock import from_micros
from app.domain.coerce import ImpossibleValue, moment
from app.sources.lifecycle import DEDUPE_ID_LIMIT
from app.sources.relay import SUBJECT_LIMIT

#: Numbers from here on count milliseconds: as seconds they would lie in the year 5138.
_FIRST_MILLISECONDS = 100_000_000_000
_LAST_SECOND = 253_402_300_799
_DIGITS = re.compile(r"[0-9]{1,13}", re.ASCII)


def moment_from(value: Any) -> datetime | None:
    """A time: RFC 3339, `YYYY-MM-DD HH:MM:SS` in UTC, or seconds or milliseconds since 1970.

    Raises:
        ImpossibleValue: it is something else.
    """
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return moment(value)
    if not math.isfinite(value) or value < 0:
        raise ImpossibleValue("must be a time: RFC 3339, or seconds since 1970")
    seconds = value / 1000 if value >= _FIRST_MILLISECONDS else value
    if seconds > _LAST_SECOND:
        raise ImpossibleValue("must be a time before the year 10000")
    return from_micros(round(seconds * 1_000_000)) if seconds else None


def dedupe_id_from(value: Any) -> str | None:
    """A sender's id of an event, from a text or a whole number.

    Raises:
        ImpossibleValue: it is something else, or longer than the column.
    """
    return _short_text(value, "an id", DEDUPE_ID_LIMIT)


def subject_from(value: Any) -> str | None:
    """Whom an event is about, from a text or a whole number.

    Raises:
        ImpossibleValue: it is something else, or longer than the column.
    """
    return _short_text(value, "a subject", SUBJECT_LIMIT)


def fitting(text: str, limit: int) -> str:
    """The text, or a digest that stands for it where it is longer than `limit`."""
    if len(text) <= limit:
        return text
    return f"sha256:{hashlib.sha256(text.encode(errors='replace')).hexdigest()}"


def _short_text(value: Any, what: str, limit: int) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ImpossibleValue(f"must be {what}: a text or a whole number")
    text = str(value).strip()
    # Whatever JSON says can be encoded; a header's text, too.
    if len(text) > limit or not text.isprintable():
        raise ImpossibleValue(f"must be {what} of at most {limit} characters, all printable")
    return text or None
