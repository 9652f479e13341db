"""The report: shares with bounds, forecasts called wrong only where the bounds say so, money that adds up."""

from random import Random

import msgspec
import pytest

from appliance.domain.catalog import Rung
from appliance.policy.calibration import SLICES, report
from appliance.policy.recorded import Raced, Tried

FLEX, DEFAULT = Rung("acme", "m", "flex"), Rung("acme", "m", "default")


def race(nth: int = 0, **fields: object) -> Raced:
    won = Tried(FLEX, 0.0, 2.0, "started", False, "won", 50)
    plain = Raced(
        float(nth), "org", "acme", "m", 10.0, 0.99, True, 2.0, 50, 100, "flex_won", (won,), FLEX, DEFAULT,
        why="latest_launch", chance=0.993, chance_least=0.991,
    )  # fmt: skip
    return msgspec.structs.replace(plain, **fields)


def climbed(nth: int, *, met: bool = True, end: str = "lost") -> Raced:
    tries = (
        Tried(FLEX, 0.0, 9.0, "censored", False, end, 10),  # type: ignore[arg-type]
        Tried(DEFAULT, 8.0, 1.0, "started", True, "won", 100),
    )
    return race(nth, tries=tries, nanos=110, reason="flex_deadline", met=met)


def test_what_was_paid_won_and_met() -> None:
    races = [race(nth) for nth in range(90)] + [climbed(90 + nth, met=nth > 1) for nth in range(10)]
    found = report(races)
    assert (found.all.requests, found.all.met.hits, found.all.met.count) == (100, 98, 100)
    assert (found.flex.hits, found.flex.count, found.launched.hits) == (90, 100, 10)
    assert (found.money.nanos, found.money.default_nanos, found.money.saved_nanos) == (5600, 10_000, 4400)
    assert (found.money.losers_nanos, found.money.explored_nanos) == (100, 0)
    assert found.reasons == (("flex_won", 90), ("flex_deadline", 10))
    assert len(found.slices) == SLICES
    assert sum(line.requests for line in found.slices) == 100
    assert (found.since_unix_s, found.until_unix_s) == (0.0, 99.0)


def test_what_was_left_running_was_paid_to_learn() -> None:
    found = report([race(), climbed(1, end="left_running"), msgspec.structs.replace(climbed(2), why="explored")])
    assert (found.money.losers_nanos, found.money.explored_nanos) == (0, 20)


def test_a_forecast_is_wrong_only_where_the_bounds_say_so() -> None:
    random = Random(1)

    def judged(chance: float) -> bool:
        races = [race(nth, met=random.random() < 0.97, chance=chance, chance_least=chance - 0.01) for nth in range(400)]
        (bucket,) = report(races).buckets
        assert bucket.predicted == pytest.approx(chance)
        assert bucket.least == pytest.approx(chance - 0.01)
        assert bucket.low < chance <= bucket.high
        return bucket.right

    assert judged(0.97)
    assert not judged(0.995)
    assert not judged(0.91)
    few = report([race(0, chance=0.99, met=False), *(race(nth, chance=0.99) for nth in range(1, 20))])
    assert few.buckets[0].right, "twenty requests do not refute it"


def test_each_target_is_judged_by_its_own_requests() -> None:
    races = [race(nth, target=0.9, met=nth % 8 > 0) for nth in range(400)]
    races += [race(nth, target=0.99, met=nth % 20 > 0, model="n") for nth in range(400, 800)]
    found = report(races)
    assert [(line.name, line.kept) for line in found.targets] == [("0.9", True), ("0.99", False)]
    assert [line.name for line in found.models] == ["acme/m", "acme/n"]
    assert found.all.target == pytest.approx(0.945)


def test_what_is_not_known_is_counted_and_not_judged() -> None:
    races = [race(0, met=None), race(1, nanos=None), race(2, chance=None, chance_least=None, why=None), race(3)]
    found = report(races)
    assert (found.left_early, found.money.unknown, found.unpredicted) == (1, 1, 1)
    assert (found.all.met.count, found.money.nanos) == (3, 150)
    assert sum(bucket.achieved.count for bucket in found.buckets) == 2
    with pytest.raises(ValueError, match="no raced requests"):
        report([])


def test_a_forecast_of_the_end_is_judged_by_the_end() -> None:
    late = report([race(nth, finish_s=20.0, ended_in_time=nth % 2 == 0) for nth in range(100)])
    assert late.buckets[0].achieved.hits == 50
    assert late.all.met.hits == 100
    assert (late.ended.hits, late.ended.count) == (50, 100)
    assert report([race()]).ended.count == 0
    assert report([race(nth, finish_s=20.0) for nth in range(100)]).buckets == ()


def test_certain_and_hopeless_forecasts_have_their_buckets() -> None:
    found = report([race(0, chance=0.0, met=False), race(1, chance=1.0)])
    assert [(bucket.low, bucket.high) for bucket in found.buckets] == [(0.0, 0.5), (0.998, 1.0)]
