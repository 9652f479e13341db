"""When to pay more: is the cheap rung worth starting, and how late may the dear one be launched to meet the target.

Theory. X is the time to the start on the cheap rung, Y on the dear one when it is launched d seconds later, D the
window, 1 - eps the target. A race that keeps both running misses if neither has started by D:

    miss(d) = (S_X(D) + L_X(D) - L_X(d)) M_Y(D - d) + integral over t <= d of M_Y(D - t) dL_X(t)

S: still silent, L: lost (refused or failed, whereupon the dear one is launched at once), M: has not started. The first
term is the silent or later lost cheap rung with the dear one launched at d, the second the cheap rung that was lost
before. Without losses it is S_X(D) M_Y(D - d), reissue at a fixed delay (Kaler, He, Elnikety, SPAA 2017, their SingleR
with q = 1). miss rises with d and the chance of having to launch falls with d, so the latest d with miss(d) <= eps is
the cheapest. Misses are taken `z` standard errors above their estimates (one error for the product of both: relative
variances add), the cost as estimated:

    cost(d) = F_X(d) c_x + L_X(d) c_y + R (c_x + k_y c_y) + (S_X(d) - R) (c_y + k_x c_x)

F: started, c: the price of the whole answer, k: the share of it that an abandoned attempt costs, and R the chance that
the cheap rung starts after d but before the dear one: the mean of F_X(d + Y) - F_X(d) over ten quantiles of Y.

A dear rung launched at once is behind nobody: there its curve is the one of attempts that were asked alone.
"""

from bisect import bisect_right
from collections.abc import Callable
from math import hypot

import msgspec

from appliance.policy.buckets import LEAST_S, UPPER_S
from appliance.policy.survival import Curve

SAFETY = 0.99
"""A cheap rung that meets the target alone has the dear one launched at the deadline, or, where that costs next to
nothing, early enough for this share of its starts: the guard against a cheap tier that was fast until today."""

SAFETY_COST = 0.005
"""What that guard may add to the cost at most."""

AS_GOOD = 1.1
"""Of ways that cannot meet the target, those that miss it at most so many times as often as the best are as good."""

_NEARLY = 0.995
"""The share of what may be missed that an interpolated launch aims at, so that it is within."""

_SMALL = 0.02
"""Of what is missed: so little by losses before the launch is not worth looking at in parts."""

_LITTLE = 1e-4
"""So little that is lost is counted with what is lost later."""

_PARTS = (0.0, 0.05, 0.25, 0.5)
_DECILES = tuple((place + 0.5) / 10 for place in range(10))


class Candidate(msgspec.Struct, frozen=True):
    """One rung as the decision sees it. Costs in any one unit, of the whole expected answer.

    `behind`: its curve when it is launched behind a silent cheaper rung. `abandoned_share`: what of its cost is billed
    for an attempt that was cancelled while silent.
    """

    alone: Curve
    behind: Curve
    cost: float
    abandoned_share: float = 0.0


class Decision(msgspec.Struct, frozen=True):
    """`first` starts at once, `second` after `launch_s` unless the first has started; None: no second one by time.

    `check_s`: when a request that is silent still is to be decided anew by what is known then, so that a tier which
    was quick until a minute ago is seen in time; never after `launch_s`.
    `miss`: the bound of the probability that the start is late; `cost`: what is expected to be paid. `feasible`: miss
    is within the target, or the dear rung is asked alone because nothing shows that it would miss it.
    """

    first: int
    second: int | None
    launch_s: float
    check_s: float
    miss: float
    cost: float
    feasible: bool


def alone(place: int, rung: Candidate, window_s: float, epsilon: float, z: float) -> Decision:
    """Only this rung."""
    miss = rung.alone.late_at_most(window_s, z)
    return Decision(place, None, 0.0, 0.0, miss, rung.cost, miss <= epsilon)


