"""When a delivery is tried again.

A schedule says how long to wait before each attempt; its first entry is the wait before the
first one.
Chance is injected as a number in [0, 1), so that every wait can be computed again.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

#: Seconds before each attempt, from the Standard Webhooks specification: three days in all.
DEFAULT_SCHEDULE: tuple[float, ...] = (
    0,
    5,
    300,
    1800,
    7200,
    18000,
    36000,
    50400,
    72000,
    86400,
)

_MAX_ENTRIES = 30
_WEEK = 604_800.0
_HOUR = 3_600.0
#: A wait is stretched or shortened by up to this share, so that what failed together does not
#: come back together.
_JITTER = 0.1
_THROTTLE_FIRST = 2.0
_THROTTLE_LAST = 60.0
_THROTTLE_LEAST = 1.0
_SECONDS = re.compile(r"([+-]?)([0-9]+(?:\.[0-9]*)?)")
_LONGEST_DATE = 64


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and when one target's deliveries are tried; `schedule` is a checked one."""

    schedule: tuple[float, ...] = DEFAULT_SCHEDULE

    def next_wait(
        self, failed_attempts: int, *, asked: float | None = None, chance: float
    ) -> float | None:
        """Seconds until the next attempt, None when the schedule is used up.

        What the destination asked for (Retry-After) is honoured: the attempt does not come
        earlier than asked, nor earlier than scheduled.
        It is honoured up to twice the scheduled wait, or an hour where that is more: a
        destination cannot put a delivery off for ever, and a wait of hours between late attempts
        can still be doubled.

        Args:
            failed_attempts: how many attempts counted as failed so far.
            asked: seconds, as the destination asked; None when it did not.
            chance: a number in [0, 1) for the jitter. A scheduled wait moves by up to a tenth
                either way, one that was asked for moves later only.
        """
        if failed_attempts >= len(self.schedule):
            return None
        scheduled = self.schedule[failed_attempts]
        wait = _jittered(scheduled, chance)
        if asked is None:
            return wait
        ceiling = max(2 * scheduled, _HOUR)
        return max(wait, min(_later(asked, chance), ceiling))


def throttle_wait(asked: float | None, consecutive_throttles: int, chance: float) -> float:
    """Seconds to wait after a destination said "too fast"; such an attempt is not counted.

    Between a second and an hour: a day's quota is probed again every hour.
    Where the destination named no wait: 2 s, doubled each time up to 60 s, with jitter.

    Args:
        asked: seconds, as the destination asked; None when it did not.
        consecutive_throttles: how many came in a row, this one included.
        chance: a number in [0, 1) for the jitter.
    """
    if asked is not None:
        return min(max(_later(asked, chance), _THROTTLE_LEAST), _HOUR)
    doublings = min(max(consecutive_throttles, 1) - 1, 10)
    return _jittered(min(_THROTTLE_FIRST * 2**doublings, _THROTTLE_LAST), chance)


def parse_retry_after(value: str, now: datetime) -> float | None:
    """Seconds of a Retry-After header (RFC 9110, 10.2.3), None when it says nothing usable.

    Seconds may have a fraction, as some vendors send it, or be an HTTP-date in any of its three
    forms.
    The past is 0, and nothing is longer than a week.
    """
    text = value.strip(" \t")
    number = _SECONDS.fullmatch(text)
    if number is not None:
        return 0.0 if number[1] == "-" else min(float(number[2]), _WEEK)
    if len(text) > _LONGEST_DATE:
        return None
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - now).total_seconds()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return min(max(seconds, 0.0), _WEEK)


def validate_schedule(schedule: Sequence[object]) -> tuple[float, ...]:
    """The schedule as a tuple, when it has 1 to 30 waits of 0 to 604800 seconds (a week).

    Raises:
        ValueError: says which entry is wrong.
    """
    if not 1 <= len(schedule) <= _MAX_ENTRIES:
        raise ValueError(f"a retry schedule has 1 to {_MAX_ENTRIES} waits, not {len(schedule)}")
    waits: list[float] = []
    for position, wait in enumerate(schedule, start=1):
        if isinstance(wait, bool) or not isinstance(wait, int | float):
            raise ValueError(  # noqa: TRY004 - pydantic makes a field error of a ValueError only
                f"wait {position} of the retry schedule is not a number"
            )
        if not 0 <= wait <= _WEEK:
            raise ValueError(
                f"wait {position} of the retry schedule is not between 0 and 604800 seconds"
            )
        waits.append(wait)
    return tuple(waits)


def _jittered(wait: float, chance: float) -> float:
    return wait * (1 - _JITTER + 2 * _JITTER * chance)


def _later(asked: float, chance: float) -> float:
    """The wait asked for, a little later; 0 for what is no wait at all."""
    if math.isnan(asked) or asked <= 0:
        return 0.0
    return asked * (1 + _JITTER * chance)
