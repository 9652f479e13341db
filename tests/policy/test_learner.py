"""What is learned while races are played again: as the engine's own model learns it, and of what is above."""

from random import Random

import pytest

from appliance.policy.latency import LatencyModel, Series, prior_of
from appliance.policy.learner import Learner
from appliance.policy.survival import log_normal


def test_it_learns_what_the_engine_learns() -> None:
    model, learner, random = LatencyModel(), Learner(prior_of("flex"), 0.0), Random(1)
    series = Series("p", "m", "flex")
    for nth in range(600):
        now_s = nth * 10.0
        time_s = random.lognormvariate(2.0, 1.0)
        for flight in (model.begin(series, now_s), learner.begin(now_s)):
            flight.end("started" if time_s < 9.0 else "censored", now_s + min(time_s, 9.0))
    theirs, ours = model.curve(series, 6000.0), learner.curve(6000.0)
    for at_s in (1.0, 3.0, 8.0):
        assert ours.late_at(at_s) == pytest.approx(theirs.late_at(at_s), abs=0.01)
        assert ours.error_at(at_s) == pytest.approx(theirs.error_at(at_s), abs=0.004)


def test_who_knows_little_leans_on_the_level_above_and_who_knows_much_does_not() -> None:
    above = Learner(log_normal(2.0, 0.5), 0.0)
    one, other = Learner(above, 0.0), Learner(above, 0.0)
    assert one.curve(0.0).late_at(2.0) == pytest.approx(0.5, abs=0.02)
    for nth in range(300):
        other.begin(float(nth)).end("started", nth + 5.0)
    assert one.curve(400.0).late_at(4.0) > 0.5, "what the other saw"
    for nth in range(300):
        one.begin(400.0 + nth).end("started", 400.5 + nth)
    assert one.curve(800.0).late_at(1.0) < 0.05
    assert other.curve(800.0).late_at(4.0) > 0.9


def test_attempts_in_flight_count_at_their_present_age() -> None:
    learner = Learner(log_normal(2.0, 0.5), 0.0)
    for nth in range(60):
        learner.begin(float(nth)).end("started", nth + 1.0)
    before = learner.curve(100.0).late_at(3.0)
    flights = [learner.begin(100.0) for _ in range(40)]
    assert learner.curve(110.0).late_at(3.0) > before + 0.1
    for flight in flights:
        flight.end("started", 111.0)
    assert learner.curve(111.0) is learner.curve(111.0), "nothing new, nothing made"
