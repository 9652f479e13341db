"""From counts to a curve: how likely an attempt is still silent after t seconds. The rule: unknown means pessimistic.

The estimator is Kaplan and Meier's product over buckets (1958) with two causes of an end, starting and being lost
(Aalen and Johansen, 1978), and with a prior: `mass` imagined attempts that follow the parent's curve (Susarla and
Van Ryzin, 1976). So a series without data is its parent's curve, and beyond the last age that was seen, where the
counts say nothing, the curve falls as the parent's does and is not extrapolated. The variance is Greenwood's (1926),
of the logarithm: sum of h / (n (1 - h)).

Decayed counts are taken as if they were whole ones. Their effective number is higher (Kish: the square of the sum over
the sum of squares, twice as much for an exponential decay), so the bounds are wider than they had to be.
"""

from math import erfc, log, sqrt

import msgspec

from appliance.policy.buckets import COUNT, UPPER_S, bucket, whole_bucket
from appliance.policy.histogram import Histogram


class Curve(msgspec.Struct, frozen=True, gc=False):
    """One series at one moment, by bucket: at the upper end of each, the probability

    `silent` that the attempt has neither started nor been lost, `started` that it has started, `lost` that it was
    refused or failed. `variance`: of the logarithm of `silent`, so that `silent * sqrt(variance)` is its standard
    error. `weight`: how many observations stand behind it, decayed.
    """

    silent: tuple[float, ...]
    started: tuple[float, ...]
    lost: tuple[float, ...]
    variance: tuple[float, ...]
    weight: float = 0.0

    def silent_at(self, seconds: float) -> float:
        """P(still silent at that age)."""
        place = whole_bucket(seconds)
        return 1.0 if place < 0 else self.silent[place]

    def started_at(self, seconds: float) -> float:
        """P(has started by that age)."""
        place = whole_bucket(seconds)
        return 0.0 if place < 0 else self.started[place]

    def lost_at(self, seconds: float) -> float:
        """P(was refused or has failed by that age)."""
        place = whole_bucket(seconds)
        return 0.0 if place < 0 else self.lost[place]

    def variance_at(self, seconds: float) -> float:
        """The variance of the logarithm of `silent_at`."""
        place = whole_bucket(seconds)
        return 0.0 if place < 0 else self.variance[place]

    def quantile(self, share: float) -> float | None:
        """The age by which this share of attempts has started; None if so many never do."""
        low, high = 0, COUNT
        while low < high:
            middle = (low + high) // 2
            if self.started[middle] >= share:
                high = middle
            else:
                low = middle + 1
        return None if low == COUNT else UPPER_S[low]


def log_normal(median_s: float, sigma: float, lost: float = 0.0) -> Curve:
    """The curve of nobody's data: log-normal, with a share that is lost at the first moment."""
    silent = tuple((1.0 - lost) * 0.5 * erfc(log(upper_s / median_s) / (sigma * sqrt(2.0))) for upper_s in UPPER_S)
    started = tuple(1.0 - lost - share for share in silent)
    return Curve(silent, started, (lost,) * COUNT, (0.0,) * COUNT)


def estimate(counts: Histogram, prior: Curve, mass: float, now_s: float, silent_for_s: tuple[float, ...] = ()) -> Curve:
    """The curve of these counts, shrunk towards `prior` by `mass` imagined attempts.

    `silent_for_s`: ages of attempts in flight, each censored at its present age; without them a collapse would be seen
    only when the first of its victims has ended.
    """
    scale = counts.scale(now_s)
    risk = counts.total * scale + len(silent_for_s)
    leaving = [0.0] * COUNT
    for age_s in silent_for_s:
        leaving[bucket(age_s)] += 1.0
    silent, started, lost, variance = [], [], [], []
    alive, begun, gone, spread = 1.0, 0.0, 0.0, 0.0
    before, begun_before, gone_before = 1.0, 0.0, 0.0  # the prior's, one bucket back
    prior_silent, prior_started, prior_lost = prior.silent, prior.started, prior.lost
    for place, (a_start, a_loss, a_cut) in enumerate(zip(counts.started, counts.lost, counts.censored, strict=True)):
        begun_now, gone_now = prior_started[place], prior_lost[place]
        at_risk = risk + mass * before
        starts = a_start * scale + mass * (begun_now - begun_before)
        losses = a_loss * scale + mass * (gone_now - gone_before)
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
        silent.append(alive)
        started.append(begun)
        lost.append(gone)
        variance.append(spread)
        risk -= (a_start + a_loss + a_cut) * scale + leaving[place]
        if risk < 0.0:
            risk = 0.0
        before, begun_before, gone_before = prior_silent[place], begun_now, gone_now
    weight = counts.total * scale
    return Curve(tuple(silent), tuple(started), tuple(lost), tuple(variance), weight)


def worse(slow: Curve, fast: Curve, margin: float) -> Curve:
    """The slow curve, but the fast one where that is clearly worse; where they agree the slow one has the more data.

    Clearly: at some age more are silent than the slow curve says, by `margin` standard errors of the difference.
    """
    for place in range(0, COUNT, 4):
        more = fast.silent[place] - slow.silent[place]
        if more > 0.0:
            error = fast.silent[place] ** 2 * fast.variance[place] + slow.silent[place] ** 2 * slow.variance[place]
            if more > margin * sqrt(error):
                return fast
    return slow
