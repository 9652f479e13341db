"""A deadline on the last byte: bounds that hold, the rung that can finish, and the rate on virtual time."""

from math import inf
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.policy import launch
from appliance.policy.finish import Rest, chance, decide
from appliance.policy.generation import Generation
from appliance.policy.latency import LatencyModel, Series
from appliance.policy.launch import Candidate, Decision
from appliance.policy.lengths import Lengths
from appliance.policy.survival import log_normal
from tests.policy.test_generation import Drawn, paces, tokens

FLEX = Candidate(log_normal(8.0, 0.8), log_normal(8.0, 0.8), 0.5)
DEFAULT = Candidate(log_normal(1.2, 0.4), log_normal(1.2, 0.4), 1.0)
PRIORITY = Candidate(log_normal(0.6, 0.2), log_normal(0.6, 0.2), 2.0)


def generation(median: float, a_second: float, most: int | None = None) -> Generation:
    return Generation(tokens(median), paces(a_second), most)


@given(st.floats(0.5, 200), st.floats(1, 400), st.sampled_from([0.9, 0.99, 0.999]), st.floats(10, 3000))
@settings(max_examples=60, deadline=None)
def test_a_way_that_is_said_to_meet_the_target_meets_it_by_the_bound(
    start_s: float, more_s: float, target: float, median: float
) -> None:
    rungs, finish_s = (FLEX, DEFAULT, PRIORITY), start_s + more_s
    generations = tuple(generation(median, a_second) for a_second in (30, 60, 120))
    found = decide(rungs, generations, start_s, finish_s, target)
    way = found.decision
    asked = [place for place in (way.first, way.second) if place is not None]
    assert 0.0 <= way.launch_s <= found.start_s <= start_s
    assert way.check_s <= way.launch_s
    assert found.after >= max(generations[place].late_at(finish_s - found.start_s) for place in asked) - 1e-12
    assert way.feasible == (way.miss <= 1.0 - target)
    if way.feasible:
        within = launch.decide(rungs, found.start_s, target)
        assert within.miss <= way.miss + 1e-9 or within.cost <= way.cost + 1e-9, "the end asks more than the start"


@given(st.floats(5, 60), st.floats(0, 200), st.floats(1.05, 3.0))
@settings(max_examples=40, deadline=None)
def test_more_time_costs_no_more(start_s: float, more_s: float, by: float) -> None:
    generations = (generation(200, 40), generation(200, 60))
    tight = decide((FLEX, DEFAULT), generations, start_s, start_s + more_s, 0.99).decision
    loose = decide((FLEX, DEFAULT), generations, start_s * by, (start_s + more_s) * by, 0.99).decision
    assert loose.miss <= max(tight.miss, 0.01) + 1e-9
    if tight.feasible:
        assert loose.feasible
        assert loose.cost <= tight.cost * 1.02 + 1e-9


def test_an_end_far_away_leaves_the_decision_of_the_start() -> None:
    rungs, generations = (FLEX, DEFAULT), (generation(100, 50), generation(100, 50))
    found, plain = decide(rungs, generations, 20.0, 5000.0, 0.99), launch.decide(rungs, 20.0, 0.99)
    assert found.start_s == 20.0
    assert found.after < 1e-5
    assert found.decision.launch_s == pytest.approx(plain.launch_s, rel=1e-3)


def test_the_rung_that_can_finish_is_asked() -> None:
    slow_flex = generation(600, 10), generation(600, 100)  # 60 s against 6 s
    alone = decide((FLEX, DEFAULT), slow_flex, 40.0, 40.0, 0.99)
    assert (alone.decision.first, alone.decision.second, alone.decision.feasible) == (1, None, True)
    raced = decide((FLEX, DEFAULT), slow_flex, 300.0, 300.0, 0.99)
    assert (raced.decision.first, raced.decision.second) == (0, 1), "with time enough the cheap one will do"
    assert raced.start_s < 300.0 - 60.0
    dearest = (generation(600, 10), generation(600, 15), generation(600, 200))
    best = decide((FLEX, DEFAULT, PRIORITY), dearest, 25.0, 25.0, 0.99).decision
    assert best.feasible
    assert best.second == 2 or (best.first, best.second) == (2, None)


