"""Decisions with what they promise: each word of a plan comes about, and chances are those of the decision."""

import pytest

from appliance.domain.catalog import Rung
from appliance.domain.record import PLAN_WORDS
from appliance.policy.expense import Expense
from appliance.policy.foresight import by_reserve, forecast, foresee
from appliance.policy.plan import plan_reserve
from appliance.policy.survival import Curve, log_normal

LADDER = (Rung("p", "m", "flex"), Rung("p", "m", "default"))
FREE = Expense((0.5, 1.0), (0.0, 0.0), (500, 1000))
BILLED = Expense((0.5, 1.0), (1.0, 1.0), None)
SLOW, QUICK, DEAD = log_normal(8.0, 1.1), log_normal(1.2, 0.5), log_normal(3000.0, 1.1)
AT_ONCE = log_normal(0.2, 0.3)


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
    found = foresee((flex, flex, default, default), costs, window_s, target)
    told = forecast(found, LADDER, costs, target, 100, 300)
    assert (told.why, told.first, told.second, why in PLAN_WORDS) == (why, first, second, True)
    assert (told.launch_s is None) == (second is None)
    if why != "infeasible":
        assert told.chance >= told.chance_least >= target
    assert (told.target, told.rungs, told.input_tokens, told.output_tokens) == (target, LADDER, 100, 300)


def test_what_a_plan_is_expected_to_cost_is_money_where_prices_are_known() -> None:
    found = foresee((SLOW, SLOW, QUICK, QUICK), FREE, 10.0, 0.99)
    told = forecast(found, LADDER, FREE, 0.99, 100, 300)
    assert told.default_nanos == 1000
    assert told.cost_nanos is not None and 740 <= told.cost_nanos <= 755  # .748 by the simulation of the formula
    assert told.launch_s is not None and 6.5 <= told.launch_s <= 6.8
    assert (
        forecast(foresee((SLOW, SLOW, QUICK, QUICK), BILLED, 30.0, 0.99), LADDER, BILLED, 0.99, 1, 1).cost_nanos is None
    )


def test_the_forecast_of_a_fixed_launch_is_that_of_this_launch() -> None:
    found = foresee((SLOW, SLOW, QUICK, QUICK), FREE, 10.0, 0.99)
    decided = forecast(found, LADDER, FREE, 0.99, 100, 300)
    early, late = (by_reserve(decided, found, plan_reserve(LADDER, 10.0, reserve_s, 900.0)) for reserve_s in (5.0, 1.0))
    assert (early.why, early.launch_s, early.cost_nanos) == ("reserve", 5.0, None)
    assert early.chance > decided.chance > late.chance and late.chance < 0.9
