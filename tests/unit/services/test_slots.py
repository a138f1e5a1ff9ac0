"""Dividing a worker's free slots over targets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.services.slots import Allowance, Spending, allowance, share, spending
from app.store.claim import ReadyTarget

SECOND = 1_000_000


def ready(**values) -> ReadyTarget:
    fields = {
        "id": "tgt_a",
        "max_in_flight": 10,
        "leased": 0,
        "per_second": None,
        "tokens": 0.0,
        "refilled_at": 0,
    }
    return ReadyTarget(**(fields | values))


def test_a_target_may_start_what_its_slots_leave():
    assert allowance(ready(leased=4), now=0) == Allowance("tgt_a", 6, None)


def test_a_target_over_its_slots_may_start_nothing():
    assert allowance(ready(leased=12), now=0).most == 0


def test_a_rate_limit_refills_with_time_and_holds_one_second_at_most():
    assert allowance(ready(per_second=4, refilled_at=0), now=SECOND // 2).tokens == 2.0
    assert allowance(ready(per_second=4, refilled_at=0), now=60 * SECOND).most == 4


def test_a_rate_below_one_a_second_still_lets_one_through_in_time():
    assert allowance(ready(per_second=0.1), now=9 * SECOND).most == 0
    assert allowance(ready(per_second=0.1), now=10 * SECOND).most == 1


def test_a_clock_that_went_back_takes_no_tokens_away():
    assert allowance(ready(per_second=4, tokens=3.0, refilled_at=SECOND), now=0).tokens == 3.0


def test_a_clock_that_was_set_back_for_long_does_not_starve_a_target():
    hour_ahead = ready(per_second=4, tokens=0.0, refilled_at=3600 * SECOND)
    assert allowance(hour_ahead, now=0) == Allowance("tgt_a", 4, 4.0)


def test_the_modest_are_served_in_full_and_the_rest_share_equally():
    wanted = [
        Allowance("big", 100, None),
        Allowance("small", 2, None),
        Allowance("huge", 500, None),
    ]
    assert dict(share(wanted, 25)) == {"small": 2, "big": 10, "huge": 10}


allowances = st.lists(st.integers(0, 300), max_size=20).map(
    lambda wants: [Allowance(f"t{n}", want, None) for n, want in enumerate(wants)]
)


@given(allowances, st.integers(0, 500))
def test_no_slot_is_given_twice_and_a_tenth_is_kept_for_those_who_come_later(
    wanted: list[Allowance], free: int
):
    granted = dict(share(wanted, free))
    most = {one.target_id: one.most for one in wanted}
    assert all(0 < count <= most[target] for target, count in granted.items())
    kept = -(-free // 10) if free > 1 else 0
    assert sum(granted.values()) == min(free - kept, sum(most.values()))


@given(allowances, st.integers(0, 500))
def test_nobody_gets_more_than_one_slot_beyond_a_target_that_wants_more(
    wanted: list[Allowance], free: int
):
    granted = dict(share(wanted, free))
    unserved = [
        granted.get(one.target_id, 0) for one in wanted if granted.get(one.target_id, 0) < one.most
    ]
    if unserved:
        assert max(granted.values(), default=0) <= min(unserved) + 1 or free < len(wanted)


def test_a_token_pays_for_a_request_and_a_request_may_hold_a_batch():
    found = allowance(ready(per_second=4, max_in_flight=1000), now=SECOND, batch=100)
    assert found.most == 400
    assert [found.left_after(count) for count in (0, 1, 100, 101)] == [4.0, 3.0, 3.0, 2.0]


def test_an_empty_bucket_has_a_token_again_when_the_rate_says_so():
    target = ready(per_second=2, tokens=1.5)
    spent = spending([target], [allowance(target, now=0)], {"tgt_a": 1}, now=0)
    assert spent == Spending([("tgt_a", 0.5, 0)], {"tgt_a": 1}, SECOND // 4 + 1)


def test_a_bucket_with_tokens_is_not_waited_for():
    target = ready(per_second=5, tokens=5.0)
    assert spending([target], [allowance(target, now=0)], {}, now=0).next_token is None


def test_a_target_without_a_rate_pays_nothing():
    target = ready()
    spent = spending([target], [allowance(target, now=0)], {"tgt_a": 7}, now=0)
    assert spent == Spending([], {}, None)


def test_a_high_rate_is_waited_for_a_twentieth_of_a_second_at_the_least():
    target = ready(per_second=1000)
    spent = spending([target], [allowance(target, now=0)], {}, now=0)
    assert spent.next_token == SECOND // 20


def test_what_a_bucket_owes_is_refilled_first():
    target = ready(per_second=2, tokens=-3.0)
    assert allowance(target, now=SECOND).most == 0
    assert allowance(target, now=2 * SECOND).most == 1


def test_a_slot_of_a_target_with_batches_holds_a_batch():
    wanted = [Allowance("batches", 1000, None, 500), Allowance("single", 100, None)]
    assert dict(share(wanted, 600)) == {"batches": 1000, "single": 100}
    assert dict(share(wanted, 4)) == {"batches": 1000, "single": 1}
    assert dict(share([Allowance("batches", 700, None, 500)], 3)) == {"batches": 700}


def test_a_target_that_does_nothing_but_fail_is_tried_with_a_few():
    assert allowance(ready(failing=True), now=0).most == 4
    assert allowance(ready(failing=True, leased=3), now=0).most == 1
    assert allowance(ready(failing=True, leased=9), now=0).most == 0
    assert allowance(ready(failing=True, max_in_flight=2), now=0).most == 2


def settled(wants: dict[str, int], slots: int) -> dict[str, int]:
    """What each holds in the end, where nothing that was started ever ends."""
    held = dict.fromkeys(wants, 0)
    while True:
        left = [Allowance(name, most - held[name], None) for name, most in wants.items()]
        granted = share(left, slots - sum(held.values()), held)
        if not granted:
            return held
        for name, count in granted:
            held[name] += count


def test_slow_targets_however_many_never_hold_all_slots():
    for count in (2, 12, 50, 200):
        held = settled({f"slow{n}": 600 for n in range(count)}, 600)
        assert 0 < sum(held.values()) < 600


def test_a_target_that_comes_late_gets_of_what_the_others_left():
    held = settled({f"slow{n}": 50 for n in range(12)}, 600)
    free = 600 - sum(held.values())
    wanted = [Allowance(name, 50 - count, None) for name, count in held.items()]
    assert dict(share([*wanted, Allowance("quick", 5, None)], free, held)).keys() == {"quick"}


def test_a_busy_target_that_is_alone_may_hold_nine_tenths():
    assert settled({"busy": 600}, 600) == {"busy": 540}


def test_a_worker_of_one_slot_uses_it():
    assert settled({"a": 5}, 1) == {"a": 1}


@given(allowances, st.integers(0, 500), st.integers(0, 300))
def test_whoever_holds_more_than_nine_times_what_is_free_gets_nothing(
    wanted: list[Allowance], free: int, held: int
):
    granted = dict(share(wanted, free, {"t0": held}))
    if held > 9 * free:
        assert "t0" not in granted
