"""When to pay more so that the last byte comes in time. The rule: a bound on the start and a bound on the rest, whose
misses together stay within the target.

An answer that starts at A and takes G from there ends at A + G. For any W before the deadline F

    P(A + G > F) <= P(A > W) + P(G > F - W)

whatever the two have to do with each other. So a race for a start within W, W = F - Q_G(1 - e), that misses with
probability eps - e, meets the target 1 - eps on the end; of a few e the cheapest is taken. G (policy/generation.py) and
the start are both taken `z` standard errors up. In a race either rung may win, so both must be able to finish: W and
the miss are the worse of the two. What starts later than W wins all the same and may be late; that is in the miss
already.

A race is the costly part of a plan. So which e is best is told by what a race with it would come to without losses and
errors, launched as late as M_Y(W - d) S_X(W) = eps - e allows, and only that one is worked out, others where it fails.
"""

from heapq import heapify, heappush, heapreplace
from math import inf

import msgspec

from appliance.policy.buckets import UPPER_S, bucket
from appliance.policy.generation import Generation
from appliance.policy.launch import AS_GOOD, Candidate, Decision, alone, late_start, race

SPLITS = (0.2, 0.5, 0.8)
"""Shares of what may be missed that are tried for the time after the start."""

LOOSER = (0.05, 0.2, 0.5)
"""Misses after the start that are tried where no split meets the target."""

HOPELESS = 0.5
"""Where every way misses so often, the rung that is usually done first is asked: the deadline is out of reach."""

_EXACTLY = 0.0002
"""A part of an estimate that may be wrong by half of this at most is not divided further."""

_DIVISIONS = 10
"""So many parts are divided at most, first those that may be the most wrong."""

_SHORT = 64
"""So many buckets below a deadline (a 23rd of it) are looked at one by one; what takes less is taken to take that."""


class Rest(msgspec.Struct, frozen=True, eq=False):
    """When the answer must end, and how long it takes from its start, on each rung."""

    finish_s: float
    generations: tuple[Generation, ...]

    def late(self, start_s: float, rungs: tuple[int, ...]) -> float:
        """The bound of an answer of one of these rungs that starts at `start_s` to end too late, the slowest's."""
        left_s = self.finish_s - start_s
        return max([self.generations[one].late_at(left_s) for one in rungs])


class Finish(msgspec.Struct, frozen=True):
    """`decision`, whose miss and feasible are those of the end; made for a start within `start_s`, of which so much of
    the miss is left to the time `after`: what the answer takes longer than the deadline leaves it.
    """

    decision: Decision
    start_s: float
    after: float


def decide(
    rungs: tuple[Candidate, ...],
    generations: tuple[Generation, ...],
    start_s: float,
    finish_s: float,
    target: float,
    z: float = 1.0,
) -> Finish:
    """The cheapest way whose answer ends within `finish_s`, and starts within `start_s` as well, with `target`.

    As `policy.launch.decide`: `rungs` from cheap to dear, one dearer than the second is looked at only where the
    cheaper ones cannot meet the target, and where none does, the cheapest of those that come about as near as any.
    Raises ValueError for an empty ladder or where a rung has no generation.
    """
    if not rungs or len(rungs) != len(generations):
        raise ValueError("a ladder has at least one rung, and each a generation")
    epsilon = 1.0 - target
    ladder = _Ladder(rungs, generations, start_s, finish_s, epsilon, z)
    seconds = range(1, len(rungs)) if len(rungs) > 1 else range(1)
    misses = tuple([epsilon * share for share in SPLITS])
    found: list[Finish] = []
    for second in seconds:
        found += ladder.ways(second, misses)
        feasible = [one for one in found if one.decision.feasible]
        if feasible:
            best = min(feasible, key=_cheapest)
            doubted = [one for one in found if one.decision.second is None and one.decision.cost < best.decision.cost]
            return next((one for one in doubted if ladder.by_estimate(one) <= epsilon), best)
    for second in seconds:
        found += ladder.nearest(second, (*misses, *LOOSER))
    least = min((one.decision.miss for one in found), default=1.0)
    if least < HOPELESS:
        near = [one for one in found if one.decision.miss <= least * AS_GOOD]
        near += [one for one in found if one.decision.second is None and ladder.by_estimate(one) <= epsilon]
        return min(near, key=_cheapest)
    done_s = [(one.alone.quantile(0.5) or inf) + its.within(0.5) for one, its in zip(rungs, generations, strict=True)]
    first = done_s.index(min(done_s))
    hopeless = alone(first, rungs[first], start_s, 0.0, z)
    after = generations[first].late_at(finish_s - start_s)
    return Finish(msgspec.structs.replace(hopeless, miss=1.0, feasible=False), start_s, after)


