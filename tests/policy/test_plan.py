"""Plans: when rungs are launched."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.catalog import Rung
from appliance.policy.launch import Decision
from appliance.policy.plan import Plan, Reserves, RungPlan, plan_chain, plan_decided, plan_direct, plan_reserve

LADDER = tuple(Rung("openai", "gpt-5.4-mini", tier) for tier in ("flex", "default", "priority", "last"))
FLEX, DEFAULT, PRIORITY, LAST = LADDER


def launches(plan: Plan) -> list[float | None]:
    return [planned.launch_s for planned in plan.rungs]


def decided(first: int, second: int | None, launch_s: float = 0.0, check_s: float = 0.0) -> Decision:
    return Decision(first, second, launch_s, check_s, 0.01, 0.7, True)


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
def test_launches_by_a_reserve(rungs: int, window_s: float, expected: list[float | None]) -> None:
    plan = plan_reserve(LADDER[:rungs], window_s, 5.0, 900.0)
    assert launches(plan) == expected
    assert (plan.window_s, plan.give_up_s, plan.reason_hint) == (window_s, 900.0, None)
    assert launches(plan_reserve(LADDER[:2], 30.0, -3.0, 900.0)) == [0.0, 30.0]


@pytest.mark.parametrize(
    ("decision", "rungs", "expected", "order", "hint", "check_s", "races"),
    [
        (decided(0, 1, 6.8, 6.0), 2, [0.0, 6.8], [0, 1], None, 6.0, True),
        (decided(0, 1, 10.0, 8.0), 2, [0.0, 10.0], [0, 1], None, 8.0, True),
        (decided(0, 1, 6.8, 6.0), 4, [0.0, 6.8, 10.0, None], [0, 1, 2, 3], None, 6.0, True),
        (decided(0, 1), 2, [0.0, 0.0], [0, 1], None, None, True),
        (decided(1, None), 2, [None, 0.0], [1, 0], "flex_skipped", None, False),
        (decided(1, None), 3, [None, 0.0, None], [1, 2, 0], "flex_skipped", None, False),
        (decided(1, 2, 3.0, 3.0), 4, [None, 0.0, 3.0, 10.0], [1, 2, 3, 0], "flex_skipped", 3.0, True),
        (decided(0, 2, 3.0, 3.0), 4, [0.0, None, 3.0, 10.0], [0, 2, 3, 1], None, 3.0, True),
        (decided(2, None), 3, [None, None, 0.0], [2, 1, 0], "flex_skipped", None, False),
    ],
)
def test_what_was_decided_is_planned(
    decision: Decision,
    rungs: int,
    expected: list[float | None],
    order: list[int],
    hint: str | None,
    check_s: float | None,
    races: bool,
) -> None:
    plan = plan_decided(LADDER[:rungs], decision, 10.0, 900.0)
    assert (launches(plan), plan.launches(), plan.first) == (expected, order, order[0])
    assert (plan.reason_hint, plan.check_s, plan.races) == (hint, check_s, races)


def test_reserves_are_found_by_model_and_tier_then_by_tier_then_the_default() -> None:
    reserves = Reserves({"gpt-5.4-mini/default": 1.0, "*/priority": 3.0, "default": 4.0})
    assert reserves(Rung("openai", "gpt-5.4-mini", "default")) == 1.0
    assert reserves(Rung("openai", "gpt-5.4-mini", "priority")) == 3.0
    assert reserves(Rung("openai", "other", "default")) == 4.0
    assert Reserves({"*/priority": 3.0})(FLEX) is None and Reserves()(FLEX) is None


def test_direct_and_chain() -> None:
    assert plan_direct(DEFAULT, 900.0, "not_raced", 30.0) == Plan((RungPlan(DEFAULT, 0.0),), 30.0, 900.0, "not_raced")
    chain = plan_chain((DEFAULT, PRIORITY), 900.0)
    assert (launches(chain), chain.window_s, chain.reason_hint) == ([0.0, None], None, None)
    assert not chain.races and not chain.streams
    assert launches(plan_decided(LADDER[:2], decided(1, None), 10.0, 900.0).then((LAST,))) == [None, 0.0, None]


@pytest.mark.parametrize("times", [[], [1.0], [None], [0.0, 5.0, 4.0], [5.0, None, 0.0], [0.0, -1.0], [None, 1.0]])
def test_a_plan_without_an_order_is_refused(times: list[float | None]) -> None:
    with pytest.raises(ValueError, match="a plan launches"):
        Plan(tuple(RungPlan(FLEX, at) for at in times), 30.0, 900.0)


@given(st.floats(1.0, 900.0), st.floats(0.0, 1e6), st.integers(1, 4))
def test_dearer_rungs_never_earlier_and_never_before_half_of_the_window(
    window_s: float, reserve_s: float, rungs: int
) -> None:
    plan = plan_reserve(LADDER[:rungs], window_s, reserve_s, 900.0)
    times = [at for at in launches(plan)[1:] if at is not None]
    assert times == sorted(times)
    assert all(window_s / 2 <= at <= window_s for at in times)


@pytest.mark.parametrize(
    ("missing", "expected", "hint"),
    [
        ((DEFAULT,), [(FLEX, 0.0), (PRIORITY, 30.0), (LAST, None)], None),
        ((FLEX,), [(DEFAULT, 0.0), (PRIORITY, 30.0), (LAST, None)], "chain_advanced"),
        ((FLEX, DEFAULT, PRIORITY), [(LAST, 0.0)], "chain_advanced"),
    ],
)
def test_what_is_left_of_a_plan_without_some_rungs(
    missing: tuple[Rung, ...], expected: list[tuple[Rung, float | None]], hint: str | None
) -> None:
    whole = msgspec.structs.replace(plan_reserve(LADDER, 30.0, 5.0, 900.0), linger=frozenset({0}))
    plan = whole.without(missing)
    assert not plan.linger, "the place is another rung's now"
    assert [(planned.rung, planned.launch_s) for planned in plan.rungs] == expected
    assert plan.reason_hint == hint
