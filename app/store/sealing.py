"""Secrets at rest: AES-256-GCM under the master key, bound to the row and column they stand in.

A sealed text is `v1.<key id>.<base64url of nonce, ciphertext and tag>`.
The key id is the first 8 hexadecimal digits of the key's SHA-256, so that older keys still open
what they sealed after the master key was changed.
A sealed text that is moved to another row or column does not open: its place is part of what is
authenticated.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.domain.errors import ConfigurationError

_KEY_BYTES = 32
_NONCE_BYTES = 12


class SealBroken(Exception):
    """A sealed text does not open: wrong key, wrong place, or changed."""


def decode_master_key(text: str, setting: str = "RELAY_SECRET_KEY") -> bytes:
    """The 32 bytes of a base64 master key. Raises ConfigurationError naming `setting`."""
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _KEY_BYTES:
        raise ConfigurationError(
            f"{setting} must be base64 of exactly 32 bytes; make one with: openssl rand -base64 32"
        )
    return key


class Sealer:
    """Seals and opens texts; the first key seals, all of them open."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._ciphers = {hashlib.sha256(key).hexdigest()[:8]: AESGCM(key) for key in keys}
        self._current = hashlib.sha256(keys[0]).hexdigest()[:8]

    def seal(self, text: str, place: str) -> str:
        """Seal `text` for `place` (`targets/tgt_…/signing_secret`)."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._ciphers[self._current].encrypt(nonce, text.encode(), place.encode())
        return f"v1.{self._current}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"

    def is_current(self, sealed: str) -> bool:
        """True when the key that seals today has sealed this."""
        return sealed.startswith(f"v1.{self._current}.")

    def open(self, sealed: str, place: str) -> str:
        """Open what was sealed for `place`. Raises SealBroken."""
        try:
            version, key_id, encoded = sealed.split(".")
            raw = base64.urlsafe_b64decode(encoded)
            if version != "v1":
                raise SealBroken("unknown seal version")
            opened = self._ciphers[key_id].decrypt(
                raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], place.encode()
            )
        except (KeyError, ValueError, binascii.Error, InvalidTag) as error:
            raise SealBroken("a sealed secret does not open with the master key") from error
        return opened.decode()
