"""The judgement: promises are broken where the intervals say so, and named."""

from appliance.evaluation.setting import Setting
from appliance.evaluation.study import Cell, Figures
from appliance.evaluation.verdict import Mean, judge


def cell(start: float = 0.992, cost: float = 0.61, *, kind: str = "stationary", attainable: float = 1.0) -> Cell:
    def same(start: float, cost: float, worst: float | None = None) -> list[Figures]:
        return [Figures(start + d, worst or start, cost + d, 0.1) for d in (-0.001, 0.0, 0.001)]

    figures = {
        "ours": same(start, cost, start),
        "best_launch": same(0.99, 0.6),
        "always_default": same(1.0, 1.0),
        "switch": same(0.985, 0.55),
        "clairvoyant": same(1.0, 0.5),
    }
    return Cell("w", kind, Setting(30.0, 0.99, 0.0, 0.5), 5000, attainable, figures, [0.005])


def test_what_holds_holds() -> None:
    found = judge(cell())
    assert found.broken == ()
    assert found.start.value == 0.992
    assert 1.015 < found.ratio.value < 1.018


def test_each_promise_can_break() -> None:
    assert "start" in judge(cell(start=0.98)).broken[0]
    assert "best launch" in judge(cell(cost=0.63)).broken[0]
    assert any("always default" in one for one in judge(cell(cost=1.05)).broken)
    assert any("always_default starts as often" in one for one in judge(cell(cost=1.2)).broken)
    assert judge(cell(start=0.984)).broken == ("start 0.9840 < 0.988", "switch starts as often for 0.060 less")
    assert judge(cell(cost=0.65, kind="drifting")).broken == (), "10 % where the world moves"
    assert "worst window" in judge(cell(start=0.97, kind="drifting")).broken[0]


def test_nothing_is_promised_where_no_launch_meets_the_target_but_to_be_no_dearer_than_default() -> None:
    assert judge(cell(start=0.5, cost=0.9, attainable=0.0)).broken == ()
    assert judge(cell(start=0.5, cost=2.0, attainable=0.0)).broken == ("cost 2.000 of always default",)


def test_where_the_target_can_be_met_at_times_ours_is_as_near_as_the_best() -> None:
    assert judge(cell(start=0.987, cost=0.61, kind="drifting", attainable=0.9)).broken == ()
    assert "below the best launch" in judge(cell(start=0.95, cost=0.61, kind="drifting", attainable=0.9)).broken[0]


def test_an_interval_is_students() -> None:
    assert Mean.of([1.0]).margin == 0.0
    mean = Mean.of([1.0, 2.0, 3.0])
    assert (mean.value, round(mean.margin, 2)) == (2.0, 2.48)
