"""Lists in pages: `{"items": […], "next": "cursor or null"}`, newest first.

A cursor is the key of the last item with a checksum, in base64url.
It is no secret, but only what a list handed out is taken back: anything else is refused, not
guessed at.
"""

from __future__ import annotations

import binascii
import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from app.domain.errors import InvalidCursor
from app.domain.ids import is_id

ItemT = TypeVar("ItemT")

DEFAULT_LIMIT = 50
MOST_ITEMS = 200
_CHECKSUM_BYTES = 6


class Page(BaseModel, Generic[ItemT]):
    """One page of a list."""

    model_config = ConfigDict(frozen=True)

    items: list[ItemT]
    next: str | None = Field(
        description="Send it as `cursor` to get the next page; null on the last one."
    )


Limit = Annotated[int, Query(ge=1, le=MOST_ITEMS, description="How many items a page has at most.")]
Cursor = Annotated[
    str | None, Query(description="The `next` of the page before; absent for the first page.")
]


def encode_cursor(last: str) -> str:
    """The cursor behind the item whose id, or other key, is `last`."""
    key = last.encode()
    return urlsafe_b64encode(_checksum(key) + key).decode().rstrip("=")


def decode_cursor(text: str, prefix: str) -> str:
    """The id a cursor stands for. Raises InvalidCursor when it is not one with this prefix."""
    last = decode_key_cursor(text, "")
    if not is_id(last, prefix):
        raise _refusal()
    return last


def decode_key_cursor(text: str, mark: str) -> str:
    """The key a cursor stands for, where a list is not ordered by ids.

    Such a list puts a `mark` of its own before its keys.
    Raises InvalidCursor.
    """
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        last = raw[_CHECKSUM_BYTES:].decode()
    except (binascii.Error, ValueError):
        raise _refusal() from None
    # Written again it must be the same text: base64 has several spellings of the same bytes.
    if encode_cursor(last) != text or not last.startswith(mark):
        raise _refusal()
    return last.removeprefix(mark)


def before(cursor: str | None, prefix: str) -> str | None:
    """The id the page begins after, None for the first page. Raises InvalidCursor."""
    return None if cursor is None else decode_cursor(cursor, prefix)


def next_cursor(last: str | None) -> str | None:
    """The `next` of a page whose last key is `last`, None when there is no further page."""
    return None if last is None else encode_cursor(last)


def _checksum(key: bytes) -> bytes:
    return hashlib.sha256(b"cursor\0" + key).digest()[:_CHECKSUM_BYTES]


def _refusal() -> InvalidCursor:
    return InvalidCursor("Send the `next` of a page of this very list, unchanged.")
