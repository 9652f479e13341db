"""Another deadline or target on the recorded attempts of this installation: what it would have cost and met.

The engine's own plans (policy/latency.py, policy/launch.py, policy/exploration.py) serve the recorded requests again,
in their order and at their times, on virtual time. What each rung would have done is as it was seen; what was not seen
is drawn (imputation.py, which says how, and why so). Each round draws anew, so the rounds' spread is the
interval: with 39 rounds the least and the most bound 95 % (order statistics need no distribution), with more rounds
the bounds are steadier.

What this cannot know, and says: how long rungs take beyond the ages that were seen (`beyond`, told as hope and fear);
that a dear rung asked earlier would have taken as long as it did; whether other load would have changed the provider.

The rule: the same seed gives the same answer; whatever was left out is counted.
"""

from collections.abc import Callable, Iterator, Sequence
from statistics import fmean

import msgspec

from appliance.policy.backtest.cases import Cases
from appliance.policy.backtest.imputation import Mood, Uniform
from appliance.policy.backtest.replay import Played, Round, Wish

ROUNDS = 119
"""Rounds where nothing else is asked: the third from either end is the bound."""

LEAST_ROUNDS = 39
"""With fewer there is no interval of 95 %."""

FEWEST = 50
"""Requests below which nothing is said."""

TEACHERS = 39
"""Rounds in which the engine learns, a third of them in each mood; the others take these ones' plans in turn, for the
curves are what costs time."""

MOODS: tuple[Mood, ...] = ("hope", "prior", "fear")
"""How times beyond all that was seen are drawn, in turn. The outcome need not lie between those of hope and fear: sure
of either, the engine meets more deadlines than it would if it had to find out."""


class Bounds(msgspec.Struct, frozen=True):
    """The middle of the rounds, and between what bounds 95 % of them lie."""

    low: float
    middle: float
    high: float


class Backtest(msgspec.Struct, frozen=True):
    """What was and what would have been. `cost` is by what was paid: 1.12 is 12 % more.

    `met` and `launched` are shares of the requests that are judged. `drawn`: times that mattered and had to be drawn,
    by request; `beyond`: those of them that lie beyond all that was seen (`support_s`), where the deadline reaches so
    far; the bounds then hold for all of them never starting, for all starting right there, and for what is usual.
    """

    requests: int
    left_out: int
    windows_s: tuple[float, float]
    was_met: float
    was_launched: float
    nanos: int
    default_nanos: int
    met: Bounds
    cost: Bounds
    launched: Bounds
    drawn: float
    beyond: float
    support_s: float
    rounds: int


def play(cases: Cases, wish: Wish, rounds: int, uniform: Callable[[int], Uniform]) -> Iterator[Played]:
    """The rounds, one by one, so that the caller can show how far it is. `uniform` makes the numbers of a round.

    Raises ValueError if too little is recorded.
    """
    judged = sum(case.judged for case in cases.all)
    if judged < FEWEST:
        raise ValueError(
            f"{judged} raced requests are recorded that can be played again; fewer than {FEWEST} say nothing"
        )
    if rounds < LEAST_ROUNDS:
        raise ValueError(f"with fewer than {LEAST_ROUNDS} rounds there is no interval of 95 %")
    teachers: list[Round] = []
    for nth in range(rounds):
        teacher = teachers[nth % TEACHERS] if nth >= TEACHERS else None
        one = Round(cases, wish, MOODS[nth % 3], uniform(nth), teacher)
        yield one.play()
        if teacher is None:
            teachers.append(one)


def told(cases: Cases, wish: Wish, rounds: Sequence[Played]) -> Backtest:
    """What the rounds say."""
    judged = [case for case in cases.all if case.judged]
    count = len(judged)
    priced = [case for case in judged if case.priced]
    nanos = sum(case.nanos for case in priced)
    scale = cases.unit_nanos / nanos if nanos else 0.0
    windows_s = [wish.window_s or case.window_s for case in judged]
    support_s = min(
        (group.support_s for place, group in enumerate(cases.groups) if any(c.group == place for c in judged)),
        default=0.0,
    )
    moody = max(windows_s) > support_s and sum(one.beyond for one in rounds) > 0

    def bounds(values: list[float]) -> Bounds:
        parts = [values[nth::3] for nth in range(3)] if moody else [values]
        found = [_bounds(part) for part in parts]
        return Bounds(min(one.low for one in found), fmean(one.middle for one in found), max(one.high for one in found))

    return Backtest(
        requests=count,
        left_out=cases.left_out,
        windows_s=(min(case.window_s for case in judged), max(case.window_s for case in judged)),
        was_met=sum(case.was_met for case in judged) / count,
        was_launched=sum(case.was_launched for case in judged) / count,
        nanos=nanos,
        default_nanos=sum(case.default_nanos for case in priced),
        met=bounds([one.met / count for one in rounds]),
        cost=bounds([one.cost * scale for one in rounds]),
        launched=bounds([one.launched / count for one in rounds]),
        drawn=fmean(one.drawn for one in rounds) / count,
        beyond=fmean(one.beyond for one in rounds) / count if moody else 0.0,
        support_s=support_s,
        rounds=len(rounds),
    )


def _bounds(values: list[float]) -> Bounds:
    ordered = sorted(values)
    place = max(int((len(ordered) + 1) * 0.025), 1)
    return Bounds(ordered[place - 1], ordered[len(ordered) // 2], ordered[-place])
