"""From curves to a decision and what it promises. The rule: what was expected is told with what was decided."""

import msgspec

from appliance.domain.catalog import Rung
from appliance.domain.record import Forecast
from appliance.domain.tier import Window
from appliance.policy import finish
from appliance.policy.expense import Expense
from appliance.policy.finish import Rest
from appliance.policy.latency import PRIOR_MASS, Series
from appliance.policy.launch import Candidate, Decision, decide, lateness, race
from appliance.policy.looks import move
from appliance.policy.survival import Curve

Z = 1.0
"""How many standard errors a bound is above its estimate (docs/evaluation.md)."""


class Foresight(msgspec.Struct, frozen=True):
    """A decision for all requests that are alike: the same curves, window, target and relative costs.

    `start_s` and `target`: within what and with which probability the answer is to start; where its end is bound too
    these are tighter than what was asked, and `rest` is what they follow from.
    """

    curves: tuple[Curve, ...]
    rungs: tuple[Candidate, ...]
    decision: Decision
    chance: float
    why: str
    start_s: float
    target: float
    rest: Rest | None = None


class Prospect(msgspec.Struct, frozen=True):
    """What the plan of one request rests on. `series` are those of the ladder's rungs, launched alone."""

    ladder: tuple[Rung, ...]
    series: tuple[Series, ...]
    costs: Expense
    window: Window
    found: Foresight


def foresee(
    curves: tuple[Curve, ...], costs: Expense, window_s: float, target: float, rest: Rest | None = None
) -> Foresight:
    """Decide. `curves`: two of each rung, launched alone and behind a silent cheaper one. `rest`: the end is bound."""
    rungs = tuple(
        [
            Candidate(curves[2 * place], curves[2 * place + 1], cost, share)
            for place, (cost, share) in enumerate(zip(costs.costs, costs.shares, strict=True))
        ]
    )
    start_s, sure = window_s, target
    if rest is None:
        decision = decide(rungs, window_s, target, Z, costs.usual)
    else:
        found = finish.decide(rungs, rest.generations, window_s, rest.finish_s, target, Z)
        decision, start_s, sure = found.decision, found.start_s, min(target + found.after, 1.0)
    chance = _chance(decision, rungs, window_s, rest)
    hopeful = decision.feasible or chance >= target  # by the estimate, if not by its bound
    why = _why(decision, rungs, start_s, sure) if hopeful else "infeasible"
    return Foresight(curves, rungs, decision, chance, why, start_s, sure, rest)


def _chance(decision: Decision, rungs: tuple[Candidate, ...], window_s: float, rest: Rest | None) -> float:
    """The estimate that the answer starts within `window_s`, and ends in time where that is bound too."""
    if rest is not None:
        return finish.chance(decision, rungs, rest, window_s)
    return 1.0 - lateness(decision, rungs, window_s, 0.0)


def _why(decision: Decision, rungs: tuple[Candidate, ...], window_s: float, target: float) -> str:
    """A word of domain.record.PLAN_WORDS, for a decision that meets the target, at least by the estimate."""
    if decision.second is None:
        return "dear_alone"
    if decision.launch_s <= 0.0:
        return "both_at_once"
    alone = rungs[decision.first].alone.late_at_most(window_s, Z) <= 1.0 - target
    return "cheap_alone" if alone else "latest_launch"


def forecast(
    prospect: Prospect, input_tokens: int, output_tokens: int, decision: Decision | None = None, why: str = ""
) -> Forecast:
    """What is expected of one request: of what was found, or of another decision that is taken instead, and why."""
    found, nanos = prospect.found, prospect.costs.nanos
    chance = found.chance
    if decision is None:
        decision, why = found.decision, found.why
    else:
        chance = _chance(decision, found.rungs, prospect.window.seconds, found.rest)
    return Forecast(
        prospect.window.target,
        chance,
        1.0 - decision.miss,
        decision.first,
        decision.second,
        None if decision.second is None else decision.launch_s,
        None if nanos is None or decision.cost <= 0.0 else round(decision.cost * nanos[1]),
        prospect.costs.default_nanos,
        why,
        found.rungs[0].alone.number - PRIOR_MASS,
        prospect.ladder,
        (),
        input_tokens,
        output_tokens,
    )


def beside(found: Foresight) -> Decision:
    """A decision that skips cheap rungs, with the cheapest started beside the first all the same, to learn of it."""
    return _instead(found, 0, found.decision.first, 0.0, found.decision.cost + found.rungs[0].cost)


def fixed(found: Foresight, launch_s: float) -> Decision:
    """The second rung at a time that an operator has set; what it will cost is not asked (0)."""
    return _instead(found, 0, 1, launch_s, 0.0)


def just(found: Foresight, place: int) -> Decision:
    """One rung alone: what is done while no race may be planned."""
    return _instead(found, place, None, 0.0, found.rungs[place].cost)


def _instead(found: Foresight, first: int, second: int | None, launch_s: float, cost: float) -> Decision:
    decision = Decision(first, second, launch_s, launch_s, 1.0, cost, feasible=True)
    asked = (first,) if second is None else (first, second)
    after = 0.0 if found.rest is None else found.rest.late(found.start_s, asked)
    return msgspec.structs.replace(decision, miss=min(lateness(decision, found.rungs, found.start_s, Z) + after, 1.0))


def anew(found: Foresight, first: int, planned: tuple[int, float]) -> tuple[int, float] | None:
    """What is launched next, and when, by what is believed now of a race whose `first` rung is silent; see `move`."""
    return move(found.decision, found.rungs, first, planned, found.start_s, 1.0 - found.target, Z)


def after_loss(found: Foresight, running: int, waiting: int, since_s: float) -> float:
    """When to launch a rung that waits if only the `running` one, launched now, is left, `since_s` seconds after the
    clock start. Seconds after the same.
    """
    left_s = found.start_s - since_s
    if left_s <= 0.0:
        return since_s
    return since_s + race(running, waiting, found.rungs, left_s, 1.0 - found.target, Z).launch_s
