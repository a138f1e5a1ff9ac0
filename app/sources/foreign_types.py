"""Event types of senders that do not know the relay's form."""

from __future__ import annotations

import re

from app.domain.routing import RELAY_PREFIX, is_event_type

_OTHERS = re.compile(r"[^a-z0-9_.-]+")
_LONGEST = 64


def event_type_from(name: str) -> str | None:
    """A sender's own name for an event in the form of an event type, None when it has no such form.

    `PAYMENT.CAPTURE.COMPLETED` becomes `payment.capture.completed`, `Order placed` becomes
    `order_placed`.
    The names of the relay's own news are not for senders.
    """
    written = _OTHERS.sub("_", name.strip().lower())
    if not is_event_type(written) or written.startswith(RELAY_PREFIX):
        return None
    return written


def prefixed_type(prefix: str, name: str) -> str:
    """A vendor's name behind a prefix that is an event type's beginning; cut at 64 characters."""
    return (prefix + _OTHERS.sub("_", name.strip().lower()))[:_LONGEST]
