"""The back-test: what it tells, from the same seed the same, and what it does not pretend to know."""

from random import Random
from statistics import fmean

import pytest

from appliance.evaluation.setting import Setting
from appliance.evaluation.world import draws
from appliance.policy.backtest.bounds import FEWEST, LEAST_ROUNDS, Backtest, play, told
from appliance.policy.backtest.cases import Cases
from appliance.policy.backtest.replay import Wish
from tests.evaluation.recording import NANOS, recorded
from tests.evaluation.test_world import world

WARM_UP = 300


def backtest(name: str, was: Setting, wish: Wish, seed: int, requests: int) -> Backtest:
    """Recorded under `was`; the first requests teach, as those before `--since` do."""
    races, _ = recorded(draws(world(name), seed, requests), was)
    cases = Cases(races, races[WARM_UP].at_unix_s)
    return told(cases, wish, list(play(cases, wish, LEAST_ROUNDS, lambda nth: Random(f"{seed} {nth}").random)))


def truth(name: str, other: Setting, seed: int, requests: int) -> tuple[float, float]:
    """The same requests really served under the other setting: the share met, the cost in nanodollars."""
    _, served = recorded(draws(world(name), seed, requests), other)
    judged = served[WARM_UP:]
    return fmean(one.start_s <= other.window_s for one in judged), sum(one.cost for one in judged) * NANOS


def test_beyond_what_was_seen_the_bounds_are_wide_and_say_so() -> None:
    found = backtest("lognormal", Setting(10.0, 0.99, 0.5, 0.5), Wish(window_s=60.0), 1, 700)
    assert found.support_s < 20.0
    assert found.beyond > 0.1
    assert found.cost.high - found.cost.low > 0.1
    met, nanos = truth("lognormal", Setting(60.0, 0.99, 0.5, 0.5), 1, 700)
    assert met >= found.met.low - 0.005
    assert found.cost.low <= nanos / found.nanos <= found.cost.high


def test_what_is_told_beside() -> None:
    races, served = recorded(draws(world("queueing"), 1, 400), Setting(30.0, 0.99, 0.5, 0.5))
    cases = Cases(races, races[100].at_unix_s)
    rounds = list(play(cases, Wish(target=0.9), LEAST_ROUNDS, lambda nth: Random(nth).random))
    found = told(cases, Wish(target=0.9), rounds)
    assert (found.requests, found.left_out, found.rounds, found.windows_s) == (300, 0, LEAST_ROUNDS, (30.0, 30.0))
    assert found.was_met == pytest.approx(fmean(one.start_s <= 30.0 for one in served[100:]))
    assert found.nanos == pytest.approx(sum(one.cost for one in served[100:]) * NANOS, rel=1e-6)
    assert found.default_nanos == 300 * NANOS
    assert found.met.low <= found.met.middle <= found.met.high
    assert found.cost.low <= found.cost.middle <= found.cost.high < 1.02
    again = told(
        cases, Wish(target=0.9), list(play(cases, Wish(target=0.9), LEAST_ROUNDS, lambda nth: Random(nth).random))
    )
    assert again == found


def test_too_little_is_said_to_be_too_little() -> None:
    races, _ = recorded(draws(world("queueing"), 1, FEWEST - 1), Setting(30.0, 0.99, 0.5, 0.5))
    with pytest.raises(ValueError, match="fewer than 50 say nothing"):
        next(play(Cases(races), Wish(), LEAST_ROUNDS, lambda nth: Random(nth).random))
    races, _ = recorded(draws(world("queueing"), 1, FEWEST), Setting(30.0, 0.99, 0.5, 0.5))
    with pytest.raises(ValueError, match="no interval"):
        next(play(Cases(races), Wish(), LEAST_ROUNDS - 1, lambda nth: Random(nth).random))