def race(
    first: int,
    second: int,
    rungs: tuple[Candidate, ...],
    window_s: float,
    epsilon: float,
    z: float,
    about_s: float | None = None,
) -> Decision:
    """The cheap rung at once and the dear one as late as the target allows; at once if even that is too late.

    `about_s`: a guess of how long before the deadline that is, from where it is found sooner.
    """
    cheap, dear = rungs[first], rungs[second]
    x, y = cheap.alone, dear.behind
    end = x.late_at(window_s), x.error_at(window_s)
    guard_s = min(y.quantile(SAFETY) or window_s, window_s / 2)
    if end[0] + z * end[1] <= epsilon:
        reserve_s, cost = 0.0, _cost(cheap, dear, y, window_s)
        guarded = _cost(cheap, dear, y, window_s - guard_s)
        if guarded <= cost * (1.0 + SAFETY_COST):
            reserve_s, cost = guard_s, guarded
    else:
        reserve_s = _least_reserve(x, y, window_s, epsilon, z, end, about_s)
        if reserve_s >= window_s:
            y = dear.alone
        cost = _cost(cheap, dear, y, window_s - reserve_s)
    miss = _miss(x, y, window_s, window_s - reserve_s, z, end)
    check_s = window_s - max(guard_s, reserve_s)
    return Decision(first, second, window_s - reserve_s, check_s, miss, cost, miss <= epsilon)


def decide(rungs: tuple[Candidate, ...], window_s: float, target: float, z: float = 1.0, usual: int = 1) -> Decision:
    """The cheapest way that meets the target; where none does, the cheapest of those that come about as near as any.

    `rungs` from cheap to dear; `usual`: the place of the dear one that serves where nothing is raced. A rung dearer
    than the second is looked at only where the cheaper ones cannot meet the target. Ties go to the cheaper and simpler
    way. Raises ValueError for an empty ladder.
    """
    if not rungs:
        raise ValueError("a ladder has at least one rung")
    best = _best(rungs, window_s, 1.0 - target, z)
    second = min(len(rungs) - 1, usual)
    if z > 0.0 and best.cost > rungs[second].cost:
        # More than the dear rung alone costs is paid only where that surely misses the target, not for want of
        # knowledge: raced, it is never asked alone, so what is doubted of it would be doubted for long.
        if alone(second, rungs[second], window_s, 1.0 - target, -z).feasible:
            doubted = alone(second, rungs[second], window_s, 1.0 - target, z)
            return msgspec.structs.replace(doubted, feasible=True)
        likely = _best(rungs, window_s, 1.0 - target, 0.0)
        if likely.feasible and likely.cost < best.cost:
            return likely
    return best


def _best(rungs: tuple[Candidate, ...], window_s: float, epsilon: float, z: float) -> Decision:
    options = [] if len(rungs) > 1 else [alone(0, rungs[0], window_s, epsilon, z)]
    for second in range(1, len(rungs)):
        options.append(alone(second, rungs[second], window_s, epsilon, z))
        options += [race(first, second, rungs, window_s, epsilon, z) for first in range(second)]
        if any(option.feasible for option in options):
            break
    feasible = [option for option in options if option.feasible]
    if not feasible:
        least = min(option.miss for option in options)
        feasible = [option for option in options if option.miss <= least * AS_GOOD]
    return min(feasible, key=lambda option: option.cost)


def _least_reserve(
    x: Curve, y: Curve, window_s: float, epsilon: float, z: float, end: tuple[float, float], about_s: float | None
) -> float:
    """The shortest time before the deadline at which a launch meets the target; the whole window if none does."""
    low, high = 0, bisect_right(UPPER_S, window_s) - 1
    if high < 0:
        return window_s
    if (met := _miss(x, y, window_s, window_s - UPPER_S[high], z, end)) > epsilon:
        return _nearer(
            x, y, window_s, epsilon, z, end, (window_s, _miss(x, y, window_s, 0.0, z, end)), (UPPER_S[high], met)
        )
    unmet, step = 1.0, high - low if about_s is None else 2
    middle = (low + high) // 2 if about_s is None else bisect_right(UPPER_S, about_s)
    while low < high:
        if not low <= middle < high:
            middle = (low + high) // 2
        miss = _miss(x, y, window_s, window_s - UPPER_S[middle], z, end)
        if miss <= epsilon:
            high, met = middle, miss
            middle -= step
        else:
            low, unmet = middle + 1, miss
            middle += step
        step *= 2
    if low == 0:
        return UPPER_S[low]
    return _nearer(x, y, window_s, epsilon, z, end, (UPPER_S[low], met), (UPPER_S[low - 1], unmet))


