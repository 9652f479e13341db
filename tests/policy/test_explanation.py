"""Why a plan is as it is: a word for each rung, its chances as planned, and the ways that there were."""

from pathlib import Path

import pytest

from appliance.domain.catalog import Rung
from appliance.policy.expense import Expense
from appliance.policy.explanation import RUNG_WORDS, Outlook, told, ways, word
from appliance.policy.foresight import foresee
from appliance.policy.plan import Plan, RungPlan
from appliance.policy.survival import Curve, log_normal

DOCS = Path(__file__).parents[2] / "appliance" / "docs" / "account.md"
FLEX, DEFAULT, PRIORITY = (Rung("sim", "m", tier) for tier in ("flex", "default", "priority"))


def curves(*medians_s: float) -> tuple[Curve, ...]:
    return tuple(curve for median_s in medians_s for curve in (log_normal(median_s, 1.0), log_normal(median_s, 1.0)))


@pytest.mark.parametrize(
    ("times", "words"),
    [
        ((0.0, 6.8, 10.0), ["at_once", "by_time", "at_deadline"]),
        ((0.0, 0.0, None), ["at_once", "at_once", "after_loss"]),
        ((None, 0.0, None), ["not_worth", "at_once", "after_loss"]),
    ],
)
def test_each_rung_has_its_word(times: tuple[float | None, ...], words: list[str]) -> None:
    rungs = tuple(RungPlan(rung, at_s) for rung, at_s in zip((FLEX, DEFAULT, PRIORITY), times, strict=True))
    plan = Plan(rungs, 10.0, 900.0)
    assert [word(plan, place) for place in range(3)] == words
    assert set(words) <= set(RUNG_WORDS)


def test_a_chance_is_that_of_the_time_that_is_left_and_of_the_company_it_has() -> None:
    outlook = Outlook(log_normal(2.0, 1.0), log_normal(4.0, 1.0), 50.0, 700)
    one = told(DEFAULT, outlook, "by_time", 6.0, 10.0)
    assert one.chance_at_once == pytest.approx(outlook.alone.started_at(10.0))
    assert one.chance == pytest.approx(outlook.behind.started_at(4.0))
    assert one.chance is not None and one.chance_at_once is not None and one.chance < one.chance_at_once
    at_once = told(FLEX, outlook, "at_once", 0.0, 10.0)
    assert at_once.chance == at_once.chance_at_once
    assert told(PRIORITY, outlook, "at_deadline", 10.0, 10.0).chance == 0.0
    unplanned = told(PRIORITY, outlook, "after_loss", None, 10.0)
    assert unplanned.chance is None and unplanned.chance_at_once is not None
    assert told(DEFAULT, outlook, "at_once", 0.0, None).chance is None
    median_s, _, slow_s = one.starts_s
    assert median_s == pytest.approx(2.0, rel=0.1) and slow_s is not None and slow_s > 10.0
    never = Outlook(log_normal(2.0, 1.0, lost=0.2), outlook.behind, 0.0, None)
    assert told(FLEX, never, "at_once", 0.0, 10.0).starts_s[1:] == (None, None)


def test_the_chosen_way_is_the_cheapest_of_those_that_meet_the_target() -> None:
    costs = Expense((0.5, 1.0), (0.0, 0.0), None)
    found = foresee(curves(8.0, 1.0), costs, 30.0, 0.99)
    seen = ways(found)
    assert [(way.first, way.second) for way in seen] == [(0, None), (1, None), (0, 1)]
    meets = [way for way in seen if way.meets]
    best = min(meets, key=lambda way: way.cost)
    decision = found.decision
    assert (best.first, best.second, best.launch_s) == (decision.first, decision.second, decision.launch_s)
    assert best.cost == decision.cost < 1.0 and best.chance_least == 1.0 - decision.miss
    assert not seen[0].meets and seen[0].chance_least < 0.99


def test_of_long_ladders_only_ways_with_the_chosen_rungs_are_told() -> None:
    costs = Expense((0.5, 1.0, 1.1, 1.2, 2.0), (0.0,) * 5, None)
    found = foresee(curves(8.0, 1.0, 1.0, 1.0, 1.0), costs, 30.0, 0.99)
    chosen = {found.decision.first, found.decision.second}
    pairs = [(way.first, way.second) for way in ways(found) if way.second is not None]
    assert 4 <= len(pairs) < 10 and all(chosen & set(pair) for pair in pairs)


def test_the_documentation_has_every_word() -> None:
    rows = [row.strip("| ").split(" | ") for row in DOCS.read_text().splitlines() if row.startswith("| `")]
    assert set(RUNG_WORDS.items()) <= {(row[0].strip("`"), row[-1]) for row in rows}
