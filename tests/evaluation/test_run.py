"""The run on virtual time: the same rules as the oracles' arithmetic, and nobody learns before it happened."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.catalog import Rung
from appliance.evaluation.policy import DEFAULT, FLEX, Ours, Plain, Way
from appliance.evaluation.run import Run
from appliance.evaluation.setting import SETTINGS, Setting
from appliance.evaluation.truth import outcome
from appliance.evaluation.world import WORLDS, Draw, Tiers, draws
from appliance.policy.looks import SLACK_S
from appliance.policy.moves import Elapsed, Replanned, Start, Started
from appliance.policy.plan import Plan, RungPlan
from appliance.policy.race import Race
from tests.evaluation.test_world import world

SETTING = Setting(10.0, 0.99, 0.4, 0.5)


def play(tiers: Tiers, way: Way, fallback: bool = True) -> tuple[float, float, bool]:
    (served,) = Run([Draw(100.0, 0.0, tiers)], Plain(way, fallback), SETTING).play()
    return served.start_s, served.cost, served.dear


@pytest.mark.parametrize("one", WORLDS, ids=lambda one: one.name)
def test_a_launch_at_a_fixed_time_is_what_the_oracles_compute(one: object) -> None:
    requests = draws(next(w for w in WORLDS if w is one), 5, 400)
    served = Run(requests, Plain(Way(FLEX, 4.0)), SETTING).play()
    for draw, got in zip(requests, served, strict=True):
        assert (got.start_s, got.cost) == pytest.approx(outcome(draw.tiers, 4.0, SETTING))


def test_ways_that_are_no_race() -> None:
    tiers = Tiers(9.0, False, 1.0, False)
    assert play(tiers, Way(DEFAULT)) == pytest.approx((1.0, 1.0, True))
    assert play(tiers, Way(FLEX)) == pytest.approx((9.0, 0.5, False))
    assert play(tiers, Way(FLEX, 8.5, switch=True)) == pytest.approx((9.5, 1.2, True)), "flex came, and was gone"
    assert play(tiers, Way(DEFAULT, beside=True)) == pytest.approx((1.0, 1.5, True)), "paid to know"
    assert play(Tiers(0.5, False, 1.0, False), Way(DEFAULT, beside=True)) == pytest.approx((0.5, 0.9, True))


def test_an_outage_is_a_miss_and_a_lost_default_is_followed_by_flex() -> None:
    assert play(Tiers(2.0, False, 0.5, True), Way(DEFAULT), fallback=False)[0] == float("inf")
    assert play(Tiers(2.0, False, 0.5, True), Way(DEFAULT)) == pytest.approx((2.5, 0.5, True))


def test_nothing_is_left_in_flight_and_each_attempt_is_counted_once() -> None:
    for setting in SETTINGS[::5]:
        policy = Ours(setting)
        requests = draws(world("outage"), 1, 300)
        Run(requests, policy, setting).play()
        for level in policy.model._levels.values():
            assert level.flights == {}


def test_ours_begins_carefully_and_becomes_cheap() -> None:
    setting = Setting(30.0, 0.99, 0.5, 0.5)
    served = Run(draws(world("lognormal"), 1, 1500), Ours(setting), setting).play()
    first = sum(one.cost for one in served[:50]) / 50
    rest = sum(one.cost for one in served[500:]) / 1000
    assert rest < 0.65 < 0.75 < first
    assert sum(one.start_s <= 30.0 for one in served) / 1500 >= 0.985


def test_a_skipped_flex_is_found_out_when_it_pays_again() -> None:
    """At first flex is hopeless and losers are billed, so it is skipped; then it is quick."""
    setting = Setting(10.0, 0.9, 1.0, 0.5)
    requests = [Draw(nth / 5, 0.0, Tiers(300.0 if nth < 400 else 2.0, False, 1.0, False)) for nth in range(5000)]
    served = Run(requests, Ours(setting), setting).play()
    assert sum(one.cost for one in served[300:400]) / 100 < 1.02, "skipped, but for a trial now and then"
    assert not served[300].dear or sum(one.dear for one in served[300:400]) == 100
    assert sum(one.cost for one in served[-500:]) / 500 < 0.6


class Moving(Plain):
    """Launches when a script says: the launch as it is believed from each time on, `(from, launch)`, both since 0."""

    def __init__(self, beliefs: list[tuple[float, float]], check_s: float) -> None:
        super().__init__(Way(FLEX, beliefs[0][1], check_s))
        self.beliefs = beliefs
        self.looked_s: list[float] = []

    def again(self, launch_s: float, now_s: float) -> float:
        """What is believed now."""
        self.looked_s.append(now_s)
        believed = [then_s for from_s, then_s in self.beliefs if from_s <= now_s][-1]
        return believed if abs(believed - launch_s) > SLACK_S else launch_s


def test_a_waiting_request_follows_what_is_believed() -> None:
    policy = Moving([(0.0, 7.0), (2.0, 4.5), (3.6, 6.0)], 5.5)
    (served,) = Run([Draw(0.0, 0.0, Tiers(60.0, False, 1.0, False))], policy, SETTING).play()
    assert policy.looked_s == [1.25, 2.5, 3.75, 5.0, 5.5]
    assert served.start_s == 7.0 and served.dear
    (served,) = Run(
        [Draw(0.0, 0.0, Tiers(60.0, False, 1.0, False))], Moving([(0.0, 9.0), (2.0, 1.0)], 8.0), SETTING
    ).play()
    assert served.start_s == 3.5, "overdue by what is believed at 2.5 s"


times = st.integers(1, 160).map(lambda sixteenths: sixteenths / 16)


@given(st.lists(st.tuples(times, times), max_size=6), times, times, st.one_of(times, st.just(99.0)))
def test_the_launch_is_the_servers(
    beliefs: list[tuple[float, float]], launch_s: float, check_s: float, flex_s: float
) -> None:
    """The run and the state machine that serves real requests, told the same, launch at the same moment."""
    policy = Moving([(0.0, launch_s), *sorted(beliefs)], check_s)
    (served,) = Run([Draw(0.0, 0.0, Tiers(flex_s, False, 50.0, False))], policy, SETTING).play()
    flex, default = (Rung("p", "m", tier) for tier in ("flex", "default"))
    race = Race(Plan((RungPlan(flex, 0.0), RungPlan(default, launch_s)), 10.0, 900.0, check_s=check_s), 0.0)
    commands, now_s, looked_s = race.begin(0.0), 0.0, []
    while not race.over and Start(1) not in commands:
        assert race.next_timer is not None
        now_s = min(race.next_timer, flex_s)
        look, following = race.look_at, race.next_launch
        if flex_s <= now_s:
            commands = race.on(Started(0), now_s)
        elif look is not None and look <= now_s and following is not None:
            looked_s.append(now_s)
            again_s = Moving(policy.beliefs, 0.0).again(following[1], now_s)
            commands = race.on(Replanned(1, again_s), now_s)
        else:
            commands = race.on(Elapsed(now_s), now_s)
    assert (served.dear, policy.looked_s) == (Start(1) in commands, looked_s)
    if served.dear:
        assert served.start_s == min(flex_s, now_s + 50.0)