def _nearer(
    x: Curve,
    y: Curve,
    window_s: float,
    epsilon: float,
    z: float,
    end: tuple[float, float],
    serves: tuple[float, float],
    fails: tuple[float, float],
) -> float:
    """Between a reserve that serves and a shorter one that fails, each with its miss: on a straight line."""
    (reserve_s, met), (shorter_s, unmet) = serves, fails
    if met > epsilon or unmet <= met:
        return reserve_s
    nearer_s = reserve_s - (reserve_s - shorter_s) * max(_NEARLY * epsilon - met, 0.0) / (unmet - met)
    return nearer_s if _miss(x, y, window_s, window_s - nearer_s, z, end) <= epsilon else reserve_s


def _miss(x: Curve, y: Curve, window_s: float, launch_s: float, z: float, end: tuple[float, float]) -> float:
    """Upper bound of the chance of a late start. `end`: the cheap rung's lateness by the deadline and its error."""
    rest_s = window_s - launch_s
    lost_before = x.lost_at(launch_s)
    x_late, y_late = max(end[0] - lost_before, 0.0), y.late_at(rest_s)
    # The error of a product, x * dy and y * dx: relative variances add, also where one of both is nearly 0.
    y_error = y.error_at(rest_s) if z else 0.0
    missed = x_late * y_late + z * hypot(x_late * y_error, y_late * end[1])
    last = min(y_late + z * y_error, 1.0)
    as_if_last = lost_before * last
    if as_if_last <= _SMALL * missed:
        missed += as_if_last
    else:
        # What is lost at once, as most refusals are, and four parts of the time before the launch, as if at their ends.
        before = 0.0
        for part in _PARTS:
            at_s = launch_s * part
            lost = x.lost_at(max(at_s, LEAST_S))
            if lost > before:
                missed += (lost - before) * y.late_at_most(window_s - at_s, z)
                before = lost
        missed += max(lost_before - before, 0.0) * last
    return min(max(missed, 0.0), 1.0)


def _cost(cheap: Candidate, dear: Candidate, y: Curve, launch_s: float) -> float:
    x = cheap.alone
    started, lost = x.started_at(launch_s), x.lost_at(launch_s)
    silent = max(1.0 - started - lost, 0.0)
    late = 0.0
    for share in _DECILES:
        after_s = y.quantile(share)
        late += (x.started[-1] if after_s is None else x.started_at(launch_s + after_s)) - started
    late = min(max(late / len(_DECILES), 0.0), silent)
    return (
        started * cheap.cost
        + lost * dear.cost
        + late * (cheap.cost + dear.abandoned_share * dear.cost)
        + (silent - late) * (dear.cost + cheap.abandoned_share * cheap.cost)
    )


def lateness(decision: Decision, rungs: tuple[Candidate, ...], window_s: float, z: float) -> float:
    """The chance that a start is late under a decision, `z` standard errors above the estimate."""
    x = rungs[decision.first].alone
    if decision.second is None:
        return x.late_at_most(window_s, z)
    dear = rungs[decision.second]
    y = dear.behind if decision.launch_s > 0.0 else dear.alone
    return _miss(x, y, window_s, decision.launch_s, z, (x.late_at(window_s), x.error_at(window_s) if z else 0.0))


def late_start(decision: Decision, rungs: tuple[Candidate, ...]) -> Callable[[float], float]:
    """`lateness` without bounds for many windows: what does not change with the window is looked up once."""
    x = rungs[decision.first].alone
    if decision.second is None:
        return x.late_at
    dear, launch_s = rungs[decision.second], decision.launch_s
    y = dear.behind if launch_s > 0.0 else dear.alone
    lost_before, before = x.lost_at(launch_s), 0.0
    losses: list[tuple[float, float]] = []
    for part in _PARTS if lost_before > 0.0 else ():
        at_s = launch_s * part
        lost = x.lost_at(max(at_s, LEAST_S))
        if lost - before > _LITTLE:
            losses.append((at_s, lost - before))
            before = lost
    last = max(lost_before - before, 0.0)

    def late(window_s: float) -> float:
        missed = (max(x.late_at(window_s) - lost_before, 0.0) + last) * y.late_at(window_s - launch_s)
        for at_s, lost in losses:
            missed += lost * y.late_at(window_s - at_s)
        return min(missed, 1.0)

    return late
