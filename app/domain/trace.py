"""The trace that an event belongs to (W3C Trace Context, level 1).

The relay opens no spans of its own: it hands on what the sender gave, so that a tracing system
joins the sender's work and the receiver's, with the relay's time as the gap between them.
`tracestate` is not handed on: it holds what tracing vendors of the sender say among themselves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

HEADER = "traceparent"
#: Version 00: trace id, parent id, flags. Neither id is all zeros (section 3.2.2).
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)


def trace_of(headers: Mapping[str, str]) -> str | None:
    """The `traceparent` of a request, None when there is none or it is not well-formed."""
    text = headers.get(HEADER)
    return text if text is not None and _TRACEPARENT.fullmatch(text) is not None else None
