"""The purse for looking: bounded by a share of what is spent, less as more is known, off when it is to be off."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.policy.exploration import (
    ADVANCE,
    LEAST_NEED,
    LEAST_NEED_SKIPPED,
    SHARE,
    Exploration,
    KeptPurse,
    Look,
    need,
)
from appliance.policy.histogram import Decay, Histogram
from appliance.policy.launch import Candidate, Decision
from appliance.policy.survival import estimate, log_normal

X, Y = log_normal(8.0, 1.1), log_normal(1.2, 0.5)
SKIPPED = Decision(1, None, 0.0, 0.0, 0.001, 1.0, True)
RACING = Decision(0, 1, 5.0, 4.0, 0.001, 0.8, True)


def rungs(price: float = 0.5, billed: float = 0.0) -> tuple[Candidate, ...]:
    return Candidate(X, X, price, billed), Candidate(Y, Y, 1.0, billed)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 3), st.floats(0, 1)), max_size=300), st.floats(0, 0.9))
def test_never_more_than_its_share_and_the_advance(told: list[tuple[bool, float, float]], billed: float) -> None:
    purse = Exploration(1.0)
    for beside, cost, wanted in told:
        if beside:
            purse.try_beside(SKIPPED, rungs(billed=billed))
        else:
            purse.leave_running(rungs(billed=billed)[0])
        purse.paid(cost, wanted)
        assert purse.used <= SHARE * purse.spent + ADVANCE + 1e-9


def test_a_skipped_rung_is_tried_and_a_race_needs_no_trial() -> None:
    purse = Exploration(1.0)
    assert purse.try_beside(RACING, rungs()) is None
    assert purse.used == 0.0
    assert purse.try_beside(SKIPPED, rungs()) == 0
    assert purse.used == 0.5
    tried = 1
    for _ in range(1000):
        tried += purse.try_beside(SKIPPED, rungs()) == 0
        purse.paid(1.0, 1.0)
    assert 25 <= tried <= 31, "the advance, then one in fifty: a share of 1 % buys that many at half the price"


def test_a_loser_that_is_billed_in_full_is_always_left_running() -> None:
    purse = Exploration(1.0)
    assert all(purse.leave_running(rungs(billed=1.0)[0]) for _ in range(1000))
    assert purse.used == 0.0
    assert sum(purse.leave_running(rungs(billed=0.0)[0]) for _ in range(1000)) == 10


def test_off_is_off() -> None:
    purse = Exploration(1.0, share=0.0)
    purse.paid(1000.0, 1.0)
    assert not purse.leave_running(rungs(billed=1.0)[0])
    assert purse.try_beside(SKIPPED, rungs()) is None


def test_less_is_put_aside_as_the_tail_becomes_known() -> None:
    counts = Histogram(Decay(1e9, 1e9), 0.0)
    needs = []
    for count in (0, 20, 200, 2000):
        while counts.added < count:
            started = counts.added % 3
            counts.add("started" if started else "censored", 200 if started else 230, 0.0)
        curve = estimate(counts, X, 8.0, 0.0)
        needs.append(need(curve, 30.0, skipped=False))
    assert needs == sorted(needs, reverse=True)
    assert needs[0] == 1.0
    assert needs[-1] == LEAST_NEED
    assert need(estimate(counts, X, 8.0, 0.0), 30.0, skipped=True) == LEAST_NEED_SKIPPED


def test_what_a_look_did_not_cost_is_there_for_the_next_one() -> None:
    purse = Exploration(1.0)
    for _ in range(100):
        assert purse.leave_running(rungs()[0])
        purse.refund(0.5)
    assert purse.used == 0.0
    purse.refund(100.0)
    assert sum(purse.leave_running(rungs()[0]) for _ in range(100)) == 10, "but never more than the purse holds"


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 3), st.floats(0, 1)), max_size=300))
def test_restarts_do_not_make_it_more(told: list[tuple[bool, float, float]]) -> None:
    purse = Exploration(1.0)
    for restart, cost, wanted in told:
        purse.leave_running(rungs()[0])
        purse.paid(cost, wanted)
        if restart:
            purse = Exploration.taken_up(purse.kept("org", priced=True))
        assert purse.used <= SHARE * purse.spent + ADVANCE + 1e-9


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_saved_number_that_is_none_leaves_the_purse_empty_and_of_use(bad: float) -> None:
    purse = Exploration.taken_up(KeptPurse("org", True, bad, bad, bad, bad))
    assert not purse.leave_running(rungs()[0])
    purse.seen(1.0)
    purse.paid(200.0, 1.0)
    assert purse.leave_running(rungs()[0]) and purse.spent == 200.0 and purse.used == 0.5
    assert not Exploration.taken_up(KeptPurse("org", True, 1.0, bad, 0.0, 0.0)).take(0.5)
    assert Exploration.taken_up(KeptPurse("org", True, 1.0, 99.0, 0.0, 0.0)).kept("org", priced=True).holds == 1.0


@pytest.mark.parametrize(
    ("started", "nanos", "cost"),
    [(False, 700, 0), (True, 700, 700), (True, 5000, 1000), (True, None, 1000), (True, 0, 0)],
)
def test_a_look_gives_back_what_it_did_not_cost_once(started: bool, nanos: int | None, cost: float) -> None:
    purse = Exploration(1000.0)
    assert purse.take(1000.0)
    look = Look(purse, 1000.0, 0.25, priced=True)
    look.came_to(started, nanos)
    assert purse.used == cost
    look.came_to(started=False, nanos=None)
    assert purse.used == cost


def test_a_look_without_a_price_costs_the_share_of_an_abandoned_answer() -> None:
    purse = Exploration(1.0)
    assert purse.take(0.5)
    Look(purse, 0.5, 0.25, priced=False).came_to(started=True, nanos=None)
    assert purse.used == 0.125
