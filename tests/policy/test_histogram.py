"""Decayed counts: forgetting by count and by time, adding up, and surviving a restart; in constant memory."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.policy.buckets import COUNT
from appliance.policy.histogram import Cause, Decay, Histogram, Kept

FOREVER = Decay(half_count=1e12, half_life_s=1e12)
QUICK = Decay(half_count=10.0, half_life_s=100.0)

causes = st.sampled_from(["started", "lost", "censored"])
events = st.lists(st.tuples(causes, st.integers(0, COUNT - 1), st.floats(0, 500)), max_size=60)


def filled(decay: Decay, told: list[tuple[Cause, int, float]]) -> Histogram:
    histogram = Histogram(decay, 0.0)
    for cause, place, at_s in sorted(told, key=lambda one: one[2]):
        histogram.add(cause, place, at_s)
    return histogram


def weights(histogram: Histogram, now_s: float) -> list[list[float]]:
    scale = histogram.scale(now_s)
    return [[n * scale for n in counts] for counts in (histogram.started, histogram.lost, histogram.censored)]


def test_without_decay_each_counts_one() -> None:
    histogram = filled(FOREVER, [("started", 3, 0.0), ("started", 3, 1.0), ("lost", 0, 2.0), ("censored", 9, 3.0)])
    started, lost, censored = weights(histogram, 3.0)
    assert (started[3], lost[0], censored[9]) == pytest.approx((2, 1, 1))
    assert histogram.total * histogram.scale(3.0) == pytest.approx(4)


def test_half_is_forgotten_with_so_many_newer_ones_and_with_so_much_time() -> None:
    told: list[tuple[Cause, int, float]] = [("lost", 2, 0.0)] * 10
    by_count = filled(QUICK, [("started", 1, 0.0), *told])
    assert weights(by_count, 0.0)[0][1] == pytest.approx(0.5)
    by_time = filled(QUICK, [("started", 1, 0.0)])
    assert weights(by_time, 100.0)[0][1] == pytest.approx(0.5)
    by_time.add("lost", 2, 100.0)
    assert weights(by_time, 100.0)[0][1] == pytest.approx(0.5 * 2**-0.1)
    assert weights(by_time, 100.0)[1][2] == pytest.approx(1.0), "the newest weighs 1"


@given(events, events, st.floats(500, 2000))
def test_merging_is_having_both(
    a: list[tuple[Cause, int, float]], b: list[tuple[Cause, int, float]], now_s: float
) -> None:
    mine, theirs = filled(QUICK, a), filled(QUICK, b)
    expected = [
        [x + y for x, y in zip(*both, strict=True)]
        for both in zip(weights(mine, now_s), weights(theirs, now_s), strict=True)
    ]
    mine.take(theirs.keep(now_s, 1e9), now_s, 1e9)
    for got, wanted in zip(weights(mine, now_s), expected, strict=True):
        assert got == pytest.approx(wanted, abs=2e-3)
    assert mine.total * mine.scale(now_s) == pytest.approx(sum(map(sum, weights(mine, now_s))))
    assert mine.added >= len(a)


@given(events, st.floats(0, 300))
def test_what_is_kept_is_taken_back_aged_by_the_time_between(
    told: list[tuple[Cause, int, float]], away_s: float
) -> None:
    before = filled(QUICK, told)
    kept = before.keep(500.0, 1e9)
    after = Histogram(QUICK, 7.0)  # another process: its clock began elsewhere
    after.take(kept, 7.0, 1e9 + away_s)
    for got, wanted in zip(weights(after, 7.0), weights(before, 500.0 + away_s), strict=True):
        assert got == pytest.approx(wanted, abs=2e-3)


def test_a_clock_that_was_set_back_makes_nothing_younger_and_nonsense_is_left_out() -> None:
    kept = Kept(1e9, ((5, 2.0), (-1, 1.0), (COUNT, 1.0), (6, -1.0), (7, float("nan")), (8, float("inf"))), (), ())
    histogram = Histogram(QUICK, 0.0)
    histogram.take(kept, 0.0, 1e9 - 1000.0)
    assert sum(map(sum, weights(histogram, 0.0))) == pytest.approx(2.0)


@pytest.mark.parametrize("at_unix_s", [float("nan"), float("inf"), float("-inf")])
def test_counts_of_no_known_time_are_left_out(at_unix_s: float) -> None:
    histogram = filled(QUICK, [("started", 5, 0.0)])
    histogram.take(Kept(at_unix_s, ((5, 2.0),), ((5, 2.0),), ()), 0.0, 1e9)
    assert weights(histogram, 0.0)[0][5] == pytest.approx(1.0) and histogram.total * histogram.scale(0.0) == 1.0
    assert sum(weights(histogram, 0.0)[1]) == 0.0


def test_a_million_observations_later_the_counts_are_as_they_should_be_and_memory_is_the_same() -> None:
    histogram = Histogram(QUICK, 0.0)
    held_bytes = sys.getsizeof(histogram.started)
    for nth in range(200_000):
        histogram.add("started", nth % 3, nth * 50.0)
    assert sys.getsizeof(histogram.started) == held_bytes
    now_s = 199_999 * 50.0
    ratio = 2 ** -(0.1 + 0.5)
    assert histogram.total * histogram.scale(now_s) == pytest.approx(1 / (1 - ratio))
    assert histogram.scale(now_s + 1e12) == pytest.approx(0.0), "and a year of silence is no overflow"


def test_what_fades_keeps_its_shape() -> None:
    histogram = Histogram(Decay(1e9, 1e9), 0.0)
    for nth in range(300):
        histogram.add("lost" if nth % 3 == 0 else "started", nth % 5, 0.0)
    histogram.fade(500.0, 0.0)
    assert histogram.total == pytest.approx(300.0, rel=1e-3), "it is less than that"
    histogram.fade(20.0, 0.0, lost_only=True)
    assert sum(histogram.lost) == pytest.approx(20.0, rel=1e-3)
    assert sum(histogram.started) == pytest.approx(200.0, rel=1e-3)
    histogram.fade(11.0, 0.0)
    assert (histogram.total, sum(histogram.lost)) == pytest.approx((11.0, 1.0), rel=1e-3)
    histogram.add("started", 0, 0.0)
    assert histogram.total == pytest.approx(12.0, rel=1e-3)