def chance(decision: Decision, rungs: tuple[Candidate, ...], rest: Rest, window_s: float) -> float:
    """The estimate, without bounds, that the answer starts within `window_s` and ends within the deadline of `rest`.

    Start and what follows are taken as independent. What follows is, in a race, that of the first rung as often as it
    starts before the second is launched, else that of the second.
    """
    shares = {decision.first: 1.0}
    if decision.second is not None:
        started = rungs[decision.first].alone.started_at(decision.launch_s)
        shares = {decision.first: started, decision.second: 1.0 - started}
    finish_s, late = rest.finish_s, late_start(decision, rungs)
    timely: dict[float, float] = {}  # P(the start is in time) for a time that is left

    def at(generation: Generation, end: int) -> tuple[int, float, float]:
        """A bucket's end, P(the rest takes longer) and P(the start is in time if the rest takes so long)."""
        left_s = min(finish_s - UPPER_S[end], window_s)
        if (started := timely.get(left_s)) is None:
            started = timely[left_s] = 1.0 - late(left_s) if left_s > 0.0 else 0.0
        return end, generation.late_after(end), started

    # The mean of the chance to start in time over the time that the rest leaves. Both fall with the time that it takes,
    # so how wrong a part of it can be is known: the first of the heap can be the most.
    found, parts = 0.0, []
    last = bucket(finish_s)
    first = max(last - _SHORT, bucket(finish_s - window_s) - 1, 0)
    for place, share in shares.items():
        estimate = rest.generations[place].estimate
        low, high = at(estimate, first), at(estimate, last)
        found += share * (1.0 - low[1]) * low[2]
        parts.append((share * (low[1] - high[1]) * (high[2] - low[2]), place, low, high))
    heapify(parts)
    for _ in range(_DIVISIONS):
        wrong, place, low, high = parts[0]
        if wrong >= -_EXACTLY or high[0] - low[0] <= 1:
            break
        share, middle = shares[place], at(rest.generations[place].estimate, (low[0] + high[0]) // 2)
        heapreplace(parts, (share * (low[1] - middle[1]) * (middle[2] - low[2]), place, low, middle))
        heappush(parts, (share * (middle[1] - high[1]) * (high[2] - middle[2]), place, middle, high))
    for _, place, low, high in parts:
        found += shares[place] * (low[1] - high[1]) * (low[2] + high[2]) / 2
    return min(max(found, 0.0), 1.0)


def _cheapest(way: Finish) -> tuple[float, float]:
    return way.decision.cost, way.decision.miss


class _Ladder(msgspec.Struct, frozen=True):
    """The question, and the ways that end with one rung: it alone, and behind each of the cheaper ones."""

    rungs: tuple[Candidate, ...]
    generations: tuple[Generation, ...]
    start_s: float
    finish_s: float
    epsilon: float
    z: float

    def ways(self, second: int, misses: tuple[float, ...]) -> list[Finish]:
        """Each with the cheapest of these misses after the start."""
        found: list[Finish] = []
        for first in range(second):
            hopes = sorted([self._hope(first, second, *split) for split in self._splits(first, second, misses)])
            for hope, start_s, after in hopes:
                if hope == inf:
                    break
                way = self._race(first, second, start_s, after, start_s + hope)
                if way.decision.feasible:
                    found.append(way)
                    break
        if not any(way.decision.cost < self.rungs[second].cost for way in found):
            found += self._alone(second, misses)
        return found

    def nearest(self, second: int, misses: tuple[float, ...]) -> list[Finish]:
        """Each with that of these misses after the start which is missed the least in all."""
        found = self._alone(second, misses)
        for first in range(second):
            x, y = self.rungs[first].alone, self.rungs[second].alone
            hopes = [
                (x.late_at(start_s) * y.late_at(start_s) + after, start_s, after)
                for start_s, after in self._splits(first, second, misses)
            ]
            if hopes:
                _, start_s, after = min(hopes)
                found.append(self._race(first, second, start_s, after))
        return found

    def by_estimate(self, way: Finish) -> float:
        """The miss of a rung alone, without bounds."""
        first = way.decision.first
        after = self.generations[first].estimate.late_at(self.finish_s - way.start_s)
        return self.rungs[first].alone.late_at(way.start_s) + after

    def _splits(self, first: int, second: int, misses: tuple[float, ...]) -> list[tuple[float, float]]:
        """By when must be started, if the rest is to be late so seldom, and how seldom that is then."""
        slow, its = self.generations[first], self.generations[second]
        start_s, finish_s = self.start_s, self.finish_s
        if slow is its:
            starts = {min(start_s, finish_s - its.within(miss)) for miss in misses}
            return [(one, its.late_at(finish_s - one)) for one in starts if one > 0.0]
        starts = {min(start_s, finish_s - max(slow.within(miss), its.within(miss))) for miss in misses}
        return [(one, max(slow.late_at(finish_s - one), its.late_at(finish_s - one))) for one in starts if one > 0.0]

    def _alone(self, place: int, misses: tuple[float, ...]) -> list[Finish]:
        """A rung alone costs the same with every split."""
        splits = self._splits(place, place, misses)
        if not splits:
            return []
        rung = self.rungs[place]
        late = rung.alone.late_at_most
        miss, start_s, after = min([(late(start_s, self.z) + after, start_s, after) for start_s, after in splits])
        decision = Decision(place, None, 0.0, 0.0, min(miss, 1.0), rung.cost, miss <= self.epsilon)
        return [Finish(decision, start_s, after)]

    def _hope(self, first: int, second: int, start_s: float, after: float) -> tuple[float, float, float]:
        """How early a race would have to launch its second rung, negative, so that the latest sorts first; inf: none
        can meet the target. And what it was asked for.
        """
        left = self.epsilon - after
        x_late = self.rungs[first].alone.late_at(start_s)
        if x_late <= left:
            return -start_s, start_s, after
        dear = self.rungs[second]
        if left <= 0.0 or x_late * min(dear.alone.late_at(start_s), dear.behind.late_at(start_s)) > left:
            return inf, start_s, after
        return (dear.behind.quantile(1.0 - left / x_late) or inf) - start_s, start_s, after

    def _race(self, first: int, second: int, start_s: float, after: float, about_s: float | None = None) -> Finish:
        way = race(first, second, self.rungs, start_s, max(self.epsilon - after, 0.0), self.z, about_s)
        miss = min(way.miss + after, 1.0)
        return Finish(msgspec.structs.replace(way, miss=miss, feasible=miss <= self.epsilon), start_s, after)
