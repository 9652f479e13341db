"""What is paid for looks: taken before, given back, and filled by what requests cost."""

from collections.abc import Callable

import pytest
from trio.testing import MockClock

from appliance.policy.expense import Expense
from appliance.policy.exploration import ADVANCE
from appliance.request.purses import Purses
from tests.request.stage import SILENCE, Stage, starts

Make = Callable[..., Stage]

PRICED, UNPRICED = Expense((0.5, 1.0), (0.0, 0.0), (500, 1000)), Expense((0.5, 1.0), (0.0, 0.0), None)


def test_each_organisation_has_its_own_and_money_is_not_mixed_with_answers() -> None:
    purses = Purses()
    assert purses.purse("one", PRICED) is purses.purse("one", PRICED)
    assert purses.purse("one", PRICED) is not purses.purse("other", PRICED)
    assert purses.purse("one", UNPRICED) is not purses.purse("one", PRICED)
    assert purses.purse("one", PRICED).take(ADVANCE * 1000) and not purses.purse("one", PRICED).take(1)
    assert purses.purse("one", UNPRICED).take(ADVANCE * 1.0) and not purses.purse("one", UNPRICED).take(0.1)
    assert purses.spent_nanos() == {"one": (0.0, ADVANCE * 1000), "other": (0.0, 0.0)}
    purses.purse("other", PRICED).paid(2e9, 1.0)
    assert purses.counts() == {("requests",): 2.0, ("looks",): ADVANCE * 1000 / 1e9}


def test_dearer_answers_later_make_the_purse_larger_and_not_fuller() -> None:
    purses = Purses()
    purses.purse("one", PRICED)
    dearer = purses.purse("one", Expense((0.5, 1.0), (0.0, 0.0), (5000, 10_000)))
    assert not dearer.take(ADVANCE * 1000 + 1)
    dearer.paid(1e9, 1.0)
    assert dearer.take(ADVANCE * 10_000)


@pytest.mark.parametrize("quick", ["flex", "default"])
async def test_a_look_costs_what_was_paid_beyond_default_alone(clock: MockClock, learned: Make, quick: str) -> None:
    flex = starts(0.5, "flex") if quick == "flex" else SILENCE
    s = learned(flex=flex, default=starts(1.0, "default"), provider={"abort_billing": "full"}, explore=True)
    await s.race(start_within="5s", max_completion_tokens=10)
    record = s.request
    assert record.forecast is not None and record.forecast.why == "explored"
    assert record.cost_nanos is not None and record.default_nanos is not None
    ((_, used),) = s.gateway.engine.purses.spent_nanos().values()
    assert used == record.cost_nanos - record.default_nanos > 0
