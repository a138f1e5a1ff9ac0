"""Signatures by the Standard Webhooks specification 1.0.0, and tokens for senders that cannot sign.

The signed content is `id.timestamp.body`, byte for byte; the signature is HMAC-SHA256 in base64,
written `v1,<base64>`; a header holds several, separated by spaces, while a rotation overlaps.
Specification: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

Everything is compared as bytes and in constant time.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import os
import re
from collections.abc import Callable, Mapping, Sequence

from app.domain.errors import Unauthorized

ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"
_HEADERS = (ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER)

#: How far the sender's clock may be off, in seconds, either way.
DEFAULT_TOLERANCE = 300
#: A rotation needs two signatures; what stands behind this many is not looked at.
MAX_SIGNATURES = 32

_PREFIX = "whsec_"
_ASYMMETRIC_PREFIXES = ("whsk_", "whpk_")
_NEW_SECRET_BYTES = 32
_SECRET_BYTES = range(24, 65)
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
#: Unix seconds in ASCII digits; twelve reach to the year 33658.
_TIMESTAMP = re.compile(r"[0-9]{1,12}")


class InvalidSecret(ValueError):
    """A signing secret that is not what the specification says; the text never repeats it."""


class InvalidSignature(Unauthorized):
    """The request is not signed by one of the keys, or not now; the text never says which."""

    def __init__(self) -> None:
        super().__init__("The request has no valid Standard Webhooks signature.")


def decode_secret(text: str) -> bytes:
    """The key of a serialised secret: `whsec_` (may be missing) and base64 of 24 to 64 bytes.

    The base64 may lack its padding, as in secrets of the older reference libraries.

    Raises:
        InvalidSecret: the text has another form; says which part.
    """
    if text.startswith(_ASYMMETRIC_PREFIXES):
        raise InvalidSecret("this is an ed25519 key; a symmetric secret (whsec_…) is needed")
    encoded = text.removeprefix(_PREFIX)
    if _BASE64.fullmatch(encoded) is None:
        raise InvalidSecret("a secret is whsec_ followed by base64, with nothing around it")
    bare = encoded.rstrip("=")
    padded = bare + "=" * (-len(bare) % 4)
    if "=" in encoded and encoded != padded:
        raise InvalidSecret("the padding of the secret's base64 is wrong")
    try:
        key = binascii.a2b_base64(padded)
    except binascii.Error:
        raise InvalidSecret("the secret's base64 is cut short") from None
    if len(key) not in _SECRET_BYTES:
        raise InvalidSecret(f"a secret has 24 to 64 bytes; this one has {len(key)}")
    return key


def new_secret(random_bytes: Callable[[int], bytes] = os.urandom) -> str:
    """A fresh secret of 32 bytes in its serialised form."""
    return _PREFIX + _base64(random_bytes(_NEW_SECRET_BYTES)).decode()


def sign(message_id: str, timestamp: int, body: bytes, keys: Sequence[bytes]) -> str:
    """The value of `webhook-signature`: one signature per key, in their order.

    Args:
        message_id: the value of `webhook-id`. It has no dot: with one, two different messages
            could have the same signed content.
        timestamp: unix seconds of this attempt, the value of `webhook-timestamp`.
        body: the bytes exactly as they are sent.
        keys: decoded secrets, the current one first.

    Raises:
        ValueError: the id has a dot.
    """
    if "." in message_id:
        raise ValueError("a message id must not contain a dot")
    content = b"%b.%d.%b" % (message_id.encode(), timestamp, body)
    return b" ".join([_signature(key, content) for key in keys]).decode()


def verify(
    headers: Mapping[str, str],
    body: bytes,
    keys: Sequence[bytes],
    now: int,
    tolerance: int = DEFAULT_TOLERANCE,
    repeated: frozenset[str] = frozenset(),
) -> None:
    """Check that the request was signed with one of the keys, not long ago.

    Ids with dots are accepted, since other senders make them: a second reading of the same
    signed content would cut the body inside a string, which leaves no valid JSON.

    Args:
        headers: names in any case; values are latin-1 text, as HTTP hands them over.
        body: the bytes exactly as received, before any decoding.
        keys: decoded secrets; any of them will do.
        now: unix seconds.
        tolerance: how old, or how far ahead, the timestamp may be, in seconds.
        repeated: lower-case names of headers that came more than once; which of them the sender
            signed is a guess, so a repeated signature header is refused.

    Raises:
        InvalidSignature: and nothing else, whatever the headers hold.
    """
    if not repeated.isdisjoint(_HEADERS):
        raise InvalidSignature
    message_id, timestamp, signatures = [_header(headers, name) for name in _HEADERS]
    if not message_id or _TIMESTAMP.fullmatch(timestamp) is None:
        raise InvalidSignature
    if abs(now - int(timestamp)) > tolerance:
        raise InvalidSignature
    try:
        content = f"{message_id}.{timestamp}.".encode("latin-1") + body
        candidates = signatures.encode("latin-1").split(None, MAX_SIGNATURES)[:MAX_SIGNATURES]
    except UnicodeEncodeError:
        raise InvalidSignature from None
    expected = [_signature(key, content) for key in keys]
    if not any(matches_any(candidate, expected) for candidate in candidates):
        raise InvalidSignature


def token_digest(token: str) -> bytes:
    """SHA-256 of a bearer token or API key, which is all that is kept of it.

    A token of other than ASCII characters reaches us as UTF-8 text (settings, query) or as the
    same bytes read as latin-1 (headers); both give the same digest.
    """
    try:
        data = token.encode("latin-1")
        data.decode()
    except UnicodeError:
        data = token.encode("utf-8", "surrogatepass")
    return hashlib.sha256(data).digest()


def matches_any(digest: bytes, digests: Sequence[bytes]) -> bool:
    """True when `digest` is among `digests`; takes equally long whichever it is."""
    found = False
    for known in digests:
        found |= hmac.compare_digest(digest, known)
    return found


def _signature(key: bytes, content: bytes) -> bytes:
    return b"v1," + _base64(hmac.digest(key, content, "sha256"))


def _base64(data: bytes) -> bytes:
    return binascii.b2a_base64(data, newline=False)


def _header(headers: Mapping[str, str], name: str) -> str:
    """The header's value; empty when it is missing, or ambiguous between two spellings."""
    value = headers.get(name)
    if value is not None:
        return value
    values = [value for key, value in headers.items() if key.lower() == name]
    return values[0] if len(values) == 1 else ""
