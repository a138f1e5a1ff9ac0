"""Which header fields a target may ask the relay to send along.

A value with a line break would start a header, or a request, of its own; and the fields that
frame the message, name the host or carry the signature belong to the relay.
The refusal never repeats a value: it may be a credential.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

MOST_HEADERS = 20
#: Names and values together, with the `: ` and the line break of each.
MOST_BYTES = 4096

# RFC 9110, section 5.6.2.
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_RESERVED_NAMES = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "expect",
        "host",
        "keep-alive",
        "relay-hop",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    }
)
_RESERVED_PREFIXES = ("proxy-", "webhook-")
_LINE_OVERHEAD = len(": \r\n")
# RFC 9110, section 11.4: `Bearer …`, `Basic …`, `Token …`.
_BEHIND_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9-]* ([^ ]+)")
_SHORTEST_CREDENTIAL = 6


class UnsafeHeader(ValueError):
    """A header the relay will not send; the text is one sentence that says which and why.

    `name` is the offending name as it was given, or None when the set as a whole is refused.
    """

    def __init__(self, reason: str, name: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.name = name


def check_custom_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers, as given, when every one may be sent; raises UnsafeHeader otherwise."""
    if len(headers) > MOST_HEADERS:
        raise UnsafeHeader(
            f"A target may have {MOST_HEADERS} custom headers; these are {len(headers)}."
        )
    seen: set[str] = set()
    for name, value in headers.items():
        _check_name(name)
        _check_value(name, value)
        if name.lower() in seen:
            raise UnsafeHeader(
                f"The header {name!r} is given twice; names differ by more than capitals.", name
            )
        seen.add(name.lower())
    size = sum(len(name) + len(value) + _LINE_OVERHEAD for name, value in headers.items())
    if size > MOST_BYTES:
        raise UnsafeHeader(
            f"The custom headers take {size} bytes; together they may take {MOST_BYTES}."
        )
    return dict(headers)


def credentials_in(headers: Mapping[str, str]) -> tuple[str, ...]:
    """What in custom headers may be a credential: the values, and what stands behind a scheme.

    Texts of less than six characters are left out: masking them would mask ordinary words.
    """
    found = [*headers.values()]
    found += [match[1] for value in found if (match := _BEHIND_SCHEME.fullmatch(value))]
    return tuple(text for text in found if len(text) >= _SHORTEST_CREDENTIAL)


def _check_name(name: str) -> None:
    if _TOKEN.fullmatch(name) is None:
        raise UnsafeHeader(
            f"{name[:40]!r} is not a header name; use letters, digits and hyphens.", name
        )
    lowered = name.lower()
    if lowered in _RESERVED_NAMES or lowered.startswith(_RESERVED_PREFIXES):
        raise UnsafeHeader(f"The relay sets the header {name!r} itself; leave it out.", name)


def _check_value(name: str, value: str) -> None:
    if _VALUE.fullmatch(value) is None:
        raise UnsafeHeader(
            f"The value of {name!r} must be visible ASCII characters and inner spaces,"
            " with no line break and no space at either end.",
            name,
        )