def test_a_limit_of_the_output_is_a_limit_of_the_time() -> None:
    free, capped = generation(2000, 50), generation(2000, 50, 100)
    assert free.within(0.01) > 60.0
    assert capped.within(0.01) < 4.0
    assert capped.late_at(4.0) < 1e-5
    assert not decide((FLEX, DEFAULT), (free, free), 15.0, 15.0, 0.99).decision.feasible
    assert decide((FLEX, DEFAULT), (capped, capped), 15.0, 15.0, 0.99).decision.feasible


def test_what_cannot_be_met_is_served_as_well_as_possible() -> None:
    near = decide((FLEX, DEFAULT), (generation(600, 30), generation(600, 60)), 16.0, 16.0, 0.99)
    assert not near.decision.feasible
    assert (near.decision.first, near.decision.second) == (1, None)
    assert near.decision.miss < 0.5
    hopeless = decide((FLEX, DEFAULT), (generation(6000, 30), generation(6000, 60)), 12.0, 12.0, 0.99)
    assert not hopeless.decision.feasible
    assert hopeless.decision.first == 1, "the one that is done first"
    assert hopeless.decision.miss == 1.0
    quick_flex = decide((FLEX, DEFAULT), (generation(6000, 300), generation(6000, 30)), 12.0, 12.0, 0.99)
    assert quick_flex.decision.first == 0
    never = Generation(tokens(10), paces(50, 0.1, 1.0))
    assert never.within(0.5) == inf
    assert decide((FLEX, DEFAULT), (never, never), 12.0, 12.0, 0.99).decision.miss == 1.0


def test_broken_answers_count_against_the_target() -> None:
    sound, frail = Generation(tokens(100), paces(50)), Generation(tokens(100), paces(50, 0.1, 0.02))
    assert frail.late_at(1000.0) == pytest.approx(0.02, abs=1e-4)
    assert decide((FLEX, DEFAULT), (sound, sound), 60.0, 60.0, 0.99).decision.feasible
    assert not decide((FLEX, DEFAULT), (frail, frail), 60.0, 60.0, 0.99).decision.feasible


def test_a_dearer_rung_is_not_paid_for_want_of_knowledge() -> None:
    vague = Lengths()
    for nth in range(40):
        vague.ended("gpt", "key", 100, False, float(nth))
        for tier in ("flex", "default", "priority"):
            vague.took("openai", "gpt", tier, 100, 2.0, float(nth))
    length = vague.length("gpt", "key", 50.0)
    rungs = FLEX, DEFAULT, PRIORITY
    generations = tuple(Generation(length, vague.pace("openai", "gpt", one, 50.0)) for one in ("flex", "default", "p"))
    found = decide(rungs, generations, 40.0, 40.0, 0.9)
    assert found.decision.cost <= 1.0


def test_a_ladder_needs_a_rung_and_one_rung_is_asked_whatever_comes() -> None:
    with pytest.raises(ValueError, match="at least one"):
        decide((), (), 10.0, 10.0, 0.99)
    with pytest.raises(ValueError, match="each a generation"):
        decide((FLEX,), (), 10.0, 10.0, 0.99)
    only = decide((DEFAULT,), (generation(100, 50),), 30.0, 30.0, 0.99)
    assert (only.decision.first, only.decision.second, only.decision.feasible) == (0, None, True)


@pytest.mark.parametrize("finish_s", [12.0, 16.0, 25.0, 60.0, 120.0])
@pytest.mark.parametrize("speeds", [(60.0, 60.0), (10.0, 100.0), (25.0, 60.0)])
def test_the_chance_is_that_of_drawn_requests(finish_s: float, speeds: tuple[float, float]) -> None:
    rest = Rest(finish_s, tuple(Generation(tokens(400), paces(one), None, 0.0) for one in speeds))
    rungs = FLEX, DEFAULT
    way = decide(rungs, rest.generations, finish_s, finish_s, 0.95, 0.0).decision
    told, random, met = chance(way, rungs, rest, finish_s), Random(finish_s), 0
    drawn = [Drawn(random, 400, one, 0.1, None) for one in speeds]
    for _ in range(4000):
        x, y = 8.0 * random.lognormvariate(0.0, 0.8), 1.2 * random.lognormvariate(0.0, 0.4)
        begun = [inf, inf]
        begun[way.first] = x if way.first == 0 else y
        if way.second is not None and x > way.launch_s:
            begun[1] = way.launch_s + y
        winner = begun.index(min(begun))
        met += begun[winner] + drawn[winner]() <= finish_s
    assert told == pytest.approx(met / 4000, abs=0.04)
    assert told >= 1.0 - way.miss - 0.01, "the bound of both parts is a bound"


