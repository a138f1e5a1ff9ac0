"""The elements of a JSON array, byte for byte as they were received."""

from __future__ import annotations

import re

_MARK = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{},]')
_WHITESPACE = b" \t\r\n"
_OPENING = frozenset({b"[", b"{"})
_CLOSING = frozenset({b"]", b"}"})


def elements(body: bytes) -> list[bytes]:
    """The elements of the array that `body` is, without the whitespace around them.

    The body was read by `strict_json.read_strict` before, and is one array: nothing is checked
    here.
    """
    found: list[bytes] = []
    depth = start = 0
    for match in _MARK.finditer(body):
        mark = match[0]
        if mark in _OPENING:
            depth += 1
            if depth == 1:
                start = match.end()
        elif mark in _CLOSING:
            depth -= 1
            if depth == 0:
                last = body[start : match.start()].strip(_WHITESPACE)
                return [*found, last] if last else found
        elif mark == b"," and depth == 1:
            found.append(body[start : match.start()].strip(_WHITESPACE))
            start = match.end()
    return found
