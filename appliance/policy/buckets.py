"""Times as log-spaced buckets, 1 ms to 1 h 40 min. The rule: one mapping for all histograms, so that any two add up.

The mapping is DDSketch's (Masson, Rim, Lee, VLDB 2019): bucket i holds the times in (upper(i-1), upper(i)], each 5 %
wide.
"""

from collections.abc import Sequence
from math import ceil, log

GROWTH = 1.05
LEAST_S = 0.001
COUNT = 320

_LOG_GROWTH = log(GROWTH)

UPPER_S: tuple[float, ...] = tuple(LEAST_S * GROWTH**place for place in range(COUNT))
"""The upper end of each bucket, in seconds. The last one takes whatever is longer, too."""


def bucket(seconds: float) -> int:
    """The bucket of a time. Times below the first and beyond the last bucket fall into those."""
    if seconds <= LEAST_S:
        return 0
    return min(ceil(log(seconds / LEAST_S) / _LOG_GROWTH - 1e-9), COUNT - 1)


def read(ends: Sequence[float], seconds: float, before: float) -> float:
    """A curve that is known at the buckets' ends, at any time: on a straight line in log time between two ends.

    `before`: its value at 0.
    """
    if seconds < LEAST_S:
        return before
    place = log(seconds / LEAST_S) / _LOG_GROWTH
    whole = int(place)
    if whole >= COUNT - 1:
        return ends[-1]
    low = ends[whole]
    return low + (ends[whole + 1] - low) * (place - whole)


def between(seconds: float) -> tuple[int, float]:
    """Where `read` reads a time that is not below the first bucket's end: after which end, and how far to the next."""
    place = log(seconds / LEAST_S) / _LOG_GROWTH
    whole = int(place)
    return (COUNT - 2, 1.0) if whole >= COUNT - 1 else (whole, place - whole)
