"""Why a plan is as it is, for one who asks before sending anything. The rule: what is told is what was decided with.

Of each rung: when it is asked and why, how likely it starts in time, what its answer costs. And of a decision: the ways
that there were, with what each of them promised and cost.
"""

from itertools import combinations

import msgspec

from appliance.domain.catalog import Rung
from appliance.policy.foresight import Foresight, Z
from appliance.policy.launch import Decision, alone, race
from appliance.policy.plan import Plan
from appliance.policy.survival import Curve

RUNG_WORDS: dict[str, str] = {
    "at_once": "asked at once",
    "by_time": "asked then, if nothing has started",
    "at_deadline": "asked at the deadline, so that a late answer is not much later",
    "after_loss": "asked only when others were lost",
    "not_worth": "left out, since it would not pay or could not help; asked only when others were lost",
    "breaker_open": "left out: it failed lately and is not asked for a pause",
    "inexpressible": "left out: it cannot be asked this",
}
"""When a rung is asked, and why."""

MOST_RUNGS = 3
"""Of longer ladders only the ways with the chosen rungs are told."""

SHARES = (0.5, 0.9, 0.99)


class Outlook(msgspec.Struct, frozen=True):
    """What is known of a rung: how long it takes to start, asked `alone` or `behind` a silent cheaper one, how many
    `observations` that rests on, and what the whole expected answer costs there (None: not priced).
    """

    alone: Curve
    behind: Curve
    observations: float
    cost_nanos: int | None


class Told(msgspec.Struct, frozen=True):
    """A rung in a plan. `word` of RUNG_WORDS; `chance`: of a start in time if asked when planned, `chance_at_once` if
    asked at once, both left running; None without a deadline. `starts_s`: within what half, nine tenths and 99 of 100
    attempts start, None where so many never do.
    """

    rung: Rung
    word: str
    launch_s: float | None
    chance: float | None
    chance_at_once: float | None
    starts_s: tuple[float | None, ...]


class Way(msgspec.Struct, frozen=True):
    """One way of serving: `first` at once, `second` after `launch_s` unless the first has started.

    `cost` is beside that of the second rung of the ladder alone, `chance_least` the lower bound of a start in time.
    """

    first: int
    second: int | None
    launch_s: float | None
    chance_least: float
    cost: float
    meets: bool


def word(plan: Plan, place: int) -> str:
    """The word of RUNG_WORDS for the rung at this place of a plan."""
    launch_s = plan.rungs[place].launch_s
    if launch_s is None:
        return "not_worth" if place < plan.first else "after_loss"
    if launch_s <= 0.0:
        return "at_once"
    return "at_deadline" if plan.window_s is not None and launch_s >= plan.window_s else "by_time"


def told(rung: Rung, outlook: Outlook, why: str, launch_s: float | None, window_s: float | None) -> Told:
    """A rung with what is to be expected of it."""
    chance = at_once = None
    if window_s is not None:
        at_once = outlook.alone.started_at(window_s)
        if launch_s is not None:
            left_s = max(window_s - launch_s, 0.0)
            chance = at_once if launch_s <= 0.0 else outlook.behind.started_at(left_s) if left_s > 0.0 else 0.0
    starts_s = tuple([outlook.alone.quantile(share) for share in SHARES])
    return Told(rung, why, launch_s, chance, at_once, starts_s)


def ways(found: Foresight) -> list[Way]:
    """The ways of serving that there were, for a start within `found.start_s`, in the order of the ladder."""
    rungs, chosen = found.rungs, (found.decision.first, found.decision.second)
    window_s, epsilon = found.start_s, 1.0 - found.target
    decisions = [alone(place, rung, window_s, epsilon, Z) for place, rung in enumerate(rungs)]
    decisions += [
        race(first, second, rungs, window_s, epsilon, Z)
        for first, second in combinations(range(len(rungs)), 2)
        if len(rungs) <= MOST_RUNGS or first in chosen or second in chosen
    ]
    return [_way(decision) for decision in decisions]


def _way(decision: Decision) -> Way:
    return Way(
        decision.first,
        decision.second,
        None if decision.second is None else decision.launch_s,
        1.0 - decision.miss,
        decision.cost,
        decision.feasible,
    )
