"""From counts to a curve: how likely an attempt is still silent after t seconds. The rule: unknown means pessimistic.

The estimator is Kaplan and Meier's product over buckets (1958) with two causes of an end, starting and being lost
(Aalen and Johansen, 1978), and with a prior: `mass` imagined attempts that follow the parent's curve (Susarla and
Van Ryzin, 1976). So a series without data is its parent's curve, and beyond the last age that was seen, where the
counts say nothing, the curve falls as the parent's does and is not extrapolated. The variance is Greenwood's (1926),
of the logarithm: sum of h / (n (1 - h)).

Decayed counts are taken as if they were whole ones. Their effective number is higher (Kish: the square of the sum over
the sum of squares, twice as much for an exponential decay), so the bounds are wider than they had to be.
"""

from math import erfc, exp, log, sqrt

import msgspec

from appliance.policy.buckets import COUNT, UPPER_S, bucket, whole_bucket
from appliance.policy.histogram import Histogram


class Curve(msgspec.Struct, frozen=True, gc=False):
    """One series at one moment, by bucket: at the upper end of each, the probability

    `silent` that the attempt has neither started nor been lost, `started` that it has started, `lost` that it was
    refused or failed; `silent_most` and `missing_most` are upper bounds of `silent` and of "has not started".
    `weight`: how many observations stand behind it, decayed.
    """

    silent: tuple[float, ...]
    started: tuple[float, ...]
    lost: tuple[float, ...]
    silent_most: tuple[float, ...]
    missing_most: tuple[float, ...]
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

    def silent_at_most(self, seconds: float) -> float:
        """Upper bound of P(still silent at that age)."""
        place = whole_bucket(seconds)
        return 1.0 if place < 0 else self.silent_most[place]

    def missing_at_most(self, seconds: float) -> float:
        """Upper bound of P(has not started by that age, whether silent or lost)."""
        place = whole_bucket(seconds)
        return 1.0 if place < 0 else self.missing_most[place]

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
    missing = tuple(1.0 - share for share in started)
    return Curve(silent, started, (lost,) * COUNT, silent, missing)


def estimate(
    counts: Histogram, prior: Curve, mass: float, z: float, now_s: float, silent_for_s: tuple[float, ...] = ()
) -> Curve:
    """The curve of these counts, shrunk towards `prior` by `mass` imagined attempts; bounds `z` deviations away.

    `silent_for_s`: ages of attempts in flight, each censored at its present age; without them a collapse would be seen
    only when the first of its victims has ended.
    """
    scale = counts.scale(now_s)
    risk = counts.total * scale + len(silent_for_s)
    leaving = [0.0] * COUNT
    for age_s in silent_for_s:
        leaving[bucket(age_s)] += 1.0
    silent, started, lost, silent_most, missing_most = [], [], [], [], []
    alive, begun, gone, variance = 1.0, 0.0, 0.0, 0.0
    before, begun_before, gone_before = 1.0, 0.0, 0.0  # the prior's, one bucket back
    prior_silent, prior_started, prior_lost = prior.silent, prior.started, prior.lost
    silent_bound = missing_bound = 1.0
    for place, (a_start, a_loss, a_cut) in enumerate(zip(counts.started, counts.lost, counts.censored, strict=True)):
        begun_now, gone_now = prior_started[place], prior_lost[place]
        at_risk = risk + mass * before
        starts = a_start * scale + mass * (begun_now - begun_before)
        losses = a_loss * scale + mass * (gone_now - gone_before)
        ends = starts + losses
        if ends > 0.0 and at_risk > 1e-9:
            share = ends / at_risk
            if share < 1.0:
                variance += share / (at_risk * (1.0 - share))
            else:
                share = 1.0
            begun += alive * starts / at_risk
            gone += alive * losses / at_risk
            alive *= 1.0 - share
        stretch = exp(z * sqrt(variance)) if variance < 100.0 else 1e9
        silent.append(alive)
        started.append(begun)
        lost.append(gone)
        # A bound at one age holds at all later ones, too: both only fall.
        silent_bound = min(silent_bound, alive * stretch)
        missing_bound = min(missing_bound, (1.0 - begun) * stretch)
        silent_most.append(silent_bound)
        missing_most.append(missing_bound)
        risk -= (a_start + a_loss + a_cut) * scale + leaving[place]
        if risk < 0.0:
            risk = 0.0
        before, begun_before, gone_before = prior_silent[place], begun_now, gone_now
    weight = counts.total * scale
    return Curve(tuple(silent), tuple(started), tuple(lost), tuple(silent_most), tuple(missing_most), weight)


def worse(slow: Curve, fast: Curve, z: float, margin: float = 2.0) -> Curve:
    """The slow curve, but the fast one where that is clearly worse: its bounds lie `margin` times higher apart.

    The two disagree where the fast curve's lower bound (as far below its estimate as the upper one is above) is above
    the slow one's upper bound at `margin` deviations. Where they agree the slow one has the more data.
    """
    power = margin / z
    for place in range(0, COUNT, 4):
        mean = fast.silent[place]
        if mean <= slow.silent[place] or mean <= 1e-6:
            continue
        below = mean * (mean / max(fast.silent_most[place], mean)) ** power
        if below > slow.silent[place] * (slow.silent_most[place] / max(slow.silent[place], 1e-12)) ** power:
            return fast
    return slow