class World:
    """Requests one after another: flex is cheap, starts late and writes slowly; both learn only what they see."""

    def __init__(self, seed: int, finish_s: float, target: float, a_second: tuple[float, float]) -> None:
        self.random, self.finish_s, self.target, self.a_second = Random(seed), finish_s, target, a_second
        self.starts, self.lengths = LatencyModel(), Lengths()
        self.now_s = 0.0
        self.asked = 0
        self.way = self.decided()

    def decided(self) -> Decision:
        """By what is known now."""
        series, now_s = Series("p", "m", "default"), self.now_s
        x = self.starts.curve(Series("p", "m", "flex"), now_s)
        y, behind = self.starts.curve(series, now_s), self.starts.curve(Series("p", "m", "default", 0, True), now_s)
        words = self.lengths.length("m", "key", now_s)
        made = tuple(Generation(words, self.lengths.pace("p", "m", tier, now_s)) for tier in ("flex", "default"))
        rungs = Candidate(x, x, 0.5), Candidate(y, behind, 1.0)
        return decide(rungs, made, self.finish_s, self.finish_s, self.target).decision

    def request(self) -> tuple[bool, float]:
        """Whether the last byte came in time, and what it cost beside default."""
        random, now_s = self.random, self.now_s
        self.now_s += 2.0 * self.finish_s
        length = 250.0 * random.lognormvariate(0.0, 0.6)
        begin = 5.0 * random.lognormvariate(0.0, 0.7), 1.0 * random.lognormvariate(0.0, 0.4)
        pace = tuple(random.lognormvariate(0.0, 0.25) / a_second for a_second in self.a_second)
        self.asked += 1
        if self.asked % 8 == 0:  # what takes most of the time
            self.way = self.decided()
        way = self.way

        launched: list[float | None] = [None, None]
        launched[way.first] = 0.0
        if way.second is not None and begin[way.first] > way.launch_s:
            launched[way.second] = way.launch_s
        begun = [inf if at_s is None else at_s + start_s for at_s, start_s in zip(launched, begin, strict=True)]
        winner = begun.index(min(begun))
        for place, at_s in enumerate(launched):
            if at_s is not None:
                tier, behind = ("flex", "default")[place], place == 1 and way.first == 0
                flight = self.starts.begin(Series("p", "m", tier, 0, behind), now_s + at_s)
                flight.end("started" if place == winner else "censored", now_s + max(begun[winner], at_s))
        end_s = begun[winner] + length * pace[winner]
        self.lengths.ended("m", "key", round(length), False, now_s + end_s)
        tier = ("flex", "default")[winner]
        self.lengths.took("p", "m", tier, round(length), length * pace[winner], now_s + end_s)
        return end_s <= self.finish_s, (0.5, 1.0)[winner]


@pytest.mark.parametrize(
    ("finish_s", "target", "a_second", "most_cost"),
    [(60.0, 0.99, (60.0, 60.0), 0.75), (40.0, 0.95, (40.0, 80.0), 0.85), (60.0, 0.95, (5.0, 60.0), 1.0)],
)
def test_the_end_comes_in_time_as_often_as_was_asked(
    finish_s: float, target: float, a_second: tuple[float, float], most_cost: float
) -> None:
    world = World(11, finish_s, target, a_second)
    served = [world.request() for _ in range(1500)][300:]
    met = sum(one for one, _ in served) / len(served)
    spread = 2.0 * (target * (1.0 - target) / len(served)) ** 0.5
    assert met >= target - spread
    assert sum(cost for _, cost in served) / len(served) <= most_cost
