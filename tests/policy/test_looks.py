"""Looks at a plan that waits: when they come, and when they move a launch."""

from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from appliance.policy.launch import Candidate, Decision, decide, race
from appliance.policy.looks import LEAST_LOOK_S, LOOKS, SLACK_S, move, next_look
from appliance.policy.survival import log_normal


def looks(window_s: float, check_s: float) -> list[float]:
    """All of them."""
    found, since_s = [], 0.0
    while (look_s := next_look(window_s, check_s, since_s)) is not None:
        found.append(look_s)
        since_s = look_s
        assert len(found) < 100
    return found


@pytest.mark.parametrize(
    ("window_s", "check_s", "expected"),
    [
        (8.0, 5.5, [1, 2, 3, 4, 5, 5.5, 6, 7]),
        (8.0, 5.0, [1, 2, 3, 4, 5, 6, 7]),
        (600.0, 598.0, [75, 150, 225, 300, 375, 450, 525, 598]),
        (1.0, 0.9, [0.25, 0.5, 0.75, 0.9]),
        (0.2, 0.1, [0.1]),
        (0.2, 0.0, []),
    ],
)
def test_a_plan_is_looked_at_each_eighth_of_its_window_and_when_it_says(
    window_s: float, check_s: float, expected: list[float]
) -> None:
    assert looks(window_s, check_s) == expected


@given(st.floats(0.01, 1e5), st.floats(0.0, 1.0), st.floats(0.0, 2.0))
def test_looks_come_later_and_later_and_are_few(window_s: float, check: float, since: float) -> None:
    check_s, since_s = window_s * check, window_s * since
    found = looks(window_s, check_s)
    assert found == sorted(set(found)) and len(found) <= LOOKS
    assert all(0.0 < one < window_s or one == check_s for one in found)
    regular = [one for one in found if one != check_s]
    assert all(later - one >= LEAST_LOOK_S * 0.999 for one, later in pairwise(regular))
    # whenever one looks, what comes next is the next of these: a late look loses some and adds none
    following = next_look(window_s, check_s, since_s)
    assert following == next((one for one in found if one > since_s), None)


FLEX, DEFAULT, SLOWER, DEAD = (
    log_normal(8.0, 1.1), log_normal(1.2, 0.5), log_normal(4.0, 0.5), log_normal(3000.0, 1.1)
)  # fmt: skip
QUICK = log_normal(0.2, 0.3)
FREE = Candidate(FLEX, FLEX, 0.5), Candidate(DEFAULT, DEFAULT, 1.0)
LATER = Candidate(FLEX, FLEX, 0.5), Candidate(SLOWER, SLOWER, 1.0)
USUAL = decide(FREE, 10.0, 0.99)


def moved(decision: Decision, rungs: tuple[Candidate, ...], planned_s: float) -> tuple[int, float] | None:
    return move(decision, rungs, 0, (1, planned_s), 10.0, 0.01, 1.0)


def test_a_launch_moves_sooner_or_later_with_what_is_believed_but_not_for_a_trifle() -> None:
    assert moved(USUAL, FREE, USUAL.launch_s) is None
    assert moved(USUAL, FREE, USUAL.launch_s + 0.9 * SLACK_S) is None
    assert moved(USUAL, FREE, 9.0) == moved(USUAL, FREE, 2.0) == (1, USUAL.launch_s)
    sooner = moved(decide(LATER, 10.0, 0.99), LATER, USUAL.launch_s)
    assert sooner is not None and sooner[1] < USUAL.launch_s - 3.0


def test_a_first_rung_that_would_not_be_started_now_is_waited_for_while_the_other_is_sure() -> None:
    dead = Candidate(DEAD, DEAD, 0.5, 1.0), Candidate(DEFAULT, DEFAULT, 1.0, 1.0)
    decision = decide(dead, 10.0, 0.99)
    sure_s = race(0, 1, dead, 10.0, 0.01, 1.0).check_s
    assert (decision.first, decision.second) == (1, None) and 4.0 < sure_s < 6.9
    assert moved(decision, dead, 6.8) == (1, sure_s)
    assert moved(decision, dead, 4.0) is None, "it is not waited for longer than was planned"


def test_an_outage_of_both_is_no_reason_to_pay_for_both() -> None:
    out = log_normal(8.0, 1.1, 0.8), log_normal(1.2, 0.5, 0.8)
    rungs = Candidate(out[0], out[0], 0.5), Candidate(out[1], out[1], 1.0)
    hopeless = decide(rungs, 120.0, 0.99)
    assert (hopeless.feasible, hopeless.launch_s) == (False, 0.0)
    assert move(hopeless, rungs, 0, (1, 110.0), 120.0, 0.01, 1.0) is None
    slow = decide(LATER, 4.0, 0.99)
    assert (slow.feasible, slow.launch_s) == (False, 0.0)
    assert move(slow, LATER, 0, (1, 3.0), 4.0, 0.01, 1.0) == (1, 0.0), "here it helps"


def test_another_rung_may_be_the_next() -> None:
    ladder = (*LATER, Candidate(QUICK, QUICK, 2.0))
    decision = decide(ladder, 3.0, 0.99)
    assert decision.second == 2
    assert move(decision, ladder, 0, (1, decision.launch_s), 3.0, 0.01, 1.0) == (2, decision.launch_s)


def test_a_race_that_began_dearer_than_it_would_now_stays_as_it_is() -> None:
    assert move(USUAL, FREE, 1, (2, 5.0), 10.0, 0.01, 1.0) is None


@given(st.floats(0.5, 60.0), st.floats(0.2, 10.0), st.floats(0.0, 1.0), st.floats(1.0, 60.0), st.floats(0.0, 1.0))
def test_a_launch_never_moves_out_of_the_window(
    flex_s: float, default_s: float, billed: float, window_s: float, planned: float
) -> None:
    x, y = log_normal(flex_s, 1.1), log_normal(default_s, 0.5)
    rungs = Candidate(x, x, 0.5, billed), Candidate(y, y, 1.0, billed)
    decision = decide(rungs, window_s, 0.99)
    assume(decision.first == 0 or decision.second is None)
    found = move(decision, rungs, 0, (1, planned * window_s), window_s, 0.01, 1.0)
    if found is not None:
        assert found[0] == 1 and 0.0 <= found[1] <= window_s
        assert abs(found[1] - planned * window_s) > SLACK_S
        assert move(decision, rungs, 0, found, window_s, 0.01, 1.0) is None, "what was moved is where it should be"
