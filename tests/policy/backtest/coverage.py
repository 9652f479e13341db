"""How often the back-test's bounds hold what a run under the other setting really gives, by seed.

`python -m tests.policy.backtest.coverage` counts it over twenty seeds of each case (minutes); the test takes a few.
"""

from collections import Counter
from collections.abc import Iterable
from random import Random
from statistics import fmean

from appliance.evaluation.setting import Setting
from appliance.evaluation.world import draws
from appliance.policy.backtest.bounds import LEAST_ROUNDS, Backtest, play, told
from appliance.policy.backtest.cases import Cases
from appliance.policy.backtest.replay import Wish
from tests.evaluation.recording import NANOS, recorded
from tests.evaluation.test_world import world

WARM_UP = 300
"""Requests that only teach, in both runs."""

CASES = {
    "queueing": ("queueing", Setting(60.0, 0.99, 0.0, 0.5), Wish(30.0, 0.9)),
    "lognormal": ("lognormal", Setting(60.0, 0.99, 0.5, 0.5), Wish(20.0, 0.99)),
    "beyond": ("lognormal", Setting(20.0, 0.99, 0.5, 0.5), Wish(60.0, 0.99)),
    "correlated": ("correlated", Setting(30.0, 0.99, 0.5, 0.5), Wish(15.0, 0.99)),
    "heavy": ("heavy", Setting(60.0, 0.99, 0.5, 0.5), Wish(30.0, 0.99)),
    "drift": ("drift", Setting(60.0, 0.99, 0.5, 0.5), Wish(30.0, 0.99)),
}
"""World, the recorded setting, and the other one."""


def backtest(case: str, seed: int, requests: int) -> Backtest:
    """What the records of a run say of the other setting."""
    name, was, wish = CASES[case]
    races, _ = recorded(draws(world(name), seed, requests), was)
    cases = Cases(races, races[WARM_UP].at_unix_s)
    return told(cases, wish, list(play(cases, wish, LEAST_ROUNDS, lambda nth: Random(f"{seed} {nth}").random)))


def truth(case: str, seed: int, requests: int) -> tuple[float, float]:
    """The same requests served under the other setting: the share met, and the cost in nanodollars."""
    name, was, wish = CASES[case]
    other = Setting(wish.window_s or was.window_s, wish.target or was.target, was.billed, was.price)
    _, served = recorded(draws(world(name), seed, requests), other)
    judged = served[WARM_UP:]
    return fmean(one.start_s <= other.window_s for one in judged), sum(one.cost for one in judged) * NANOS


def count(case: str, seeds: Iterable[int], requests: int) -> Counter[str]:
    """In how many seeds the bounds hold the share met and the cost; `width`: of the cost's bounds, in thousandths."""
    held: Counter[str] = Counter()
    for seed in seeds:
        found, (met, nanos) = backtest(case, seed, requests), truth(case, seed, requests)
        held["seeds"] += 1
        held["met"] += found.met.low <= met <= found.met.high
        held["cost"] += found.cost.low <= nanos / found.nanos <= found.cost.high
        held["width"] += round(1000 * (found.cost.high - found.cost.low))
    return held


if __name__ == "__main__":
    for each in CASES:
        print(each, dict(count(each, range(20), 800)), flush=True)
