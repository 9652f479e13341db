"""Plans: when rungs are launched."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.catalog import Rung
from appliance.policy.plan import Plan, Reserves, RungPlan, plan_chain, plan_direct, plan_race

LADDER = tuple(Rung("openai", "gpt-5.4-mini", tier) for tier in ("flex", "default", "priority", "last"))
FLEX, DEFAULT, PRIORITY, LAST = LADDER


def launches(plan: Plan) -> list[float | None]:
    return [planned.launch_s for planned in plan.rungs]


@pytest.mark.parametrize(
    ("rungs", "window_s", "expected"),
    [
        (1, 30.0, [0.0]),
        (2, 30.0, [0.0, 25.0]),
        (2, 6.0, [0.0, 3.0]),  # a reserve takes at most half of the window
        (3, 30.0, [0.0, 25.0, 30.0]),
        (4, 30.0, [0.0, 25.0, 30.0, None]),
    ],
)
def test_launches(rungs: int, window_s: float, expected: list[float | None]) -> None:
    plan = plan_race(LADDER[:rungs], window_s, Reserves(), 900.0)
    assert launches(plan) == expected
    assert (plan.window_s, plan.give_up_s, plan.reason_hint) == (window_s, 900.0, None)


def test_the_reserve_of_the_rung_that_is_launched_counts() -> None:
    assert launches(plan_race(LADDER[:2], 30.0, {FLEX: 1.0, DEFAULT: 8.0}, 900.0)) == [0.0, 22.0]
    assert launches(plan_race(LADDER[:2], 30.0, {}, 900.0)) == [0.0, 25.0]
    assert launches(plan_race(LADDER[:2], 30.0, lambda rung: 2.0 if rung == DEFAULT else 9.0, 900.0)) == [0.0, 28.0]
    assert launches(plan_race(LADDER[:2], 30.0, {DEFAULT: -3.0}, 900.0)) == [0.0, 30.0]


def test_reserves_are_found_by_model_and_tier_then_by_tier_then_the_default() -> None:
    reserves = Reserves({"gpt-5.4-mini/default": 1.0, "*/priority": 3.0, "default": 4.0})
    assert reserves(Rung("openai", "gpt-5.4-mini", "default")) == 1.0
    assert reserves(Rung("openai", "gpt-5.4-mini", "priority")) == 3.0
    assert reserves(Rung("openai", "other", "default")) == 4.0
    assert Reserves()(FLEX) == 5.0


def test_direct_and_chain() -> None:
    assert plan_direct(DEFAULT, 900.0, "not_raced", 30.0) == Plan((RungPlan(DEFAULT, 0.0),), 30.0, 900.0, "not_raced")
    chain = plan_chain((DEFAULT, PRIORITY), 900.0)
    assert (launches(chain), chain.window_s, chain.reason_hint) == ([0.0, None], None, None)


@pytest.mark.parametrize("times", [[], [1.0], [None], [0.0, 5.0, 4.0], [0.0, None, 5.0], [0.0, -1.0]])
def test_a_plan_without_an_order_is_refused(times: list[float | None]) -> None:
    with pytest.raises(ValueError, match="a plan launches"):
        Plan(tuple(RungPlan(FLEX, at) for at in times), 30.0, 900.0)


@given(st.floats(1.0, 900.0), st.floats(0.0, 1e6), st.integers(1, 4))
def test_dearer_rungs_never_earlier_and_never_before_half_of_the_window(
    window_s: float, reserve_s: float, rungs: int
) -> None:
    plan = plan_race(LADDER[:rungs], window_s, lambda _rung: reserve_s, 900.0)
    times = [at for at in launches(plan)[1:] if at is not None]
    assert times == sorted(times)
    assert all(window_s / 2 <= at <= window_s for at in times)
