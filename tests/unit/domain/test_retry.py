"""When a delivery is tried again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.retry import (
    DEFAULT_SCHEDULE,
    RetryPolicy,
    parse_retry_after,
    throttle_wait,
    validate_schedule,
)

NOW = datetime(2026, 11, 23, 19, 9, 31, tzinfo=UTC)
MIDDLE = 0.5

CHANCES = st.floats(0, 1, exclude_max=True)
WAITS = st.floats(0, 604_800)
ASKED = st.floats(allow_nan=True, allow_infinity=True)


def test_the_default_schedule_is_that_of_the_specification():
    assert DEFAULT_SCHEDULE == (0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
    # The sum is 75 hours, 35 minutes and 5 seconds: three days.
    assert timedelta(seconds=sum(DEFAULT_SCHEDULE)) == timedelta(hours=75, minutes=35, seconds=5)


@pytest.mark.parametrize(("failed", "wait"), list(enumerate(DEFAULT_SCHEDULE)))
def test_each_failure_leads_to_the_next_wait_of_the_schedule(failed, wait):
    assert RetryPolicy().next_wait(failed, chance=MIDDLE) == pytest.approx(wait)


@pytest.mark.parametrize("failed", [10, 11, 1_000])
def test_after_the_last_wait_there_is_none(failed):
    assert RetryPolicy().next_wait(failed, chance=MIDDLE) is None
    assert RetryPolicy().next_wait(failed, asked=5.0, chance=MIDDLE) is None


def test_a_schedule_of_one_allows_one_attempt():
    policy = RetryPolicy((0.0,))
    assert policy.next_wait(0, chance=MIDDLE) == 0
    assert policy.next_wait(1, chance=MIDDLE) is None


@pytest.mark.parametrize(("chance", "wait"), [(0.0, 270), (0.5, 300), (0.999999, 330)])
def test_a_wait_moves_by_a_tenth_either_way(chance, wait):
    assert RetryPolicy().next_wait(2, chance=chance) == pytest.approx(wait, abs=0.01)


@pytest.mark.parametrize(
    ("failed", "asked", "wait"),
    [
        (1, 120, 126),  # later than scheduled: as asked, and a little later
        (1, 2, 5),  # sooner than scheduled: the schedule stands
        (1, 0, 5),
        (1, -5, 5),
        (1, float("nan"), 5),
        (1, 5_000, 3_600),  # an hour at least is granted
        (1, float("inf"), 3_600),
        (4, 10_000, 10_500),  # the scheduled wait is two hours: up to four are granted
        (4, 999_999_999, 14_400),
        (9, 200_000, 172_800),
        (0, 60, 63),
    ],
)
def test_what_the_destination_asks_for_is_honoured_within_bounds(failed, asked, wait):
    assert RetryPolicy().next_wait(failed, asked=asked, chance=MIDDLE) == pytest.approx(wait)


@given(st.lists(WAITS, min_size=1, max_size=30).map(tuple), st.integers(0, 40), ASKED, CHANCES)
def test_a_wait_is_never_before_the_schedule_nor_without_end(schedule, failed, asked, chance):
    wait = RetryPolicy(schedule).next_wait(failed, asked=asked, chance=chance)
    if failed >= len(schedule):
        assert wait is None
    else:
        scheduled = schedule[failed]
        assert scheduled * 0.9 <= wait <= max(2 * scheduled, 3_600)


@given(st.integers(0, 9), st.floats(0, 1e9), CHANCES)
def test_a_wait_is_never_before_what_was_asked_unless_that_is_over_the_bound(failed, asked, chance):
    wait = RetryPolicy().next_wait(failed, asked=asked, chance=chance)
    assert wait >= min(asked, max(2 * DEFAULT_SCHEDULE[failed], 3_600))


@given(st.integers(0, 9), ASKED, ASKED, CHANCES)
def test_asking_for_more_never_shortens_the_wait(failed, one, other, chance):
    policy = RetryPolicy()
    if one <= other:
        assert policy.next_wait(failed, asked=one, chance=chance) <= policy.next_wait(
            failed, asked=other, chance=chance
        )


@given(ASKED | st.none(), st.integers(-1, 10_000), CHANCES)
def test_a_throttled_delivery_waits_between_a_second_and_an_hour(asked, consecutive, chance):
    assert 1 <= throttle_wait(asked, consecutive, chance) <= 3_600


@pytest.mark.parametrize(
    ("consecutive", "wait"),
    [(0, 2), (1, 2), (2, 4), (3, 8), (4, 16), (5, 32), (6, 60), (7, 60), (1_000_000, 60)],
)
def test_throttling_without_a_wait_doubles_from_2_to_60_seconds(consecutive, wait):
    assert throttle_wait(None, consecutive, MIDDLE) == wait


@pytest.mark.parametrize(
    ("asked", "wait"),
    [(0, 1), (0.2, 1), (-5, 1), (10, 10.5), (3_000, 3_150), (86_400, 3_600), (float("inf"), 3_600)],
)
def test_throttling_waits_as_asked_within_bounds(asked, wait):
    assert throttle_wait(asked, 3, MIDDLE) == pytest.approx(wait)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        ("120.6", 120.6),
        (" 120\t", 120),
        ("0", 0),
        ("+5", 5),
        ("-5", 0),
        ("999999999", 604_800),
        ("9" * 5_000, 604_800),
        ("Mon, 23 Nov 2026 19:10:31 GMT", 60),
        ("Monday, 23-Nov-26 19:10:31 GMT", 60),
        ("Mon Nov 23 19:10:31 2026", 60),
        ("Mon, 23 Nov 2026 20:10:31 +0100", 60),
        ("Mon, 23 Nov 2026 19:08:31 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 604_800),
    ],
)
def test_a_retry_after_header_is_read(value, seconds):
    assert parse_retry_after(value, NOW) == seconds


@pytest.mark.parametrize(
    "value",
    [
        *("", " ", "invalid", "nan", "inf", "1e3", "1_000", "٣", "1,5", "12 s", "120, 120", "-"),
        *(".", "--5", "0x10", "Mon, 99 Nov 2026 19:10:31 GMT", "\0", "a" * 10_000, "2026-11-23"),
        *("Mon, 23 Nov 99999 19:10:31 GMT", "Mon, 23 Nov 2026 19:10:31 +9999999999"),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_a_retry_after_header_that_says_nothing_is_none(value):
    assert parse_retry_after(value, NOW) is None


@given(
    st.text() | st.from_regex(r"[A-Z][a-z]{2}, [0-9 ]{1,4} [A-Z][a-z]{2} [0-9: +-]{0,20}( GMT)?")
)
def test_any_header_gives_a_wait_up_to_a_week_or_nothing(value):
    seconds = parse_retry_after(value, NOW)
    assert seconds is None or 0 <= seconds <= 604_800


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001 - zones come beside
    st.integers(-14, 14),
)
def test_a_date_in_any_zone_is_read(naive, hours):
    moment = naive.replace(tzinfo=timezone(timedelta(hours=hours)), microsecond=0)
    expected = min(max((moment - NOW).total_seconds(), 0), 604_800)
    assert parse_retry_after(format_datetime(moment), NOW) == expected


@pytest.mark.parametrize(
    "schedule", [[0], [0, 5, 300.5], [604_800] * 30, list(DEFAULT_SCHEDULE), (1, 2)]
)
def test_a_schedule_of_1_to_30_waits_of_up_to_a_week_is_valid(schedule):
    assert validate_schedule(schedule) == tuple(schedule)


@pytest.mark.parametrize(
    ("schedule", "reason"),
    [
        ([], "1 to 30 waits, not 0"),
        ([1] * 31, "1 to 30 waits, not 31"),
        ([0, -1], "wait 2 .* between 0 and 604800"),
        ([604_801], "wait 1 .* between 0 and 604800"),
        ([float("nan")], "wait 1 .* between 0 and 604800"),
        ([float("inf")], "wait 1 .* between 0 and 604800"),
        ([10**400], "wait 1 .* between 0 and 604800"),
        ([0, "5"], "wait 2 .* not a number"),
        ([None], "wait 1 .* not a number"),
        ([True], "wait 1 .* not a number"),
        ([[1]], "wait 1 .* not a number"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused_with_the_place(schedule, reason):
    with pytest.raises(ValueError, match=reason):
        validate_schedule(schedule)
