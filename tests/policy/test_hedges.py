"""Launches by time are bounded: for the process, and for each key."""

from hypothesis import given
from hypothesis import strategies as st

from appliance.policy.hedges import BURST_S, MOST_KEYS, Hedges


def test_a_key_has_a_burst_and_then_what_comes_in() -> None:
    hedges = Hedges(100.0, 0.5)
    for _ in range(5):
        assert hedges.may("one", 0.0)
        hedges.take("one", 0.0)
    assert not hedges.may("one", 0.0) and hedges.may("other", 0.0)
    assert not hedges.may("one", 1.9) and hedges.may("one", 2.0)


def test_the_process_has_one_for_all_keys() -> None:
    hedges = Hedges(0.2, 100.0)
    hedges.take("one", 0.0)
    hedges.take("other", 0.0)
    assert not hedges.may("third", 4.9) and hedges.may("third", 5.0)
    assert hedges.counts() == {("launched",): 2, ("capped",): 0}


def test_a_promised_launch_is_made_and_paid_later() -> None:
    hedges = Hedges(1.0, 1.0)
    for _ in range(15):
        hedges.take("one", 0.0)
    assert not hedges.may("one", 5.9) and hedges.may("one", 6.0)


def test_memory_is_bounded_and_who_launches_on_is_not_forgotten() -> None:
    hedges = Hedges(1e9, 1.0)
    for number in range(2 * MOST_KEYS):
        if number % 100 == 0:
            hedges.take("busy", 100.0)
        hedges.take(f"key {number}", 100.0)
        assert len(hedges._keys) <= MOST_KEYS
    assert not hedges.may("busy", 100.0)


@given(st.floats(0.1, 50.0), st.lists(st.floats(0.0, 3.0), min_size=1, max_size=200))
def test_over_any_time_no_more_than_rate_and_burst(per_s: float, gaps: list[float]) -> None:
    hedges, now_s, launched = Hedges(1e9, per_s), 0.0, 0
    for gap_s in gaps:
        now_s += gap_s
        if hedges.may("one", now_s):
            hedges.take("one", now_s)
            launched += 1
    assert launched <= max(per_s * BURST_S, 1.0) + per_s * now_s + 1e-6
