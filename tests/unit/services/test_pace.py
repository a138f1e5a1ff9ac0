"""How fast a source may send."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import TooManyRequests
from app.services.pace import Pace, Paces

NOW = 1_795_461_463.5


def taken(pace: Pace, moments: list[float]) -> list[bool]:
    """Which of the requests at these moments were let through."""
    found = []
    for moment in moments:
        try:
            pace.take(moment)
        except TooManyRequests:
            found.append(False)
        else:
            found.append(True)
    return found


@pytest.mark.parametrize(("per_second", "burst"), [(0.1, 10), (5, 10), (50, 50), (50.5, 50)])
def test_a_burst_is_a_seconds_worth_or_ten(per_second, burst):
    assert sum(taken(Pace(per_second), [NOW] * 200)) == burst


def test_afterwards_the_rate_holds():
    pace = Pace(4)
    taken(pace, [NOW] * 10)
    assert taken(pace, [NOW + 0.2, NOW + 0.25, NOW + 0.3]) == [False, True, False]


def test_a_refusal_says_how_long_to_wait_and_uses_nothing_up():
    pace = Pace(0.1)
    taken(pace, [NOW] * 10)
    for _ in range(3):
        with pytest.raises(TooManyRequests) as caught:
            pace.take(NOW + 2)
        assert caught.value.headers == {
            "Retry-After": "8",
            "RateLimit-Policy": '"source";q=10;w=100',
            "RateLimit": '"source";r=0;t=8',
        }
    assert taken(pace, [NOW + 10.1]) == [True]


def test_a_clock_that_is_set_back_gives_nothing_and_takes_nothing():
    pace = Pace(1)
    taken(pace, [NOW] * 9)
    assert taken(pace, [NOW - 3600, NOW - 3600, NOW - 3599]) == [True, False, True]


@given(
    st.floats(0.1, 1000),
    st.lists(st.floats(0, 5), max_size=200),
)
def test_never_more_pass_than_the_burst_and_the_rate_allow(per_second, gaps):
    moments = [NOW + sum(gaps[: position + 1]) for position in range(len(gaps))]
    passed = sum(taken(Pace(per_second), moments))
    spent = moments[-1] - moments[0] if moments else 0
    assert passed <= max(per_second, 10) + spent * per_second + 1e-3


def test_what_is_used_up_outlives_a_reload_and_ends_with_another_rate():
    paces = Paces()
    pace = paces.of("src_1", 5.0)
    assert pace is not None
    assert paces.of("src_1", 5.0) is pace
    assert paces.of("src_2", 5.0) is not pace
    assert paces.of("src_1", 6.0) is not pace
    assert paces.of("src_1", None) is None
