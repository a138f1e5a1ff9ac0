"""The bytes of a request, from httpx's form of it."""

from __future__ import annotations

import re
from functools import lru_cache

import httpx

# RFC 9110, section 5.6.2.
_TOKEN = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
#: Fields that frame the message or manage the connection: they are this module's to write.
_OWN_FIELDS = frozenset(
    {
        b"accept-encoding",
        b"connection",
        b"content-length",
        b"expect",
        b"host",
        b"keep-alive",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
_BODILESS_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Unsendable(ValueError):
    """A request that cannot be put on the wire; the text says why and repeats no value."""


@lru_cache(maxsize=1024)
def _field_start(name: bytes) -> bytes | None:
    """What a line of this field begins with, None when the field is not the caller's to set."""
    if _TOKEN.fullmatch(name) is None:
        raise Unsendable("a header name is not well-formed")
    return None if name.lower() in _OWN_FIELDS else name + b": "


def request_head(request: httpx.Request, body: bytes, user_agent: bytes) -> bytes:
    """Request line and header, up to and with the empty line.

    Asks for the answer as it is (`Accept-Encoding: identity`): an answer that unpacks to
    gigabytes is not unpacked here.
    Raises Unsendable.
    """
    if not (request.method.isascii() and request.method.isalpha()):
        raise Unsendable("the method is not well-formed")
    url = request.url
    lines = [
        b"%s %s HTTP/1.1" % (request.method.encode("ascii"), url.raw_path),
        b"Host: " + url.netloc,
        b"Accept-Encoding: identity",
    ]
    if body or request.method not in _BODILESS_METHODS:
        lines.append(b"Content-Length: %d" % len(body))
    wanted = {b"user-agent": b"User-Agent: " + user_agent, b"accept": b"Accept: */*"}
    for name, value in request.headers.raw:
        start = _field_start(name)
        if start is not None:
            lines.append(start + value)
            wanted.pop(name.lower(), None)
    lines += wanted.values()
    head = b"\r\n".join(lines) + b"\r\n\r\n"
    breaks = len(lines) + 1
    if head.count(b"\r") != breaks or head.count(b"\n") != breaks or b"\0" in head:
        raise Unsendable("a header value contains a line break or a null byte")
    return head


def request_body(request: httpx.Request) -> bytes:
    """The whole body; raises Unsendable for a stream."""
    try:
        return request.content
    except httpx.RequestNotRead:
        raise Unsendable("the body is a stream; deliveries are sent from bytes") from None
