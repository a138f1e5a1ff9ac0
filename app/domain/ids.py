"""Prefixed ids that sort by time (`evt_01jd…`): 48 bits of milliseconds and 80 of chance, as 26 characters.

The alphabet is Crockford's base 32 in lower case, the layout that of a ULID.
Ids made by one factory sort in the order they were made, also within a millisecond.
No id contains a dot: the Standard Webhooks signature joins its parts with dots.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = tuple(a + b for a in _ALPHABET for b in _ALPHABET)
_SHIFTS = tuple(range(120, -1, -10))
_FORM = re.compile(r"[a-z]{3}_[0-9a-hjkmnp-tv-z]{26}")


def _system_milliseconds() -> int:
    return time.time_ns() // 1_000_000


class IdFactory:
    """Makes ids; the clock (milliseconds since 1970) and the source of chance can be replaced."""

    def __init__(
        self,
        milliseconds: Callable[[], int] = _system_milliseconds,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._milliseconds = milliseconds
        self._random_bytes = random_bytes
        self._millisecond = 0
        self._value = 0
        self._stem = _digits(0)[:-2]

    def new(self, prefix: str) -> str:
        """The next id: `prefix` (three letters), an underscore, 26 characters."""
        now = self._milliseconds()
        if now > self._millisecond:
            self._millisecond = now
            self._value = now << 80 | int.from_bytes(self._random_bytes(10), "big") >> 1
            self._stem = _digits(self._value)[:-2]
        else:
            self._value += 1
            if not self._value & 1023:
                self._stem = _digits(self._value)[:-2]
        # The next ids of a millisecond differ in the last two characters.
        return f"{prefix}_{self._stem}{_PAIRS[self._value & 1023]}"


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
