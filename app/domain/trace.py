"""The trace that an event belongs to (W3C Trace Context, level 1), and who adds to it.

What the sender gave is kept with its event and handed on, so that a tracing system joins the
sender's work and the receiver's.
Where the relay is traced itself (app.tracing), its own spans stand between the two.
`tracestate` is not handed on: it holds what tracing vendors of the sender say among themselves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol

HEADER = "traceparent"
#: Version 00: trace id, parent id, flags. Neither id is all zeros (section 3.2.2).
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)

#: What is said of a span: names and numbers, never what a sender or a target wrote.
Attributes = Mapping[str, str | int | bool]


def trace_of(headers: Mapping[str, str]) -> str | None:
    """The `traceparent` of a request, None when there is none or it is not well-formed."""
    text = headers.get(HEADER)
    return text if text is not None and _TRACEPARENT.fullmatch(text) is not None else None


class Span(Protocol):
    """Something the relay does for an event; one that is never ended is never told of."""

    @property
    def traceparent(self) -> str:
        """How others name it."""
        ...

    def end(self, attributes: Attributes, *, error: str | None = None) -> None:
        """Say what it was; `error` is a code that says how it failed."""
        ...


class Tracer(Protocol):
    """Where spans begin. None of it blocks or raises; `parent` and `link` are well-formed."""

    def server(self, name: str, parent: str | None) -> Span:
        """Something asked of the relay, by whoever is `parent`."""
        ...

    def client(self, name: str, parent: str | None, *, link: str | None = None) -> Span:
        """Something the relay asks of others; without a parent it may have a `link`."""
        ...

    async def close(self, seconds: float) -> None:
        """Send what is left, for so many seconds at most."""
        ...
