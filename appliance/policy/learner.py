"""What the engine would have learned while recorded races are played again, for little time.

The rule: the counts, decays, shrinkage and curves of policy/latency.py, of which only the levels that differ between
the rungs of one race are kept: the cheap one; the dear one, and below it the dear one asked alone and behind a silent
cheap one. A curve is made when it is asked for, and the level above is looked at only by those that know little.
"""

from appliance.policy.buckets import bucket
from appliance.policy.histogram import Cause, Histogram
from appliance.policy.latency import FAST, MARGIN, PRIOR_MASS, SLOW
from appliance.policy.survival import Curve, estimate, worse

KNOWS_ENOUGH = 10 * PRIOR_MASS
"""With so many observations a level looks no more at the one above."""


class Learner:
    """One level; `above` is what it leans on."""

    __slots__ = ("_above", "_built", "_curve", "_fast", "_flights", "_prior", "_slow")

    def __init__(self, above: "Learner | Curve", now_s: float) -> None:
        self._above = above
        self._slow, self._fast = Histogram(SLOW, now_s), Histogram(FAST, now_s)
        self._flights: dict[int, tuple[float, float, float]] = {}  # when each began, and its clocks, slow and fast
        self._curve: Curve | None = None
        self._prior: Curve | None = None
        self._built = -1

    def curve(self, now_s: float) -> Curve:
        """What to expect of an attempt launched now; attempts in flight count as censored at their present age."""
        known, above, prior = self._curve, self._above, self._prior
        if isinstance(above, Curve):
            prior = above
        elif prior is None or known is None or known.number < KNOWS_ENOUGH:
            prior = above.curve(now_s)
        if known is not None and prior is self._prior and self._built == self._slow.added and not self._flights:
            return known
        flights = self._flights.values()
        ages = [(now_s - began_s, self._slow.weight(clock)) for began_s, clock, _ in flights]
        slow = estimate(self._slow, prior, PRIOR_MASS, now_s, ages)
        ages = [(now_s - began_s, self._fast.weight(clock)) for began_s, _, clock in flights]
        fast = estimate(self._fast, slow, PRIOR_MASS, now_s, ages)
        self._curve, self._prior, self._built = worse(slow, fast, MARGIN), prior, self._slow.added
        return self._curve

    def begin(self, now_s: float) -> "Attempt":
        """An attempt is launched."""
        return Attempt(self, now_s)

    def levels(self) -> tuple["Learner", ...]:
        """This one and those above."""
        return (self, *self._above.levels()) if isinstance(self._above, Learner) else (self,)

    def count(self, name: int, cause: Cause | None, now_s: float) -> None:
        """Note one attempt in flight (`cause` None), or how it ended."""
        if cause is None:
            self._flights[name] = now_s, self._slow.begin(now_s), self._fast.begin(now_s)
            return
        began_s, slow_clock, fast_clock = self._flights.pop(name)
        place = bucket(now_s - began_s)
        self._slow.end(cause, place, slow_clock)
        self._fast.end(cause, place, fast_clock)


class Attempt:
    """One attempt in flight; end it once."""

    __slots__ = ("_levels",)

    def __init__(self, learner: Learner, now_s: float) -> None:
        self._levels = learner.levels()
        for level in self._levels:
            level.count(id(self), None, now_s)

    def end(self, cause: Cause, now_s: float) -> None:
        """It started, was lost, or was cut off, now."""
        for level in self._levels:
            level.count(id(self), cause, now_s)
