"""When to pay more so that the last byte comes in time. The rule: a bound on the start and a bound on the rest, whose
misses together stay within the target.

An answer that starts at A and takes G from there ends at A + G. For any W before the deadline F

    P(A + G > F) <= P(A > W) + P(G > F - W)

whatever the two have to do with each other. So a race for a start within W, W = F - Q_G(1 - e), that misses with
probability eps - e, meets the target 1 - eps on the end; of a few e the cheapest is taken. G = length times pace: the
length is that of the key's answers (never more than the request allows), the pace that of the rung; both are taken `z`
standard errors up. In a race either rung may win, so both must be able to finish: W and the miss are the worse of the
two. What starts later than W wins all the same and may be late; that is in the miss already.
"""

from bisect import bisect_left, bisect_right
from math import inf, sqrt

import msgspec

from appliance.policy.buckets import COUNT, LEAST_S, UPPER_S, bucket
from appliance.policy.launch import AS_GOOD, Candidate, Decision, alone, lateness, race
from appliance.policy.lengths import PACE_PLACE
from appliance.policy.survival import Curve

SPLITS = (0.2, 0.5, 0.8)
"""Shares of what may be missed that are tried for the time after the start."""

LOOSER = (0.05, 0.2, 0.5)
"""Misses after the start that are tried where no split meets the target."""

HOPELESS = 0.5
"""Where every way misses so often, the rung that is usually done first is asked: the deadline is out of reach."""

_LEVELS = (0.5, 0.2, 0.1, 0.04, 0.015, 0.005, 0.001, 0.0001, 0.000003)
"""The pace is taken as one of these quantiles, each standing for all that are faster, down to the one before it."""


_MISSES = (0.75, 0.5, 0.35, 0.2, 0.1, 0.05, 0.02, 0.005, 0.0005, 0.0)
"""The time after the start is estimated as the middle of the parts between what is exceeded so seldom."""


_NOTHING = 1e-4
"""What is less likely is left out of an estimate."""


class Generation:
    """How long an answer takes from its start to its end, on one rung. Upper bounds, `z` standard errors up."""

    __slots__ = ("_ends", "_length", "_most", "_most_tokens", "_never", "_pace", "_paces", "_z")

    def __init__(self, length: Curve, pace: Curve, most_tokens: int | None = None, z: float = 1.0) -> None:
        self._length, self._pace, self._most_tokens, self._z = length, pace, most_tokens, z
        self._most = COUNT if most_tokens is None else bucket(max(most_tokens, 1) * LEAST_S)
        self._paces, self._never = _paces(pace, z)
        self._ends: dict[int, float] = {}

    def estimate(self) -> "Generation":
        """The same without bounds."""
        return Generation(self._length, self._pace, self._most_tokens, 0.0)

    def late_at(self, seconds: float) -> float:
        """P(it takes longer)."""
        place = bisect_right(UPPER_S, seconds) - 1
        return 1.0 if place < 0 else self._late(place)

    def within(self, miss: float) -> float:
        """The least time in which it is done but with the probability `miss`; inf if there is none."""
        place = bisect_left(range(COUNT), True, key=lambda end: self._late(end) <= miss)
        return inf if place == COUNT else UPPER_S[place]

    def _late(self, place: int) -> float:
        """P(it takes longer than the upper end of a bucket)."""
        known = self._ends.get(place)
        if known is not None:
            return known
        late, most, z = self._never, self._most, self._z
        silent, variance = self._length.silent, self._length.variance
        for share, slow in self._paces:
            length = min(place + PACE_PLACE - slow, COUNT - 1)
            if length < 0:
                late += share
            elif length < most and (longer := silent[length]) > 0.0:
                late += share * min(longer * (1.0 + z * sqrt(variance[length])) if z else longer, 1.0)
        self._ends[place] = late = min(late, 1.0)
        return late


