"""The destination's own words, fit to be shown: short, in one line, without anything secret.

Operators search for the exact text a vendor answered, so it stands in the reason of the outcome.
It comes from a stranger: control and bidirectional characters are dropped, and what looks like a
credential is masked, since some services repeat the one they refuse.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

LONGEST_WORDS = 300
#: Enough to find the words in, little enough to clean on every failure.
_LONGEST_READ = 4096
_MOST_DETAILS = 3
_MASK = "…"

#: Where services put the sentence; the first that is there is taken.
_SENTENCES = ("message", "error_description", "detail", "msg", "title", "reason", "description")
_TAG = re.compile(
    r"<(?:style|script)\b.*?</(?:style|script)\s*>|<[^>]*>", re.DOTALL | re.IGNORECASE
)
_SPACE = re.compile(r"\s+")
_CREDENTIALS = (
    (re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]{8,}", re.IGNORECASE), rf"\1 {_MASK}"),
    (
        re.compile(
            r"([?&;][\w-]*(?:secret|token|key|password|signature)=)[^&\s\"'<>]+", re.IGNORECASE
        ),
        rf"\1{_MASK}",
    ),
    (re.compile(r"(://)[^/@\s]+@"), rf"\1{_MASK}@"),
    (re.compile(r"\b(wh(?:sec|sk)_)[\w+/=-]+"), rf"\1{_MASK}"),
    (re.compile(r"\b(pat-\w+-)[\w-]+", re.IGNORECASE), rf"\1{_MASK}"),
    (re.compile(r"(?<![\w-])[\w-]{48,}(?![\w-])"), _MASK),
)


def words_of(document: Any, text: str, secrets: Sequence[str] = ()) -> str:
    """What the reply says, from its parsed JSON `document` or else from its `text`; "" for nothing.

    `secrets` are masked wherever they stand, besides everything that looks like a credential.
    """
    said = ": ".join(_sentences(document)) or _plain(text)
    return presentable(said, secrets)


def presentable(text: str, secrets: Sequence[str] = (), longest: int = LONGEST_WORDS) -> str:
    """`text` in one line of at most `longest` characters, with credentials masked."""
    text = text[:_LONGEST_READ]
    for secret in secrets:
        if secret:
            text = text.replace(secret, _MASK)
    text = _SPACE.sub(" ", text)
    text = "".join(character for character in text if unicodedata.category(character)[0] != "C")
    for pattern, replacement in _CREDENTIALS:
        text = pattern.sub(replacement, text)
    text = text.strip()
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def _sentences(document: Any) -> Iterator[str]:
    """The main sentence, then those of the details that say something else."""
    if isinstance(document, str):
        yield document
    if not isinstance(document, Mapping):
        return
    main = _sentence(document) or _sentence(document.get("error"))
    if main:
        yield main
    details = document.get("errors")
    if isinstance(details, Mapping):
        details = list(details.values())
    if isinstance(details, list):
        for detail in details[:_MOST_DETAILS]:
            said = _sentence(detail)
            if said and said != main:
                yield said


def _sentence(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return _sentence(value[0]) if value else ""
    if isinstance(value, Mapping):
        for key in _SENTENCES:
            if isinstance(value.get(key), str) and value[key]:
                return str(value[key])
    return ""


def _plain(text: str) -> str:
    text = text[:_LONGEST_READ]
    return _TAG.sub(" ", text) if text.lstrip()[:1] == "<" else text
