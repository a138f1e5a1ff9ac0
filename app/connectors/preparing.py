"""Making in a destination what a connector writes to, where an operator asks for it.

What is there already is left as it is, whoever made it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import httpx

from app.connectors.base import LONG_ANSWER, Flow
from app.domain.outcome import Outcome, delivered

#: What a fact is, before each destination has a word of its own for it.
Kind = Literal["text", "day", "moment"]
#: Makes one thing: true when it is made, false when it was there, else why it could not be made.
Making = Generator[httpx.Request, httpx.Response, "bool | Outcome"]

#: The facts that no destination has a field for until somebody makes it.
LIFECYCLE: Mapping[str, Kind] = {
    "plan": "text",
    "signup_date": "day",
    "membership_status": "text",
    "churned_at": "moment",
    "last_payment_at": "moment",
    "last_payment_failed_at": "moment",
}
_LONGEST_LIST = 256 * 1024


def label_of(fact: str) -> str:
    """What people are shown for a fact."""
    return fact.replace("_", " ").capitalize()


def listing(url: str, headers: Mapping[str, str]) -> httpx.Request:
    """Asks for everything that is there already, which may be much."""
    extensions = {LONG_ANSWER: _LONGEST_LIST}
    return httpx.Request("GET", url, headers=dict(headers), extensions=extensions)


def make_missing(
    names: Sequence[str], there: Collection[str], make: Callable[[str], Making]
) -> Flow:
    """Make those of `names` that are not `there`; the outcome says which is which."""
    made: list[str] = []
    found: list[str] = []
    for name in names:
        ended = False if name in there else (yield from make(name))
        if isinstance(ended, Outcome):
            return replace(ended, reason=f"{_said(made, found)} {ended.reason}".strip())
        (made if ended else found).append(name)
    return delivered(reason=_said(made, found))


def _said(made: Sequence[str], found: Sequence[str]) -> str:
    said = (("Made", made), ("There already", found))
    return " ".join(f"{word}: {', '.join(names)}." for word, names in said if names)
