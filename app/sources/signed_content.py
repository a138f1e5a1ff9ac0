"""What a sender's signature covers, as a template: `{body}`, `{timestamp}.{body}` and the like."""

from __future__ import annotations

import re
from collections.abc import Mapping

BODY, TIMESTAMP, ID = "{body}", "{timestamp}", "{id}"
_PLACEHOLDER = re.compile(r"(\{body\}|\{timestamp\}|\{id\})")
_LONGEST = 200


class SignedContent:
    """A template, split once."""

    __slots__ = ("_parts",)

    def __init__(self, template: str) -> None:
        """Split the template.

        Raises:
            ValueError: says what is wrong with it.
        """
        if len(template) > _LONGEST or not template.isascii() or not template.isprintable():
            raise ValueError("the signed content is a template of at most 200 ASCII characters")
        self._parts = [part for part in _PLACEHOLDER.split(template) if part]
        if self._parts.count(BODY) != 1:
            raise ValueError("the signed content has {body} once: what is not signed is anybody's")
        texts = [part for part in self._parts if not _PLACEHOLDER.fullmatch(part)]
        if any("{" in text or "}" in text for text in texts):
            raise ValueError("the signed content can hold {body}, {timestamp} and {id}")

    def has(self, placeholder: str) -> bool:
        """True when the template holds the placeholder."""
        return placeholder in self._parts

    def of(self, values: Mapping[str, bytes]) -> bytes:
        """The content, with the values of the placeholders it has."""
        return b"".join([values[part] if part in values else part.encode() for part in self._parts])
