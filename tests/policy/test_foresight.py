"""Decisions with what they promise: each word of a plan comes about, and chances are those of the decision."""

import pytest

from appliance.domain.catalog import Rung
from appliance.domain.record import PLAN_WORDS
from appliance.domain.tier import Window
from appliance.policy.expense import Expense
from appliance.policy.foresight import Prospect, after_loss, beside, fixed, forecast, foresee, just
from appliance.policy.latency import Series
from appliance.policy.survival import Curve, log_normal

LADDER = (Rung("p", "m", "flex"), Rung("p", "m", "default"))
FREE = Expense((0.5, 1.0), (0.0, 0.0), (500, 1000), 1000)
BILLED = Expense((0.5, 1.0), (1.0, 1.0), None)
THREE = Expense((0.5, 1.0, 2.0), (0.0, 0.0, 0.0), None)
SLOW, QUICK, DEAD = log_normal(8.0, 1.1), log_normal(1.2, 0.5), log_normal(3000.0, 1.1)
AT_ONCE = log_normal(0.2, 0.3)


def prospect(curves: tuple[Curve, Curve], costs: Expense, window_s: float, target: float) -> Prospect:
    flex, default = curves
    found = foresee((flex, flex, default, default), costs, window_s, target)
    series = (Series("p", "m", "flex"), Series("p", "m", "default"))
    return Prospect(LADDER, series, costs, Window(window_s, target), found)


USUAL = prospect((SLOW, QUICK), FREE, 10.0, 0.99)


@pytest.mark.parametrize(
    ("flex", "default", "costs", "window_s", "target", "why", "first", "second"),
    [
        (SLOW, QUICK, FREE, 10.0, 0.99, "latest_launch", 0, 1),
        (AT_ONCE, QUICK, FREE, 10.0, 0.99, "cheap_alone", 0, 1),
        (SLOW, QUICK, BILLED, 5.0, 0.99, "dear_alone", 1, None),
        (SLOW, QUICK, FREE, 1.0, 0.99, "infeasible", 0, 1),
    ],
)
def test_words(
    flex: Curve,
    default: Curve,
    costs: Expense,
    window_s: float,
    target: float,
    why: str,
    first: int,
    second: int | None,
) -> None:
    told = forecast(prospect((flex, default), costs, window_s, target), 100, 300)
    assert (told.why, told.first, told.second, why in PLAN_WORDS) == (why, first, second, True)
    assert (told.launch_s is None) == (second is None)
    if why != "infeasible":
        assert told.chance >= told.chance_least >= target
    assert (told.target, told.rungs, told.input_tokens, told.output_tokens) == (target, LADDER, 100, 300)


def test_what_a_plan_is_expected_to_cost_is_money_where_prices_are_known() -> None:
    told = forecast(USUAL, 100, 300)
    assert told.default_nanos == 1000
    assert told.cost_nanos is not None and 740 <= told.cost_nanos <= 755  # .748 by the simulation of the formula
    assert told.launch_s is not None and 6.5 <= told.launch_s <= 6.8
    assert forecast(prospect((SLOW, QUICK), BILLED, 30.0, 0.99), 1, 1).cost_nanos is None


def test_the_forecast_of_a_fixed_launch_is_that_of_this_launch() -> None:
    decided = forecast(USUAL, 100, 300)
    early, late = (forecast(USUAL, 100, 300, fixed(USUAL.found, launch_s), "reserve") for launch_s in (5.0, 9.0))
    assert (early.why, early.launch_s, early.cost_nanos) == ("reserve", 5.0, None)
    assert early.chance > decided.chance > late.chance and late.chance < 0.9


def test_a_skipped_rung_beside_the_first_and_the_second_alone() -> None:
    skips = prospect((SLOW, QUICK), BILLED, 5.0, 0.99)
    looks = forecast(skips, 1, 1, beside(skips.found), "explored")
    assert (looks.first, looks.second, looks.launch_s) == (0, 1, 0.0)
    assert looks.chance > forecast(skips, 1, 1).chance
    alone = forecast(USUAL, 1, 1, just(USUAL.found, 1), "hedges_capped")
    assert (alone.first, alone.second, alone.launch_s, alone.cost_nanos) == (1, None, None, 1000)


@pytest.mark.parametrize("since_s", [1.0, 7.0, 8.5, 9.9, 10.0, 12.0])
def test_after_a_loss_the_next_rung_waits_as_long_as_the_target_allows(since_s: float) -> None:
    ladder = (SLOW, QUICK, QUICK)
    found = foresee(tuple(curve for curve in ladder for _ in "ab"), THREE, 10.0, 0.99)
    launch_s = after_loss(found, 1, 2, since_s)
    assert since_s <= launch_s <= max(10.0, since_s)
    assert (launch_s == since_s) == (since_s > 8.0), "where it must be quick both are needed"
