"""Prefixed ids that sort by time (`evt_01jd…`): 48 bits of milliseconds and 80 more, as 26 characters.

Of the 80, the first 60 are of chance, drawn anew about once a second: so no two processes make the
same id.
The rest tells the ids of one millisecond apart: the number of a block, and a place in it.

The alphabet is Crockford's base 32 in lower case, the layout that of a ULID.
Ids made by one factory sort in the order they were made, also within a millisecond.
No id contains a dot: the Standard Webhooks signature joins its parts with dots.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from itertools import count

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = tuple(a + b for a in _ALPHABET for b in _ALPHABET)
_SHIFTS = tuple(range(120, -1, -10))
_FORM = re.compile(r"[a-z]{3}_[0-9a-hjkmnp-tv-z]{26}")


def _system_milliseconds() -> int:
    return time.time_ns() // 1_000_000


class IdFactory:
    """Makes ids; the clock (milliseconds since 1970) and the source of chance can be replaced.

    Threads may share one: what they share is replaced as a whole, or counted by the interpreter.
    """

    def __init__(
        self,
        milliseconds: Callable[[], int] = _system_milliseconds,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._milliseconds = milliseconds
        self._random_bytes = random_bytes
        # A millisecond, what its ids begin with, and the last two characters still to be used.
        self._block: tuple[int, str, Iterator[str]] = (-1, "", iter(()))
        self._numbers = count()
        # About a second in one process, and what its ids have in common.
        self._period: tuple[tuple[int, int], str, str] = ((-1, -1), "", "")

    def new(self, prefix: str) -> str:
        """The next id: `prefix` (three letters), an underscore, 26 characters."""
        now = self._milliseconds()
        millisecond, stem, pairs = self._block
        if now > millisecond:
            stem, pairs = self._begin(now)
        for pair in pairs:
            return f"{prefix}_{stem}{pair}"
        # So many were made in this millisecond, or since the clock went back.
        stem, pairs = self._begin(millisecond)
        return f"{prefix}_{stem}{next(pairs)}"

    def _begin(self, now: int) -> tuple[str, Iterator[str]]:
        number = next(self._numbers) % len(_PAIRS)
        if not number and now == self._block[0]:
            # The blocks of this millisecond would begin from the first again.
            now += 1
        early, chance = self._drawn(now)
        stem = f"{early}{_PAIRS[now & 1023]}{chance}{_PAIRS[number]}"
        pairs = iter(_PAIRS)
        self._block = (now, stem, pairs)
        return stem, pairs

    def _drawn(self, now: int) -> tuple[str, str]:
        # A process that was forked off must not go on with the chance of the first.
        wanted = (now >> 10, os.getpid())
        period, early, chance = self._period
        if period != wanted:
            early = _digits(now << 80)[:8]
            chance = _digits(int.from_bytes(self._random_bytes(8), "big"))[-12:]
            self._period = (wanted, early, chance)
        return early, chance


def _digits(value: int) -> str:
    return "".join([_PAIRS[value >> shift & 1023] for shift in _SHIFTS])


def _write(prefix: str, value: int) -> str:
    return f"{prefix}_{_digits(value)}"


def boundary(prefix: str, milliseconds: int) -> str:
    """The smallest id of a moment: every id made before it sorts below."""
    return _write(prefix, milliseconds << 80)


def is_id(text: str, prefix: str) -> bool:
    """True when `text` has the form of an id with this prefix."""
    return _FORM.fullmatch(text) is not None and text.startswith(prefix + "_")


#: One factory for the process: ids are ordered only within a factory.
new_id = IdFactory().new
