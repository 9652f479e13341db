"""How long an answer takes from its start to its end: its length times the rung's pace. The rule: kept like a curve.

What is known of it follows from a curve of lengths and one of paces (policy/lengths.py) and from the request's own
limit. So it is made once for these, as long as they are the same objects, and of it only what is asked is worked out.
"""

from bisect import bisect_left, bisect_right
from math import inf, sqrt
from weakref import WeakValueDictionary

from appliance.policy.buckets import COUNT, LEAST_S, UPPER_S, bucket
from appliance.policy.lengths import PACE_PLACE
from appliance.policy.survival import Curve

MOST_ASKED = 100
"""Probabilities whose times are kept: those of an estimate, and a few of each target that callers ask for."""

_LEVELS = (0.5, 0.2, 0.1, 0.04, 0.015, 0.005, 0.001, 0.0001, 0.000003)
"""The pace is taken as one of these quantiles, each standing for all that are faster, down to the one before it."""

_SLOWER = 5
"""Buckets by which a time that is exceeded seldom is above that of the length as seldom exceeded at the middle pace."""


class Generation:
    """How long an answer takes from its start to its end, on one rung. Upper bounds, `z` standard errors up.

    The answer has at most `most_tokens`.
    """

    __slots__ = (
        "__weakref__",
        "_done",
        "_ends",
        "_estimate",
        "_length",
        "_most",
        "_most_tokens",
        "_never",
        "_pace",
        "_paces",
        "_z",
    )

    def __init__(self, length: Curve, pace: Curve, most_tokens: int | None = None, z: float = 1.0) -> None:
        self._length, self._pace, self._most_tokens, self._z = length, pace, most_tokens, z
        self._most = most_length(most_tokens)
        self._paces, self._never = _paces(pace, z)
        self._ends: dict[int, float] = {}
        self._done: dict[float, float] = {}
        self._estimate: Generation | None = None

    @property
    def estimate(self) -> "Generation":
        """The same without bounds."""
        if self._z == 0.0:
            return self
        made = self._estimate
        if made is None:
            made = self._estimate = Generation(self._length, self._pace, self._most_tokens, 0.0)
        return made

    def late_at(self, seconds: float) -> float:
        """P(it takes longer)."""
        place = bisect_right(UPPER_S, seconds) - 1
        return 1.0 if place < 0 else self.late_after(place)

    def within(self, miss: float) -> float:
        """The least time in which it is done but with the probability `miss`; inf if there is none."""
        known = self._done.get(miss)
        if known is not None:
            return known
        # From a guess, in steps that double: what is exceeded so seldom at a pace a little slower than the middle one.
        length = min(bisect_left(self._length.started, 1.0 - miss), self._most)
        place = length + _SLOWER - (self._paces[0][1] if self._paces else 0)
        low, high, step = -1, COUNT, 2  # late(low) > miss >= late(high)
        place = min(max(place, 0), COUNT - 1)
        while low + 1 < high:
            if self.late_after(place) <= miss:
                high = place
                place -= step
            else:
                low = place
                place += step
            step *= 2
            if not low < place < high:
                place = (low + high) // 2
        if len(self._done) >= MOST_ASKED:
            self._done.clear()
        self._done[miss] = done_s = inf if high == COUNT else UPPER_S[high]
        return done_s

    def late_after(self, place: int) -> float:
        """P(it takes longer than the upper end of a bucket)."""
        known = self._ends.get(place)
        if known is not None:
            return known
        late, most, z = self._never, self._most, self._z
        silent, variance = self._length.silent, self._length.variance
        for share, shift in self._paces:
            length = place + shift
            if length < 0:
                late += share
                continue
            if length >= COUNT:
                length = COUNT - 1
            if length < most:
                longer = silent[length]
                if z:
                    longer *= 1.0 + z * sqrt(variance[length])
                late += share * longer if longer < 1.0 else share
        self._ends[place] = late = min(late, 1.0)
        return late


class Generations:
    """Those of one process, gone with the last decision that rests on them. Their bounds are `z` standard errors up."""

    def __init__(self, z: float) -> None:
        self._z = z
        self._made: WeakValueDictionary[tuple[Curve, Curve, int], Generation] = WeakValueDictionary()

    def __len__(self) -> int:
        return len(self._made)

    def of(self, length: Curve, pace: Curve, most_tokens: int | None) -> Generation:
        """The same object for the same curves and a limit that comes to the same, as long as anyone holds it."""
        key = length, pace, most_length(most_tokens)
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = Generation(length, pace, most_tokens, self._z)
        return made


def most_length(most_tokens: int | None) -> int:
    """The bucket of lengths that is not exceeded."""
    return COUNT if most_tokens is None else bucket(max(most_tokens, 1) * LEAST_S)


def _paces(pace: Curve, z: float) -> tuple[tuple[tuple[float, int], ...], float]:
    """Some paces and the probability of each; and that of an answer that never ends.

    A pace is what to add to the bucket of a time for that of the length which takes so long.
    """
    found: list[tuple[float, int]] = []
    ever = pace.started[-1]
    slower, place = 1.0, -1
    for level in _LEVELS:
        place = bisect_left(pace.started, ever - level, place + 1)
        if place >= COUNT:
            break
        rest = min(_slower(pace, place, z), slower)
        if slower > rest:
            found.append((slower - rest, PACE_PLACE - place))
        slower = rest
    return tuple(found), slower


def _slower(pace: Curve, place: int, z: float) -> float:
    slower = 1.0 - pace.started[place]
    if z:
        lost, silent = pace.lost[place], pace.silent[place]
        slower += z * sqrt(silent * silent * pace.variance[place] + lost * (1.0 - lost) / pace.number)
    return min(max(slower, 0.0), 1.0)