class Rest(msgspec.Struct, frozen=True):
    """What is known of the time after the start, `lengths` and `paces` for each rung, and how much of it there is.

    `most_tokens`: the request's own limit of its answer.
    """

    finish_s: float
    lengths: tuple[Curve, ...]
    paces: tuple[Curve, ...]
    most_tokens: int | None = None

    def generations(self, z: float) -> tuple[Generation, ...]:
        """Of each rung."""
        pairs = zip(self.lengths, self.paces, strict=True)
        return tuple([Generation(length, pace, self.most_tokens, z) for length, pace in pairs])

    def late(self, start_s: float, rungs: tuple[int, ...], z: float) -> float:
        """P(an answer of one of these rungs that starts at `start_s` ends too late), that of the slowest."""
        left_s = self.finish_s - start_s
        return max(
            [Generation(self.lengths[one], self.paces[one], self.most_tokens, z).late_at(left_s) for one in rungs]
        )

    def same(self, other: "Rest | None") -> bool:
        """Whether nothing has moved."""
        return (
            other is not None
            and all(new is old for new, old in zip(self.lengths, other.lengths, strict=True))
            and all(new is old for new, old in zip(self.paces, other.paces, strict=True))
        )


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
    misses = tuple([epsilon * share for share in SPLITS])
    found: list[Finish] = []
    for second in range(1, len(rungs)) if len(rungs) > 1 else (0,):
        found += ladder.ways(second, misses)
        if any(one.decision.feasible for one in found):
            break
    feasible = [one for one in found if one.decision.feasible]
    if feasible:
        best = min(feasible, key=_cheapest)
        doubted = [one for one in found if one.decision.second is None and one.decision.cost < best.decision.cost]
        return next((one for one in doubted if ladder.by_estimate(one) <= epsilon), best)
    for second in range(1, len(rungs)) if len(rungs) > 1 else (0,):
        found += ladder.ways(second, LOOSER)
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

    Start and what follows are taken as independent. What follows is taken at some of its quantiles, in a race those of
    the first rung as often as it starts before the second is launched, else those of the second.
    """
    shares = [(decision.first, 1.0)]
    if decision.second is not None:
        started = rungs[decision.first].alone.started_at(decision.launch_s)
        shares = [(decision.first, started), (decision.second, 1.0 - started)]
    found = 0.0
    for place, share in shares:
        if share < _NOTHING:
            continue
        generation = Generation(rest.lengths[place], rest.paces[place], rest.most_tokens, 0.0)
        slower = 1.0
        for miss in _MISSES:
            left_s = min(rest.finish_s - generation.within((slower + miss) / 2), window_s)
            if left_s > 0.0:
                found += share * (slower - miss) * (1.0 - lateness(decision, rungs, left_s, 0.0))
            slower = miss
    return min(found, 1.0)


def _cheapest(way: Finish) -> tuple[float, float]:
    return way.decision.cost, way.decision.miss


class _Ladder(msgspec.Struct, frozen=True):
    """The question, and the ways that end with one rung."""

    rungs: tuple[Candidate, ...]
    generations: tuple[Generation, ...]
    start_s: float
    finish_s: float
    epsilon: float
    z: float

    def ways(self, second: int, misses: tuple[float, ...]) -> list[Finish]:
        """This rung alone, and behind each of the cheaper ones; each for some probabilities to be late at the end."""
        return [way for first in range(second + 1) for way in self._ways(first, second, misses)]

    def by_estimate(self, way: Finish) -> float:
        """The miss of a rung alone, without bounds."""
        first = way.decision.first
        after = self.generations[first].estimate().late_at(self.finish_s - way.start_s)
        return self.rungs[first].alone.late_at(way.start_s) + after

    def _ways(self, first: int, second: int, misses: tuple[float, ...]) -> list[Finish]:
        found: list[Finish] = []
        for start_s in sorted({self._start_s(first, second, miss) for miss in misses}):
            if start_s <= 0.0:
                continue
            rest_s = self.finish_s - start_s
            after = max(self.generations[first].late_at(rest_s), self.generations[second].late_at(rest_s))
            left = max(self.epsilon - after, 0.0)
            if first == second:
                way = alone(first, self.rungs[first], start_s, left, self.z)
            else:
                way = race(first, second, self.rungs, start_s, left, self.z)
            miss = min(way.miss + after, 1.0)
            way = msgspec.structs.replace(way, miss=miss, feasible=miss <= self.epsilon)
            found.append(Finish(way, start_s, after))
        return found

    def _start_s(self, first: int, second: int, miss: float) -> float:
        """By when must be started, if the rest is to be late so seldom."""
        rest_s = max(self.generations[first].within(miss), self.generations[second].within(miss))
        return min(self.start_s, self.finish_s - rest_s)


def _paces(pace: Curve, z: float) -> tuple[tuple[tuple[float, int], ...], float]:
    """Some paces and the probability of each, `(probability, bucket)`; and that of an answer that never ends."""
    found: list[tuple[float, int]] = []
    ever = pace.started[-1]
    slower, place = 1.0, -1
    for level in _LEVELS:
        place = bisect_left(range(COUNT), True, lo=place + 1, key=lambda end: ever - pace.started[end] <= level)
        if place >= COUNT:
            break
        rest = min(_slower(pace, place, z), slower)
        if slower > rest:
            found.append((slower - rest, place))
        slower = rest
    return tuple(found), slower


def _slower(pace: Curve, place: int, z: float) -> float:
    lost, silent = pace.lost[place], pace.silent[place]
    error = sqrt(silent * silent * pace.variance[place] + lost * (1.0 - lost) / pace.number)
    return min(max(1.0 - pace.started[place] + z * error, 0.0), 1.0)
