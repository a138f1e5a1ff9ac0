"""Time, as it is passed around: microseconds since 1970 in the store, aware datetimes in UTC elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

#: Tells the time; injected wherever it is needed, so that tests can hold it still.
Clock = Callable[[], datetime]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def system_clock() -> datetime:
    """The wall clock, in UTC."""
    return datetime.now(UTC)


def in_utc(moment: datetime) -> datetime:
    """The same moment in UTC.

    Raises ValueError when it falls outside the years 1 to 9999 there: it could be stored, and never
    be shown again.
    """
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("use a time that is within the years 1 to 9999 in UTC") from None


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970 of an aware datetime."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The datetime in UTC of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=micros)
