"""How one sender signs: what its settings say, ready to check requests by.

The header may hold several parts, separated by commas, semicolons or spaces
(`ts=1795461463;h1=5257a8…`): a part is a signature when it begins with `prefix`, and the
timestamp when it begins with `timestamp_prefix`.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import unhexlify
from collections.abc import Sequence

from app.domain.coerce import ImpossibleValue
from app.domain.model import RawRequest
from app.sources.generic_hmac_settings import GenericHmacSettings
from app.sources.hmac_signatures import is_any_right, only_header, text_key
from app.sources.locations import location
from app.sources.loose_values import moment_from
from app.sources.signed_content import BODY, ID, TIMESTAMP, SignedContent

_SEPARATORS = re.compile(r"[,; ]+")
_MOST_PARTS = 64
_SHORTEST_KEY = 8


class HmacScheme:
    """The signatures of one sender."""

    __slots__ = ("_content", "_id_header", "_settings")

    def __init__(self, settings: GenericHmacSettings) -> None:
        self._settings = settings
        self._content = SignedContent(settings.signed)
        self._id_header = location(settings.id).header

    def key(self, secret: str) -> bytes:
        """The secret's own characters, or what they encode.

        Raises:
            ValueError: says what is wrong with it.
        """
        key, encoding = text_key(secret), self._settings.secret_encoding
        if encoding == "text":
            return key
        try:
            key = unhexlify(key) if encoding == "hex" else b64decode(key, validate=True)
        except ValueError:
            raise ValueError(f"the secret is not {encoding}, as secret_encoding says") from None
        if len(key) < _SHORTEST_KEY:
            raise ValueError(f"the secret's {encoding} stands for fewer than {_SHORTEST_KEY} bytes")
        return key

    def is_signed(self, request: RawRequest, keys: Sequence[bytes], now: int) -> bool:
        """Whether one signature is right, and the timestamp, where there is one, near to now."""
        header = only_header(request, self._settings.header)
        values = self._values(request, now)
        if header is None or values is None:
            return False
        signatures = _parts(header, self._settings.prefix)
        if self._settings.encoding == "hex":
            signatures = [signature.lower() for signature in signatures]
        return is_any_right(
            signatures,
            self._content.of(values),
            keys,
            algorithm=self._settings.algorithm,
            encoding=self._settings.encoding,
        )

    def _values(self, request: RawRequest, now: int) -> dict[str, bytes] | None:
        """What is signed, by placeholder; None when a part of it is missing or not of now."""
        values = {BODY: request.body}
        for placeholder, text in (
            (TIMESTAMP, self._timestamp(request, now)),
            (ID, only_header(request, self._id_header or "")),
        ):
            if self._content.has(placeholder):
                if text is None:
                    return None
                values[placeholder] = text.encode("latin-1", "replace")
        return values

    def _timestamp(self, request: RawRequest, now: int) -> str | None:
        """The timestamp as it was written, None unless there is exactly one, near enough to now."""
        header = only_header(request, self._settings.timestamp_header or "")
        written = _parts(header, self._settings.timestamp_prefix) if header else []
        if len(written) != 1:
            return None
        try:
            moment = moment_from(written[0])
        except ImpossibleValue:
            return None
        near = moment and abs(now - int(moment.timestamp())) <= self._settings.tolerance
        return written[0] if near else None


def _parts(header: str, prefix: str) -> list[str]:
    parts = _SEPARATORS.split(header, _MOST_PARTS)[:_MOST_PARTS]
    return [part.removeprefix(prefix) for part in parts if part.startswith(prefix)]
