"""Fresh credentials, and the digests by which they are known again."""

from __future__ import annotations

import secrets

from app.domain import signing
from app.store.sealing import SealBroken, Sealer

_SOURCE_TOKEN_BYTES = 24
_API_KEY_BYTES = 32
_TEXT_SECRET_BYTES = 32


def new_source_token() -> str:
    """192 bits as 32 characters: short, because a sender keeps its whole URL in 191."""
    return secrets.token_urlsafe(_SOURCE_TOKEN_BYTES)


def new_text_secret() -> str:
    """256 bits as 64 hexadecimal digits: also valid where a sender takes hex or base64."""
    return secrets.token_hex(_TEXT_SECRET_BYTES)


def new_api_key() -> str:
    """`rk_` and 256 bits as 43 characters."""
    return "rk_" + secrets.token_urlsafe(_API_KEY_BYTES)


def digest(credential: str) -> str:
    """SHA-256 in hexadecimal: enough for a credential that is itself random."""
    return signing.token_digest(credential).hex()


def resealed(sealer: Sealer, sealed: str, place: str, new_place: str) -> str | None:
    """A sealed credential, sealed for another place; None when it opens no more.

    Whoever lost the master key must still be able to make new credentials.
    """
    try:
        return sealer.seal(sealer.open(sealed, place), new_place)
    except SealBroken:
        return None
