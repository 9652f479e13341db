"""When to pay more: is the cheap rung worth starting, and how late may the dear one be launched to meet the target.

Theory. X is the time to the start on the cheap rung, Y on the dear one when it is launched d seconds later, D the
window, 1 - eps the target. A race that keeps both running misses if neither has started by D:

    miss(d) = (S_X(D) + L_X(D) - L_X(d)) M_Y(D - d) + integral over t <= d of M_Y(D - t) dL_X(t)

S: still silent, L: lost (refused or failed, whereupon the dear one is launched at once), M: has not started. The first
term is the silent or later lost cheap rung with the dear one launched at d, the second the cheap rung that was lost
before. Without losses it is S_X(D) M_Y(D - d), reissue at a fixed delay (Kaler, He, Elnikety, SPAA 2017, their SingleR
with q = 1). miss rises with d and the chance of having to launch falls with d, so the latest d with miss(d) <= eps is
the cheapest. Silence and misses are taken `z` standard errors above their estimates (one error for the product of
both: relative variances add), the cost as estimated:

    cost(d) = F_X(d) c_x + L_X(d) c_y + R (c_x + k_y c_y) + (S_X(d) - R) (c_y + k_x c_x)

F: started, c: the price of the whole answer, k: the share of it that an abandoned attempt costs, and R the chance that
the cheap rung starts after d but before the dear one: the mean of F_X(d + Y) - F_X(d) over ten quantiles of Y.
"""

from math import sqrt

import msgspec

from appliance.policy.buckets import UPPER_S, whole_bucket
from appliance.policy.survival import Curve

SAFETY = 0.99
"""Even a cheap rung that meets the target alone has the dear one launched behind it, early enough for this share of
its starts: it seldom happens, and it is the guard against a cheap tier that was fast until today."""

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

    `miss`: the bound of the probability that the start is late; `cost`: what is expected to be paid. `feasible`: miss
    is within the target.
    """

    first: int
    second: int | None
    launch_s: float
    miss: float
    cost: float
    feasible: bool


def alone(place: int, rung: Candidate, window_s: float, epsilon: float, z: float) -> Decision:
    """Only this rung."""
    miss = _late_at_most(rung.alone, window_s, z)
    return Decision(place, None, 0.0, miss, rung.cost, miss <= epsilon)


def race(first: int, second: int, rungs: tuple[Candidate, ...], window_s: float, epsilon: float, z: float) -> Decision:
    """The cheap rung at once and the dear one as late as the target allows; at once if even that is too late."""
    x, y = rungs[first].alone, rungs[second].behind
    reserve_s = _least_reserve(x, y, window_s, epsilon, z)
    safety_s = y.quantile(SAFETY) if _late_at_most(x, window_s, z) <= epsilon else None
    if safety_s is not None:
        reserve_s = max(reserve_s, min(safety_s, window_s / 2))
    launch_s = window_s - min(reserve_s, window_s)
    miss = _miss(x, y, window_s, launch_s, z)
    return Decision(first, second, launch_s, miss, _cost(rungs[first], rungs[second], launch_s), miss <= epsilon)


def decide(rungs: tuple[Candidate, ...], window_s: float, target: float, z: float = 1.0) -> Decision:
    """The cheapest way that meets the target; where none does, the likeliest to.

    `rungs` from cheap to dear. A rung dearer than the second is looked at only where the cheaper ones cannot meet the
    target. Ties go to the cheaper and simpler way.
    """
    epsilon = 1.0 - target
    best: Decision | None = None
    for second in range(len(rungs)):
        for option in _options(second, rungs, window_s, epsilon, z):
            if best is None or _key(option) < _key(best):
                best = option
        if best is not None and best.feasible and second >= 1:
            break
    if best is None:
        raise ValueError("a ladder has at least one rung")
    return best


def _options(second: int, rungs: tuple[Candidate, ...], window_s: float, epsilon: float, z: float) -> list[Decision]:
    ways = [alone(second, rungs[second], window_s, epsilon, z)] if second > 0 or len(rungs) == 1 else []
    ways += [race(first, second, rungs, window_s, epsilon, z) for first in range(second)]
    return ways


def _key(option: Decision) -> tuple[bool, float, float]:
    if option.feasible:
        return False, option.cost, option.miss
    return True, option.miss, option.cost


def _least_reserve(x: Curve, y: Curve, window_s: float, epsilon: float, z: float) -> float:
    """The shortest time before the deadline at which a launch meets the target; the whole window if none does."""
    low, high = 0, whole_bucket(window_s)
    if high < 0 or _miss(x, y, window_s, window_s - UPPER_S[high], z) > epsilon:
        return window_s
    while low < high:
        middle = (low + high) // 2
        if _miss(x, y, window_s, window_s - UPPER_S[middle], z) <= epsilon:
            high = middle
        else:
            low = middle + 1
    return UPPER_S[low]


def _late_at_most(rung: Curve, window_s: float, z: float) -> float:
    """Upper bound of the probability that this rung alone, launched at once, has not started within the window."""
    return min((1.0 - rung.started_at(window_s)) * (1.0 + z * sqrt(rung.variance_at(window_s))), 1.0)


def _miss(x: Curve, y: Curve, window_s: float, launch_s: float, z: float) -> float:
    """Upper bound of the probability that a race starts late."""
    rest_s = window_s - launch_s
    lost_before = x.lost_at(launch_s)
    late = x.silent_at(window_s) + x.lost_at(window_s) - lost_before
    error = sqrt(x.variance_at(window_s) + y.variance_at(rest_s))
    missed = min(late, 1.0) * (1.0 - y.started_at(rest_s)) * (1.0 + z * error)
    if lost_before > 0.0:
        # Four parts of the time before the launch, each as if lost at its end.
        before = 0.0
        for part in (0.05, 0.25, 0.5, 1.0):
            lost = x.lost_at(launch_s * part)
            if lost > before:
                missed += (lost - before) * _late_at_most(y, window_s - launch_s * part, z)
                before = lost
    return min(missed, 1.0)


def _cost(cheap: Candidate, dear: Candidate, launch_s: float) -> float:
    x, y = cheap.alone, dear.behind
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
