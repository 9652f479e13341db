"""What was not seen of recorded attempts, drawn from what was. The rule: what is known of a request stays as it was.

Of each request each rung's time is known (it started, or was lost), or known to be longer than the age at which it was
cut off (censored), or not known at all (never asked). What is missing is drawn from the rung's Kaplan-Meier curve,
given that it is longer than what was seen. Drawn many times, each time with curves of other weights of the requests
(Rubin's Bayesian bootstrap, 1981), this is proper multiple imputation (Rubin 1987): the spread of the results holds
both what chance does and what is not known of the curves. Where a rung was slower in one half of the records than in
the other, times are drawn from curves of their own time.

Why not weights of inverse probability of censoring: they stand the requests that were seen for those that were not,
and under a race nobody is seen beyond the dear rung's answer but those left running, so the weights have no end. The
curves use all that was seen, and it can be said where they end.

Beyond the last age at which enough attempts were still watched the curve is the prior's, which is nobody's data: such
times are drawn as if the rung started right there (`hope`), never (`fear`), or from that curve (`prior`), and all are
told. Of a dear rung, which is seldom cut off, too little is left beyond that age to matter: there the curve serves.
"""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence
from math import exp, inf, log, sqrt
from typing import Literal

import msgspec

from appliance.policy.buckets import COUNT, LEAST_S, UPPER_S, bucket
from appliance.policy.histogram import Cause, Decay, Histogram
from appliance.policy.survival import Curve, estimate, log_normal, worse

Uniform = Callable[[], float]
"""Random numbers from 0 up to 1: `random.Random(seed).random`."""

Mood = Literal["hope", "fear", "prior"]

ENOUGH = 5
"""Where fewer attempts than this were still watched, most of those cut off, the curve is not relied upon."""

MASS = 1.0
"""How many attempts the prior counts for: next to nothing, since the data are all there."""

MASS_FITTED = 8.0
"""The same where the prior is a log-normal curve fitted to the starts that were seen."""

EPOCHS = 4
"""Into so many parts the recorded requests are cut where a rung's times have changed among them..."""

NEIGHBOUR = 0.25
"""...each with a curve of its own, in which what was seen an epoch away counts for so much, two away for its square."""

CHANGED = 2.0
"""A rung has changed if one half of the requests was slower than the other by so many standard errors."""

LAST, FEW = 8, 200
"""Of so few starts the last ones are only taken to be as long as the first of these: how they go on the fitted curve
says. For the slowest of forty is not the slowest there can be, and the slowest are what a target is about."""

_FOREVER = Decay(half_count=inf, half_life_s=inf)


class Seen(msgspec.Struct, frozen=True, gc=False):
    """What is known of one rung's time in one request. `request`: its place, which has the weight."""

    request: int
    cause: Cause
    age_s: float


class Pool:
    """All that was seen of one rung in one circumstance, and curves of it."""

    __slots__ = ("_fitted", "_logs", "_places", "_trusted_s", "changed", "prior", "seen", "support_s")

    def __init__(self, seen: Sequence[Seen], prior: Curve, requests: int, *, fitted: bool = False) -> None:
        self.seen = seen
        self.prior = prior
        self._logs = [(log(max(one.age_s, LEAST_S)), one.request) for one in seen if one.cause == "started"]
        self._fitted = fitted and len(self._logs) > LAST
        self._trusted_s = inf
        if self._fitted and len(self._logs) < FEW:
            self._trusted_s = sorted(one.age_s for one in seen if one.cause == "started")[-LAST]
        self._places = [bucket(one.age_s) for one in seen]
        self.support_s = _support_s(seen, self.curve())
        halves = [self.curve([float((2 * nth // requests) == half) for nth in range(requests)]) for half in (0, 1)]
        self.changed = any(worse(one, other, CHANGED) is other for one, other in (halves, halves[::-1]))

    def curves(self, weights: Sequence[float]) -> list[Curve]:
        """One for each epoch; one for all if the rung has not changed."""
        if not self.changed:
            return [self.curve(weights)]
        count = len(weights)
        return [
            self.curve([weight * NEIGHBOUR ** abs(nth * EPOCHS // count - epoch) for nth, weight in enumerate(weights)])
            for epoch in range(EPOCHS)
        ]

    def curve(self, weights: Sequence[float] | None = None) -> Curve:
        """Kaplan and Meier's curve, each request with its weight (None: 1)."""
        counts = Histogram(_FOREVER, 0.0)
        arrays = {"started": counts.started, "lost": counts.lost, "censored": counts.censored}
        for one, place in zip(self.seen, self._places, strict=True):
            weight = 1.0 if weights is None else weights[one.request]
            if one.age_s > self._trusted_s:
                counts.censored[bucket(self._trusted_s)] += weight
            else:
                arrays[one.cause][place] += weight
            counts.total += weight
        by = [1.0 if weights is None else weights[request] for _, request in self._logs]
        if not self._fitted or sum(by) <= 0.0:
            return estimate(counts, self.prior, MASS, 0.0)
        return estimate(counts, self._fit(by), MASS_FITTED, 0.0)

    def _fit(self, by: Sequence[float]) -> Curve:
        """The log-normal curve of the starts, each with its weight."""
        total = sum(by)
        mean = sum(value * weight for (value, _), weight in zip(self._logs, by, strict=True)) / total
        square = sum((value - mean) ** 2 * weight for (value, _), weight in zip(self._logs, by, strict=True)) / total
        return log_normal(exp(mean), max(sqrt(square * len(by) / (len(by) - 1)), 0.05))


def _support_s(seen: Sequence[Seen], curve: Curve) -> float:
    """The highest age at which enough were still watched, or at least half of all that were silent then."""
    ages = sorted((one.age_s for one in seen), reverse=True)[:ENOUGH]
    for place, age_s in enumerate(ages, 1):
        if place == ENOUGH or 2 * place >= curve.silent_at(age_s) * len(seen):
            return age_s
    return 0.0


class Draws:
    """Draws times from a curve; beyond `support_s` in a mood."""

    __slots__ = ("_curve", "_fall", "_mood", "_support_s", "_uniform", "beyond", "drawn")

    def __init__(self, curve: Curve, support_s: float, mood: Mood, uniform: Uniform) -> None:
        self._curve = curve
        self._fall = array("d", (-silent for silent in curve.silent))
        self._support_s = support_s
        self._mood = mood
        self._uniform = uniform
        self.drawn = self.beyond = 0

    def after(self, age_s: float) -> tuple[float, bool]:
        """A time longer than `age_s` (inf: never), and whether the attempt is then lost instead of started."""
        curve = self._curve
        self.drawn += 1
        mark = self._uniform() * (curve.silent_at(age_s) if age_s > 0.0 else 1.0)
        place = bisect_left(self._fall, -mark)
        low_s = max(UPPER_S[place - 1] if place else 0.0, age_s)
        if low_s >= self._support_s:
            self.beyond += 1
            if self._mood != "prior":
                return (inf if self._mood == "fear" else max(age_s, self._support_s)), False
        if place == COUNT:
            return inf, False
        starts = curve.started[place] - (curve.started[place - 1] if place else 0.0)
        losses = curve.lost[place] - (curve.lost[place - 1] if place else 0.0)
        at_s = low_s + (max(UPPER_S[place], low_s) - low_s) * self._uniform()
        return at_s, losses > 0.0 and self._uniform() * (starts + losses) >= starts


def weights(count: int, uniform: Uniform) -> list[float]:
    """One weight a request, exponential: the Bayesian bootstrap."""
    return [-log(1.0 - uniform()) for _ in range(count)]
