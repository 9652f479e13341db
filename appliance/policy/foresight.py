"""From curves to a decision and what it promises. The rule: what was expected is told with what was decided."""

import msgspec

from appliance.domain.catalog import Rung
from appliance.domain.record import Forecast
from appliance.policy import finish
from appliance.policy.expense import Expense
from appliance.policy.finish import Rest
from appliance.policy.latency import PRIOR_MASS
from appliance.policy.launch import Candidate, Decision, decide, lateness
from appliance.policy.plan import Plan
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
    after = 0.0
    if rest is None:
        decision = decide(rungs, window_s, target, Z)
    else:
        found = finish.decide(rungs, rest.generations(Z), window_s, rest.finish_s, target, Z)
        decision, window_s, target = found.decision, found.start_s, min(target + found.after, 1.0)
        asked = (decision.first,) if decision.second is None else (decision.first, decision.second)
        after = rest.late(window_s, asked, 0.0)
    chance = max(1.0 - lateness(decision, rungs, window_s, 0.0) - after, 0.0)
    return Foresight(curves, rungs, decision, chance, _why(decision, rungs, window_s, target), window_s, target, rest)


def _why(decision: Decision, rungs: tuple[Candidate, ...], window_s: float, target: float) -> str:
    """A word of domain.record.PLAN_WORDS."""
    if not decision.feasible:
        return "infeasible"
    if decision.second is None:
        return "dear_alone"
    if decision.launch_s <= 0.0:
        return "both_at_once"
    alone = rungs[decision.first].alone.late_at_most(window_s, Z) <= 1.0 - target
    return "cheap_alone" if alone else "latest_launch"


def forecast(
    found: Foresight, ladder: tuple[Rung, ...], costs: Expense, target: float, input_tokens: int, output_tokens: int
) -> Forecast:
    """What is expected of one request."""
    decision, nanos = found.decision, costs.nanos
    return Forecast(
        target,
        found.chance,
        1.0 - decision.miss,
        decision.first,
        decision.second,
        None if decision.second is None else decision.launch_s,
        None if nanos is None else round(decision.cost * nanos[1]),
        None if nanos is None else nanos[1],
        found.why,
        found.rungs[0].alone.number - PRIOR_MASS,
        ladder,
        (),
        input_tokens,
        output_tokens,
    )


def by_reserve(told: Forecast, found: Foresight, plan: Plan) -> Forecast:
    """The forecast of a launch that an operator has set; what it will cost is not asked."""
    window_s, launch_s = plan.window_s or 0.0, plan.rungs[1].launch_s or 0.0
    fixed = msgspec.structs.replace(found.decision, first=0, second=1, launch_s=launch_s)
    return msgspec.structs.replace(
        told,
        chance=1.0 - lateness(fixed, found.rungs, window_s, 0.0),
        chance_least=1.0 - lateness(fixed, found.rungs, window_s, Z),
        first=0,
        second=1,
        launch_s=launch_s,
        cost_nanos=None,
        why="reserve",
    )
