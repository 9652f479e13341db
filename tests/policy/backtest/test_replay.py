"""One round of playing recorded races again: each way through a race, by hand."""

from random import Random

import pytest

from appliance.evaluation.setting import Setting
from appliance.evaluation.world import draws
from appliance.policy.backtest.cases import Cases
from appliance.policy.backtest.replay import Round, Wish
from appliance.policy.recorded import Raced, Tried
from tests.evaluation.recording import NANOS, RUNGS, recorded
from tests.evaluation.test_world import world

FLEX, DEFAULT = RUNGS


def full(nth: int, flex_s: float, default_s: float, *, lost: bool = False, default_lost: bool = False) -> Raced:
    """A request of which all is known: both were asked at once, and watched to their end."""
    start_s = min([time_s for time_s, gone in ((flex_s, lost), (default_s, default_lost)) if not gone], default=None)
    tries = (
        Tried(FLEX, 0.0, flex_s, "lost" if lost else "started", False,
              "won" if flex_s == start_s else "left_running", NANOS // 2),
        Tried(DEFAULT, 0.0, default_s, "lost" if default_lost else "started", False,
              "won" if default_s == start_s else "left_running", NANOS),
    )  # fmt: skip
    return Raced(nth * 100.0, "o", "acme", "m", 10.0, 0.99, start_s is not None, start_s, NANOS, NANOS, None, tries,
                 FLEX, DEFAULT)  # fmt: skip


def learned(count: int = 400) -> list[Raced]:
    """Flex between 0 and 12 s, default 1 s: the latest launch for 10 s is about 8 s."""
    random = Random(1)
    return [full(nth, random.uniform(0.5, 12.0), random.uniform(0.9, 1.1)) for nth in range(count)]


def last(**fields: float | bool) -> tuple[int, int, float]:
    """What becomes of one more request after many that taught the engine: met, launched, cost."""
    races = [*learned(), full(400, **fields)]  # type: ignore[arg-type]
    one = Round(Cases(races, since_unix_s=40_000.0), Wish(), "fear", Random(2).random)
    one.purse._share = 0.0
    sums = one.play()
    return sums.met, sums.launched, round(sums.cost, 3)


def test_the_ways_of_a_race() -> None:
    assert last(flex_s=3.0, default_s=1.0) == (1, 0, 0.5)
    assert last(flex_s=50.0, default_s=1.0) == (1, 1, 1.0), "default was launched in time, the loser was free"
    assert last(flex_s=0.3, default_s=1.0, lost=True) == (1, 1, 1.0), "default followed the refusal at once"
    assert last(flex_s=9.5, default_s=40.0) == (1, 1, 0.5), "flex came first after all"
    assert last(flex_s=30.0, default_s=40.0) == (0, 1, 0.5), "both came too late"
    assert last(flex_s=0.3, default_s=0.3, lost=True, default_lost=True) == (0, 1, 0.0), "an outage"
    assert last(flex_s=50.0, default_s=0.2, default_lost=True) == (0, 1, 0.5)


def test_another_deadline_is_planned_for_as_the_engine_would() -> None:
    cases = Cases(learned(), since_unix_s=20_000.0)
    as_asked = Round(cases, Wish(), "fear", Random(2).random).play()
    shorter = Round(cases, Wish(window_s=5.0), "fear", Random(2).random).play()
    easier = Round(cases, Wish(target=0.8), "fear", Random(2).random).play()
    assert shorter.cost > as_asked.cost > easier.cost
    assert shorter.launched > as_asked.launched > easier.launched
    assert as_asked.met / 200 > 0.98
    assert easier.met / 200 == pytest.approx(0.8, abs=0.12)


def test_played_as_it_was_it_comes_out_as_it_was() -> None:
    """All that happened is known, so next to nothing is drawn, and the engine decides as it did."""
    setting = Setting(20.0, 0.99, 0.5, 0.5)
    races, served = recorded(draws(world("queueing"), 3, 1200), setting)
    sums = Round(Cases(races, races[500].at_unix_s), Wish(), "hope", Random(1).random).play()
    assert sums.met == pytest.approx(sum(one.start_s <= 20.0 for one in served[500:]), abs=8)
    assert sums.cost == pytest.approx(sum(one.cost for one in served[500:]), rel=0.02)
    assert sums.launched == pytest.approx(sum(one.dear for one in served[500:]), rel=0.06)


def test_a_pupil_plans_as_its_teacher_did_and_draws_for_itself() -> None:
    races, _ = recorded(draws(world("lognormal"), 1, 600), Setting(30.0, 0.99, 0.5, 0.5))
    cases = Cases(races, races[200].at_unix_s)
    teacher = Round(cases, Wish(window_s=15.0), "fear", Random(1).random)
    taught = teacher.play()
    pupils = [Round(cases, Wish(window_s=15.0), "fear", Random(seed).random, teacher).play() for seed in range(2, 8)]
    assert all(pupil.launched == pytest.approx(taught.launched, rel=0.05) for pupil in pupils)
    assert len({pupil.cost for pupil in pupils}) > 1
    assert Round(cases, Wish(window_s=15.0), "fear", Random(1).random, teacher).play() == taught


def test_the_same_seed_gives_the_same_round() -> None:
    races, _ = recorded(draws(world("queueing"), 1, 300), Setting(30.0, 0.99, 0.5, 0.5))
    one, other = (Round(Cases(races), Wish(10.0, 0.9), "hope", Random(5).random).play() for _ in range(2))
    assert one == other
