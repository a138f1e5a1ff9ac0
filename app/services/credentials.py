"""Fresh credentials, and the digests by which they are known again."""

from __future__ import annotations

import secrets

from app.domain import signing

_SOURCE_TOKEN_BYTES = 24
_API_KEY_BYTES = 32


def new_source_token() -> str:
    """192 bits as 32 characters: short, because a sender keeps its whole URL in 191."""
    return secrets.token_urlsafe(_SOURCE_TOKEN_BYTES)


def new_api_key() -> str:
    """`rk_` and 256 bits as 43 characters."""
    return "rk_" + secrets.token_urlsafe(_API_KEY_BYTES)


def digest(credential: str) -> str:
    """SHA-256 in hexadecimal: enough for a credential that is itself random."""
    return signing.token_digest(credential).hex()
