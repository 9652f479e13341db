"""The oracles: they know what can be known, and the best single launch is the theory's."""

from math import inf
from random import Random

import pytest

from appliance.evaluation.setting import Setting
from appliance.evaluation.truth import PHASES, _Tally, at_phase, outcome, truths
from appliance.evaluation.world import Tiers
from tests.evaluation.test_world import world


def test_the_best_launch_is_the_one_of_the_theory() -> None:
    (fixed,), (single,) = truths(world("lognormal"), Setting(30.0, 0.99, 0.0, 0.5))
    assert fixed.feasible
    assert fixed.launch_s == pytest.approx(27.6, abs=0.7)
    assert fixed.cost == pytest.approx(0.561, abs=0.01)
    assert single.cost <= fixed.cost, "a coin can only gain"


def test_flex_that_does_not_pay_is_skipped_and_what_cannot_be_met_is_said() -> None:
    (fixed,), _ = truths(world("lognormal"), Setting(5.0, 0.99, 1.0, 0.5))
    assert fixed.launch_s is None
    (hopeless,), _ = truths(world("lognormal"), Setting(1.0, 0.999, 0.0, 0.5))
    assert not hopeless.feasible


def test_a_drifting_world_has_a_best_launch_for_each_phase() -> None:
    fixed, _ = truths(world("drift"), Setting(10.0, 0.99, 0.0, 0.5), 1000)
    assert len(fixed) == PHASES
    early, late = at_phase(fixed, 0.0).launch_s, at_phase(fixed, 1.0).launch_s
    assert early is not None
    assert late is None or late < early - 1


@pytest.mark.parametrize(
    ("tiers", "launch_s", "expected"),
    [
        (Tiers(3.0, False, 1.0, False), 5.0, (3.0, 0.5)),  # flex in time
        (Tiers(5.5, False, 1.0, False), 5.0, (5.5, 0.5 + 0.4)),  # flex won late, default billed
        (Tiers(9.0, False, 1.0, False), 5.0, (6.0, 1.0 + 0.2)),  # default won, flex billed
        (Tiers(6.0, False, 1.0, False), 5.0, (6.0, 0.5 + 0.4)),  # both at once: the cheaper
        (Tiers(0.5, True, 1.0, False), 5.0, (1.5, 1.0)),  # refused: default at once
        (Tiers(5.5, True, 1.0, False), 5.0, (6.0, 1.0)),  # failed while both ran: not billed
        (Tiers(9.0, False, 1.0, True), 5.0, (9.0, 0.5)),  # default failed: flex goes on
        (Tiers(0.5, True, 1.0, True), 5.0, (inf, 0.0)),
    ],
)
def test_what_becomes_of_a_race(tiers: Tiers, launch_s: float, expected: tuple[float, float]) -> None:
    assert outcome(tiers, launch_s, Setting(10.0, 0.99, 0.4, 0.5)) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["queueing", "outage", "heavy"])
def test_the_sums_over_all_launches_are_those_of_each(name: str) -> None:
    random, setting = Random(4), Setting(5.0, 0.99, 0.4, 0.5)
    sample = [world(name).sample(random, 0.52) for _ in range(300)]
    tally = _Tally(setting)
    for tiers in sample:
        tally.add(tiers)
    for way in tally.known(len(sample))[1::25]:
        assert way.launch_s is not None
        found = [outcome(tiers, way.launch_s, setting) for tiers in sample]
        assert way.start == pytest.approx(sum(start_s <= 5.0 for start_s, _ in found) / 300)
        assert way.cost == pytest.approx(sum(cost for _, cost in found) / 300)
