"""From counts to a curve: how likely an attempt is still silent after t seconds. The rule: unknown means pessimistic.

The estimator is Kaplan and Meier's product (1958) over buckets, as in a life table, with two causes of an end, starting
and being lost (Aalen and Johansen, 1978), and with a prior: `mass` imagined attempts that follow the parent's curve
(Susarla and Van Ryzin, 1976). So a series without data is its parent's curve, and beyond the last age that was seen,
where the counts say nothing, the curve falls as the parent's does and is not extrapolated. The variance is Greenwood's
(1926), of the logarithm: sum of h / (n (1 - h)).

Decayed counts are taken as if they were whole ones. Their effective number is higher (Kish: the square of the sum over
the sum of squares, twice as much for an exponential decay), so the bounds are wider than they had to be.
"""

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from math import erfc, inf, log, sqrt

import msgspec

from appliance.policy.buckets import COUNT, LEAST_S, UPPER_S, between, bucket, read
from appliance.policy.histogram import Histogram

InFlight = tuple[float, float]
"""Seconds that an attempt has been silent for, and its weight as it would be stored."""


class Curve(msgspec.Struct, frozen=True, eq=False):
    """One series at one moment, by bucket: at the upper end of each, the probability

    `silent` that the attempt has neither started nor been lost, `started` that it has started, `lost` that it was
    refused or failed. `variance`: of the logarithm of `silent`, so that `silent * sqrt(variance)` is its standard
    error. `number`: how many observations stand behind it, decayed, imagined ones included.
    """

    silent: "array[float]"
    started: "array[float]"
    lost: "array[float]"
    variance: "array[float]"
    number: float = inf

    def silent_at(self, seconds: float) -> float:
        """P(still silent at that age)."""
        return read(self.silent, seconds, 1.0)

    def started_at(self, seconds: float) -> float:
        """P(has started by that age)."""
        return read(self.started, seconds, 0.0)

    def lost_at(self, seconds: float) -> float:
        """P(was refused or has failed by that age)."""
        return read(self.lost, seconds, 0.0)

    def late_at(self, seconds: float) -> float:
        """P(has not started by that age): silent still, or lost before."""
        return 1.0 - read(self.started, seconds, 0.0)

    def error_at(self, seconds: float) -> float:
        """The standard error of `late_at`: of the silent by Greenwood, of the lost as of a share."""
        return self._error(*between(seconds)) if seconds >= LEAST_S else 0.0

    def late_at_most(self, seconds: float, z: float) -> float:
        """`late_at`, `z` standard errors further up."""
        if seconds < LEAST_S:
            return 1.0
        at, part = between(seconds)
        started = self.started
        late = 1.0 - (started[at] + (started[at + 1] - started[at]) * part)
        if z:
            late += z * self._error(at, part)
        return min(max(late, 0.0), 1.0)

    def _error(self, at: int, part: float) -> float:
        silents, losts, variances = self.silent, self.lost, self.variance
        lost = losts[at] + (losts[at + 1] - losts[at]) * part
        silent = silents[at] + (silents[at + 1] - silents[at]) * part
        variance = variances[at] + (variances[at + 1] - variances[at]) * part
        return sqrt(silent * silent * variance + lost * (1.0 - lost) / self.number)

    def quantile(self, share: float) -> float | None:
        """The age by which this share of attempts has started; None if so many never do."""
        place = bisect_left(self.started, share)
        return None if place == COUNT else UPPER_S[place]


def log_normal(median_s: float, sigma: float, lost: float = 0.0) -> Curve:
    """The curve of nobody's data: log-normal, with a share that is lost at the first moment."""
    scale = sigma * sqrt(2.0)
    silent = array("d", ((1.0 - lost) * 0.5 * erfc(log(upper_s / median_s) / scale) for upper_s in UPPER_S))
    started = array("d", (1.0 - lost - share for share in silent))
    return Curve(silent, started, array("d", [lost]) * COUNT, array("d", [0.0]) * COUNT)


def estimate(counts: Histogram, prior: Curve, mass: float, now_s: float, silent: Sequence[InFlight] = ()) -> Curve:
    """The curve of these counts, shrunk towards `prior` by `mass` imagined attempts.

    `silent`: attempts in flight, each censored at its present age; without them a collapse would be seen only when the
    first of its victims has ended.
    """
    scale = counts.scale(now_s)
    risk = counts.total * scale
    leaving = [0.0] * COUNT
    for age_s, weight in silent:
        leaving[bucket(age_s)] += weight * scale
        risk += weight * scale
    number = counts.total * scale + mass
    alive_at: list[float] = []
    started: list[float] = []
    lost: list[float] = []
    variance: list[float] = []
    alive, begun, gone, spread = 1.0, 0.0, 0.0, 0.0
    before, begun_before, gone_before = 1.0, 0.0, 0.0  # the prior's, one bucket back
    seen = zip(counts.started, counts.lost, counts.censored, leaving, strict=True)
    believed = zip(prior.silent, prior.started, prior.lost, strict=True)
    for (a_start, a_loss, a_cut, leaves), (silent_now, begun_now, gone_now) in zip(seen, believed, strict=True):
        starts, losses = mass * (begun_now - begun_before), mass * (gone_now - gone_before)
        at_risk = risk + mass * before
        if a_start or a_loss or a_cut or leaves:
            cut = a_cut * scale + leaves
            at_risk -= 0.5 * cut  # who is cut off in a bucket was there for half of it
            starts += a_start * scale
            losses += a_loss * scale
            risk -= (a_start + a_loss) * scale + cut
            if risk < 0.0:
                risk = 0.0
        ends = starts + losses
        if ends > 0.0 and at_risk > 1e-9:
            share = ends / at_risk
            if share < 1.0:
                spread += share / (at_risk * (1.0 - share))
            else:
                share = 1.0
            begun += alive * starts / at_risk
            gone += alive * losses / at_risk
            alive *= 1.0 - share
        alive_at.append(alive)
        started.append(begun)
        lost.append(gone)
        variance.append(spread)
        before, begun_before, gone_before = silent_now, begun_now, gone_now
    return Curve(array("d", alive_at), array("d", started), array("d", lost), array("d", variance), number)


def worse(slow: Curve, fast: Curve, margin: float) -> Curve:
    """The slow curve, but the fast one where that is clearly worse; where they agree the slow one has the more data.

    Clearly: at some age fewer have started than the slow curve says, by `margin` standard errors of the difference.
    The fast curve's error is at least what it had if the slow one were true: few starts look surer than they are.
    """
    least = margin * margin / fast.number
    for step, (expected, found) in enumerate(zip(slow.started[::4], fast.started[::4], strict=True)):
        fewer = expected - found
        # The second condition is the least that the one below asks for, and spares most of the reading of curves.
        if fewer > 1e-9 and fewer * fewer > least * expected * (1.0 - expected):
            at_s = UPPER_S[4 * step]
            spread = max(fast.error_at(at_s) ** 2, expected * (1.0 - expected) / fast.number)
            if fewer * fewer > margin * margin * (spread + slow.error_at(at_s) ** 2):
                return fast
    return slow
