"""The policies that are compared: each does what its name says, and learns only what it caused."""

from appliance.evaluation.policy import DEFAULT, FLEX, Clairvoyant, Knowing, Ours, Percentile, Way
from appliance.evaluation.setting import Setting
from appliance.evaluation.truth import Known
from appliance.evaluation.world import Draw, Tiers

SETTING = Setting(10.0, 0.99, 0.0, 0.5)


def draw(flex_s: float = 5.0, default_s: float = 1.0, phase: float = 0.0, lost: bool = False) -> Draw:
    return Draw(0.0, phase, Tiers(flex_s, lost, default_s, False))


def test_the_percentile_is_fed_by_winners_alone_and_so_forgets_the_slow() -> None:
    policy = Percentile(SETTING)
    assert policy.plan(draw(), 0.0) == Way(FLEX, 5.0)
    for nth in range(100):
        policy.won(DEFAULT, 1.0, 1.0)
        policy.won(FLEX, 2.0 if nth < 90 else 8.0, 0.5)
    launch_s = policy.plan(draw(), 0.0).launch_s
    assert launch_s is not None
    assert 8.0 <= launch_s < 8.5


def test_the_oracles_know_the_phase_and_the_draw() -> None:
    known = (Known(None, 1.0, 1.0, 1.0, True), Known(4.0, 0.5, 1.0, 0.7, True))
    policy = Knowing(known, SETTING, 1)
    assert policy.plan(draw(phase=0.1), 0.0) == Way(DEFAULT)
    ways = [policy.plan(draw(phase=0.9), 0.0).launch_s for _ in range(400)]
    assert 150 < ways.count(4.0) < 250
    seer = Clairvoyant(SETTING)
    assert seer.plan(draw(9.9), 0.0) == Way(FLEX)
    assert seer.plan(draw(10.1), 0.0) == Way(DEFAULT)
    assert seer.plan(draw(1.0, lost=True), 0.0) == Way(DEFAULT)
    assert seer.plan(draw(20.0, 15.0), 0.0) == Way(FLEX), "late anyway, so cheap"


def test_ours_decides_anew_only_when_something_is_new() -> None:
    policy = Ours(SETTING)
    first = policy.decide(0.0)
    assert policy.decide(0.5) is first
    flight = policy.began(FLEX, False, 0.5)
    assert flight is not None
    flight.end("started", 1.0)
    assert policy.decide(1.0) is not first
