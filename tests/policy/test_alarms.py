"""Alarms: chance alone raises none, what is clearly below its target raises one that ends when it is met again."""

from math import comb
from random import Random

import pytest

from appliance.policy.alarms import LAST, RARE, USUAL, Promise, at_least


def test_the_binomial_tail_is_exact() -> None:
    for count, share in ((10, 0.3), (500, 0.01), (500, 0.9), (1, 0.5)):
        for hits in range(0, count + 2, max(count // 20, 1)):
            exact = sum(comb(count, k) * share**k * (1 - share) ** (count - k) for k in range(hits, count + 1))
            assert at_least(hits, count, share) == pytest.approx(exact, rel=1e-9, abs=1e-200)
    assert (at_least(1, 5, 0.0), at_least(5, 5, 1.0), at_least(0, 0, 0.5)) == (0.0, 1.0, 1.0)


@pytest.mark.parametrize(("target", "seed"), [(0.99, 1), (0.9, 2), (0.999, 3)])
def test_a_target_that_is_just_met_is_no_cause_for_alarm(target: float, seed: int) -> None:
    random, promise = Random(seed), Promise()
    assert [told for _ in range(20_000) if (told := promise.add(target, target, random.random() < target))] == []


def test_what_is_clearly_below_is_told_once_and_again_when_it_is_over() -> None:
    random, promise = Random(4), Promise()
    for _ in range(LAST):
        assert promise.add(0.99, 0.995, True) is None
    told = [one for _ in range(LAST) if (one := promise.add(0.99, 0.995, random.random() < 0.9))]
    (begun,) = told
    late = begun.races - begun.met
    assert begun.below and promise.below
    assert at_least(late, begun.races, 0.01) < RARE <= at_least(late - 1, begun.races, 0.01)
    assert begun.wanted == pytest.approx(0.99 * begun.races) and begun.expected == pytest.approx(0.995 * begun.races)
    (over,) = [one for _ in range(2 * LAST) if (one := promise.add(0.99, 0.995, True))]
    assert not over.below and not promise.below
    assert at_least(over.races - over.met, over.races, 0.01) >= USUAL
    assert promise.standing.met == promise.standing.races == LAST, "what is longer ago is forgotten"


def test_a_few_that_are_all_late_suffice() -> None:
    promise = Promise()
    told = [promise.add(0.99, 0.99, False) for _ in range(3)]
    assert [one is not None for one in told] == [False, False, True]


def test_mixed_targets_are_judged_together() -> None:
    random, promise = Random(5), Promise()
    for nth in range(10_000):
        target = 0.9 if nth % 2 else 0.999
        assert promise.add(target, target, random.random() < target) is None
