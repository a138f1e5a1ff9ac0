"""Signatures that vendors make with HMAC and write in ways of their own.

Everything is compared as bytes and in constant time.
A header that came more than once is taken as not sent: which of them was signed is a guess.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Literal

from app.domain.model import RawRequest
from app.domain.signing import MAX_SIGNATURES, matches_any

Algorithm = Literal["sha256", "sha512"]
Encoding = Literal["hex", "base64"]

_SECRET_LENGTH = range(8, 513)


def text_key(secret: str) -> bytes:
    """The key of a secret that is used as it is written.

    Raises:
        ValueError: it has another length, or characters that nobody can paste.
    """
    if len(secret) not in _SECRET_LENGTH:
        raise ValueError("a secret has 8 to 512 characters")
    if not secret.isprintable() or len(secret.strip()) < len(secret):
        raise ValueError("a secret has no control characters, and no space at its ends")
    return secret.encode()


def only_header(request: RawRequest, name: str) -> str | None:
    """The header's value; None when it is missing or came more than once."""
    return None if name in request.repeated_headers else request.headers.get(name)


def is_any_right(
    candidates: Iterable[str],
    content: bytes,
    keys: Sequence[bytes],
    *,
    algorithm: Algorithm = "sha256",
    encoding: Encoding = "hex",
) -> bool:
    """Whether one of the candidates is the signature of `content` by one of the keys.

    What stands behind the first 32 candidates is not looked at.
    """
    expected = [_written(hmac.digest(key, content, algorithm), encoding) for key in keys]
    return any(
        matches_any(candidate.encode("latin-1", "replace"), expected)
        for candidate in islice(candidates, MAX_SIGNATURES)
    )


def _written(signature: bytes, encoding: Encoding) -> bytes:
    return signature.hex().encode() if encoding == "hex" else b64encode(signature)
