"""What is paid for looks: taken before, given back, and filled by what requests cost."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from appliance.policy.expense import Expense
from appliance.policy.exploration import ADVANCE, Exploration
from appliance.request.purses import Purses
from tests.request.stage import SILENCE, Stage, leaves, refuses, starts

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


def test_a_restart_gives_no_advance_again_and_forgets_no_figure() -> None:
    purses = Purses()
    assert purses.purse("one", PRICED).take(ADVANCE * 1000)
    purses.purse("one", PRICED).paid(30_000.0, 1.0)
    assert purses.purse("one", UNPRICED).take(1.0)
    again = Purses()
    again.take(purses.keep())
    assert again.spent_nanos() == purses.spent_nanos() == {"one": (30_000.0, ADVANCE * 1000)}
    assert again.purse("one", PRICED).take(300.0) and not again.purse("one", PRICED).take(1.0)
    assert again.purse("one", UNPRICED).take(4.0) and not again.purse("one", UNPRICED).take(0.1)
    assert again.purse("other", PRICED).take(ADVANCE * 1000), "which was not there before"


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


async def test_a_look_for_which_nothing_was_charged_costs_nothing(clock: MockClock, learned: Make) -> None:
    refused = refuses(0.5, 429, "resource_unavailable")
    s = learned(flex=refused, default=refused, provider={"abort_billing": "full"}, explore=True)
    await s.race(start_within="5s", max_completion_tokens=10)
    record = s.request
    assert record.forecast is not None and record.forecast.why == "explored" and record.cost_nanos == 0
    assert used(s) == 0


async def test_a_look_is_accounted_for_though_its_model_is_watched_no_more(clock: MockClock, learned: Make) -> None:
    refused = refuses(0.5, 429, "resource_unavailable")
    s = learned(flex=refused, default=refused, provider={"abort_billing": "full"}, explore=True)

    async def forget() -> None:
        await trio.sleep(0.2)
        assert used(s) > 0
        s.gateway.engine.watched.clear()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(forget)
        await s.race(start_within="5s", max_completion_tokens=10)
    assert used(s) == 0


# -- losers that are left running --------------------------------------------------------------------------------------

FLEX_NANOS = 1250


def used(s: Stage) -> float:
    """What was taken from the purse and not given back, in nanodollars."""
    return sum(spent for _, spent in s.gateway.engine.purses.spent_nanos().values())


@pytest.fixture
def looking(stage: Make) -> Make:
    """A stage whose organisation pays for looks; default is launched at 5 s and starts at 6."""

    def make(**facts: Any) -> Stage:
        usual = {"default": starts(1.0, "default"), "provider": {"abort_billing": "partial"}, "explore": True}
        return stage(**(usual | facts))

    return make


async def later(s: Stage) -> None:
    await trio.sleep_until(10.0)
    await wait_all_tasks_blocked()
    s.check()


async def test_a_loser_that_starts_costs_the_purse_what_it_cost(clock: MockClock, looking: Make) -> None:
    s = looking(flex=starts(8.0, "flex", ends_s=60.0))
    await s.race(max_completion_tokens=10)
    assert used(s) > 0, "the price of the whole answer"
    await later(s)
    (seen,) = s.observed
    assert seen.attempt.to_start_s == 8.0
    assert used(s) == min(seen.attempt.cost_nanos or 0, (10 * 6 + s.request.forecast.input_tokens) * FLEX_NANOS)  # type: ignore[union-attr]


@pytest.mark.parametrize("flex", [SILENCE, refuses(8.0, 429, "resource_unavailable"), refuses(8.0, 500, "x")])
async def test_one_that_does_not_start_costs_it_nothing(clock: MockClock, looking: Make, flex: Any) -> None:
    s = looking(flex=flex)
    await s.race()
    await later(s)
    assert len(s.observed) == 1 and used(s) == 0


@pytest.mark.parametrize("flex", [starts(3.0, "flex"), starts(6.0, "flex"), refuses(1.0, 500, "x")])
async def test_one_that_is_not_left_running_costs_it_nothing(clock: MockClock, looking: Make, flex: Any) -> None:
    s = looking(flex=flex)
    await s.race()
    assert used(s) == 0 and not s.gateway.observatory.running


async def test_a_client_that_leaves_gives_back_what_was_taken(clock: MockClock, looking: Make) -> None:
    s = looking(flex=SILENCE, default=SILENCE)
    await s.race(leaves(7.0))
    assert used(s) == 0 and s.observed == []


async def test_a_plan_that_finds_no_slot_gives_back_what_was_taken(clock: MockClock, looking: Make) -> None:
    s = looking(flex=SILENCE, race_slots=0)
    await s.race()
    assert (s.request.reason, used(s)) == ("flex_slots_full", 0)


@pytest.mark.parametrize(
    ("explore", "share", "outcome"), [(False, 0.01, "lost"), (True, 0.0, "lost"), (True, 0.01, "detached")]
)
async def test_an_organisation_may_say_no_and_an_empty_purse_does(
    clock: MockClock, looking: Make, explore: bool, share: float, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.request.purses.Exploration", partial(Exploration, share=share))
    s = looking(flex=SILENCE, explore=explore)
    await s.race()
    assert s.attempts[0].outcome == outcome


async def test_where_an_abandoned_attempt_is_billed_in_full_a_look_is_free(
    clock: MockClock, looking: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.request.purses.Exploration", partial(Exploration, share=0.0))
    s = looking(flex=SILENCE, provider={"abort_billing": "full"})
    await s.race()
    await later(s)
    assert s.observed[0].attempt.outcome == "detached" and used(s) == 0


async def test_models_without_a_price_pay_in_answers(clock: MockClock, looking: Make) -> None:
    s = looking(flex=starts(8.0, "flex", ends_s=60.0), provider={"price_as": "nobody", "abort_billing": "partial"})
    await s.race()
    await later(s)
    (purse,) = s.gateway.engine.purses._purses.values()
    assert s.observed[0].attempt.cost_state == "unknown_price" and 0.0 <= purse.used < 0.5
